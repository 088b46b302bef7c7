"""CNN-BiLSTM: a convolution in front of a narrower LSTM that reads in both directions."""

from __future__ import annotations

from typing import Any

from baseline.keras import keras
from compress.cells import CellOptions
from compress.graphs.edit import parents

NARROWER = 0.75
"""Units of both directions together, as a share of the channels replaced."""


def cnn_bilstm(x: Any, channels: int, name: str, options: CellOptions) -> Any:
    """Convolution, BiLSTM of `options.width` units per direction, projection to `channels`.

    The LSTM keeps Keras' default activations, with which TFLite fuses it into one operator. The
    output is bounded by a tanh, as that of the layer replaced is.
    """
    width = options.width or max(round(NARROWER * channels / 2), 1)
    x = keras.layers.Conv1D(
        channels, options.kernel, padding="same", activation="relu", name=f"{name}_conv"
    )(x)
    cell = keras.layers.LSTM(width, return_sequences=True, name=f"{name}_cell")
    x = keras.layers.Bidirectional(cell, name=f"{name}_cell")(x)
    return keras.layers.Conv1D(channels, 1, activation="tanh", name=f"{name}_project")(x)


def is_cnn_bilstm(layer: keras.layers.Layer) -> bool:
    """Whether the layer is the BiLSTM of such a cell: a convolution of several steps feeds it."""
    if not isinstance(layer, keras.layers.Bidirectional):
        return False
    (before,) = parents(layer)
    return (
        isinstance(layer.forward_layer, keras.layers.LSTM)
        and isinstance(before, keras.layers.Conv1D)
        and before.kernel_size[0] > 1
    )
