"""Convolutions of ONNX files take on what follows them, and compute the same."""

import numpy as np
import onnx
import onnxruntime
import pytest
import small_models
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from export.convert import Precision
from export.writers.onnx import write_onnx
from export.writers.onnx_convolutions import join_convolutions

CHANNELS, SAMPLES = 4, 10


def graph_of(steps, fused_relu=True, second_reader=False):
    """A 2-D convolution of a 1-D signal in the layout of tf2onnx, with these steps behind it."""
    random = np.random.default_rng(0)
    constants = {
        "kernel": random.normal(size=(CHANNELS, 3, 1, 3)).astype(np.float32),
        "axes": np.array([2], np.int64),
    }
    nodes = [
        helper.make_node("Conv", ["x", "kernel"], ["conv"], pads=[0, 1, 0, 1]),
        helper.make_node("Squeeze", ["conv", "axes"], ["squeezed"]),
        helper.make_node("Transpose", ["squeezed"], ["last"], perm=[0, 2, 1]),
    ]
    tensor = "last"
    for number, (kind, shape) in enumerate(steps):
        constants[f"c{number}"] = random.normal(size=shape).astype(np.float32)
        inputs = [tensor, f"c{number}"][:: 1 if number % 2 else -1]
        nodes.append(helper.make_node(kind, inputs, [f"s{number}"]))
        tensor = f"s{number}"
    if fused_relu:
        nodes.append(helper.make_node("Relu", [tensor], ["relu"]))
        tensor = "relu"
    outputs = [helper.make_tensor_value_info("y", 1, None)]
    nodes.append(helper.make_node("Identity", [tensor], ["y"]))
    if second_reader:
        nodes.append(helper.make_node("Identity", ["last"], ["z"]))
        outputs.append(helper.make_tensor_value_info("z", 1, None))
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", 1, [1, 3, 1, SAMPLES])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def answers(model):
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    x = np.random.default_rng(1).normal(size=(1, 3, 1, SAMPLES)).astype(np.float32)
    return session.run(None, {"x": x})


def kinds(model):
    return [node.op_type for node in model.graph.node]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["Add", "Mul"]),
        st.sampled_from(
            [(CHANNELS,), (1, 1, CHANNELS), (1,), (), (SAMPLES, 1), (SAMPLES, CHANNELS)]
        ),
    ),
    max_size=4,
)


@settings(max_examples=40, deadline=None)
@given(STEPS, st.booleans(), st.booleans())
def test_answers_stay(steps, relu, second_reader):
    model = graph_of(steps, relu, second_reader)
    before = answers(model)
    join_convolutions(model)
    for was, now in zip(before, answers(model), strict=True):
        np.testing.assert_allclose(now, was, rtol=1e-4, atol=1e-5)
    joinable = all(len(shape) == 0 or (shape[-1] in (1, CHANNELS) and max(shape) <= CHANNELS)
                   for _, shape in steps)  # fmt: skip
    if joinable and not second_reader:
        assert not {"Add", "Mul"} & set(kinds(model))
        if relu:
            assert kinds(model)[:2] == ["Conv", "Relu"]
    if second_reader:
        assert kinds(model).count("Add") + kinds(model).count("Mul") == len(steps)


def test_nothing_is_left_over():
    model = graph_of([("Mul", (CHANNELS,)), ("Add", (1, 1, CHANNELS))])
    join_convolutions(model)
    assert kinds(model) == ["Conv", "Relu", "Squeeze", "Transpose", "Identity"]
    used = {name for node in model.graph.node for name in node.input}
    assert {tensor.name for tensor in model.graph.initializer} <= used


def test_exported_students_have_no_bias_beside_a_convolution():
    graph = onnx.load_from_string(write_onnx(small_models.student())).graph
    convolutions = sum(node.op_type == "Conv" for node in graph.node)
    assert convolutions > 8
    assert not [node for node in graph.node if node.op_type == "Mul"]
    residual = sum("_add" in node.name for node in graph.node if node.op_type == "Add")
    assert sum(node.op_type == "Add" for node in graph.node) == residual


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_recurrent_weights_are_stored_as_int8(cell, windows):
    content = write_onnx(small_models.recurrent(cell), Precision.INT8, windows[:8])
    graph = onnx.load_from_string(content).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    made = {name: node for node in graph.node for name in node.output}
    recurrent = [node for node in graph.node if node.op_type == cell.upper()]
    assert recurrent
    for node in recurrent:
        for name in node.input[1:3]:
            weights = constants[made[name].input[0]]
            assert weights.dtype == np.int8
            assert np.abs(weights).max() == 127


def test_int8_weights_do_not_overflow_processors_without_vnni(windows):
    """Two products of 8-bit numbers, added in 16 bits, need weights of 7 bits."""
    content = write_onnx(small_models.student(), Precision.INT8, windows[:8])
    graph = onnx.load_from_string(content).graph
    constants = {t.name: numpy_helper.to_array(t) for t in graph.initializer}
    made = {name: node for node in graph.node for name in node.output}
    kernels = [
        constants[made[node.input[1]].input[0]] for node in graph.node if node.op_type == "Conv"
    ]
    assert len(kernels) > 8
    for kernel in kernels:
        assert kernel.dtype == np.int8
        assert np.abs(kernel.astype(int)).max() <= 64
