"""Fold a batch normalization into the layer before it."""

from __future__ import annotations

from typing import Any

from baseline.batch_norm import scale_and_shift
from baseline.keras import keras
from compress.graphs.edit import Change, children, is_output, parents, place, rebuild, remove
from compress.rewrites import Rewritten

LINEAR = (keras.layers.Conv1D, keras.layers.Dense, keras.layers.SeparableConv1D)
"""Layers whose last kernel has the output channels as its last axis, and a bias or none."""


def fold_batch_norms(model: keras.Model) -> Rewritten:
    """With every BatchNormalization that directly follows a linear layer folded into it.

    The kernel and the bias before it take on its scale and its shift by channel. Where something
    else reads the layer before, or stands between, the normalization stays, with a note.
    """
    readers = children(model)
    changes: dict[str, Change] = {}
    notes = {}
    for norm in model.layers:
        if not isinstance(norm, keras.layers.BatchNormalization):
            continue
        (before,) = parents(norm)
        obstacle = _obstacle(model, norm, before, len(readers[before.name]))
        if obstacle:
            notes[norm.name] = f"not folded: {obstacle}"
            continue
        changes[before.name] = _folded(norm)
        changes[norm.name] = remove
        notes[norm.name] = f"folded into {before.name}"
    graph = rebuild(model, changes)
    return Rewritten("folding batch normalizations", graph, tuple(changes), notes)


def _obstacle(
    model: keras.Model, norm: keras.layers.Layer, before: keras.layers.Layer, readers: int
) -> str:
    if not isinstance(before, LINEAR):
        return f"{before.name} before it is no convolution or matrix product"
    if before.activation is not keras.activations.linear:
        return f"{before.name} before it ends in an activation"
    if readers > 1 or is_output(model, before):
        return f"{before.name} before it is read elsewhere too"
    return "it is an output of the model" if is_output(model, norm) else ""


def _folded(norm: keras.layers.BatchNormalization) -> Change:
    """The change that puts scale and shift of `norm` into the layer before it."""
    scale, shift = scale_and_shift(norm)

    def fold(layer: keras.layers.Layer, inputs: Any) -> Any:
        weights = layer.get_weights()
        bias = weights.pop() if layer.use_bias else 0.0
        weights[-1] = weights[-1] * scale
        config = layer.get_config() | {"use_bias": True}
        return place(type(layer).from_config(config), inputs, [*weights, bias * scale + shift])

    return fold
