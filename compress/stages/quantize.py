"""int8 quantization: after training, or with training that knows of it."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from baseline.files import whole_file
from compress.data.calibration import calibration_windows
from compress.data.feeds import TargetFeed
from compress.stages.base import Context, Phase, StageModel
from compress.stages.fine_tuning import TrainedStage
from compress.store import write_json
from export.convert import Format, Int8, Precision, Ranges, convert

if TYPE_CHECKING:
    from baseline.keras import keras


class Quantize(TrainedStage):
    """int8: weights per channel, activations calibrated on the calibration set.

    Recurrent layers stay in float32. With `steps` the model is first trained with its weights and
    activations rounded as the int8 file will round them, against its own float answers.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "quantize",
                    "ranges": "searched",
                    "steps": 1500,
                    "gates": {"cost": [{"measure": "bytes", "maximum": 150000}]},
                }
            ]
        }
    )

    phase: ClassVar[Phase] = Phase.PRECISION

    kind: Literal["quantize"]
    windows: int = Field(
        default=256,
        ge=16,
        le=10_000,
        description="Calibration windows, evenly of loud and faint records and with P anywhere.",
    )
    ranges: Literal[Ranges.EXTREMES, Ranges.SEARCHED] = Field(
        default=Ranges.EXTREMES,
        description="Where the ranges of activations come from: the extremes on the calibration "
        "windows; or searched: narrower ones, tried one by one, that bring the int8 model's "
        "answers nearer to the float model's (half a minute for a student).",
    )
    fallback: Literal["none", "accuracy-aware"] = Field(
        default="none",
        description="Layers in float32: none; or the worst ones, until the int8 model picks what "
        "the float model picks.",
    )
    agreement: float = Field(
        default=0.95,
        gt=0,
        le=1,
        description="With the fallback: F1 of the int8 model's picks and detections to reach, "
        "where the float model's stand for the truth (P and S within 0.1 s).",
    )
    loops: bool = Field(
        default=False,
        description="Keep recurrent layers that TFLite has no operator for as loops: files of "
        "EQTransformer become a third smaller and half as fast.",
    )
    correct_biases: bool = Field(
        default=False,
        description="Let biases make up for what rounding shifts on average, one operator after "
        "the other, where that brings the answers nearer to the float model's.",
    )
    steps: int = Field(
        default=0, ge=0, le=1_000_000, description="Steps of quantization-aware training."
    )
    learning_rate: float = Field(
        default=1e-4, gt=0, le=1, description="Peak learning rate of quantization-aware training."
    )

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """Make the int8 TFLite file; a float32 graph stays, for other formats."""
        from baseline.checkpoint import save_keras

        calibration = calibration_windows(context.calibration, self.windows, context.seed)
        graph = self._trained(model.keras, calibration, context) if self.steps else model.keras
        float_model = context.scratch / "float.keras"
        save_keras(graph, float_model)
        quantized = context.products / "model.tflite"
        int8 = Int8(self.ranges, loops=self.loops, correct_biases=self.correct_biases)
        if self.fallback == "accuracy-aware":
            notes = self._with_fallback(graph, float_model, calibration, int8, quantized, context)
            return StageModel(graph, quantized, notes)
        task = context.progress.add_task("quantize: calibrate and convert", total=None)
        found = convert(float_model, quantized, Format.TFLITE, Precision.INT8, calibration, int8)
        biases = found.pop("biases", None) if found else None
        for name, changes in (("ranges.json", found), ("biases.json", biases)):
            if changes:
                write_json(context.products / name, changes)
        context.progress.update(task, total=1, completed=1)
        return StageModel(graph, quantized)

    def _trained(
        self, model: keras.Model, calibration: NDArray[np.float32], context: Context
    ) -> keras.Model:
        """The model after quantization-aware training against its own float answers."""
        from compress.quantizing.aware import with_rounding, without_rounding

        rounded = with_rounding(model, calibration)
        self.fine_tune(rounded, replace(context, baseline=model), what="train for int8")
        return without_rounding(rounded, model)

    def target_feed(self, context: Context) -> TargetFeed:
        """Windows with what the baseline says of each as it is, augmentation included."""
        from compress.training.teaching import Lesson, own_answers

        return TargetFeed(
            Lesson(context, context.baseline, shifts=1).write(self.records, asked=False),
            self.batch,
            context.seed,
            ask=own_answers(context.baseline, shifts=1),
            labels=False,
        )

    def _with_fallback(
        self,
        graph: keras.Model,
        float_model: Path,
        calibration: NDArray[np.float32],
        int8: Int8,
        quantized: Path,
        context: Context,
    ) -> dict[str, str]:
        """Write the int8 file with as few layers in float32 as it takes; why they are, by layer."""
        from compress.quantizing import fallback
        from compress.report.quantization import write_quantization
        from export.runtimes import KerasRunner, load_runner
        from export.study import study

        task = context.progress.add_task("quantize: study each layer", total=None)
        windows = calibration_windows(context.calibration, self.windows, context.seed + 1)
        with tempfile.TemporaryDirectory(dir=context.scratch) as folder:
            found = study(float_model, calibration, int8, Path(folder))
            expected = KerasRunner(graph)(windows)
            chosen = fallback.choose(found, expected, windows, self.agreement)
            with whole_file(quantized) as fresh:
                shutil.copyfile(chosen.candidate.file, fresh)
        if found.search:
            write_json(context.products / "ranges.json", found.search)
        document = fallback.document(found, chosen)
        write_json(context.products / fallback.INT8_FILE, document)
        write_quantization(
            document,
            context.products / "int8.png",
            (expected, load_runner(quantized)(windows)),
        )
        context.progress.update(task, total=1, completed=1)
        return fallback.notes_of(found, chosen)
