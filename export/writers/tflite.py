"""Keras to TFLite."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from tensorflow.lite.python.convert import mlir_quantize

from baseline.keras import keras, tf
from export.convert import Precision
from export.writers.flatbuffer import edit
from export.writers.passes.bounds import drop_idle_bounds
from export.writers.passes.buffers import share_buffers
from export.writers.passes.cell_clip import remove_cell_clip
from export.writers.passes.names import drop_inner_names
from export.writers.ranges import Search, narrow_ranges
from export.writers.recurrent import copy_layer, exchange_recurrent, recurrent_layers
from export.writers.unrolled import unrolled

INTEGER_OPERATORS = {
    Precision.INT8: tf.lite.OpsSet.TFLITE_BUILTINS_INT8,
    Precision.INT16: (tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8),
}
"""The operators that each calibrated precision may use."""

PASSES = (remove_cell_clip, drop_idle_bounds, share_buffers, drop_inner_names)
"""What is done to a file once it is converted."""


def write_tflite(
    model: keras.Model,
    precision: Precision = Precision.FLOAT32,
    calibration: NDArray[np.float32] | None = None,
) -> bytes:
    """The model as a TFLite flatbuffer for one window at a time.

    The batch is fixed to 1, which lets the converter fuse recurrent layers and lay out memory.
    Layers that it cannot fuse are unrolled where they are short enough (export.writers.unrolled).
    The file's signature names its input `waveform` and its output `prediction`.

    Args:
        model: from (batch, 6000, 3) to (batch, 6000, 3).
        precision: of weights and activations. In int8 every operator is int8, weights per channel;
            input and output stay float32.
        calibration: normalised windows (n, 6000, 3) on which the ranges of activations are found,
            where the precision needs them.
    """
    converter = _converter(model, precision, calibration)
    return edit(converter.convert(), *PASSES)


def write_narrowed_tflite(
    model: keras.Model, calibration: NDArray[np.float32]
) -> tuple[bytes, Search]:
    """The model in int8 with narrower ranges than calibration finds; see `export.writers.ranges`.

    Args:
        model: from (batch, 6000, 3) to (batch, 6000, 3).
        calibration: normalised windows (n, 6000, 3).

    Returns:
        The flatbuffer, as from `write_tflite`, and what was changed.

    Raises:
        ValueError: an operator cannot be int8.
    """
    converter = _converter(model, Precision.INT8, calibration)
    # The steps of a conversion one by one, as TensorFlow's own QuantizationDebugger takes them.
    converter._experimental_calibrate_only = True
    calibrated, search = narrow_ranges(converter.convert(), mlir_quantize, calibration)
    content = mlir_quantize(calibrated)
    _require_integers(content)
    return edit(content, *PASSES), search


def _require_integers(content: bytes) -> None:
    """Refuse a file in which an operator that was to be int8 is not."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for graph in model.subgraphs:
        for operator in graph.operators:
            tensor = graph.tensors[operator.outputs[0]]
            if (
                tensor.type == schema.TensorType.FLOAT32
                and operator.outputs[0] not in graph.outputs
            ):
                raise ValueError(f"what makes {tensor.name.decode()} cannot be int8")


def _converter(
    model: keras.Model, precision: Precision, calibration: NDArray[np.float32] | None
) -> Any:
    if not all(_fused(layer) for layer in recurrent_layers(model)):
        model = exchange_recurrent(model, lambda x: copy_layer(x) if _fused(x) else unrolled(x))
    shape = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="waveform")
    predict = tf.function(
        lambda waveform: {"prediction": model(waveform, training=False)}, input_signature=[shape]
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [predict.get_concrete_function()], model
    )
    if precision is not Precision.FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision is Precision.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.representative_dataset = lambda: _feed(calibration)
        converter.target_spec.supported_ops = [INTEGER_OPERATORS[precision]]
    return converter


def _fused(layer: keras.layers.Layer) -> bool:
    """Whether the converter makes one operator of a layer; of all other cells it makes a loop."""
    return (
        isinstance(layer, keras.layers.LSTM)
        and layer.activation is keras.activations.tanh
        and layer.recurrent_activation is keras.activations.sigmoid
        and layer.use_bias
    )


def _feed(windows: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    for window in windows:
        yield [window[None]]
