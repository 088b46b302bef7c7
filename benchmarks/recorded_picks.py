"""Picks of recordings, as `compress pick` makes them: one model's against another's and analysts'.

    python -m benchmarks.recorded_picks eqt-conservative BUNDLE... --data DATA --json FILE

Every record of a data set in SeisBench's format becomes a recording of its own in miniSEED. The
first model is the reference: of each other one, how many picks stand on the same sample of the same
record, and how many have no counterpart within 0.1 s. `--stack` takes several ways to put windows
together.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from obspy import Stream, Trace, UTCDateTime
from rich.progress import Progress

from baseline.contract import COMPONENTS, SAMPLING_RATE_HZ
from compress.data.archive import NS
from compress.data.records import Category, Source, iterate
from compress.data.sources import open_folder
from compress.evaluation.picker import Thresholds
from compress.models import find
from compress.picking.picking import Settings, pick_recordings
from compress.picking.preparation import Preparation
from compress.picking.recordings import find_recordings
from compress.picking.stacking import Stack, Stacking
from compress.store import heading, write_json

START = UTCDateTime(2020, 1, 1)
Picks = dict[tuple[str, str], list[tuple[float, float]]]
"""By record and phase: seconds after the start of the record, and probabilities."""


def write_records(source: Source, folder: Path) -> None:
    """One file for each record, whose station is its number."""
    for number, record in enumerate(iterate(source)):
        Stream(
            [
                Trace(
                    np.ascontiguousarray(record.waveform[:, place]),
                    {
                        "network": "XX", "station": f"{number:05}", "channel": f"HH{letter}",
                        "sampling_rate": SAMPLING_RATE_HZ, "starttime": START,
                    },
                )
                for place, letter in enumerate(COMPONENTS)
            ]
        ).write(str(folder / f"{number:05}.mseed"), format="MSEED")  # fmt: skip


def picks_of(name: str, folder: Path, stack: Stack, filtered: bool, progress: Progress) -> Picks:
    """What `compress pick` makes of the recordings."""
    model = find(name)
    preparation = Preparation() if filtered else Preparation(None)
    settings = Settings(model.thresholds or Thresholds(), preparation, Stacking(stack=stack))
    task = progress.add_task(f"{name}, {stack.value}", total=None)
    found: Picks = {}
    for one in pick_recordings(model.path, find_recordings([folder]), settings):
        for phase in one.phases:
            key = one.instrument.split(".")[1], phase.phase
            seconds = phase.time / NS - START.timestamp
            found.setdefault(key, []).append((round(seconds, 4), phase.probability))
    progress.update(task, total=1, completed=1)
    return found


def compared(picks: Picks, reference: Picks) -> dict[str, Any]:
    """How far one model's picks are another's."""
    document: dict[str, Any] = {}
    for phase in "PS":
        same = apart = alone = 0
        largest = 0.0
        keys = {key for key in (*picks, *reference) if key[1] == phase}
        for key in keys:
            ours, theirs = picks.get(key, []), reference.get(key, [])
            times = np.array([time for time, _ in theirs])
            for time, probability in ours:
                near = np.abs(times - time) if len(times) else np.array([np.inf])
                if near.min() < 0.5 / SAMPLING_RATE_HZ:
                    same += 1
                    largest = max(largest, abs(theirs[int(near.argmin())][1] - probability))
                elif near.min() <= 0.1:
                    apart += 1
                else:
                    alone += 1
        total = sum(len(found) for key, found in reference.items() if key[1] == phase)
        document[phase] = {
            "reference_picks": total, "same_sample": same, "within_0.1s": apart,
            "not_in_reference": alone, "largest_probability_difference": largest,
        }  # fmt: skip
    return document


def against_analysts(picks: Picks, source: Source) -> dict[str, Any]:
    """Recall of analysts' picks, and records of noise in which something is picked."""
    document: dict[str, Any] = {}
    records = list(enumerate(iterate(source)))
    for phase in "PS":
        offsets = []
        for number, record in records:
            onset = record.p_sample if phase == "P" else record.s_sample
            if onset is None:
                continue
            times = [time for time, _ in picks.get((f"{number:05}", phase), [])]
            apart = min((abs(time - onset / SAMPLING_RATE_HZ) for time in times), default=np.inf)
            offsets.append(apart)
        document[phase] = {
            "analyst_picks": len(offsets),
            "recall_0.5s": float(np.mean(np.array(offsets) <= 0.5)),
            "recall_0.1s": float(np.mean(np.array(offsets) <= 0.1)),
        }
    noise = [number for number, record in records if record.category is Category.NOISE]
    document["noise_records"] = len(noise)
    document["noise_records_with_picks"] = sum(
        any((f"{number:05}", phase) in picks for phase in "PS") for number in noise
    )
    return document


def main() -> None:
    """Pick with each model, compare, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="as `compress pick` takes them")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split")
    parser.add_argument("--stack", nargs="*", type=Stack, default=[Stack.MAX])
    parser.add_argument("--no-filter", action="store_true")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    source = open_folder(arguments.data, arguments.split)
    document = heading("python", "-m", "benchmarks.recorded_picks") | {
        "records": len(source),
        "band_pass": not arguments.no_filter,
        "models": {},
    }
    with tempfile.TemporaryDirectory() as folder, Progress() as progress:
        write_records(source, Path(folder))
        for stack in arguments.stack:
            reference: Picks | None = None
            for name in arguments.models:
                found = picks_of(name, Path(folder), stack, not arguments.no_filter, progress)
                result = against_analysts(found, source)
                if reference is None:
                    reference = found
                else:
                    result["against_first"] = compared(found, reference)
                document["models"].setdefault(stack.value, {})[name] = result
                write_json(arguments.json, document)


if __name__ == "__main__":
    main()
