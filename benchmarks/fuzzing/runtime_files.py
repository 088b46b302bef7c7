"""Bad `.tflite` and `.onnx` files, made of the released students."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from onnx import TensorProto, helper

from benchmarks.fuzzing.cases import Arguments, Case, cuts, damaged
from benchmarks.fuzzing.contained import ROOT
from export.writers.flatbuffer import edit

TFLITE = ROOT / "artifacts/released/student-small-tflite-float32/model.tflite"
MAXIMUM_NESTED_BYTES = 100_000
ONNX = ROOT / "artifacts/released/student-small-onnx-float32/model.onnx"


def inspected(folder: Path, ending: str, content: bytes) -> Arguments:
    """`compress inspect`, which opens the file, runs it once and takes it apart."""
    path = folder / f"model.{ending}"
    path.write_bytes(content)
    return ["inspect", path]


@cache
def tflite() -> bytes:
    """A valid file."""
    return TFLITE.read_bytes()


@cache
def onnx_content() -> bytes:
    """A valid file."""
    return ONNX.read_bytes()


def _picking(folder: Path, ending: str, content: bytes) -> Arguments:
    """`compress pick`, to which an answer that is no number must not look like no pick."""
    from benchmarks.fuzzing.records import valid_recording

    _, model = inspected(folder, ending, content)
    return ["pick", model, valid_recording(folder), "--csv", folder / "picks.csv"]


def cases() -> Iterator[Case]:
    """See `benchmarks.fuzzing.cases.named`."""
    yield from cuts("tflite", lambda folder, c: inspected(folder, "tflite", c), tflite())
    for name, change in TFLITE_CHANGES.items():
        yield Case("tflite", name, lambda folder, change=change: _changed_tflite(folder, change))
    for name, content in TFLITE_CONTENTS.items():
        yield Case("tflite", name, lambda folder, c=content: inspected(folder, "tflite", c))
    for name, value in (("weights that are no numbers", np.nan), ("infinite weights", np.inf)):
        yield Case(
            "tflite", name, lambda f, v=value: _picking(f, "tflite", edit(tflite(), _weights(v)))
        )
    yield Case("onnx", "weights that are no numbers", _picking_onnx)
    yield from cuts("onnx", lambda folder, c: inspected(folder, "onnx", c), onnx_content())
    for name, change in ONNX_CHANGES.items():
        yield Case("onnx", name, lambda folder, change=change: _changed_onnx(folder, change))
    for name, graph in ONNX_GRAPHS.items():
        yield Case("onnx", name, lambda folder, make=graph: _made_onnx(folder, make))


# --- TFLite --------------------------------------------------------------------------------------


def _changed_tflite(folder: Path, change: Callable[[Any], None]) -> Arguments:
    return inspected(folder, "tflite", edit(tflite(), change))


def _first(model: Any, kind: int) -> Any:
    """The first operator of a kind."""
    return next(
        operator
        for operator in model.subgraphs[0].operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode == kind
    )


def _shape(which: str, *shape: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        graph = model.subgraphs[0]
        index = {"input": graph.inputs[0], "output": graph.outputs[0], "middle": 5}[which]
        graph.tensors[index].shape = np.array(shape, np.int32)

    return change


def _weights(value: float) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        largest = max((b for b in model.buffers if b.data is not None), key=lambda b: len(b.data))
        floats = np.full(len(largest.data) // 4, value, np.float32)
        largest.data = np.frombuffer(floats.tobytes(), np.uint8)

    return change


def _operator(**changes: Any) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        operator = model.subgraphs[0].operators[2]
        for name, value in changes.items():
            setattr(operator, name, value)

    return change


def _custom(model: Any) -> None:
    code = model.operatorCodes[0]
    code.builtinCode, code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM, 32
    code.customCode = b"/bin/sh"


def _small_buffers(model: Any) -> None:
    for buffer in model.buffers:
        if buffer.data is not None and len(buffer.data) > 4:
            buffer.data = buffer.data[:4]


def _stride(stride: int) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        options = _first(model, schema.BuiltinOperator.CONV_2D).builtinOptions
        options.strideW = options.strideH = stride

    return change


def _endless(model: Any) -> None:
    """A WHILE whose condition is always true."""
    condition, body = schema.SubGraphT(), schema.SubGraphT()
    truth, carried = schema.TensorT(), schema.TensorT()
    constant = schema.BufferT()
    constant.data = np.array([1], np.uint8)
    model.buffers.append(constant)
    truth.shape, truth.type, truth.buffer = (
        np.array([], np.int32), schema.TensorType.BOOL, len(model.buffers) - 1,
    )  # fmt: skip
    carried.shape, carried.type, carried.buffer = (
        np.array([1, 6000, 3], np.int32), schema.TensorType.FLOAT32, 0,
    )  # fmt: skip
    for graph, tensors, outputs in ((condition, [carried, truth], [1]), (body, [carried], [0])):
        graph.tensors, graph.operators = tensors, []
        graph.inputs, graph.outputs = np.array([0], np.int32), np.array(outputs, np.int32)
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.WHILE
    code.version = 1
    model.operatorCodes.append(code)
    options = schema.WhileOptionsT()
    options.condSubgraphIndex, options.bodySubgraphIndex = 1, 2
    loop = schema.OperatorT()
    loop.opcodeIndex = len(model.operatorCodes) - 1
    loop.inputs, loop.outputs = model.subgraphs[0].inputs, model.subgraphs[0].outputs
    loop.builtinOptionsType, loop.builtinOptions = schema.BuiltinOptions.WhileOptions, options
    model.subgraphs[0].operators = [loop]
    model.subgraphs += [condition, body]


TFLITE_CHANGES: dict[str, Callable[[Any], None]] = {
    "another input": _shape("input", 1, 3000, 3),
    "an input of negative size": _shape("input", 1, -6000, 3),
    "an output of 2**62 numbers": _shape("output", 2**31 - 1, 2**31 - 1, 3),
    "a tensor in the middle of 2**31 - 1 numbers": _shape("middle", 1, 2**31 - 1, 1, 1),
    "a tensor without a shape": _shape("middle"),
    "constants of four bytes": _small_buffers,
    "an operator of somebody's own": _custom,
    "a stride of 0": _stride(0),
    "a negative stride": _stride(-1),
    "a stride of 2**31 - 1": _stride(2**31 - 1),
    "an input index far outside": _operator(inputs=np.array([10**6, 1, 2], np.int32)),
    "a negative input index": _operator(inputs=np.array([-5, -5, -5], np.int32)),
    "an output index far outside": _operator(outputs=np.array([10**6], np.int32)),
    "an operator without inputs": _operator(inputs=np.array([], np.int32)),
    "an operator that feeds itself": _operator(inputs=np.array([5, 5, 5], np.int32),
                                               outputs=np.array([5], np.int32)),
    "an operator code far outside": _operator(opcodeIndex=4000),
    "a loop without end": _endless,
    "no graph": lambda model: setattr(model, "subgraphs", []),
    "no constants": lambda model: setattr(model, "buffers", model.buffers[:1]),
    "two inputs": lambda model: setattr(
        model.subgraphs[0], "inputs", np.array([0, 5], np.int32)
    ),
    "no output": lambda model: setattr(model.subgraphs[0], "outputs", np.array([], np.int32)),
}  # fmt: skip

TFLITE_CONTENTS = {
    "zeros": bytes(10_000),
    "text": b"this is no model\n" * 100,
    "only an identifier": b"\x1c\0\0\0TFL3",
    "offsets that point at themselves": b"\0\0\0\0TFL3" + b"\xff" * 500,
}


# --- ONNX ----------------------------------------------------------------------------------------


def _changed_onnx(folder: Path, change: Callable[[onnx.ModelProto], None]) -> Arguments:
    model = onnx.load_model_from_string(onnx_content())
    change(model)
    return inspected(folder, "onnx", model.SerializeToString())


def _external(location: str) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        entry = tensor.external_data.add()
        entry.key, entry.value = "location", location

    return change


def _initializer(**changes: Any) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        tensor = model.graph.initializer[0]
        for name, value in changes.items():
            if name == "dims":
                del tensor.dims[:]
                tensor.dims.extend(value)
            else:
                setattr(tensor, name, value)

    return change


def _node(**changes: Any) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        for name, value in changes.items():
            setattr(model.graph.node[0], name, value)

    return change


def _feeds_itself(model: onnx.ModelProto) -> None:
    model.graph.node[0].input[0] = model.graph.node[-1].output[0]


def _not_numbers(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.data_type == TensorProto.FLOAT:
            tensor.raw_data = np.full(len(tensor.raw_data) // 4, np.nan, np.float32).tobytes()


def _picking_onnx(folder: Path) -> Arguments:
    model = onnx.load_model_from_string(onnx_content())
    _not_numbers(model)
    return _picking(folder, "onnx", model.SerializeToString())


def _input_dimension(size: int) -> Callable[[onnx.ModelProto], None]:
    def change(model: onnx.ModelProto) -> None:
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = size

    return change


ONNX_CHANGES: dict[str, Callable[[onnx.ModelProto], None]] = {
    "weights in /etc/passwd": _external("/etc/passwd"),
    "weights in a parent folder": _external("../../../../../../etc/passwd"),
    "weights in a device": _external("/dev/zero"),
    "weights in a file beside it": _external("weights.bin"),
    "a constant of 2**60 numbers": _initializer(dims=[2**30, 2**30]),
    "a constant of negative size": _initializer(dims=[-1, 3]),
    "a constant of an unknown type": _initializer(data_type=99),
    "an operator of somebody's own": _node(domain="evil", op_type="Run"),
    "an unknown operator": _node(op_type="Shell"),
    "an operator name that is no text": _node(op_type="Conv\0\x7f"),
    "a graph that feeds itself": _feeds_itself,
    "an input of 3000 samples": _input_dimension(3000),
    "an input of 2**40 samples": _input_dimension(2**40),
    "an opset of the future": lambda m: setattr(m.opset_import[0], "version", 10**6),
    "no graph": lambda model: model.ClearField("graph"),
    "no output": lambda model: model.graph.ClearField("output"),
}


def _made_onnx(folder: Path, make: Callable[[], onnx.GraphProto]) -> Arguments:
    model = helper.make_model(make(), opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return inspected(folder, "onnx", model.SerializeToString())


def _ends() -> tuple[list[Any], list[Any]]:
    shape = [1, 6000, 3]
    return (
        [helper.make_tensor_value_info("waveform", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("prediction", TensorProto.FLOAT, shape)],
    )


def _long_loop() -> onnx.GraphProto:
    """2**62 rounds of nothing."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["on"]),
            helper.make_node("Sigmoid", ["carried"], ["next"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("carried", TensorProto.FLOAT, [1, 6000, 3]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.FLOAT, [1, 6000, 3]),
        ],
    )
    rounds = helper.make_tensor("rounds", TensorProto.INT64, [], [2**62])
    go = helper.make_tensor("always", TensorProto.BOOL, [], [True])
    loop = helper.make_node("Loop", ["rounds", "always", "waveform"], ["prediction"], body=body)
    return helper.make_graph([loop], "g", *_ends(), initializer=[rounds, go])


def _expands() -> onnx.GraphProto:
    """40 GB out of 72 kB."""
    shape = helper.make_tensor("shape", TensorProto.INT64, [4], [555_555, 1, 6000, 3])
    nodes = [
        helper.make_node("Expand", ["waveform", "shape"], ["wide"]),
        helper.make_node("ReduceMax", ["wide"], ["prediction"], axes=[0], keepdims=0),
    ]
    return helper.make_graph(nodes, "g", *_ends(), initializer=[shape])


def _nested() -> onnx.GraphProto:
    """Branches within branches, each of two copies of the one before."""
    graph = helper.make_graph(
        [helper.make_node("Identity", ["waveform"], ["out"])], "g", [],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 6000, 3])],
    )  # fmt: skip
    go = helper.make_tensor("always", TensorProto.BOOL, [], [True])
    while len(graph.SerializeToString()) < MAXIMUM_NESTED_BYTES:
        branch = helper.make_node("If", ["always"], ["out"], then_branch=graph, else_branch=graph)
        graph = helper.make_graph(
            [branch], "g", [],
            [helper.make_tensor_value_info("out", TensorProto.FLOAT, [1, 6000, 3])],
        )  # fmt: skip
    whole = [*graph.node, helper.make_node("Sigmoid", ["absent"], ["prediction"])]
    return helper.make_graph(whole, "g", *_ends(), initializer=[go])


ONNX_GRAPHS = {
    "a loop of 2**62 rounds": _long_loop,
    "an expansion to 40 GB": _expands,
    "branches within branches": _nested,
}

RANDOM = {
    "tflite": lambda random, folder: inspected(folder, "tflite", damaged(tflite(), random)),
    "onnx": lambda random, folder: inspected(folder, "onnx", damaged(onnx_content(), random)),
}
