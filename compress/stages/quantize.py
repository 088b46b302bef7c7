"""int8 quantization after training."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from compress.data.feeds import random_windows
from compress.stages.base import Context, Phase, Stage, StageModel
from export.convert import Format, Precision, convert


class Quantize(Stage):
    """Full-integer int8: weights per channel, activations calibrated on the calibration set."""

    phase: ClassVar[Phase] = Phase.PRECISION

    kind: Literal["quantize"]
    windows: int = Field(
        default=256, ge=16, le=10_000, description="Calibration windows, cut at random places."
    )

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """Convert to an int8 TFLite file; the float32 graph stays, for other formats."""
        from baseline.checkpoint import save_keras

        calibration = random_windows(context.calibration, self.windows, context.seed)
        float_model = context.scratch / "float.keras"
        save_keras(model.keras, float_model)
        quantized = context.products / "model.tflite"
        task = context.progress.add_task("quantize: calibrate and convert", total=None)
        convert(float_model, quantized, Format.TFLITE, Precision.INT8, calibration)
        context.progress.update(task, total=1, completed=1)
        return StageModel(model.keras, quantized)
