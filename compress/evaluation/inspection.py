"""What an exported file is made of: its operators, what they compute in, and what they weigh.

An int8 file that keeps half of its operators in float32, loops where nothing should loop, or holds
the same weights many times, works and disappoints. Here it shows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baseline.errors import InputError

LOOPS = ("WHILE", "Loop")

CONVERSIONS = ("QUANTIZE", "DEQUANTIZE", "QuantizeLinear", "DequantizeLinear")
"""Operators that only change between integers and floats."""

MOVES = frozenset(
    {
        *("RESHAPE", "SQUEEZE", "EXPAND_DIMS", "TRANSPOSE", "PACK", "UNPACK", "SPLIT"),
        *("CONCATENATION", "STRIDED_SLICE", "SLICE", "PAD"),
        *("Reshape", "Squeeze", "Unsqueeze", "Transpose", "Split", "Concat", "Slice", "Pad"),
        "Identity",
    }
)
"""Operators that move values and compute nothing; in ONNX they have no precision of their own."""


@dataclass(frozen=True)
class Operator:
    """One operator of the graph.

    Attributes:
        kind: as the format calls it.
        precision: what it computes in: float32, float16, int8, int16 (activations, with int8
            weights), hybrid (int8 weights, float32 activations), int32 or other integers, or bool.
        output: shape of its first output; empty if the file does not say.
        bytes: of the constants that no operator before it uses.
        name: of the operator, in ONNX; or of its output; empty where the file has none.
    """

    kind: str
    precision: str
    output: tuple[int, ...]
    bytes: int
    name: str


@dataclass(frozen=True)
class Inspection:
    """One exported file.

    Attributes:
        file: its name.
        bytes: its size.
        operators: in the order in which they run; bodies of loops after their graph.
    """

    file: str
    bytes: int
    operators: tuple[Operator, ...]

    @property
    def loops(self) -> tuple[Operator, ...]:
        """Operators that run a part of the graph again and again."""
        return tuple(operator for operator in self.operators if operator.kind in LOOPS)

    def computing_in(self, *precisions: str) -> tuple[Operator, ...]:
        """Operators that compute, in one of these precisions."""
        return tuple(
            operator
            for operator in self.operators
            if operator.precision in precisions and operator.kind not in (*CONVERSIONS, *MOVES)
        )

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def inspect(path: Path) -> Inspection:
    """What a `.tflite` or `.onnx` file is made of.

    Raises:
        InputError: no such file, another kind of file, or one that cannot be read.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    readers = {".tflite": _tflite_operators, ".onnx": _onnx_operators}
    if path.suffix not in readers:
        raise InputError(
            f"{path}: nothing to inspect in a {path.suffix or 'file without ending'}.",
            "Inspected are .tflite and .onnx files, and bundles of these.",
        )
    content = path.read_bytes()
    try:
        operators = tuple(readers[path.suffix](content))
    except Exception as error:  # whatever two parsers make of a damaged file
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"{path}: not a whole {path.suffix} file ({reason}).") from None
    if not operators:
        raise InputError(f"{path}: not a whole {path.suffix} file (it holds no operator).")
    return Inspection(path.name, len(content), operators)


# --- TFLite --------------------------------------------------------------------------------------


def _tflite_operators(content: bytes) -> Iterator[Operator]:
    from ai_edge_litert import schema_py_generated as schema

    from export.writers.flatbuffer import operator_kind

    if content[4:8] != b"TFL3":
        raise ValueError("its bytes 4 to 8 are not TFL3")
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    types = {v: k.lower() for k, v in vars(schema.TensorType).items() if not k.startswith("_")}
    seen: set[int] = set()
    for graph in model.subgraphs:
        for operator in graph.operators:
            inputs = [graph.tensors[i] for i in operator.inputs if i >= 0]
            constants = [t for t in inputs if model.buffers[t.buffer].data is not None]
            computed = [t for t in inputs if model.buffers[t.buffer].data is None]
            output = graph.tensors[operator.outputs[0]]
            precision = types[output.type]
            if precision == "float32" and any(types[t.type] == "int8" for t in constants):
                precision = "hybrid"
            elif precision == "float32" and computed and types[computed[0].type] != "float32":
                precision = types[computed[0].type]  # it dequantizes what it made of integers
            yield Operator(
                operator_kind(model, operator),
                precision,
                () if output.shape is None else tuple(int(n) for n in output.shape),
                sum(
                    _new_bytes(t.buffer, len(model.buffers[t.buffer].data), seen) for t in constants
                ),
                (output.name or b"").decode(errors="replace"),
            )


def _new_bytes(key: Any, size: int, seen: set[Any]) -> int:
    if key in seen:
        return 0
    seen.add(key)
    return size


# --- ONNX ----------------------------------------------------------------------------------------


def _onnx_operators(content: bytes) -> Iterator[Operator]:
    import onnx
    from onnx.shape_inference import infer_shapes

    model = infer_shapes(onnx.load_from_string(content))
    yield from _onnx_graph(model.graph, set())


def _onnx_graph(graph: Any, seen: set[str]) -> Iterator[Operator]:
    """QDQ: an operator between dequantized inputs and a quantized output computes in integers.

    That is what ONNX Runtime makes of it when it opens the file. Whether they have a sign, which
    depends on what processors have kernels for, is not told apart.
    """
    import onnx
    from onnx import numpy_helper

    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    made_by = {name: node for node in graph.node for name in node.output}
    stored_as = {
        node.input[0]: constants[node.input[2]].dtype.name.removeprefix("u")
        for node in graph.node
        if node.op_type == "QuantizeLinear" and len(node.input) > 2 and node.input[2] in constants
    }
    types = {
        value.name: value.type.tensor_type
        for value in (*graph.value_info, *graph.input, *graph.output)
    }
    for node in graph.node:
        output = types.get(node.output[0])
        shape = () if output is None else tuple(d.dim_value for d in output.shape.dim)
        quantized_in = bool(node.input) and all(
            name in constants
            or not name
            or (name in made_by and made_by[name].op_type == "DequantizeLinear")
            for name in node.input
        )
        if node.op_type not in CONVERSIONS and quantized_in and node.output[0] in stored_as:
            precision = stored_as[node.output[0]]
        elif output is None or not output.elem_type:
            precision = "float32"
        else:
            precision = onnx.helper.tensor_dtype_to_np_dtype(output.elem_type).name
        used = [name for name in node.input if name in constants]
        # Weights stand before the DequantizeLinear that an operator reads.
        yield Operator(
            node.op_type,
            precision,
            shape,
            sum(_new_bytes(name, int(np.asarray(constants[name]).nbytes), seen) for name in used),
            node.name or node.output[0],
        )
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.GRAPH:
                yield from _onnx_graph(attribute.g, seen)
