"""What a finished graph need not hold: changes of shape in a row, operators that nobody reads."""

from __future__ import annotations

import onnx
from onnx.shape_inference import infer_shapes


def tidy(model: onnx.ModelProto) -> None:
    """Leave out, in place, what changes no value and what nobody reads.

    Of two Reshapes in a row the first goes, and one to the shape that its input has, and every
    Identity. Graphs with loops, whose bodies may read anything, stay as they are.
    """
    graph = model.graph
    if any(a.type == onnx.AttributeProto.GRAPH for node in graph.node for a in node.attribute):
        return
    inferred = infer_shapes(model).graph
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    returned = {value.name for value in graph.output}
    made_by: dict[str, onnx.NodeProto] = {}
    same: dict[str, str] = {}
    for node in graph.node:
        node.input[:] = [same.get(name, name) for name in node.input]
        if node.op_type == "Reshape":
            before = made_by.get(node.input[0])
            if before is not None and before.op_type == "Reshape":
                node.input[0] = before.input[0]
            if shapes.get(node.input[0]) == shapes.get(node.output[0], []):
                node.op_type = "Identity"
                del node.input[1:]
        if node.op_type == "Identity" and node.output[0] not in returned:
            same[node.output[0]] = node.input[0]
        made_by.update(dict.fromkeys(node.output, node))
    _return_directly(graph, made_by, returned)
    _drop_unread(graph, returned)


def _return_directly(
    graph: onnx.GraphProto, made_by: dict[str, onnx.NodeProto], returned: set[str]
) -> None:
    """Let what an output is copied from carry the output's name."""
    for node in [node for node in graph.node if node.op_type == "Identity"]:
        source, output = node.input[0], node.output[0]
        maker = made_by.get(source)
        if output not in returned or maker is None or source in returned:
            continue
        for one in graph.node:
            one.input[:] = [output if name == source else name for name in one.input]
        maker.output[:] = [output if name == source else name for name in maker.output]
        graph.node.remove(node)


def _drop_unread(graph: onnx.GraphProto, returned: set[str]) -> None:
    read, kept = set(returned), []
    for node in reversed(graph.node):
        if read.intersection(node.output):
            read.update(node.input)
            kept.append(node)
    del graph.node[:]
    graph.node.extend(reversed(kept))
    constants = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(constants)
