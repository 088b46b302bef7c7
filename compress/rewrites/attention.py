"""Compute attention over a few neighbours on these neighbours alone."""

from __future__ import annotations

from typing import Any

from baseline.keras import keras
from baseline.layers import AdditiveSelfAttention, BandedSelfAttention
from compress.graphs.edit import place, rebuild
from compress.rewrites import Rewritten


def band_attention(model: keras.Model) -> Rewritten:
    """With a BandedSelfAttention for every attention whose width is below its number of steps.

    Equal as long as the constant in the attention's denominator does not count. The full form
    divides by a sum that is relative to the largest score of all steps, so where scores beyond the
    band are larger by ten or more, the constant does count, and weights differ by a percent. That
    happens in `eqt-original`; the stage checks, and then keeps the full form.
    """
    local = [
        layer.name
        for layer in model.layers
        if type(layer) is AdditiveSelfAttention
        and layer.width is not None
        and layer.width < layer.input_shape[1]
    ]
    notes = dict.fromkeys(local, "computed for the steps it attends to alone")
    graph = rebuild(model, dict.fromkeys(local, _banded))
    return Rewritten("attention over its band alone", graph, tuple(local), notes)


def _banded(layer: keras.layers.Layer, inputs: Any) -> Any:
    return place(BandedSelfAttention.from_config(layer.get_config()), inputs, layer.get_weights())
