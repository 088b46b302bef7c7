"""A process that runs one window: `python -m compress.evaluation.footprint_worker MODEL THREADS`.

Started by compress.evaluation.footprint. It imports what the model's own runtime needs and nothing
else: no TensorFlow for `.tflite` and `.onnx`. The last line that it prints is a JSON object:

- `finished_ns`: when the prediction was there, by the clock of `time.monotonic_ns`;
- `before_bytes`: peak memory with Python, NumPy and this project's runner code alone;
- `peak_bytes`: peak memory after the prediction.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np

from baseline.contract import WINDOW_SHAPE
from compress.evaluation.threads import load_with_threads


def main(model: str, threads: str) -> None:
    """Load the model, run one window, and print what that took."""
    before = peak_memory_bytes()
    load_with_threads(Path(model), int(threads))(np.zeros((1, *WINDOW_SHAPE), np.float32))
    finished = time.monotonic_ns()
    print(
        json.dumps(
            {
                "finished_ns": finished,
                "before_bytes": before,
                "peak_bytes": peak_memory_bytes(),
            }
        )
    )


def peak_memory_bytes() -> int:
    """The most memory that this process has had resident since it began to run this program.

    On Linux from `VmHWM` in `/proc/self/status`. The better known `ru_maxrss` would not do there:
    it survives `exec`, so a small process started from a large one reports the large one's peak.
    """
    status = Path("/proc/self/status")
    if status.is_file():
        for line in status.read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


if __name__ == "__main__":
    main(*sys.argv[1:])
