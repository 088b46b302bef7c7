"""Layers that are not written here: tf2onnx converts them, one by one."""

from __future__ import annotations

from typing import Any

import onnx
import tf2onnx
from onnx import compose, helper

from baseline.keras import keras, keras_upsampling, tf
from export.writers.onnx_graph.graph import OPSET, Graph, Signal


def convert_call(graph: Graph, node: Any, inputs: list[Signal]) -> list[Signal]:
    """What a layer makes at a node of a Keras graph.

    Args:
        graph: to add it to.
        node: Keras' record of the call.
        inputs: in the order of the node's Keras inputs.
    """
    places = {id(tensor): place for place, tensor in enumerate(node.keras_inputs)}

    def compute(*given: Any) -> list[Any]:
        arguments = tf.nest.map_structure(
            lambda x: given[places[id(x)]] if id(x) in places else x,
            (node.call_args, node.call_kwargs),
        )
        return tf.nest.flatten(node.layer(*arguments[0], **arguments[1]))

    return convert_function(graph, compute, inputs)


def convert_model(graph: Graph, model: keras.Model, signal: Signal) -> Signal:
    """What a whole model makes of a signal."""
    return convert_function(graph, lambda x: [model(x, training=False)], [signal])[0]


def convert_function(graph: Graph, compute: Any, inputs: list[Signal]) -> list[Signal]:
    """What a function from tensors to a list of tensors makes of these signals."""
    names = [f"in_{place}" for place in range(len(inputs))]
    signature = [
        tf.TensorSpec((1, *signal.shape), tf.float32, name=name)
        for name, signal in zip(names, inputs, strict=True)
    ]
    function = tf.function(
        lambda *given: {f"out_{i}": x for i, x in enumerate(compute(*given))},
        input_signature=signature,
    )
    with keras_upsampling():
        made = function.get_concrete_function().structured_outputs
        model, _ = tf2onnx.convert.from_function(function, input_signature=signature, opset=OPSET)
    prefix = f"{graph.layer}/"
    part = compose.add_prefix(model, prefix).graph
    entries = [
        helper.make_node("Identity", [signal.plain], [value.name], name=f"{value.name}/in")
        for signal, value in zip(inputs, _by_name(part.input, prefix, names), strict=True)
    ]
    graph.insert([*entries, *part.node], part.initializer)
    return [
        Signal(graph, made[f"out_{place}"].shape[1:], plain=f"{prefix}out_{place}")
        for place in range(len(made))
    ]


def _by_name(values: Any, prefix: str, names: list[str]) -> list[onnx.ValueInfoProto]:
    by_name = {value.name: value for value in values}
    return [by_name[prefix + name] for name in names]
