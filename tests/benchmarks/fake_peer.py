"""A worker that sleeps instead of computing: `fake_peer.py MILLISECONDS MODEL WINDOWS THREADS`.

The model `broken` stops while it is loaded; what the others print is no answer.
"""

import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks" / "peers" / "workers"))

from serving import Way, serve


def load(milliseconds: str, model: str, threads: int) -> Way:
    """Answers with its input, shifted by what the model is called."""
    if model == "broken":
        raise RuntimeError("no such model here")
    print("a library that talks")

    def run(windows):
        time.sleep(float(milliseconds) / 1e3)
        return windows + np.float32(len(model))

    return Way(run, packages=("numpy",), facts=lambda: {"multiply_adds": 1000, "file_bytes": 10})


if __name__ == "__main__":
    serve(load)
