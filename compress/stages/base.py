"""What every stage is: a validated configuration with an `apply`."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field
from rich.progress import Progress

from compress.data.records import Source
from compress.gates import Gates
from compress.store import Artifact
from compress.training.distributed import Workers

if TYPE_CHECKING:
    from baseline.keras import keras


RULES = {"gates", "on_fail"}
"""Keys of a stage that judge what it makes, and do not change it."""


class Phase(IntEnum):
    """When in a pipeline a stage may stand: phases never go back."""

    STRUCTURE = 1
    """Changes what the graph is made of."""
    DISTILLATION = 2
    """Teaches a student: structure before it would be thrown away after it."""
    PRECISION = 3
    """Fixes the numbers' precision: last, since nothing can be trained after it."""


@dataclass(frozen=True)
class StageModel:
    """A model between stages.

    Attributes:
        keras: the float32 graph, from which later stages and exports start.
        quantized: the int8 TFLite file that is deployed in its place, once there is one.
        notes: what the stage has to say of single layers, by name: why it left one alone, or what
            it did to one beyond what the two graphs show.
    """

    keras: keras.Model
    quantized: Path | None = None
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Context:
    """What a stage may use beside the model.

    Attributes:
        baseline: the model the pipeline started from.
        train: records to train on.
        calibration: records to calibrate on.
        seed: of everything random in the stage.
        scratch: a folder that lasts until the stage is finished, over interruptions: checkpoints.
        products: a folder for what the stage leaves beside its model (logs, files it deploys).
        progress: shows how far the stage is.
        earlier: the finished stages before, by label (`2-substitute`), and what is on disk of
            `baseline` and of `previous`, the model that the stage is applied to.
        targets: a folder where what teachers answered is kept for other stages; None to keep it
            in `scratch`.
        workers: who makes the stage together; others than the first write nothing into `scratch`.
    """

    baseline: keras.Model
    train: Source
    calibration: Source
    seed: int
    scratch: Path
    products: Path
    progress: Progress
    earlier: Mapping[str, Artifact] = field(default_factory=dict)
    targets: Path | None = None
    workers: Workers = field(default_factory=Workers)


class Stage(BaseModel, ABC):
    """One step of a pipeline. Subclasses add a `kind` literal and described, bounded fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    phase: ClassVar[Phase]

    kind: str
    gates: Gates = Field(
        default=Gates(), description="Rules for this stage, beside those of the whole pipeline."
    )
    on_fail: Literal["stop", "skip"] = Field(
        default="stop",
        description="What follows if a rule is not kept after this stage: the run stops, or it "
        "goes on from the model before the stage, and the stage is reported as skipped.",
    )

    def named_models(self) -> tuple[str, ...]:
        """Models that the stage uses beside the baseline and the one it is applied to.

        Labels of earlier stages (`2-substitute`) or what `compress.models.find` finds.
        """
        return ()

    def joint_batch(self) -> int | None:
        """Windows per step if several workers train the stage together; None if one makes it.

        Then `apply` runs on all of them, and what it returns counts on the first.
        """
        return None

    @abstractmethod
    def apply(self, model: StageModel, context: Context) -> StageModel:
        """The model after this stage. Stages do not evaluate: the pipeline does, after each.

        Raises:
            InputError: the stage cannot be applied to this model or with these data.
        """
