"""No bounds where int8 cannot go beyond them anyway."""

from __future__ import annotations

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from export.writers.flatbuffer import operator_kind

BOUNDS = {"MINIMUM": 127, "MAXIMUM": -128}


def drop_idle_bounds(model: schema.ModelT) -> None:
    """Leave out each bound (`Saturation`) that lies at the end of what its int8 tensor can hold.

    Bounded tensors are calibrated to end at their bounds, so that storing a value bounds it; an
    operator that does it again is for nothing. Rounding may put a bound one step
    from the end of the range: that step is given away.
    """
    for graph in model.subgraphs:
        replaced: dict[int, int] = {}
        kept = []
        for operator in graph.operators:
            operator.inputs = np.array([replaced.get(i, i) for i in operator.inputs], np.int32)
            end = BOUNDS.get(operator_kind(model, operator))
            if end is not None and _idle(model, graph, operator, end):
                replaced[int(operator.outputs[0])] = int(operator.inputs[0])
            else:
                kept.append(operator)
        graph.operators = kept


def _idle(
    model: schema.ModelT, graph: schema.SubGraphT, operator: schema.OperatorT, end: int
) -> bool:
    value, bound = (graph.tensors[i] for i in operator.inputs)
    result = graph.tensors[operator.outputs[0]]
    content = model.buffers[bound.buffer].data
    return (
        value.type == result.type == schema.TensorType.INT8
        and _steps(value) == _steps(result) == _steps(bound)
        and content is not None
        and len(content) == 1
        and abs(int(np.array(content, np.uint8).view(np.int8)[0]) - end) <= 1
        and operator.outputs[0] not in graph.outputs
    )


def _steps(tensor: schema.TensorT) -> tuple[list[float], list[int]]:
    return list(tensor.quantization.scale), list(tensor.quantization.zeroPoint)
