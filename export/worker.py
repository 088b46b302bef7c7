"""The process that converts one model.

    python -m export.worker MODEL FORMAT PRECISION OUTPUT [WINDOWS]

Started by export.convert, so that a converter's crash, hang or leak stays here. The last line of
standard error says what went wrong.
"""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

from export.convert import MEMORY_LIMIT_VARIABLE, Precision


def main(model: str, format: str, precision: str, output: str, windows: str | None = None) -> None:
    """Convert the `.keras` file `model`, calibrating on the windows where it is to be int8."""
    limit = int(os.environ[MEMORY_LIMIT_VARIABLE])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    import numpy as np

    from baseline.checkpoint import load_keras

    if format == "tflite":
        from export.writers.tflite import write_tflite as write
    else:
        from export.writers.onnx import write_onnx as write
    calibration = np.load(windows, allow_pickle=False) if windows else None
    Path(output).write_bytes(write(load_keras(Path(model)), Precision(precision), calibration))


if __name__ == "__main__":
    main(*sys.argv[1:])
