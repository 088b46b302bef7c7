"""TFLite files as objects that can be changed."""

from __future__ import annotations

from collections.abc import Callable

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

TFLITE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16
"""Of a constant's first byte, in bytes: the schema's `force_align`."""

_KINDS = {v: k for k, v in vars(schema.BuiltinOperator).items() if not k.startswith("_")}

Pass = Callable[[schema.ModelT], None]


def edit(flatbuffer: bytes, *passes: Pass) -> bytes:
    """The same file after these passes, in order; unpacked and packed once."""
    model = schema.ModelT.InitFromPackedBuf(flatbuffer, 0)
    for change in passes:
        change(model)
    for buffer in model.buffers:
        buffer.__class__ = _AlignedBuffer
    builder = flatbuffers.Builder(len(flatbuffer))
    builder.Finish(model.Pack(builder), TFLITE_IDENTIFIER)
    return bytes(builder.Output())


def operator_kind(model: schema.ModelT, operator: schema.OperatorT) -> str:
    """What the schema calls an operator, such as CONV_2D."""
    code = model.operatorCodes[operator.opcodeIndex]
    return _KINDS[max(code.builtinCode, code.deprecatedBuiltinCode)]


class _AlignedBuffer(schema.BufferT):
    """A buffer whose content is packed where the schema wants it.

    The generated code packs it at any multiple of four bytes.
    """

    def Pack(self, builder: flatbuffers.Builder) -> int:  # noqa: N802 (the generated name)
        if self.data is not None:
            builder.Prep(BUFFER_ALIGNMENT, len(self.data))
        return super().Pack(builder)
