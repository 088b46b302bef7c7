"""The stages a pipeline can declare. A new one is a file here and a line in `AnyStage`."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated

from pydantic import Field

from compress.stages.base import Phase, Stage
from compress.stages.distill import Distill
from compress.stages.prune import Prune
from compress.stages.quantize import Quantize
from compress.stages.scale import Scale
from compress.stages.simplify import Simplify
from compress.stages.substitute import Substitute

AnyStage = Annotated[
    Simplify | Substitute | Scale | Prune | Distill | Quantize, Field(discriminator="kind")
]


def check_order(stages: Sequence[Stage]) -> None:
    """Require that phases never go back, that zeros stay, and that the precision is fixed once.

    Raises:
        ValueError: says which stage stands wrong, and why.
    """
    for index, (before, after) in enumerate(pairwise(stages), start=1):
        if after.phase < before.phase:
            raise ValueError(
                f"stage {index} ({after.kind}) stands after stage {index - 1} ({before.kind}): "
                f"{after.phase.name.lower()} stages come before {before.phase.name.lower()} stages"
            )
        if isinstance(before, Prune) and before.is_sparse and after.phase is Phase.STRUCTURE:
            raise ValueError(
                f"stage {index} ({after.kind}) would fill the zeros that stage {index - 1} "
                f"({before.kind}, {before.method.kind}) leaves: sparsity comes last among the "
                "structure stages"
            )
        if after.phase == before.phase == Phase.PRECISION:
            raise ValueError(
                f"stage {index} ({after.kind}) quantizes a model that is quantized already"
            )
