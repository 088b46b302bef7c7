"""Pruning: leave out channels or weights, by one of several methods."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import ConfigDict, Field

from compress.pruning.magnitude import MagnitudePruning
from compress.pruning.structured import StructuredPruning
from compress.pruning.two_four import TwoFourPruning
from compress.stages.base import Context, Phase, StageModel
from compress.stages.fine_tuning import FineTunedStage

Method = Annotated[
    StructuredPruning | MagnitudePruning | TwoFourPruning, Field(discriminator="kind")
]


class Prune(FineTunedStage):
    """Prune the model, and fine-tune it meanwhile against the baseline's probabilities.

    `structured` removes whole channels, which makes every runtime faster. `magnitude` and `2:4`
    zero single weights, which makes the compressed file smaller.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "prune",
                    "method": {
                        "kind": "structured",
                        "target": {"measure": "multiply_adds", "ratio": 0.5},
                        "rounds": 3,
                    },
                    "steps": 900,
                }
            ]
        }
    )

    phase: ClassVar[Phase] = Phase.STRUCTURE

    kind: Literal["prune"]
    method: Method = Field(description="What is left out, and how it is chosen.")
    steps: int = Field(
        default=600, ge=0, le=1_000_000, description="Fine-tuning steps, of all rounds together."
    )

    @property
    def is_sparse(self) -> bool:
        """Whether it leaves zeros among the weights, which any training after it would fill."""
        return not isinstance(self.method, StructuredPruning)

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """The pruned model."""
        return self.method.prune(self, model, context)
