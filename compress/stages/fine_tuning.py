"""What stages share that change a trained model and then let it settle again."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING

from pydantic import Field

from compress.data.feeds import TargetFeed
from compress.stages.base import Context, Stage

if TYPE_CHECKING:
    from baseline.keras import keras
    from compress.training.loop import AfterStep

AVERAGE = 0.98
"""Decay per step of the averaged weights: fine-tuning is short."""


class TrainedStage(Stage):
    """A stage that may train what it made; BatchNorm statistics stay as they are."""

    records: int = Field(
        default=1000, ge=1, le=1_000_000, description="Training records for fine-tuning."
    )
    steps: int = Field(default=200, ge=0, le=1_000_000, description="Fine-tuning steps.")
    batch: int = Field(default=16, ge=1, le=1024, description="Windows per fine-tuning step.")
    learning_rate: float = Field(
        default=3e-4, gt=0, le=1, description="Peak learning rate of fine-tuning."
    )

    @abstractmethod
    def target_feed(self, context: Context) -> TargetFeed:
        """Batches of windows with what is taught of them."""

    def fine_tune(
        self,
        model: keras.Model,
        context: Context,
        *,
        steps: int | None = None,
        what: str = "fine-tune",
        after_step: AfterStep | None = None,
    ) -> None:
        """Fine-tune `model` in place; a run that was interrupted goes on from its checkpoint.

        Args:
            model: what to train.
            context: that of the stage.
            steps: instead of all; 0 does nothing.
            what: what it is called where progress is shown. Several trainings of one stage need
                different names: their checkpoints are kept apart by it.
            after_step: done after each step, with the model in training and the steps done.
        """
        from compress.training.loop import Plan, train

        steps = self.steps if steps is None else steps
        if not steps:
            return
        scratch = context.scratch / what.replace(" ", "-")
        scratch.mkdir(parents=True, exist_ok=True)
        train(
            model,
            self.target_feed(context),
            Plan(
                steps=steps,
                learning_rate=self.learning_rate,
                warmup_steps=steps // 10,
                average=AVERAGE,
                frozen_statistics=True,
            ),
            scratch=scratch,
            products=context.products,
            progress=context.progress,
            what=what,
            after_step=after_step,
        )


class FineTunedStage(TrainedStage):
    """A stage that trains what it made against the baseline's probabilities.

    The baseline is asked once per record, as a consensus over shifts of its window.
    """

    shifts: int = Field(
        default=2,
        ge=2,
        le=64,
        description="Places of the window over which the baseline's answers are averaged.",
    )

    def target_feed(self, context: Context) -> TargetFeed:
        """Batches of windows with the baseline's answers, which it is asked for the first time."""
        from compress.training.teaching import Lesson

        lesson = Lesson(context, context.baseline, shifts=self.shifts)
        return TargetFeed(lesson.write(self.records), self.batch, context.seed)
