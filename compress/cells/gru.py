"""GRU: three gates instead of the LSTM's four, and no cell state beside the output."""

from __future__ import annotations

from typing import Any

from baseline.keras import keras
from compress.cells import CellOptions


def gru(x: Any, channels: int, name: str, options: CellOptions) -> Any:
    """A GRU of the predecessor's units, in its directions, under its name.

    The reset gate comes after the matrix product: the only form that ONNX has as one operator.
    """
    units = channels // 2 if options.both_ways else channels
    layer = keras.layers.GRU(units, return_sequences=True, reset_after=True, name=name)
    return (keras.layers.Bidirectional(layer, name=name) if options.both_ways else layer)(x)
