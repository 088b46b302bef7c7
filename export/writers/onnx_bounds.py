"""No bounds in ONNX where quantizing bounds anyway."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import numpy_helper

from export.writers.onnx_graph.tidy import tidy

SHUFFLES = ("Reshape", "Transpose")
"""What moves numbers and leaves each as it is."""


def drop_idle_bounds(model: onnx.ModelProto) -> None:
    """Leave out each bound (`Saturation`) that is quantized to a range which ends there, in place.

    A Clip in float in front of QuantizeLinear, or of what moves samples before it, goes over all of
    them for nothing: quantizing bounds them. Rounding may put a bound one step from the end of
    the range: that step is given away.
    """
    graph = model.graph
    constants = {t.name: t for t in graph.initializer}
    readers: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    outputs = {value.name for value in graph.output}
    idle = []
    for node in graph.node:
        if node.op_type == "Clip":
            quantizers = _quantizers(node.output[0], readers, outputs)
            if quantizers and all(_bounds(node, quantizer, constants) for quantizer in quantizers):
                idle.append(node)
    for node in idle:
        node.op_type = "Identity"
        del node.input[1:]
    if idle:
        tidy(model)


def _quantizers(
    tensor: str, readers: dict[str, list[onnx.NodeProto]], outputs: set[str]
) -> list[onnx.NodeProto]:
    """What quantizes a tensor, as it is or shuffled; nothing if any reader does something else."""
    if tensor in outputs:
        return []
    found = []
    for node in readers.get(tensor, []):
        if node.op_type == "QuantizeLinear":
            found.append(node)
        elif node.op_type in SHUFFLES and (beyond := _quantizers(node.output[0], readers, outputs)):
            found += beyond
        else:
            return []
    return found


def _bounds(
    clip: onnx.NodeProto, quantizer: onnx.NodeProto, constants: dict[str, onnx.TensorProto]
) -> bool:
    """Whether what can be stored ends within one step of both bounds."""
    names = [*clip.input[1:3], *quantizer.input[1:3]]
    if len(names) < 4 or not all(name in constants for name in names):
        return False
    low, high, scale, zero = (numpy_helper.to_array(constants[name]) for name in names)
    if scale.size > 1:
        return False
    ends = np.iinfo(zero.dtype)
    steps = np.round(np.array([low, high], np.float64).ravel() / float(scale)) + int(zero)
    return bool(np.abs(steps - (ends.min, ends.max)).max() <= 1)
