"""Dot-product self-attention from layers that quantize to int8.

EQTransformer's additive attention divides by a sum that int8 TFLite may round to zero, and holds a
tensor of steps x steps x units. A softmax of dot products (Vaswani et al. 2017, "Attention is all
you need") is two matrix products and one operator that int8 has. Its only weights are those of
convolutions of width 1, so it is built of these and of Keras' own Attention layer, which has none.
"""

from __future__ import annotations

from typing import Any

from baseline.keras import keras


def dot_attention(x: Any, units: int, channels: int, name: str) -> Any:
    """Each step as a mean over all steps, weighted by how their keys answer its query.

    The division by sqrt(units) is in the initial values of the query's weights, where it costs
    nothing.

    Args:
        x: symbolic tensor (batch, steps, any).
        units: size of queries, keys and values.
        channels: of the result.
        name: start of the layers' names.

    Returns:
        Symbolic tensor (batch, steps, channels).
    """
    small = keras.initializers.VarianceScaling(1.0 / units, "fan_avg", "uniform")
    query = keras.layers.Conv1D(units, 1, kernel_initializer=small, name=f"{name}_query")(x)
    key = keras.layers.Conv1D(units, 1, name=f"{name}_key")(x)
    value = keras.layers.Conv1D(units, 1, name=f"{name}_value")(x)
    y = keras.layers.Attention(name=f"{name}_dot")([query, value, key])
    return keras.layers.Conv1D(channels, 1, name=f"{name}_out")(y)
