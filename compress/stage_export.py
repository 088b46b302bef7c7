"""What a finished stage is exported as, by `compress run` and `compress export` alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.files import writing
from baseline.published import CITATION, LICENCE
from compress.config import Pipeline
from compress.data.sources import describe_set
from compress.quantizing.fallback import float_layers
from compress.stages.base import Stage
from compress.stages.quantize import Quantize
from compress.store import KERAS_FILE, TFLITE_FILE, versions
from export.convert import Format, Int8, Precision, convert
from export.writers.flatbuffer import edit
from export.writers.passes.integer_ends import drop_float_ends

CALIBRATION_WINDOWS = 256
"""For int8 exports of what no quantize stage says how many for."""


def export_stage(
    stage: Path,
    own: Precision | None,
    target: Path,
    format: Format,
    precision: Precision,
    windows: Callable[[], NDArray[np.float32]],
    int8: Int8 | None = None,
) -> bool:
    """Write a stage's model in a format, and tell whether that is the stage's own TFLite file.

    That file is what the gates saw. It is taken as it is wherever TFLite in its precision is asked
    for and no other way to int8; with integer ends, only its conversions from and to floats go.

    Args:
        stage: folder of the stage.
        own: what its TFLite file computes in; None where there is none to take.
        target: the file to write.
        format: TFLite or ONNX.
        precision: one that the format has.
        windows: gives those to calibrate on, normalised, (n, 6000, 3); called where it is needed.
        int8: how, if it is that precision. Layers that the stage left in float32 stay so unless
            others are given.

    Raises:
        InputError: the conversion failed, or the file cannot be written.
    """
    int8 = int8 or Int8()
    if format is Format.TFLITE and precision is own and replace(int8, integer_ends=False) == Int8():
        content = (stage / TFLITE_FILE).read_bytes()
        with writing(target):
            target.write_bytes(edit(content, drop_float_ends) if int8.integer_ends else content)
        return True
    if precision is Precision.INT8 and not int8.float_layers:
        int8 = replace(int8, float_layers=float_layers(stage))
    calibration = windows() if precision.calibrated else None
    convert(stage / KERAS_FILE, target, format, precision, calibration, int8)
    return False


def calibration_draw(pipeline: Pipeline) -> tuple[int, int]:
    """How many windows a pipeline calibrates its exports on, and the seed they are drawn with."""
    numbers = [stage.windows for stage in pipeline.stages if isinstance(stage, Quantize)]
    return (numbers[-1] if numbers else CALIBRATION_WINDOWS), pipeline.seed


def bundle_metadata(
    pipeline: Pipeline,
    stages: Sequence[Stage],
    baseline_sha256: str,
    fingerprints: dict[str, str],
) -> dict[str, Any]:
    """What a bundle says of a run's model, whatever its format.

    Args:
        pipeline: what was run.
        stages: those that made the model of the baseline.
        baseline_sha256: hash of the baseline's file.
        fingerprints: of the data sets, by name.
    """
    return {
        "thresholds": pipeline.evaluation.thresholds.model_dump(),
        "provenance": {
            "baseline": pipeline.baseline,
            "baseline_sha256": baseline_sha256,
            "stages": [stage.model_dump(mode="json") for stage in stages],
            "data": {name: describe_set(sources) for name, sources in pipeline.data},
            "data_fingerprints": fingerprints,
            "versions": versions(),
        },
        "licence": LICENCE,
        "citation": CITATION,
    }
