"""int8 input and output where the file converts floats at its two ends."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.writers.flatbuffer import operator_kind

INDICES = ("inputs", "outputs", "intermediates")
"""Fields of an operator that name tensors by their index; -1 for one that is not there."""


def drop_float_ends(model: schema.ModelT) -> None:
    """Leave out the QUANTIZE of an int8 file's input and the DEQUANTIZE of its output.

    What is between them stays as it is, so that the same integers come out. An end stays float32
    where a layer that computes in float32 stands there, or where something else reads it. Tensors
    that nothing uses any more go, too: TFLite Micro would keep memory for them.
    """
    graph = model.subgraphs[0]
    exchanged: dict[int, int] = {}
    kept = []
    for operator in graph.operators:
        end = _float_end(model, graph, operator)
        if end is None:
            kept.append(operator)
        else:
            exchanged[end] = ({*operator.inputs, *operator.outputs} - {end}).pop()
    for end, tensor in exchanged.items():
        graph.tensors[tensor].name = graph.tensors[end].name
    graph.operators = kept
    ends = [exchanged.get(i, i) for i in (*graph.inputs, *graph.outputs)]
    fields = [
        (operator, field)
        for operator in kept
        for field in INDICES
        if getattr(operator, field) is not None
    ]
    used = {*ends, *(int(i) for operator, field in fields for i in getattr(operator, field))}
    place = {index: new for new, index in enumerate(sorted(used - {-1}))} | {-1: -1}
    for operator, field in fields:
        setattr(operator, field, np.array([place[i] for i in getattr(operator, field)], np.int32))
    graph.tensors = [tensor for index, tensor in enumerate(graph.tensors) if index in used]
    number = len(graph.inputs)
    graph.inputs = np.array([place[i] for i in ends[:number]], np.int32)
    graph.outputs = np.array([place[i] for i in ends[number:]], np.int32)
    for signature in model.signatureDefs or ():
        if signature.subgraphIndex == 0:
            for named in (*signature.inputs, *signature.outputs):
                named.tensorIndex = place[exchanged.get(named.tensorIndex, named.tensorIndex)]


def _float_end(
    model: schema.ModelT, graph: schema.SubGraphT, operator: schema.OperatorT
) -> int | None:
    """The float32 end of the graph that an operator only converts to or from int8."""
    kind = operator_kind(model, operator)
    if kind not in ("QUANTIZE", "DEQUANTIZE"):
        return None
    source, made = int(operator.inputs[0]), int(operator.outputs[0])
    end, inner, ends, readers = (
        (source, made, graph.inputs, 1) if kind == "QUANTIZE" else (made, source, graph.outputs, 0)
    )
    converts = (graph.tensors[end].type, graph.tensors[inner].type) == (
        schema.TensorType.FLOAT32,
        schema.TensorType.INT8,
    )
    found = sum(int((np.asarray(other.inputs) == end).sum()) for other in graph.operators)
    return end if converts and end in ends and found == readers else None
