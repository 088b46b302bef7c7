"""Keras to ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx.shape_inference import infer_shapes
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)

from baseline.keras import keras
from export.convert import Int8, Precision, Ranges
from export.writers.layers import layer_of, require_size
from export.writers.onnx_bounds import drop_idle_bounds
from export.writers.onnx_graph.build import build_graph
from export.writers.onnx_graph.recurrent import is_operator
from export.writers.onnx_names import shorten_names
from export.writers.onnx_recurrent_weights import round_recurrent_weights
from export.writers.recurrent import copy_layer, exchange_recurrent, recurrent_layers
from export.writers.unrolled import unrolled

ACTIVATIONS = {Precision.INT8: QuantType.QUInt8, Precision.INT16: QuantType.QInt16}
"""What ONNX Runtime calls the activations of each calibrated precision.

Its kernels for x86 want 8 bits without a sign. It takes the sign off when it opens a file, but not
of a tensor that two operators read: a student with skip connections kept 9 of 22 convolutions in
float32 and took twice as long.
"""

CALIBRATION = {
    Ranges.EXTREMES: CalibrationMethod.MinMax,
    Ranges.ENTROPY: CalibrationMethod.Entropy,
    Ranges.PERCENTILE: CalibrationMethod.Percentile,
}


def write_onnx(
    model: keras.Model,
    precision: Precision = Precision.FLOAT32,
    calibration: NDArray[np.float32] | None = None,
    int8: Int8 | None = None,
) -> bytes:
    """The model as an ONNX file for one window at a time.

    It is written layer by layer (export.writers.onnx_graph). LSTM and GRU become the operators of
    that name; those that ONNX has no operator for are unrolled where they are short enough
    (export.writers.unrolled).

    Args:
        model: from (batch, 6000, 3) to (batch, 6000, 3).
        precision: float32, or that of activations beside int8 weights (per channel), in QDQ form;
            recurrent operators, which onnxruntime does not quantize, compute in float32 with int8
            weights.
        calibration: normalised windows (n, 6000, 3) on which the ranges of activations are found,
            where the precision needs them.
        int8: how, if it is that precision.

    Raises:
        ValueError: the file is many times too large.
    """
    int8 = int8 or Int8()
    if not all(_becomes_operator(layer) for layer in recurrent_layers(model)):
        model = exchange_recurrent(model, _convertible)
    converted, precise = build_graph(model, integers=precision.calibrated)
    require_size(model, converted.ByteSize(), (node.name for node in converted.graph.node))
    if calibration is None:
        return converted.SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        plain, quantized = (Path(folder) / f"{n}.onnx" for n in "ab")
        onnx.save(infer_shapes(converted), plain)
        quantize_static(
            plain,
            quantized,
            _Windows(converted.graph.input[0].name, calibration),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=ACTIVATIONS[precision],
            weight_type=QuantType.QInt8,
            # Processors without VNNI add pairs of products in 16 bits, which 8-bit weights
            # overflow: a student then found two thirds of its picks. 7 bits do not.
            reduce_range=precision is Precision.INT8,
            calibrate_method=CALIBRATION[int8.ranges],
            nodes_to_exclude=[*precise, *_nodes_of(converted, int8.float_layers)],
        )
        model_file = onnx.load(quantized)
        round_recurrent_weights(model_file)
        drop_idle_bounds(model_file)
        shorten_names(model_file)
        return model_file.SerializeToString()


def _nodes_of(model: onnx.ModelProto, layers: Sequence[str]) -> list[str]:
    """Names of the nodes of these Keras layers."""
    return [n.name for n in model.graph.node if layer_of(n.name, layers)] if layers else []


def _convertible(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The same LSTM or GRU, step by step if ONNX has no operator for it."""
    return copy_layer(layer) if _becomes_operator(layer) else unrolled(layer)


def _becomes_operator(layer: keras.layers.Layer) -> bool:
    return is_operator(layer) or is_operator(layer, backward=True)


class _Windows(CalibrationDataReader):
    """Hands the calibration windows to onnxruntime one at a time."""

    def __init__(self, input_name: str, windows: NDArray[np.float32]) -> None:
        self._feeds = ({input_name: window[None]} for window in windows)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)
