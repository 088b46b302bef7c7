"""Keras to ONNX."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import tf2onnx
from numpy.typing import NDArray
from onnxruntime.quantization import (
    CalibrationDataReader,
    CalibrationMethod,
    QuantFormat,
    QuantType,
    quantize_static,
)
from onnxruntime.quantization.shape_inference import quant_pre_process

from baseline.keras import keras, tf
from export.convert import Int8, Precision, Ranges
from export.writers.layers import layer_of, require_size
from export.writers.onnx_convolutions import join_convolutions
from export.writers.onnx_gru import is_hard_gru, restore_hard_sigmoid, with_sigmoid_gates
from export.writers.onnx_names import shorten_names
from export.writers.onnx_recurrent_weights import round_recurrent_weights
from export.writers.recurrent import copy_layer, exchange_recurrent, recurrent_layers
from export.writers.unrolled import unrolled

OPSET = 17
"""The newest operator set that tf2onnx 1.17 tests and that onnxruntime quantizes per channel."""

ACTIVATIONS = {Precision.INT8: QuantType.QInt8, Precision.INT16: QuantType.QInt16}
"""What ONNX Runtime calls the activations of each calibrated precision."""

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

    LSTM and GRU become the operators of that name. Those that ONNX has no operator for are unrolled
    where they are short enough (export.writers.unrolled).

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
    recurrent = recurrent_layers(model)
    hard = [layer.get_weights()[1] for layer in recurrent if is_hard_gru(layer)]
    if not all(_becomes_operator(layer) for layer in recurrent):
        model = exchange_recurrent(model, _convertible)
    shape = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="waveform")
    predict = tf.function(
        lambda waveform: {"prediction": model(waveform, training=False)}, input_signature=[shape]
    )
    converted, _ = tf2onnx.convert.from_function(predict, input_signature=[shape], opset=OPSET)
    restore_hard_sigmoid(converted, hard)
    join_convolutions(converted)
    require_size(model, converted.ByteSize(), (node.name for node in converted.graph.node))
    if calibration is None:
        return converted.SerializeToString()
    with tempfile.TemporaryDirectory() as folder:
        plain, prepared, quantized = (Path(folder) / f"{n}.onnx" for n in "abc")
        onnx.save(converted, plain)
        quant_pre_process(plain, prepared)
        quantize_static(
            prepared,
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
            nodes_to_exclude=_nodes_of(onnx.load(prepared), int8.float_layers),
        )
        model_file = onnx.load(quantized)
        round_recurrent_weights(model_file)
        shorten_names(model_file)
        return model_file.SerializeToString()


def _nodes_of(model: onnx.ModelProto, layers: Sequence[str]) -> list[str]:
    """Names of the nodes of these Keras layers."""
    return [n.name for n in model.graph.node if layer_of(n.name, layers)] if layers else []


def _convertible(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The same LSTM or GRU as something that tf2onnx can make operators of."""
    if _becomes_operator(layer):
        return copy_layer(layer)
    return with_sigmoid_gates(layer) if is_hard_gru(layer) else unrolled(layer)


def _becomes_operator(layer: keras.layers.Layer) -> bool:
    """Whether tf2onnx 1.17 makes one operator of an LSTM or GRU; of all others it makes a loop."""
    config = layer.get_config()
    if config["activation"] != "tanh" or not config["use_bias"]:
        return False
    if isinstance(layer, keras.layers.GRU):
        return config["recurrent_activation"] == "sigmoid" and config["reset_after"]
    return config["recurrent_activation"] == "sigmoid" or (
        config["recurrent_activation"] == "hard_sigmoid" and config["implementation"] == 2
    )


class _Windows(CalibrationDataReader):
    """Hands the calibration windows to onnxruntime one at a time."""

    def __init__(self, input_name: str, windows: NDArray[np.float32]) -> None:
        self._feeds = ({input_name: window[None]} for window in windows)

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        return next(self._feeds, None)
