"""A process that does with a data set what a run does, and tells what each part takes.

    python -m benchmarks.growth.reading FOLDER
    python -m benchmarks.growth.reading FOLDER EVALUATED

The last line that it prints is a JSON object: for each part `wall_s`, `cpu_s`, and `peak_mib`, the
most memory resident during it (Linux lets a process set its VmHWM back). With EVALUATED there is
one part: so many records of the set are evaluated with a model that finds nothing and takes no
time, so that what is left is the evaluation itself.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from benchmarks.growth.process import status_kib
from compress.data.feeds import TargetFeed
from compress.data.records import Source
from compress.data.seisbench import SeisBenchSource
from compress.data.sources import check_disjoint, open_folder
from compress.data.stead import SteadSource
from compress.data.targets import write_targets
from compress.evaluation.protocol import Protocol
from compress.evaluation.strata import read_properties, strata
from compress.evaluation.window_scores import score_windows
from export.runtimes import Runner

READ = 1000
COPIED, BATCH, STEPS = 1000, 32, 32
RESET_PEAK = "5"  # proc(5), clear_refs

Result = TypeVar("Result")


class Parts:
    """What each part took."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}

    def measure(self, name: str, action: Callable[[], Result]) -> Result:
        """Do something, and keep what it took."""
        Path("/proc/self/clear_refs").write_text(RESET_PEAK)
        wall, cpu = time.perf_counter(), time.process_time()
        result = action()
        self.found[name] = {
            "wall_s": time.perf_counter() - wall,
            "cpu_s": time.process_time() - cpu,
            "peak_mib": status_kib()["VmHWM"] / 1024,
        }
        return result


def use(folder: Path) -> Parts:
    """Everything that does not read all waveforms."""
    parts = Parts()
    parts.measure("start", lambda: None)
    _use_all(folder, parts)
    _use_splits(folder, parts)
    return parts


def _use_all(folder: Path, parts: Parts) -> None:
    source = parts.measure("open", lambda: open_folder(folder))
    parts.measure("first record", lambda: source[0])
    chosen = np.random.default_rng(0).choice(len(source), READ, replace=False).tolist()
    parts.measure("1,000 records", lambda: [source[index].name for index in chosen])
    parts.measure("fingerprint", source.fingerprint)
    parts.measure("fingerprint again", source.fingerprint)
    with tempfile.TemporaryDirectory() as scratch:
        targets = Path(scratch) / "targets.h5"
        parts.measure(
            "copy 1,000 for training",
            lambda: write_targets(
                targets, None, source, number=COPIED, seed=0, progress=Progress(disable=True)
            ),
        )
        feed = TargetFeed(targets, BATCH, seed=0)
        parts.measure("1,024 training windows", lambda: [*map(len, feed.batches(0, STEPS))])


def _use_splits(folder: Path, parts: Parts) -> None:
    kind = _kind(folder)
    train = parts.measure("open a split", lambda: kind(folder, split="train"))
    test = kind(folder, split="test")
    parts.measure("no record in two sets", lambda: check_disjoint({"a": train, "b": test}))
    parts.measure("evaluate 500 records", lambda: score_windows(*_evaluation(test)))


def evaluate(folder: Path, records: int) -> Parts:
    """The loop over the windows of so many records, and what is made of its results."""
    parts = Parts()
    source = _kind(folder)(folder, limit=records)
    parts.measure(
        "evaluate", lambda: strata(score_windows(*_evaluation(source)), read_properties(source))
    )
    return parts


def _kind(folder: Path) -> type[SteadSource] | type[SeisBenchSource]:
    return SteadSource if (folder / "merge.csv").is_file() else SeisBenchSource


def _evaluation(source: Source) -> tuple[Runner, Source, Protocol, Progress]:
    return _silent, source, Protocol(placements=1), Progress(disable=True)


def _silent(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.zeros_like(windows)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    result = evaluate(folder, int(sys.argv[2])) if len(sys.argv) > 2 else use(folder)
    print(json.dumps(result.found))
