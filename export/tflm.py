"""What TensorFlow Lite for Microcontrollers can run, and how an application asks for it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from ai_edge_litert import schema_py_generated as schema

from baseline.errors import InputError
from export.writers.flatbuffer import operator_kind

NAMES = """
ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND
BROADCAST_ARGS BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM
DEPTHWISE_CONV_2D DEPTH_TO_SPACE DEQUANTIZE DIV DYNAMIC_UPDATE_SLICE ELU EMBEDDING_LOOKUP EQUAL
EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED GATHER GATHER_ND GREATER
GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG
LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MEAN MINIMUM
MIRROR_PAD MUL NEG NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX
REDUCE_MIN RELU RELU6 RESHAPE RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT
SELECT_V2 SHAPE SIN SLICE SOFTMAX SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQRT SQUARE
SQUARED_DIFFERENCE SQUEEZE STRIDED_SLICE SUB SUM SVDF TANH TRANSPOSE TRANSPOSE_CONV
UNIDIRECTIONAL_SEQUENCE_LSTM UNPACK VAR_HANDLE WHILE ZEROS_LIKE
"""
OPERATORS = frozenset(NAMES.split())
"""Operators that TFLite Micro has kernels for (commit 8f6596d, October 2026)."""

METHODS = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}
"""Methods of `MicroMutableOpResolver` whose names do not follow from the operators'."""


@dataclass(frozen=True)
class Used:
    """An operator that a file uses.

    Attributes:
        kind: such as CONV_2D.
        version: of the operator.
        number: how often it is used.
        floats: how often of these it computes in float32.
    """

    kind: str
    version: int
    number: int
    floats: int

    @property
    def method(self) -> str:
        """The method of `MicroMutableOpResolver` that adds it."""
        words = (word if word[0].isdigit() else word.capitalize() for word in self.kind.split("_"))
        return METHODS.get(self.kind, "Add" + "".join(words))


def used_operators(content: bytes) -> tuple[Used, ...]:
    """The operators of a TFLite file, by name, bodies of loops included.

    Raises:
        InputError: TFLite Micro does not have one of them.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    found: Counter[tuple[str, int]] = Counter()
    floats: Counter[tuple[str, int]] = Counter()
    for graph in model.subgraphs:
        for operator in graph.operators:
            key = operator_kind(model, operator), model.operatorCodes[operator.opcodeIndex].version
            ends = {graph.tensors[i].type for i in (operator.inputs[0], operator.outputs[0])}
            found[key] += 1
            floats[key] += ends == {schema.TensorType.FLOAT32}
    missing = sorted({kind for kind, _ in found} - OPERATORS)
    if missing:
        raise InputError(
            f"TFLite Micro has no {', '.join(missing)}, which the model uses.",
            "Distil it into a student (`distill`, `student: {kind: unet}`), or take recurrent "
            "layers out (`substitute` with `cell: conv`).",
        )
    return tuple(Used(*key, number, floats[key]) for key, number in sorted(found.items()))
