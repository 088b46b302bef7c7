"""Distillation: a small student learns to answer as its teachers do, or better."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from compress.data.augmentation import Augmentation
from compress.data.feeds import TargetFeed
from compress.data.targets import Target, write_targets
from compress.data.teachers import OWN_MODELS, Teacher
from compress.stages.base import Context, Phase, Stage, StageModel
from compress.stages.calibrating import calibrate_picks
from compress.store import write_json
from compress.students import StudentConfig, UNetStudent, build_student
from compress.training.settings import HardNegatives, LossSettings, MatchingSettings, Precision

if TYPE_CHECKING:
    from baseline.keras import keras
    from compress.students.matching import Matching
    from compress.training.teaching import Lesson

CALIBRATION_WINDOWS = 512
WARMUP_STEPS = 200


class Distill(Stage):
    """Train a student from scratch on its teachers' probabilities.

    Teachers are asked as a consensus over shifts of their window; training then cuts windows from
    the records at random (Hinton et al. 2015, "Distilling the knowledge in a neural network").
    Where the labels of a source count (its `label_weight`), they take the teachers' place.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "distill",
                    "teachers": ["baseline", {"model": "eqt-original", "weights": [0, 1, 1]}],
                    "student": {"kind": "unet", "stem_stride": 8, "channels": [24, 32, 80]},
                    "shifts": 13,
                    "steps": 16000,
                    "hard_negatives": {"every": 1000, "share": 0.1},
                    "calibrate": "picks",
                }
            ]
        }
    )

    phase: ClassVar[Phase] = Phase.DISTILLATION

    kind: Literal["distill"]
    teachers: tuple[Teacher, ...] = Field(
        default=(Teacher(),),
        min_length=1,
        max_length=16,
        description="Who teaches, by name or with weights: the mean of their probabilities.",
    )
    student: StudentConfig = Field(default=UNetStudent(), description="What is trained.")
    records: int = Field(
        default=4000,
        ge=1,
        le=2_000_000,
        description="Training records to draw, from each source in proportion to its weight.",
    )
    shifts: int = Field(
        default=7,
        ge=1,
        le=64,
        description="Places of the window over which each teacher's answers about a record are "
        "averaged; 1 for a single pass.",
    )
    sharpen: bool = Field(
        default=False,
        description="Teach each onset as narrow as a label, in place of the wide hill that the "
        "mean of the teachers' answers is.",
    )
    targets: Literal["cached", "on-the-fly"] = Field(
        default="cached",
        description="When the teachers are asked: once per record, their answers kept on disk and "
        "changed with the waveform; or about every window as augmentation left it, which is many "
        "times slower.",
    )
    augmentation: Augmentation = Field(
        default=Augmentation(), description="How windows are changed at every step."
    )
    loss: LossSettings = Field(
        default=LossSettings(), description="How the difference to the targets is weighed."
    )
    matching: MatchingSettings | None = Field(
        default=None, description="Make an eqt student resemble the baseline inside."
    )
    hard_negatives: HardNegatives | None = Field(
        default=None, description="Search for windows without an earthquake that fool the student."
    )
    steps: int = Field(default=3000, ge=1, le=10_000_000, description="Training steps.")
    batch: int = Field(default=32, ge=1, le=1024, description="Windows per step.")
    learning_rate: float = Field(
        default=4e-3,
        gt=0,
        le=1,
        description="Highest learning rate: it rises over 200 steps, or a tenth of all, and falls "
        "to zero as a cosine.",
    )
    average: float = Field(
        default=0.998,
        ge=0,
        lt=1,
        description="The student that is kept is a running mean of its weights over the steps, "
        "of which every step leaves this share; 0 for the last weights.",
    )
    precision: Precision = Field(
        default="auto",
        description="What training computes in: auto for 16 bits on a GPU, where there is one, "
        "with weights in float32; or float32 everywhere.",
    )
    distributed: Literal["none", "multi_worker"] = Field(
        default="none",
        description="Who trains: this process, or all that the environment variable TF_CONFIG "
        "names, each its part of every batch.",
    )
    calibrate: Literal["none", "targets", "picks"] = Field(
        default="none",
        description="Scale and shift the student's logits after training, folded into its last "
        "layer. picks: so that, on labelled records of the calibration set, the probability of a "
        "pick or detection is the share of such that are right; targets: so that each sample's "
        "fits what the teachers say of the calibration set.",
    )

    @model_validator(mode="after")
    def _each_output_is_taught(self) -> Self:
        for number, output in enumerate(("detection", "P", "S")):
            if not sum(teacher.weights[number] for teacher in self.teachers):
                raise ValueError(f"teachers: none has a weight above zero for {output}")
        return self

    @model_validator(mode="after")
    def _matches_its_kind(self) -> Self:
        if self.matching and self.student.kind != "eqt":
            raise ValueError(
                f"matching: a student of kind {self.student.kind} has no layers that correspond to "
                "the baseline's; take one of kind eqt, or leave matching out"
            )
        return self

    def named_models(self) -> tuple[str, ...]:
        """The teachers that are neither the baseline nor the stage before."""
        names = {teacher.model for teacher in self.teachers} - set(OWN_MODELS)
        return tuple(sorted(names))

    def joint_batch(self) -> int | None:
        """The batch, if workers share it."""
        return self.batch if self.distributed == "multi_worker" else None

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """A trained student in place of the model."""
        from baseline.keras import keras
        from compress.students.calibration import fold_logit_scaling, prior_shift
        from compress.training.loop import Plan, train
        from compress.training.teaching import Lesson

        lesson = Lesson(context, model.keras, self.teachers, self.shifts, self.sharpen)
        keras.utils.set_random_seed(context.seed)
        student = build_student(self.student)
        train(
            student,
            self._feed(lesson, context),
            Plan(
                steps=self.steps,
                learning_rate=self.learning_rate,
                warmup_steps=min(WARMUP_STEPS, self.steps // 10),
                average=self.average,
                frozen_statistics=False,
                loss=self.loss,
                hard_negatives=self.hard_negatives,
                precision=self.precision,
                matching=self._matching(context.baseline),
            ),
            scratch=context.scratch,
            products=context.products,
            progress=context.progress,
            what="distill",
            workers=context.workers,
        )
        if not context.workers.is_first:
            return StageModel(student)
        if self.loss.positive != (1.0, 1.0, 1.0):
            # What is learned are logits over the temperature, and these are shifted.
            shift = self.loss.temperature * prior_shift(self.loss.positive)
            fold_logit_scaling(student, (1.0, 1.0, 1.0), shift)
        if self.calibrate != "none":
            found = (
                calibrate_picks(student, context.calibration, context.seed, context.progress)
                if self.calibrate == "picks"
                else self._calibrate_samples(student, lesson.ask(), context)
            )
            write_json(context.products / "calibration.json", found)
        return StageModel(student)

    def _matching(self, teacher: keras.Model) -> Callable[[keras.Model], Matching] | None:
        """What makes the loss between the layers of a student in training and the baseline's."""
        from compress.students.matching import Matching

        settings = self.matching
        if settings is None:
            return None
        return lambda twin: Matching(twin, teacher, settings.features, settings.attention)

    def _feed(self, lesson: Lesson, context: Context) -> TargetFeed:
        """Batches of training windows; the teachers are asked where they were not yet."""
        cached = self.targets == "cached"
        return TargetFeed(
            lesson.write(self.records, asked=cached),
            self.batch,
            context.seed,
            self.augmentation,
            ask=None if cached else lesson.ask(),
        )

    def _calibrate_samples(
        self, student: keras.Model, ask: Target, context: Context
    ) -> dict[str, dict[str, float]]:
        """Fit the probabilities to the targets of the calibration set, without augmentation."""
        from compress.students.calibration import calibrate

        path = context.scratch / "calibration-targets.h5"
        write_targets(
            path,
            ask,
            context.calibration,
            number=CALIBRATION_WINDOWS,
            seed=context.seed,
            progress=context.progress,
        )
        feed = TargetFeed(path, CALIBRATION_WINDOWS, context.seed, Augmentation.none())
        return calibrate(student, *feed.batch_at(0))
