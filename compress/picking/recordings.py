"""Recordings to pick: what stands in the files and folders that a user names.

Every format that ObsPy reads is taken but its own pickle, since unpickling a file runs what is in
it. Of a folder, an SDS archive or any other, what is no recording is passed over; a file that was
named by itself has to be one.

A stretch is what an instrument recorded without a gap longer than `maximum_gap_s`. Of several
instruments at one station each time is picked once: with all three components before fewer, then
in the order of the channel patterns, then of location; see `compress.data.archive`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from baseline.errors import InputError
from compress.data.archive import (
    CHANNELS,
    MINISEED,
    NS,
    Archive,
    Instrument,
    Interval,
    Wanted,
    begins_like_miniseed,
    common,
    coverage,
    index,
    instruments_by_station,
    nanoseconds,
    some,
    usable,
    utc,
    walk,
    without,
)

ANY_CHANNEL = (*CHANNELS, "*")
"""Patterns of channel codes in order of preference; the last takes what has an odd code."""

LOWEST_RATE_HZ = 20.0
"""Below, what a picker listens for is not in the recording."""

SHORTEST_STRETCH_S = 1.0
"""Shorter ones are left out: a filter has nothing to settle on."""

PICKLE = "PICKLE"


@dataclass(frozen=True, eq=False)
class Stretch:
    """What one instrument recorded without a gap.

    Attributes:
        instrument: with its channels.
        start: time of its first sample, ns since 1970.
        end: time one sample after its last, likewise.
    """

    instrument: Instrument
    start: int
    end: int


@dataclass(frozen=True, eq=False)
class Recordings:
    """What there is to be picked.

    Attributes:
        archive: the files.
        stations: the stretches of each station, in order of time.
        left_out: why channels, instruments and stretches are not picked, by name.
        passed_over: how many files are no recordings.
    """

    archive: Archive
    stations: dict[str, list[Stretch]]
    left_out: dict[str, str]
    passed_over: int


def find_recordings(
    inputs: Sequence[Path],
    *,
    channels: Sequence[str] = ANY_CHANNEL,
    stations: Sequence[str] = ("*",),
    start: datetime | None = None,
    end: datetime | None = None,
    maximum_gap_s: float = 1.0,
    zeros: bool = True,
) -> Recordings:
    """Look into files and folders, at headers alone.

    Args:
        inputs: files and folders.
        channels: patterns of channel codes, in order of preference.
        stations: patterns of `network.station`.
        start: nothing before this; UTC where it has no time zone.
        end: nothing from this on.
        maximum_gap_s: gaps up to this are filled by a straight line.
        zeros: whether an instrument without one or both horizontals is picked, with zeros in
            their place.

    Raises:
        InputError: no such file, one that is damaged or no recording, or nothing to pick.
    """
    start, end = (None if t is None else utc(t) for t in (start, end))
    named = set(inputs)
    wanted = Wanted(tuple(channels), tuple(stations), start, end)
    archive = index(
        sorted(_files(inputs)), wanted, lambda path: format_of(path, required=path in named)
    )
    left_out: dict[str, str] = {}
    kept = usable(archive.channels, LOWEST_RATE_HZ, left_out)
    found: dict[str, list[Stretch]] = {}
    for station, instruments in instruments_by_station(kept, wanted, zeros, left_out).items():
        stretches = _stretches(instruments, maximum_gap_s, (start, end), left_out)
        if stretches:
            found[station] = stretches
    if not found:
        raise InputError(
            f"{some([str(path) for path in inputs])}: there is nothing to pick.", _why(archive,
            left_out),
        )  # fmt: skip
    return Recordings(archive, found, left_out, archive.passed_over)


def format_of(path: Path, required: bool = False) -> str | None:
    """What ObsPy calls the format of a recording; None if it is none.

    Args:
        path: the file.
        required: whether it has to be one.

    Raises:
        InputError: it is none and has to be one.
    """
    from obspy.core.util.base import ENTRY_POINTS
    from obspy.core.util.misc import buffered_load_entry_point

    if begins_like_miniseed(path):
        return MINISEED
    for name, plugin in ENTRY_POINTS["waveform"].items():
        if name in (MINISEED, PICKLE):
            continue
        group = f"obspy.plugin.waveform.{name}"
        try:
            if buffered_load_entry_point(plugin.dist.name, group, "isFormat")(str(path)):
                return str(name)
        except Exception:  # a plugin that stumbles over a file does not know it
            continue
    if required:
        raise InputError(
            f"{path}: is no recording in a format that ObsPy reads.",
            "Give miniSEED, SAC, GSE2 or the like; ObsPy's own pickles are not read.",
        )
    return None


def _files(inputs: Sequence[Path]) -> set[Path]:
    found: set[Path] = set()
    for path in inputs:
        if path.is_dir():
            found.update(walk(path, "**"))
        elif path.is_file():
            found.add(path)
        else:
            raise InputError(f"{path}: there is no such file or folder.")
    return found


def _stretches(
    instruments: Sequence[Instrument],
    maximum_gap_s: float,
    bounds: tuple[datetime | None, datetime | None],
    left_out: dict[str, str],
) -> list[Stretch]:
    """Those of one station, each time once, by time."""
    far = 2**63 - 1
    first, last = (None if t is None else nanoseconds(t) for t in bounds)
    asked: list[Interval] = [(-far if first is None else first, far if last is None else last)]
    taken: list[Interval] = []
    found = []
    for instrument in instruments:
        free = asked
        for channel in instrument.present():
            free = common(free, coverage(channel, maximum_gap_s))
        for start, end in without(free, taken):
            if end - start < SHORTEST_STRETCH_S * NS:
                left_out[instrument.name] = f"stretches shorter than {SHORTEST_STRETCH_S:g} s"
            else:
                found.append(Stretch(instrument, start, end))
        taken = sorted(taken + free)
    return sorted(found, key=lambda stretch: stretch.start)


def _why(archive: Archive, left_out: dict[str, str]) -> str:
    if left_out:
        return f"Left out: {some([f'{name} ({why})' for name, why in left_out.items()])}."
    if archive.other:
        return f"Of other channels or stations there are {some(sorted(archive.other))}."
    if archive.channels:
        return "Nothing was recorded between the times asked for."
    return f"No file is a recording ({archive.passed_over} were passed over)."
