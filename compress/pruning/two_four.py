"""2:4 sparsity: two zeros in each four weights, the pattern that sparse matrix units know.

https://developer.nvidia.com/blog/accelerating-inference-with-sparsity-using-ampere-and-tensorrt
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from baseline.errors import InputError

if TYPE_CHECKING:
    from baseline.keras import keras
    from compress.stages.base import Context, StageModel
    from compress.stages.fine_tuning import FineTunedStage

GROUP = 4
"""Consecutive input channels, of which at most half keep a weight to one output channel."""


class TwoFourPruning(BaseModel):
    """Zero the two smaller of each four weights along the input channels, then fine-tune."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["2:4"]
    exclude: tuple[str, ...] = Field(
        default=(), description="Layers to leave alone, as patterns of names: `*_head`."
    )
    smallest: int = Field(
        default=256, ge=1, description="Layers with fewer weights than this are left alone."
    )

    def prune(self, stage: FineTunedStage, model: StageModel, context: Context) -> StageModel:
        """The model with the pattern in each layer whose input channels are whole groups of four.

        Raises:
            InputError: no layer to prune, or a pattern of names that fits none.
            RuntimeError: a layer did not get the pattern.
        """
        from compress.pruning import masks
        from compress.stages.base import StageModel

        candidates, notes = masks.layers_to_prune(model.keras, self.exclude, self.smallest)
        chosen = {}
        for name in candidates:
            kernels = masks.kernels(model.keras.get_layer(name))
            if all(kernel.shape[-2] % GROUP == 0 for kernel in kernels):
                chosen[name] = [two_four_mask(kernel) for kernel in kernels]
            else:
                channels = ", ".join(str(kernel.shape[-2]) for kernel in kernels)
                notes[name] = f"no 2:4 pattern: {channels} input channels are not groups of four"
        if not chosen:
            raise InputError(
                "prune: no layer has input channels in groups of four.",
                "2:4 does not suit this model; prune by magnitude instead.",
            )
        masked = masks.with_masks(model.keras, chosen, masks.BY_HAND)
        masks.set_masks(masked, chosen)
        stage.fine_tune(masked, context)
        pruned = masks.stripped(masked)
        for name in chosen:
            _verify(pruned.get_layer(name))
            notes[name] = "two in each four of its weights are zero"
        return StageModel(pruned, notes=notes)


def two_four_mask(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """Ones where the larger two of each four weights are, zeros elsewhere.

    Args:
        kernel: (..., inputs, outputs), inputs a multiple of four; groups are of consecutive inputs,
            the last axis of the kernel as TFLite and matrix libraries store it.
    """
    groups = _groups(np.abs(kernel))
    mask = np.ones_like(groups)
    np.put_along_axis(mask, groups.argsort(axis=-1)[..., : GROUP // 2], 0, axis=-1)
    *others, inputs, outputs = kernel.shape
    return np.moveaxis(mask.reshape(*others, outputs, inputs), -1, -2)


def has_two_four(kernel: NDArray[np.float32]) -> bool:
    """Whether at most two of each four consecutive inputs (axis -2) have a weight."""
    return bool((np.count_nonzero(_groups(kernel), axis=-1) <= GROUP // 2).all())


def _groups(kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """(..., inputs, outputs) as (..., outputs, groups, 4)."""
    by_output = np.moveaxis(kernel, -2, -1)
    return by_output.reshape(*by_output.shape[:-1], -1, GROUP)


def _verify(layer: keras.layers.Layer) -> None:
    from compress.pruning.masks import kernels

    if not all(has_two_four(kernel) for kernel in kernels(layer)):
        raise RuntimeError(f"prune: {layer.name} did not get two zeros in each four weights")
