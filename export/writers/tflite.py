"""Keras to TFLite."""

from __future__ import annotations

from collections.abc import Iterator

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from baseline.keras import keras, tf

TFLITE_IDENTIFIER = b"TFL3"


def write_tflite(model: keras.Model, calibration: NDArray[np.float32] | None) -> bytes:
    """The model as a TFLite flatbuffer for one window at a time.

    The batch is fixed to 1, which lets the converter fuse recurrent layers and lay out memory.
    The file's signature names its input `waveform` and its output `prediction`.

    Args:
        model: from (batch, 6000, 3) to (batch, 6000, 3).
        calibration: normalised windows (n, 6000, 3). Given, every operator becomes int8 (weights
            per channel, activations calibrated on these windows) with float32 input and output;
            None keeps float32.
    """
    shape = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="waveform")
    predict = tf.function(
        lambda waveform: {"prediction": model(waveform, training=False)}, input_signature=[shape]
    )
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [predict.get_concrete_function()], model
    )
    if calibration is not None:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: _feed(calibration)
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return _without_cell_clip(converter.convert())


def _without_cell_clip(flatbuffer: bytes) -> bytes:
    """The same file, its fused LSTMs without the bound that the converter puts on their cells.

    Fusing an LSTM, TensorFlow's converter limits its cell state to +-10, which Keras does not. The
    published models' cells go beyond it: probabilities then came out wrong by up to 0.8.
    """
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    fused = [
        operator.builtinOptions
        for graph in model.subgraphs
        for operator in graph.operators
        if isinstance(operator.builtinOptions, schema.UnidirectionalSequenceLSTMOptionsT)
    ]
    if not any(options.cellClip for options in fused):
        return flatbuffer
    for options in fused:
        options.cellClip = 0.0
    builder = flatbuffers.Builder(len(flatbuffer))
    builder.Finish(model.Pack(builder), TFLITE_IDENTIFIER)
    return bytes(builder.Output())


def _feed(windows: NDArray[np.float32]) -> Iterator[list[NDArray[np.float32]]]:
    for window in windows:
        yield [window[None]]
