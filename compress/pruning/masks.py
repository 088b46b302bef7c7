"""Hold chosen weights of a model at zero while it trains.

Layers are wrapped by tensorflow-model-optimization's `PruneLowMagnitude`, which keeps a mask beside
each kernel and multiplies the two before every forward pass. The masks are variables of the
wrapper: copies of the model carry them, and so do its checkpoints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from baseline.keras import keras
from compress.graphs.edit import copy, place, rebuild

# Keras 2 has to be chosen before these import TensorFlow:
# isort: split
from tensorflow_model_optimization.python.core.sparsity.keras.pruning_wrapper import (
    PruneLowMagnitude,
    collect_prunable_layers,
)
from tensorflow_model_optimization.sparsity.keras import ConstantSparsity, PruningSchedule

BY_HAND = ConstantSparsity(0.5, begin_step=0)
"""For masks that `set_masks` sets: a wrapper has to have a schedule, and nothing asks this one."""


def layers_to_prune(
    model: keras.Model, exclude: Iterable[str], smallest: int
) -> tuple[list[str], dict[str, str]]:
    """Names of the layers whose kernels can be pruned, and why others with kernels cannot.

    Args:
        model: as it is.
        exclude: patterns of layer names (`*_head`) to leave alone.
        smallest: a layer whose kernels have fewer weights is left alone.

    Raises:
        InputError: a pattern that fits no layer, or nothing left to prune.
    """
    exclude = list(exclude)
    with_kernels = [layer for layer in model.layers if _has_kernel(layer)]
    for pattern in exclude:
        if not any(fnmatchcase(layer.name, pattern) for layer in with_kernels):
            names = ", ".join(layer.name for layer in with_kernels)
            raise InputError(
                f"prune: exclude: {pattern!r} fits no layer that has a kernel.",
                f"The model has {names}.",
            )
    chosen, notes = [], {}
    for layer in with_kernels:
        if any(fnmatchcase(layer.name, pattern) for pattern in exclude):
            notes[layer.name] = "left out of pruning by the settings"
        elif not _is_taken(layer):
            notes[layer.name] = (
                f"tensorflow-model-optimization does not prune {type(layer).__name__} layers"
            )
        elif (size := sum(kernel.size for kernel in kernels(layer))) < smallest:
            notes[layer.name] = f"left out of pruning: only {size} weights"
        else:
            chosen.append(layer.name)
    if not chosen:
        raise InputError(
            "prune: the model has no layer left to prune.",
            f"Exclude fewer layers, or lower smallest ({smallest}).",
        )
    return chosen, notes


def with_masks(model: keras.Model, names: Iterable[str], schedule: PruningSchedule) -> keras.Model:
    """The model with these layers wrapped, all masks one; a wrapper's name is not its layer's."""

    def wrap(layer: keras.layers.Layer, inputs: Any) -> Any:
        fresh = type(layer).from_config(layer.get_config())
        return place(PruneLowMagnitude(fresh, schedule), inputs, layer.get_weights())

    return rebuild(model, dict.fromkeys(names, wrap))


def update_masks(model: keras.Model, step: int) -> None:
    """Set the masks anew where the schedule says so; what `UpdatePruningStep` does in `fit`."""
    for wrapper in collect_prunable_layers(model):
        wrapper.pruning_step.assign(step)
        wrapper.pruning_obj.conditional_mask_update()


def set_masks(model: keras.Model, masks: Mapping[str, list[NDArray[np.float32]]]) -> None:
    """Set the masks by hand: for each wrapped layer by its own name, one per kernel."""
    for wrapper in collect_prunable_layers(model):
        for (_, variable, _), mask in zip(
            wrapper.pruning_vars, masks[wrapper.layer.name], strict=True
        ):
            variable.assign(mask)


def stripped(model: keras.Model) -> keras.Model:
    """The model without wrappers, its kernels multiplied by their masks once more.

    Needed after training: the last update, and an average over steps with different masks, leave
    weights behind that are not zero.
    """
    wrappers = collect_prunable_layers(model)
    for wrapper in wrappers:
        wrapper.pruning_obj.weight_mask_op()
    # tfmot's strip_pruning would call the layers a second time, which `rebuild` cannot follow.
    return rebuild(
        model, {w.name: lambda wrapper, inputs: copy(wrapper.layer, inputs) for w in wrappers}
    )


def kernels(layer: keras.layers.Layer) -> list[NDArray[np.float32]]:
    """What is pruned of a layer: its kernels, (..., inputs, outputs) each."""
    wrapper = PruneLowMagnitude(layer, BY_HAND)
    return [weight.numpy() for weight in wrapper.layer.get_prunable_weights()]


def _has_kernel(layer: keras.layers.Layer) -> bool:
    return any(weight.ndim > 1 for weight in layer.get_weights())


def _is_taken(layer: keras.layers.Layer) -> bool:
    try:
        PruneLowMagnitude(type(layer).from_config(layer.get_config()), BY_HAND)
    except ValueError:
        return False
    return True
