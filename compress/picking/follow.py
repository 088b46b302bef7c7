"""Onsets of live data, written line by line as they are found."""

from __future__ import annotations

import csv
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from baseline.errors import InputError
from baseline.files import writing
from compress.data.archive import NS
from compress.evaluation.answers import load_numeric_runner
from compress.picking.live import LivePicker, LiveSettings
from compress.picking.picks import iso
from compress.picking.sources import SEEDLINK, follow_files, follow_seedlink

if TYPE_CHECKING:
    from obspy import Trace

COLUMNS = ("instrument", "phase", "time", "probability", "waited_s", "latency_s")
"""`waited_s` is from the onset to the end of the data in which it showed, `latency_s` from the
onset to now, by this machine's clock: with data that come late, or are old, it says how old."""


def follow_inputs(
    model: Path,
    inputs: Sequence[str],
    settings: LiveSettings,
    stations: Sequence[str] | None,
    channels: Sequence[str] | None,
    idle_s: float | None,
    outputs: Sequence[TextIO],
) -> None:
    """Pick what comes until it ends; see `compress.picking.live`.

    Args:
        model: a file that `export.runtimes.load_runner` takes.
        inputs: miniSEED files that grow, or one `seedlink://host:port`.
        settings: how.
        stations: patterns of `network.station`; a SeedLink server takes only whole names.
        channels: patterns of channel codes.
        idle_s: end when nothing came for so long.
        outputs: gain a line of CSV for each onset, at once.

    Raises:
        InputError: nothing to follow, or it cannot be read or reached.
    """
    picker = LivePicker(load_numeric_runner(model), settings)
    writers = [csv.writer(output, lineterminator="\n") for output in outputs]

    def write(row: Sequence[object]) -> None:
        for writer, output in zip(writers, outputs, strict=True):
            with writing(Path(str(getattr(output, "name", "output")))):
                writer.writerow(row)
                output.flush()

    def handle(trace: Trace) -> None:
        name = f"{trace.stats.network}.{trace.stats.station}"
        if not _any(name, stations) or not _any(trace.stats.channel, channels):
            return
        for onset in picker.add(trace):
            latency = time.time() - onset.time / NS
            write(
                (
                    *(onset.instrument, onset.phase, iso(onset.time)),
                    *(f"{onset.probability:.4f}", f"{onset.waited_s:.2f}", f"{latency:.2f}"),
                )
            )

    servers = [name for name in inputs if name.startswith(SEEDLINK)]
    if not inputs or (servers and len(inputs) > 1):
        raise InputError(
            f"--follow has {len(inputs)} inputs.", "Give miniSEED files, or one SeedLink server."
        )
    write(COLUMNS)
    if servers:
        if not stations:
            raise InputError(f"{servers[0]}: of which stations?", "Give --station NET.STA.")
        address = servers[0].removeprefix(SEEDLINK)
        follow_seedlink(address, stations, " ".join(channels or ["???"]), handle, idle_s)
    else:
        follow_files([Path(name) for name in inputs], handle, idle_s)


def _any(name: str, patterns: Sequence[str] | None) -> bool:
    return not patterns or any(fnmatchcase(name, pattern) for pattern in patterns)
