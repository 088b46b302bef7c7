"""Short names for what nobody asks for by name in an ONNX file, and each constant once.

Quantization names every tensor after the one it was made from and what was done to it: in an int8
EQTransformer half of the file.
"""

from __future__ import annotations

import onnx

CONVERSIONS = ("QuantizeLinear", "DequantizeLinear")


def shorten_names(model: onnx.ModelProto) -> None:
    """Number all tensors but the inputs and outputs, and keep one of equal constants, in place.

    Operators keep their names, which say what layer they are of; conversions lose theirs. Models
    with loops stay as they are: their bodies may use what is outside.
    """
    graph = model.graph
    if any(a.type == onnx.AttributeProto.GRAPH for node in graph.node for a in node.attribute):
        return
    del graph.value_info[:]
    short = {value.name: value.name for value in (*graph.input, *graph.output)} | {"": ""}

    def rename(name: str) -> str:
        return short.setdefault(name, f"t{len(short)}")

    kept: dict[bytes, str] = {}
    constants = list(graph.initializer)
    del graph.initializer[:]
    for constant in constants:
        name, constant.name = constant.name, ""
        content = constant.SerializeToString()
        if content in kept:
            short[name] = kept[content]
            continue
        kept[content] = constant.name = rename(name)
        graph.initializer.append(constant)
    for node in graph.node:
        node.input[:] = [rename(name) for name in node.input]
        node.output[:] = [rename(name) for name in node.output]
        if node.op_type in CONVERSIONS:
            node.name = ""
