"""Keras to TFLite."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from tensorflow.lite.python.convert import mlir_quantize

from baseline.keras import keras, keras_upsampling, tf
from baseline.layers import AdditiveSelfAttention
from export.convert import Int8, Precision, Ranges
from export.writers.biases import Correction, correct_biases
from export.writers.calibration import calibrate
from export.writers.flatbuffer import edit, operator_kind
from export.writers.layers import layer_of, require_size
from export.writers.passes.bounds import drop_idle_bounds
from export.writers.passes.buffers import share_buffers
from export.writers.passes.cell_clip import remove_cell_clip
from export.writers.passes.integer_ends import drop_float_ends
from export.writers.passes.names import drop_inner_names
from export.writers.ranges import Search, narrow_ranges
from export.writers.recurrent import is_recurrent, recurrent_layers
from export.writers.unrolled import PROJECTION, stepwise

PASSES = (remove_cell_clip, drop_idle_bounds, share_buffers, drop_inner_names)
"""What is done to a file once it is converted."""

FUSED_LSTM = "UNIDIRECTIONAL_SEQUENCE_LSTM"

MOVES = frozenset(
    {"RESHAPE", "PAD", "STRIDED_SLICE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE", "SLICE"}
)
"""Operators whose output has the values of their input."""

STEPS = (FUSED_LSTM, "SPLIT", "UNPACK", "PACK", "REVERSE_V2")
"""Operators of recurrences that the quantizer would make integers without any ranges."""


def write_tflite(
    model: keras.Model,
    precision: Precision = Precision.FLOAT32,
    calibration: NDArray[np.float32] | None = None,
    int8: Int8 | None = None,
) -> bytes:
    """The model as a TFLite flatbuffer for one window at a time.

    The batch is fixed to 1, which lets the converter fuse recurrent layers and lay out memory.
    Layers that it cannot fuse are unrolled where they are short enough (export.writers.unrolled).
    The file's signature names its input `waveform` and its output `prediction`.

    Args:
        model: from (batch, 6000, 3) to (batch, 6000, 3).
        precision: of weights and activations. In int8 every operator is int8, weights per channel,
            but those of layers that are to stay float32, and the steps of recurrent layers, whose
            states int8 is too coarse for; input and output stay float32 unless `int8` says else.
        calibration: normalised windows (n, 6000, 3) on which the ranges of activations are found,
            where the precision needs them.
        int8: how, if it is that precision.

    Raises:
        ValueError: an operator cannot be int8, or the file is many times too large.
    """
    if precision is Precision.INT8:
        assert calibration is not None
        return write_int8_tflite(model, calibration, int8 or Int8())[0]
    return _finished(model, _converter(model, precision, calibration).convert())


def write_int8_tflite(
    model: keras.Model, calibration: NDArray[np.float32], int8: Int8
) -> tuple[bytes, Search | None, Correction | None]:
    """The model in int8, and what changed in ranges and biases, where that is asked for.

    Args:
        model: from (batch, 6000, 3) to (batch, 6000, 3).
        calibration: normalised windows (n, 6000, 3).
        int8: how.

    Raises:
        ValueError: an operator cannot be int8, or the file is many times too large.
    """
    quantizable = Quantizable(model, calibration, int8)
    calibrated, search = quantizable.ranged(calibration)
    correction = None
    if int8.correct_biases:
        content = quantizable.quantize(calibrated, integer_ends=False)
        content, correction = correct_biases(calibrated, content, calibration)
        if int8.integer_ends:
            content = edit(content, drop_float_ends)
    else:
        content = quantizable.quantize(calibrated)
    quantizable.require_integers(content)
    return _finished(model, content), search, correction


def _finished(model: keras.Model, content: bytes) -> bytes:
    """The file after the passes; refused where it is many times too large."""
    require_size(model, len(content), tflite_operators(content))
    return edit(content, *PASSES)


class Quantizable:
    """A model on its way to int8: its float file with ranges, and what makes integers of it.

    Steps of recurrences stay float32, and so does attention within a width as published, which
    divides.

    Attributes:
        layers: names of the Keras layers.
        calibrated: the float32 file, whose tensors carry their names and ranges.
    """

    def __init__(self, model: keras.Model, calibration: NDArray[np.float32], int8: Int8) -> None:
        self.layers = frozenset(layer.name for layer in model.layers)
        self._recurrent = {layer.name for layer in model.layers if is_recurrent(layer)}
        # Rounded to int8, the sum that it divides by is zero for some windows, and the model stops.
        self._dividing = {
            layer.name
            for layer in model.layers
            if type(layer) is AdditiveSelfAttention and layer.width is not None
        }
        self._int8 = int8
        plain = _converter(model, Precision.FLOAT32, None, int8.loops).convert()
        inner = self._inner_tensors(plain)
        self.calibrated = calibrate(plain, calibration, lambda name: name not in inner)
        graph = schema.ModelT.InitFromPackedBuf(plain, 0).subgraphs[0]
        made = (graph.tensors[i].name.decode() for o in graph.operators for i in o.outputs)
        self._layer_of = {name: layer_of(name, self.layers) for name in made}

    def ranged(self, windows: NDArray[np.float32]) -> tuple[bytes, Search | None]:
        """The calibrated file with the ranges that the settings ask for, and what was changed.

        Args:
            windows: to search ranges on, normalised, (n, 6000, 3).
        """
        if self._int8.ranges is not Ranges.SEARCHED:
            return self.calibrated, None
        return narrow_ranges(self.calibrated, partial(self.quantize, integer_ends=False), windows)

    def quantize(
        self,
        calibrated: bytes,
        float_layers: tuple[str, ...] | None = None,
        integer_ends: bool | None = None,
    ) -> bytes:
        """The int8 file; names stay.

        Args:
            calibrated: a float file with ranges.
            float_layers: Keras layers to leave in float32; None for those of the settings.
            integer_ends: whether input and output are int8; None for what the settings say.
        """
        asked = self._int8.float_layers if float_layers is None else float_layers
        integer = self._int8.integer_ends if integer_ends is None else integer_ends
        ends = tf.int8 if integer else tf.float32
        kept = {*asked, *self._dividing}
        denied = [name for name, layer in self._layer_of.items() if layer in kept]
        return mlir_quantize(
            calibrated,
            input_data_type=ends,
            output_data_type=ends,
            denylisted_nodes=denied or None,
            denylisted_ops=list(STEPS) if self._recurrent else None,
        )

    def require_integers(self, content: bytes) -> None:
        """Refuse a file in which an operator that was to be int8 is not.

        Raises:
            ValueError: there is one; says which layer.
        """
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        graph = model.subgraphs[0]
        kept = {*self._int8.float_layers, *self._recurrent, *self._dividing}
        for operator in graph.operators:
            tensor = graph.tensors[operator.outputs[0]]
            kind = operator_kind(model, operator)
            name = tensor.name.decode()
            layer = layer_of(name, self.layers)
            if (
                tensor.type == schema.TensorType.FLOAT32
                and operator.outputs[0] not in graph.outputs
                and kind not in ("DEQUANTIZE", *STEPS)
                and layer not in kept
                and not (self._recurrent and layer is None)
            ):
                raise ValueError(f"what makes {name} ({kind}) cannot be int8")

    def computing_layers(self, calibrated: bytes) -> dict[str, list[str]]:
        """Of each layer that computes in int8 what its operators make, by name, in order."""
        model = schema.ModelT.InitFromPackedBuf(calibrated, 0)
        graph = model.subgraphs[0]
        made: dict[str, list[str]] = {}
        for operator in graph.operators:
            name = graph.tensors[operator.outputs[0]].name.decode()
            layer = layer_of(name, self.layers)
            moves = operator_kind(model, operator) in MOVES
            if layer and not (moves or self._is_step(name) or layer in self._dividing):
                made.setdefault(layer, []).append(name)
        return made

    def _inner_tensors(self, flatbuffer: bytes) -> set[str]:
        """Names of what recurrences compute for themselves alone."""
        graph = schema.ModelT.InitFromPackedBuf(flatbuffer, 0).subgraphs[0]
        made = {int(i) for operator in graph.operators for i in operator.outputs}
        inner = {i for i in made if self._is_step(graph.tensors[i].name.decode())}
        for operator in graph.operators:
            if not inner.intersection(map(int, operator.outputs)):
                inner.difference_update(map(int, operator.inputs))
        return {graph.tensors[i].name.decode() for i in inner}

    def _is_step(self, name: str) -> bool:
        """Whether the tensor of this name is part of a recurrence."""
        return f"/{PROJECTION}/" not in name and layer_of(name, self.layers) in self._recurrent


def tflite_operators(content: bytes) -> Iterator[str]:
    """What each operator of a file whose names are whole makes first, by name."""
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    for graph in model.subgraphs:
        for operator in graph.operators:
            yield (graph.tensors[operator.outputs[0]].name or b"").decode()


def _converter(
    model: keras.Model,
    precision: Precision,
    calibration: NDArray[np.float32] | None,
    loops: bool = False,
) -> Any:
    loose = [layer for layer in recurrent_layers(model) if not _fused(layer)]
    shape = tf.TensorSpec((1, *model.input_shape[1:]), tf.float32, name="waveform")
    predict = tf.function(
        lambda waveform: {"prediction": model(waveform, training=False)}, input_signature=[shape]
    )
    # The converter saves what tracks the variables. Of a Keras model it would trace every layer
    # again, up to ten times as long as all the rest takes, and write the same file.
    variables = tf.Module()
    variables.all = model.variables
    with keras_upsampling(), stepwise(loose, loops):
        traced = predict.get_concrete_function()
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced], variables)
    # It says which converter this was; to add it, all of the file is taken apart and put together.
    converter.exclude_conversion_metadata = True
    if precision is not Precision.FLOAT32:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
    if precision is Precision.FLOAT16:
        converter.target_spec.supported_types = [tf.float16]
    if calibration is not None:
        converter.representative_dataset = lambda: _feed(calibration)
        converter.target_spec.supported_ops = [
            tf.lite.OpsSet.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
        ]
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
