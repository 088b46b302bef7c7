"""Distillation: a small student learns to answer as the teacher does."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from compress.data.feeds import TargetFeed, write_targets
from compress.stages.base import Context, Phase, Stage, StageModel
from compress.students import UNetStudent, build_student


class Distill(Stage):
    """Train a student from scratch on the teacher's probabilities.

    The teacher is asked once per record, as a consensus over shifts of its window; training then
    cuts windows from the records at random (Hinton et al. 2015, "Distilling the knowledge in a
    neural network").
    """

    phase: ClassVar[Phase] = Phase.DISTILLATION

    kind: Literal["distill"]
    teacher: Literal["baseline", "previous"] = Field(
        default="baseline",
        description="Who teaches: the model the pipeline started from, or the one the stage before "
        "left.",
    )
    student: UNetStudent = Field(default=UNetStudent(), description="The student.")
    records: int = Field(
        default=4000,
        ge=1,
        le=2_000_000,
        description="Training records that the teacher is asked about, drawn at random.",
    )
    shifts: int = Field(
        default=7, ge=2, le=64, description="Windows per record in the teacher's consensus."
    )
    steps: int = Field(default=3000, ge=1, le=10_000_000, description="Training steps.")
    batch: int = Field(default=32, ge=1, le=1024, description="Windows per step.")
    learning_rate: float = Field(default=4e-3, gt=0, le=1, description="Peak learning rate.")
    average: float = Field(
        default=0.998, ge=0, lt=1, description="Decay per step of the averaged weights."
    )

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """A trained student in place of the model."""
        from baseline.keras import keras
        from compress.stages.training import train
        from export.runtimes import KerasRunner

        targets = context.scratch / "targets.h5"
        teacher = context.baseline if self.teacher == "baseline" else model.keras
        write_targets(
            targets,
            KerasRunner(teacher),
            context.train,
            number=self.records,
            shifts=self.shifts,
            seed=context.seed,
            progress=context.progress,
        )
        keras.utils.set_random_seed(context.seed)
        student = build_student(self.student)
        train(
            student,
            TargetFeed(targets, self.batch, context.seed, augmented=True),
            steps=self.steps,
            learning_rate=self.learning_rate,
            warmup_steps=min(200, self.steps // 10),
            average=self.average,
            frozen_statistics=False,
            scratch=context.scratch,
            history=context.products / "history.csv",
            progress=context.progress,
            what="distill",
        )
        return StageModel(student)
