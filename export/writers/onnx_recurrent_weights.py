"""Weights of recurrent operators in int8, which computes with them in float32.

ONNX Runtime quantizes neither LSTM nor GRU: their states stay float32. What their weights take in a
file need not.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import helper, numpy_helper

RECURRENT = ("LSTM", "GRU")
LARGEST = 127


def round_recurrent_weights(model: onnx.ModelProto) -> None:
    """Store input and recurrent weights (directions, gates, inputs) as int8, in place.

    A scale for each gate's unit, symmetric, for all directions alike; a DequantizeLinear before the
    operator makes float32 of them.
    """
    graph = model.graph
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes = list(graph.node)
    del graph.node[:]
    for node in nodes:
        if node.op_type in RECURRENT:
            for place in (1, 2):
                name = node.input[place]
                if name in constants:
                    node.input[place] = _rounded(graph, constants.pop(name))
        graph.node.append(node)


def _rounded(graph: onnx.GraphProto, tensor: onnx.TensorProto) -> str:
    weights = numpy_helper.to_array(tensor)
    scale = np.maximum(np.abs(weights).max(axis=(0, 2)) / LARGEST, 1e-12).astype(np.float32)
    rounded = np.rint(weights / scale[None, :, None]).astype(np.int8)
    names = [f"{tensor.name}_{what}" for what in ("int8", "scale", "zero", "float32")]
    for name, values in zip(names, (rounded, scale, np.zeros(len(scale), np.int8)), strict=False):
        graph.initializer.append(numpy_helper.from_array(values, name))
    graph.node.append(
        helper.make_node("DequantizeLinear", names[:3], [names[3]], name=names[3], axis=1)
    )
    graph.initializer.remove(tensor)
    return names[3]
