"""What goes into a TFLite file and what comes out: shapes, and how integers stand for numbers."""

from __future__ import annotations

from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from baseline.errors import InputError


@dataclass(frozen=True)
class End:
    """The input or the output of a model.

    Attributes:
        shape: such as (1, 6000, 3).
        integer: whether it is int8; else it is float32.
        scale: of an integer one: a number is `scale * (integer - zero_point)`.
        zero_point: the integer that stands for zero.
    """

    shape: tuple[int, ...]
    integer: bool
    scale: float = 1.0
    zero_point: int = 0


def read_ends(content: bytes) -> tuple[End, End]:
    """Input and output of a TFLite file.

    Raises:
        InputError: it has several.
    """
    graph = schema.ModelT.InitFromPackedBuf(content, 0).subgraphs[0]
    if len(graph.inputs) != 1 or len(graph.outputs) != 1:
        raise InputError(
            f"The TFLite file has {len(graph.inputs)} inputs and {len(graph.outputs)} outputs; one "
            "of each is needed."
        )
    (source,), (result,) = graph.inputs, graph.outputs
    return _end(graph.tensors[source]), _end(graph.tensors[result])


def _end(tensor: schema.TensorT) -> End:
    shape = tuple(int(n) for n in tensor.shape)
    if tensor.type != schema.TensorType.INT8:
        return End(shape, integer=False)
    quantization = tensor.quantization
    return End(shape, True, float(quantization.scale[0]), int(quantization.zeroPoint[0]))
