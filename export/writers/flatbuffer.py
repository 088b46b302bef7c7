"""TFLite files as objects that can be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

TFLITE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16
"""Of a constant's first byte, in bytes: the schema's `force_align`."""

_KINDS = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}

Pass = Callable[[schema.ModelT], None]


def edit(flatbuffer: bytes, *passes: Pass) -> bytes:
    """The same file after these passes, in order; unpacked and packed once.

    What is equal in several places, such as shapes and zero points, is packed once.
    """
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    for change in passes:
        change(model)
    for buffer in model.buffers:
        buffer.__class__ = _AlignedBuffer
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if tensor.quantization is not None:
                tensor.quantization.__class__ = _SharedQuantization
    builder = _SharingBuilder(len(flatbuffer))
    builder.Finish(model.Pack(builder), TFLITE_IDENTIFIER)
    return bytes(builder.Output())


def operator_kind(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """What the schema calls an operator, such as CONV_2D."""
    code = model.operatorCodes[operator.opcodeIndex]
    return _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]


class _SharingBuilder(flatbuffers.Builder):
    """Lets tables refer to one vector of numbers where each would have an equal one of its own."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.places: dict[Any, int] = {}

    def CreateNumpyVector(self, x: NDArray[Any]) -> int:  # noqa: N802 (the library's name)
        if x.dtype == np.uint8:  # contents of constants, which have an alignment of their own
            return super().CreateNumpyVector(x)
        return self.once((x.dtype.str, x.tobytes()), super().CreateNumpyVector, x)

    def once(self, key: Any, create: Callable[..., int], *arguments: Any) -> int:
        """The place of something that is created when it is first asked for."""
        if key not in self.places:
            self.places[key] = create(*arguments)
        return self.places[key]


class _SharedQuantization(schema.QuantizationParametersT):
    """Scales and zero points, once for all tensors that have the same."""

    def Pack(self, builder: _SharingBuilder) -> int:  # noqa: N802 (the generated name)
        numbers = (self.min, self.max, self.scale, self.zeroPoint)
        if self.details is not None:
            return super().Pack(builder)
        key = (
            *(None if x is None else np.asarray(x).tobytes() for x in numbers),
            self.quantizedDimension,
        )
        return builder.once(key, super().Pack, builder)


class _AlignedBuffer(schema.BufferT):
    """A buffer whose content is packed where the schema wants it.

    The generated code packs it at any multiple of four bytes.
    """

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (the generated name)
        if self.data is not None:
            builder.Prep(BUFFER_ALIGNMENT, len(self.data))
        return super().Pack(builder)
