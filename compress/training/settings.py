"""What a pipeline may say of the training loss and of hard negatives."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

LOSS_WEIGHTS = (0.05, 0.40, 0.55)
"""Of detection, P and S: those EQTransformer was trained with (Mousavi et al. 2020)."""

Weight = Annotated[float, Field(ge=0, le=1000)]
Positive = Annotated[float, Field(ge=0.1, le=100)]
Precision = Literal["auto", "float32"]


class LossSettings(BaseModel):
    """Soft-label cross-entropy of detection, P and S."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    weights: tuple[Weight, Weight, Weight] = Field(
        default=LOSS_WEIGHTS, description="How much detection, P and S count."
    )
    positive: tuple[Positive, Positive, Positive] = Field(
        default=(1.0, 1.0, 1.0),
        description="How much more what is there counts than what is not, for detection, P and S. "
        "It raises probabilities; the last layer's bias takes that out again after the training, "
        "so that they stay calibrated.",
    )
    temperature: float = Field(
        default=1.0,
        ge=1,
        le=20,
        description="Divides the logits of teacher and student in the loss (Hinton et al. 2015): "
        "above 1, what the teacher finds improbable counts more.",
    )

    @model_validator(mode="after")
    def _some_weight(self) -> LossSettings:
        if not any(self.weights):
            raise ValueError("weights: at least one output has to count")
        return self


class MatchingSettings(BaseModel):
    """An `eqt` student is made to resemble the baseline inside, too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    features: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="Weight of the distance between features of the two, the student's through a "
        "projection that learns along (Romero et al. 2015).",
    )
    attention: float = Field(
        default=0.0,
        ge=0,
        le=1000,
        description="Weight of the distance between where in time their layers are active "
        "(Zagoruyko and Komodakis 2017).",
    )

    @model_validator(mode="after")
    def _some_weight(self) -> MatchingSettings:
        if not self.features and not self.attention:
            raise ValueError("features and attention are both zero: leave matching out instead")
        return self


class HardNegatives(BaseModel):
    """Windows without an earthquake on which the student fires go back into training."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    every: int = Field(
        default=1000, ge=10, le=1_000_000, description="Steps from one search to the next."
    )
    candidates: int = Field(
        default=1024,
        ge=16,
        le=1_000_000,
        description="Windows without an earthquake that the student is tried on in each search.",
    )
    threshold: float = Field(
        default=0.05,
        gt=0,
        lt=1,
        description="It fires where the probability of a P or S reaches this.",
    )
    share: float = Field(
        default=0.1, gt=0, le=0.5, description="Share of each batch that is drawn from them."
    )
