"""What a model needs besides computing time: peak memory and start-up, in a fresh process each."""

from __future__ import annotations

import json
import statistics
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from baseline.errors import InputError
from baseline.processes import last_line, run_module

STARTS = 3
"""Fresh processes per model; the median is taken."""

_TIME_LIMIT_S = 300.0


@dataclass(frozen=True)
class Footprint:
    """One window in a fresh process, median of STARTS processes.

    Attributes:
        peak_bytes: most memory resident at once. Pages of libraries and of mapped files count,
            as far as they were touched, though processes share them.
        above_python_bytes: how far that is above Python with NumPy and nothing loaded.
        startup_s: seconds from starting the process to its first prediction. The model's file and
            the libraries are mostly in the system's file cache.
    """

    peak_bytes: int
    above_python_bytes: int
    startup_s: float


def footprint(path: Path, threads: int = 1) -> Footprint:
    """Measure the memory and the start-up of a model's file.

    Args:
        path: a `.tflite`, `.onnx`, `.keras` or `.h5` file.
        threads: threads that the runtime may use.

    Raises:
        InputError: a fresh process cannot run it (the file is damaged, or memory is short).
    """
    starts = [_start(path, threads) for _ in range(STARTS)]
    return Footprint(
        peak_bytes=round(statistics.median(peak for peak, _, _ in starts)),
        above_python_bytes=round(statistics.median(peak - before for peak, before, _ in starts)),
        startup_s=statistics.median(seconds for _, _, seconds in starts),
    )


def _start(path: Path, threads: int) -> tuple[int, int, float]:
    """Peak bytes, bytes before the model was loaded, and seconds, of one process."""
    worker = "compress.evaluation.footprint_worker"
    begin = time.monotonic_ns()
    try:
        done = run_module(
            worker,
            str(path.resolve()),
            str(threads),
            time_limit_s=_TIME_LIMIT_S,
            keep_output=True,
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{path}: a fresh process has not run one window within {_TIME_LIMIT_S:g} s."
        ) from None
    if done.returncode:
        reason = last_line(done.stderr) or f"it ended with {done.returncode}"
        raise InputError(f"{path}: a fresh process cannot run it ({reason}).")
    said = json.loads(done.stdout.splitlines()[-1])
    return said["peak_bytes"], said["before_bytes"], (said["finished_ns"] - begin) / 1e9
