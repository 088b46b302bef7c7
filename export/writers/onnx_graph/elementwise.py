"""Activations, sums, products and normalizations, which leave a signal's layout as it is."""

from __future__ import annotations

from functools import reduce
from typing import Any

from baseline.keras import keras
from export.writers.onnx_graph.graph import Call, Graph, Signal

_ACTIVATIONS = {
    keras.activations.relu: "Relu",
    keras.activations.sigmoid: "Sigmoid",
    keras.activations.tanh: "Tanh",
    keras.activations.hard_sigmoid: "HardSigmoid",
    keras.activations.elu: "Elu",
    keras.activations.softplus: "Softplus",
    keras.activations.softsign: "Softsign",
}
"""Operators that do, with the constants that they have unless told others, what Keras does."""

_MERGES = {
    keras.layers.Add: "Add",
    keras.layers.Multiply: "Mul",
    keras.layers.Maximum: "Max",
    keras.layers.Minimum: "Min",
}


def knows(activation: Any) -> bool:
    """Whether ONNX has an operator for a Keras activation, or needs none."""
    return activation is keras.activations.linear or activation in _ACTIVATIONS


def operator_of(activation: Any) -> str | None:
    """The ONNX operator of a Keras activation."""
    return _ACTIVATIONS.get(activation)


def activated(graph: Graph, activation: Any, signal: Signal) -> Signal:
    """The signal after an activation that is known."""
    if activation is keras.activations.linear:
        return signal
    return signal.like(graph.add(_ACTIVATIONS[activation], signal.own))


def activation(graph: Graph, call: Call) -> Signal | None:
    """Activation."""
    function = call.layer.activation
    return activated(graph, function, call.inputs[0]) if knows(function) else None


def relu(graph: Graph, call: Call) -> Signal | None:
    """ReLU that is neither bounded nor leaky."""
    layer = call.layer
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        return None
    return activated(graph, keras.activations.relu, call.inputs[0])


def saturation(graph: Graph, call: Call) -> Signal:
    """Saturation."""
    (signal,), limit = call.inputs, call.layer.limit
    bounds = graph.constant(-limit), graph.constant(limit)
    return signal.like(graph.add("Clip", signal.own, *bounds))


def merge(graph: Graph, call: Call) -> Signal | None:
    """Add, Multiply, Maximum or Minimum of signals of one shape."""
    signals = call.inputs
    if len({signal.shape for signal in signals}) > 1:
        return None
    kind = _MERGES[type(call.layer)]
    first = next((signal for signal in signals if signal.channels_first), signals[0])
    tensors = [x.channels if first.channels_first else x.rows for x in signals]
    return first.like(reduce(lambda a, b: graph.add(kind, a, b), tensors))


def layer_norm(graph: Graph, call: Call) -> Signal | None:
    """LayerNormalization over the channels of each step."""
    layer, (signal,) = call.layer, call.inputs
    if len(signal.shape) != 2 or list(layer.axis) != [2] or not (layer.scale and layer.center):
        return None
    constants = map(graph.constant, (layer.gamma.numpy(), layer.beta.numpy()))
    rows = graph.add("LayerNormalization", signal.rows, *constants, epsilon=layer.epsilon)
    return Signal(graph, signal.shape, plain=rows)


def same(graph: Graph, call: Call) -> Signal:
    """A layer that does something in training alone."""
    del graph
    return call.inputs[0]
