"""From a Keras model to an ONNX graph."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import onnx

from baseline.keras import keras, tf
from baseline.layers import (
    AdditiveSelfAttention,
    BandedSelfAttention,
    EdgeCorrection1D,
    Saturation,
)
from export.writers.onnx_graph import (
    attention,
    convolutions,
    elementwise,
    foreign,
    recurrent,
    shapes,
)
from export.writers.onnx_graph.graph import Call, Graph, Signal
from export.writers.onnx_graph.tidy import tidy

Writer = Callable[[Graph, Call], Signal | None]
"""Adds what a layer is in ONNX; where its settings are not known, adds nothing and returns None."""

layers = keras.layers

WRITERS: dict[type, Writer] = {
    layers.Conv1D: convolutions.conv,
    layers.DepthwiseConv1D: convolutions.depthwise_conv,
    layers.SeparableConv1D: convolutions.separable_conv,
    layers.Dense: convolutions.dense,
    layers.MaxPooling1D: convolutions.max_pool,
    layers.AveragePooling1D: convolutions.average_pool,
    layers.BatchNormalization: convolutions.batch_norm,
    layers.LayerNormalization: elementwise.layer_norm,
    layers.Activation: elementwise.activation,
    layers.ReLU: elementwise.relu,
    Saturation: elementwise.saturation,
    layers.Add: elementwise.merge,
    layers.Multiply: elementwise.merge,
    layers.Maximum: elementwise.merge,
    layers.Minimum: elementwise.merge,
    layers.Concatenate: shapes.concatenate,
    layers.Reshape: shapes.reshape,
    layers.Flatten: shapes.reshape,
    layers.Cropping1D: shapes.crop,
    layers.ZeroPadding1D: shapes.pad,
    layers.LSTM: recurrent.recurrent,
    layers.GRU: recurrent.recurrent,
    layers.Bidirectional: recurrent.bidirectional,
    layers.Attention: attention.dot_attention,
    AdditiveSelfAttention: attention.additive_attention,
    BandedSelfAttention: attention.banded_attention,
    EdgeCorrection1D: attention.edge_correction,
    layers.Dropout: elementwise.same,
    layers.SpatialDropout1D: elementwise.same,
    layers.GaussianNoise: elementwise.same,
    layers.GaussianDropout: elementwise.same,
}
"""By exact type: a layer derived from one of these may do anything else."""

TAKES_NORM = (layers.Conv1D, layers.DepthwiseConv1D, layers.SeparableConv1D, layers.Dense)
"""Layers whose kernel and bias can take on a scale and a shift by channel."""


def build_graph(model: keras.Model, integers: bool = False) -> tuple[onnx.ModelProto, list[str]]:
    """The ONNX model of a Keras model for one window, and the nodes that are to stay float32.

    Args:
        model: from one input to one output.
        integers: whether it is to be quantized.
    """
    graph = Graph(integers)
    window = Signal(graph, model.input_shape[1:], plain="waveform")
    if _by_layer(model):
        made = _Walk(model, graph, window).prediction()
    else:
        graph.layer = model.name
        made = foreign.convert_model(graph, model, window)
    written = graph.to_model(window, made)
    tidy(written)
    onnx.checker.check_model(written)
    return written, graph.precise


def _by_layer(model: keras.Model) -> bool:
    """Whether a model is a graph of layers that hand on nothing but tensors.

    Masks, which Keras hands on beside them, are known to tf2onnx alone.
    """
    functional = isinstance(model, keras.Model) and model._is_graph_network
    return functional and not any(isinstance(x, layers.Masking) for x in model.layers)


class _Walk:
    """Writes the layers of a model, one call after the other."""

    def __init__(self, model: keras.Model, graph: Graph, window: Signal) -> None:
        self._graph = graph
        self._nodes = [
            node
            for depth in sorted(model._nodes_by_depth, reverse=True)
            for node in model._nodes_by_depth[depth]
            if not node.is_input
        ]
        self._readers: dict[int, list[Any]] = defaultdict(list)
        for node in self._nodes:
            for tensor in node.keras_inputs:
                self._readers[id(tensor)].append(node)
        (self._output,) = model.outputs
        (entry,) = model.inputs
        self._signals = {id(entry): window}

    def prediction(self) -> Signal:
        """What the model returns."""
        for node in self._nodes:
            outputs = tf.nest.flatten(node.outputs)
            if id(outputs[0]) not in self._signals:  # else it was folded into the layer before it
                self._write(node, outputs)
        return self._signals[id(self._output)]

    def _write(self, node: Any, outputs: list[Any]) -> None:
        self._graph.layer = node.layer.name
        inputs = [self._signals[id(tensor)] for tensor in node.keras_inputs]
        writer = WRITERS.get(type(node.layer))
        made = None
        if writer is not None and not node.call_kwargs.get("training"):
            norm = self._norm_behind(node.layer, outputs[0])
            call = Call(node.layer, inputs, norm and norm.layer)
            made = writer(self._graph, call)
        if made is None:
            signals = foreign.convert_call(self._graph, node, inputs)
        else:
            signals = [made]
            if norm is not None:
                self._signals[id(norm.outputs)] = made
        for tensor, signal in zip(outputs, signals, strict=True):
            self._signals[id(tensor)] = signal

    def _norm_behind(self, layer: keras.layers.Layer, output: Any) -> Any:
        """The call of a batch normalization that the layer can take on: nobody else reads it."""
        readers = self._readers[id(output)]
        if (
            isinstance(layer, TAKES_NORM)
            and layer.activation is keras.activations.linear
            and output is not self._output
            and len(readers) == 1
            and type(readers[0].layer) is layers.BatchNormalization
            and list(readers[0].layer.axis) == [len(output.shape) - 1]
            and not readers[0].call_kwargs.get("training")
        ):
            return readers[0]
        return None
