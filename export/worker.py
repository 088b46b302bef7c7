"""The process that converts one model.

    python -m export.worker MODEL FORMAT PRECISION OUTPUT [WINDOWS RANGES]

Started by export.convert, so that a converter's crash, hang or leak stays here. The last line of
standard error says what went wrong.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from pathlib import Path

from export.convert import MEMORY_LIMIT_VARIABLE, NOTES_ENDING, Precision, Ranges


def main(
    model: str,
    format: str,
    precision: str,
    output: str,
    windows: str | None = None,
    ranges: str = Ranges.EXTREMES,
) -> None:
    """Convert the `.keras` file `model`, calibrating on the windows where it is to be int8."""
    limit = int(os.environ[MEMORY_LIMIT_VARIABLE])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    import numpy as np

    from baseline.checkpoint import load_keras

    keras_model, result = load_keras(Path(model)), Path(output)
    calibration = np.load(windows, allow_pickle=False) if windows else None
    if calibration is not None and ranges == Ranges.SEARCHED:
        from export.writers.tflite import write_narrowed_tflite

        content, search = write_narrowed_tflite(keras_model, calibration)
        notes = json.dumps(search.to_dict(), indent=1)
        result.with_suffix(NOTES_ENDING).write_text(notes, encoding="utf-8")
    elif format == "tflite":
        from export.writers.tflite import write_tflite

        content = write_tflite(keras_model, Precision(precision), calibration)
    else:
        from export.writers.onnx import write_onnx

        content = write_onnx(keras_model, Precision(precision), calibration)
    result.write_bytes(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
