"""The process that converts one model.

    python -m export.worker MODEL FORMAT PRECISION OUTPUT [WINDOWS INT8]

Started by export.convert, so that a converter's crash, hang or leak stays here. The last line of
standard error says what went wrong.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from baseline.files import writing
from export.convert import NOTES_ENDING, Int8, Precision


def main(
    model: str,
    format: str,
    precision: str,
    output: str,
    windows: str | None = None,
    int8: str | None = None,
) -> None:
    """Convert the `.keras` file `model`, calibrating on the windows where it is to be int8.

    `int8` says how, as `export.convert.Int8.to_json` wrote it.
    """
    import numpy as np

    from baseline.checkpoint import load_keras

    keras_model, result = load_keras(Path(model)), Path(output)
    calibration = np.load(windows, allow_pickle=False) if windows else None
    way = Int8.from_json(int8) if int8 else Int8()
    if format == "onnx":
        from export.writers.onnx import write_onnx

        content = write_onnx(keras_model, Precision(precision), calibration, way)
    elif calibration is not None and precision == Precision.INT8:
        from export.writers.tflite import write_int8_tflite

        content, search, correction = write_int8_tflite(keras_model, calibration, way)
        notes = search.to_dict() if search else {}
        if correction:
            notes["biases"] = correction.to_dict()
        if notes:
            path = result.with_suffix(NOTES_ENDING)
            with writing(path):
                path.write_text(json.dumps(notes, indent=1), encoding="utf-8")
    else:
        from export.writers.tflite import write_tflite

        content = write_tflite(keras_model, Precision(precision), calibration)
    with writing(result):
        result.write_bytes(content)


if __name__ == "__main__":
    main(*sys.argv[1:])
