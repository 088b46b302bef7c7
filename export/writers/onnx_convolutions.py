"""Convolutions with their bias, scale and ReLU, in ONNX files.

tf2onnx computes a 1-D convolution as a 2-D one, between two changes of layout, and what follows it
in Keras, a bias, a folded normalization, a ReLU, stands behind these. A runtime then computes four
operators for one, and quantization rounds after each of them, in ranges that hold what the ReLU
throws away.
"""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import helper, numpy_helper

MOVES = ("Squeeze", "Unsqueeze", "Transpose")


def join_convolutions(model: onnx.ModelProto) -> None:
    """Put additions and multiplications by channel into the convolution before them, in place.

    A ReLU behind them comes to stand right after the convolution. Only what one reader alone reads
    is changed, and the answers stay the same up to rounding.
    """
    for node in [node for node in model.graph.node if node.op_type == "Conv"]:
        _join(model.graph, node)
    used = {name for node in model.graph.node for name in node.input}
    for tensor in [tensor for tensor in model.graph.initializer if tensor.name not in used]:
        model.graph.initializer.remove(tensor)


def _join(graph: onnx.GraphProto, conv: onnx.NodeProto) -> None:
    constants = {tensor.name: tensor for tensor in graph.initializer}
    if any(name not in constants for name in conv.input[1:]):
        return
    kernel = numpy_helper.to_array(constants[conv.input[1]])
    channels = kernel.shape[0]
    bias = np.zeros(channels, np.float32)
    if len(conv.input) > 2:
        bias = numpy_helper.to_array(constants[conv.input[2]])
    readers = defaultdict(list)
    for node in graph.node:
        for name in node.input:
            readers[name].append(node)
    returned = {output.name for output in graph.output}
    rank, axis = kernel.ndim, 1
    tensor, first = conv.output[0], None
    changed = False
    while len(readers[tensor]) == 1 and tensor not in returned:
        node = readers[tensor][0]
        if node.op_type in MOVES:
            moved = _moved(node, rank, axis, constants)
            if moved is None:
                break
            rank, axis = moved
            first = first or node
            tensor = node.output[0]
            continue
        if node.op_type == "Relu" and node.output[0] not in returned:
            _to_front(graph, conv, first, node, tensor, readers)
            break
        values = _by_channel(node, tensor, rank, axis, channels, constants)
        if values is None or node.output[0] in returned:
            break
        if node.op_type == "Mul":
            kernel = kernel * values.reshape(-1, *[1] * (kernel.ndim - 1))
            bias = bias * values
        else:
            bias = bias + values
        changed = True
        for reader in readers[node.output[0]]:
            _exchange(reader, node.output[0], tensor)
        readers[tensor] = readers[node.output[0]]
        graph.node.remove(node)
    if changed:
        names = [f"{conv.output[0]}_{what}" for what in ("kernel", "bias")]
        for name, values in zip(names, (kernel, bias), strict=True):
            graph.initializer.append(numpy_helper.from_array(values.astype(np.float32), name))
        conv.input[:] = [conv.input[0], *names]


def _moved(
    node: onnx.NodeProto, rank: int, axis: int, constants: dict[str, onnx.TensorProto]
) -> tuple[int, int] | None:
    """Rank and place of the channels after a change of layout; None if it cannot be told."""
    if node.op_type == "Transpose":
        order = next((list(a.ints) for a in node.attribute if a.name == "perm"), None)
        return None if order is None else (rank, order.index(axis))
    if len(node.input) < 2 or node.input[1] not in constants:
        return None
    given = [int(a) for a in numpy_helper.to_array(constants[node.input[1]])]
    if node.op_type == "Squeeze":
        axes = {a % rank for a in given}
        return None if axis in axes else (rank - len(axes), axis - sum(a < axis for a in axes))
    after = rank + len(given)
    inserted = {a % after for a in given}
    return after, [place for place in range(after) if place not in inserted][axis]


def _by_channel(
    node: onnx.NodeProto,
    tensor: str,
    rank: int,
    axis: int,
    channels: int,
    constants: dict[str, onnx.TensorProto],
) -> NDArray[np.float32] | None:
    """What a node adds to each channel or multiplies it by; None if it does something else."""
    if node.op_type not in ("Add", "Mul") or len(node.input) != 2:
        return None
    (other,) = [name for name in node.input if name != tensor] or [tensor]
    if other not in constants:
        return None
    values = numpy_helper.to_array(constants[other])
    if values.ndim > rank:
        return None
    shape = (1,) * (rank - values.ndim) + values.shape
    if any(size != 1 for place, size in enumerate(shape) if place != axis):
        return None
    return np.broadcast_to(values.reshape(-1), (channels,)).astype(np.float32)


def _to_front(
    graph: onnx.GraphProto,
    conv: onnx.NodeProto,
    first: onnx.NodeProto | None,
    relu: onnx.NodeProto,
    tensor: str,
    readers: dict[str, list[onnx.NodeProto]],
) -> None:
    """Let a ReLU behind changes of layout stand before them."""
    if first is None:
        return
    for reader in readers[relu.output[0]]:
        _exchange(reader, relu.output[0], tensor)
    graph.node.remove(relu)
    name = f"{conv.output[0]}_relu"
    _exchange(first, conv.output[0], name)
    place = list(graph.node).index(conv) + 1
    graph.node.insert(place, helper.make_node("Relu", [conv.output[0]], [name], name=relu.name))


def _exchange(node: onnx.NodeProto, old: str, new: str) -> None:
    node.input[:] = [new if name == old else name for name in node.input]
