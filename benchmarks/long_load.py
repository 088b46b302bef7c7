"""What a process holds after it has worked for long: memory, open files, threads.

Every load is one process that uses the product's own functions; after each day, hour or fifty times
it is looked at what it holds.

Days: thirty days of one station, picked one after the other as `compress pick` does, each from its
own archive and with the model opened anew. The first, the tenth and the thirtieth day are the same
recording, and have to give the same file of picks, byte for byte.
Live: a day of one station, second by second, as `compress pick --follow` takes it.
Openings: each released bundle found, opened and asked about one window, again and again.
Conversions: one model to TFLite, again and again, in the workers of `export.workers`. What counts
is what the process that asks for them holds, and the one that the workers are forked from.

It takes half an hour.

Repeat:
    nice python -m benchmarks.long_load --json benchmarks/results/long_load.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from baseline.contract import WINDOW_SHAPE
from benchmarks.growth.process import held, kept_from, trimmed_mib
from benchmarks.growth.recordings import HOURS_A_DAY, make_day, write_recordings
from compress.evaluation.machine import describe_machine
from compress.evaluation.picker import Thresholds
from compress.models import find, open_model
from compress.picking.live import LivePicker, LiveSettings
from compress.picking.picking import Settings, pick_recordings
from compress.picking.picks import write_picks
from compress.picking.recordings import find_recordings
from compress.store import heading, write_json
from export.convert import Format, convert

RELEASED = Path("artifacts/released")
PICKED = ("student-tflite-int8", "student-onnx-int8", "student-tflite-float32")
CONVERTED = "student-small.keras"

DAYS = 30
SAME = (1, 10, 30)
"""Days with one and the same recording."""

KINDS = 4
"""Different days: the one above, and three that the others take turns with."""

LOADS = ("days", "live", "openings", "conversions")
OPENINGS, CONVERSIONS, LOOK_EVERY = 500, 200, 50
HOUR_SAMPLES = 360_000

Held = dict[str, Any]
"""What a process holds after so much of a load: see `benchmarks.growth.process.held`."""


def main() -> None:
    """Let every load run in a process of its own, and write what it held."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--live-hours", type=int, default=24)
    parser.add_argument("--openings", type=int, default=OPENINGS)
    parser.add_argument("--conversions", type=int, default=CONVERSIONS)
    parser.add_argument("--only", choices=LOADS, help="this load; the file keeps the others")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    file = arguments.json
    known = json.loads(file.read_text()) if arguments.only and file.is_file() else {}
    loads = known.get("loads", {})
    heads = heading("python", "-m", "benchmarks.long_load") | {
        "machine": describe_machine(),
        "kept_from": kept_from(known),
    }

    def run(kind: str, load: Callable[..., list[Held]], name: str, *of: Any) -> None:
        found = apart(load, str(RELEASED / name), *of)
        show(f"{kind}, {name}", found)
        loads.setdefault(kind, {})[name] = found
        write_json(file, heads | {"loads": loads})

    for kind in LOADS if arguments.only is None else (arguments.only,):
        if kind in ("days", "live"):
            with tempfile.TemporaryDirectory() as scratch:
                archives = apart(write_days, Path(scratch))
                if kind == "live":
                    run(kind, pick_live, PICKED[0], archives[0], arguments.live_hours)
                else:
                    order = [order_of(day) for day in range(1, arguments.days + 1)]
                    for name in PICKED:
                        run(kind, pick_days, name, [archives[number] for number in order])
        elif kind == "openings":
            for bundle in sorted(path.name for path in RELEASED.iterdir() if path.is_dir()):
                run(kind, open_bundle, bundle, arguments.openings, LOOK_EVERY)
        else:
            run(kind, convert_model, CONVERTED, arguments.conversions, LOOK_EVERY)


def order_of(day: int) -> int:
    """Which of the different days a day is."""
    return 0 if day in SAME else 1 + day % (KINDS - 1)


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """What a function returns in a process of its own, which takes its memory with it."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def write_days(folder: Path) -> list[Path]:
    """An archive for each kind of day; the motion of each begins some hours later in the same."""
    day = make_day()
    archives = []
    for kind in range(KINDS):
        rolled = day.copy()
        for trace in rolled:
            trace.data = np.roll(trace.data, kind * HOUR_SAMPLES)
        archives.append(folder / str(kind))
        write_recordings(archives[-1], rolled, HOURS_A_DAY)
    return archives


def pick_days(bundle: str, archives: Sequence[Path]) -> list[Held]:
    """Pick one archive after the other.

    Returns:
        After each, what this process holds, and the hash of the file of picks; after the last also
        what it holds once glibc has given back what it keeps for later.
    """
    found = []
    with tempfile.TemporaryDirectory() as scratch:
        picks = Path(scratch) / "picks.csv"
        for number, archive in enumerate(archives, start=1):
            model = find(bundle)
            settings = Settings(model.thresholds or Thresholds())
            write_picks(picks, pick_recordings(model.path, find_recordings([archive]), settings))
            content = picks.read_bytes()
            found.append(
                {
                    "after": number,
                    **held(),
                    "picks": content.count(b"\n") - 1,
                    "sha256": hashlib.sha256(content).hexdigest(),
                }
            )
    found[-1]["rss_trimmed_mib"] = trimmed_mib()
    return found


def pick_live(bundle: str, archive: Path, hours: int) -> list[Held]:
    """Pick a recording second by second; what this process holds after each hour of it."""
    from obspy import Trace, read

    model, runner = open_model(bundle)
    picker = LivePicker(runner, LiveSettings(model.thresholds or Thresholds()))
    day = [trace for path in archive.rglob("*.D.*") for trace in read(str(path), format="MSEED")]
    found: list[Held] = []
    picks = 0
    for second in range(hours * 3600):
        for trace in day:
            header = trace.stats.copy()
            header.starttime += second
            piece = Trace(trace.data[second * 100 : (second + 1) * 100], header)
            picks += len(list(picker.add(piece)))
        if second % 3600 == 3599:
            found.append({"after": second // 3600 + 1, **held(), "picks": picks})
    return found


def open_bundle(bundle: str, times: int, every: int) -> list[Held]:
    """Find, open, run and drop a bundle; what this process holds after each so many times."""
    window = np.zeros((1, *WINDOW_SHAPE), np.float32)
    found = []
    for number in range(1, times + 1):
        _, runner = open_model(bundle)
        runner(window)
        if number % every == 0:
            found.append({"after": number, **held()})
    return found


def convert_model(model: str, times: int, every: int) -> list[Held]:
    """Convert to TFLite; what this process and the workers' foreman hold after each so many."""
    found: list[Held] = []
    with tempfile.TemporaryDirectory() as scratch:
        output = Path(scratch) / "model.tflite"
        for number in range(1, times + 1):
            convert(Path(model), output, Format.TFLITE)
            if number % every == 0:
                found.append(
                    {
                        "after": number,
                        **held(),
                        "processes_started": [held(process) for process in _children()],
                        "sha256": hashlib.sha256(output.read_bytes()).hexdigest(),
                    }
                )
    return found


def _children() -> Iterator[int]:
    """The processes that this one has started and that still are."""
    for task in Path("/proc/self/task").iterdir():
        yield from map(int, (task / "children").read_text(encoding="ascii").split())


def show(title: str, found: Sequence[Held]) -> None:
    """A row for each look."""
    table = Table("after", title=title)
    columns = ("rss_mib", "handles", "threads")
    for column in columns:
        table.add_column(column, justify="right")
    for one in found:
        table.add_row(str(one["after"]), *(str(one[column]) for column in columns))
    Console().print(table)


if __name__ == "__main__":
    main()
