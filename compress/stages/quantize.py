"""int8 quantization after training."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from compress.data.feeds import random_windows
from compress.stages.base import Context, Phase, Stage, StageModel
from compress.store import write_json
from export.convert import Format, Precision, Ranges, convert


class Quantize(Stage):
    """Full-integer int8: weights per channel, activations calibrated on the calibration set."""

    phase: ClassVar[Phase] = Phase.PRECISION

    kind: Literal["quantize"]
    windows: int = Field(
        default=256, ge=16, le=10_000, description="Calibration windows, cut at random places."
    )

    ranges: Ranges = Field(
        default=Ranges.EXTREMES,
        description="Where the ranges of activations come from: the extremes on the calibration "
        "windows; or searched: narrower ones, tried one by one, that bring the int8 model's "
        "answers nearer to the float model's (half a minute for a student).",
    )

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """Convert to an int8 TFLite file; the float32 graph stays, for other formats."""
        from baseline.checkpoint import save_keras

        calibration = random_windows(context.calibration, self.windows, context.seed)
        float_model = context.scratch / "float.keras"
        save_keras(model.keras, float_model)
        quantized = context.products / "model.tflite"
        task = context.progress.add_task("quantize: calibrate and convert", total=None)
        found = convert(
            float_model, quantized, Format.TFLITE, Precision.INT8, calibration, self.ranges
        )
        if found:
            write_json(context.products / "ranges.json", found)
        context.progress.update(task, total=1, completed=1)
        return StageModel(model.keras, quantized)
