"""What int8 ONNX files hold, and what ONNX Runtime makes of them."""

from collections import Counter

import numpy as np
import onnx
import onnx.reference
import onnxruntime
import pytest
import small_models
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from onnx import numpy_helper

from baseline.keras import keras
from compress.students import UNetStudent, build_student
from export.convert import Precision
from export.writers.onnx import write_onnx
from export.writers.onnx_bounds import drop_idle_bounds


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


def test_nothing_but_the_ends_of_a_student_runs_in_float(windows, tmp_path):
    """Skip connections, which two operators read, are where ONNX Runtime used to leave integers."""
    content = write_onnx(small_models.student(), Precision.INT8, windows[:8])
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "as_run.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    graph = onnx.load(tmp_path / "as_run.onnx").graph
    used = Counter(node.op_type for node in graph.node)
    assert not used.keys() & {"Conv", "Add", "Sigmoid", "MatMul"}
    assert used["QLinearConv"] > 8
    assert used["QuantizeLinear"] == used["DequantizeLinear"] == 1


# --- Bounds --------------------------------------------------------------------------------------


def saturated(limit, blocks=1):
    config = UNetStudent(
        stem="blocks", stem_stride=16, stem_kernel=blocks, channels=(4, 8), kernel=3, refine=False,
        saturation=limit,
    )  # fmt: skip
    keras.utils.set_random_seed(0)
    return small_models.settled(build_student(config))


def kinds_of(content):
    return Counter(node.op_type for node in onnx.load_from_string(content).graph.node)


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_saturated_student_is_bounded_by_quantizing(blocks, windows):
    """Calibrated on windows that reach its bound, it needs no operator to keep to it.

    One step is 0.03, and the lower bound may lie one step from the end.
    """
    loud = 10.0 * windows
    model = saturated(4.0, blocks)
    assert kinds_of(write_onnx(model))["Clip"] == 1
    content = write_onnx(model, Precision.INT8, loud[:8])
    assert kinds_of(content)["Clip"] == 0
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    heard, cut = (
        session.run(None, {"waveform": w[:1]})[0] for w in (loud, np.clip(loud, -4.1, 4.1))
    )
    np.testing.assert_array_equal(heard, cut)
    assert np.abs(model(loud[:1]).numpy() - heard).max() < 0.1


def test_a_bound_that_quantizing_does_not_keep_stays(windows):
    """Ranges narrower than the bound are no reason to leave it out, and neither are wider ones."""
    quiet = 0.01 * windows
    assert kinds_of(write_onnx(saturated(20.0), Precision.INT8, quiet[:8]))["Clip"] == 1


def bounded(low, high, scale, zero, extra=()):
    """A Clip, a Reshape and a QuantizeLinear, and what else reads the Clip."""
    tensors = {
        "low": np.float32(low), "high": np.float32(high), "scale": np.float32(scale),
        "zero": np.uint8(zero), "shape": np.array([2, 3], np.int64),
    }  # fmt: skip
    nodes = [
        onnx.helper.make_node("Clip", ["x", "low", "high"], ["clipped"]),
        onnx.helper.make_node("Reshape", ["clipped", "shape"], ["reshaped"]),
        onnx.helper.make_node("QuantizeLinear", ["reshaped", "scale", "zero"], ["y"]),
        *(onnx.helper.make_node(kind, ["clipped"], [kind]) for kind in extra),
    ]
    graph = onnx.helper.make_graph(
        nodes, "bounded",
        [onnx.helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [6])],
        [onnx.helper.make_tensor_value_info("y", onnx.TensorProto.UINT8, [2, 3])],
        [numpy_helper.from_array(value, name) for name, value in tensors.items()],
    )  # fmt: skip
    return onnx.helper.make_model(graph)


@pytest.mark.parametrize(
    ("model", "idle"),
    [
        (bounded(-20, 20, 40 / 255, 128), True),
        (bounded(-20, 20, 40 / 255, 127), True),
        (bounded(0, 6, 6 / 255, 0), True),
        (bounded(-20, 20, 80 / 255, 128), False),
        (bounded(-20, 20, 40 / 255, 120), False),
        (bounded(-20, 10, 40 / 255, 128), False),
        (bounded(-20, 20, 20 / 255, 128), False),
        (bounded(-20, 20, 40 / 255, 128, extra=["Abs"]), False),
    ],
    ids=["whole", "odd", "relu6", "wide", "moved", "one-sided", "narrow", "read-in-float"],
)
def test_bounds_at_the_ends_of_what_can_be_stored_are_idle(model, idle):
    drop_idle_bounds(model)
    assert [n.op_type for n in model.graph.node if n.op_type == "Clip"] == (
        [] if idle else ["Clip"]
    )
    onnx.checker.check_model(model, full_check=True)
    assert {t.name for t in model.graph.initializer} <= {
        i for n in model.graph.node for i in n.input
    }


@settings(max_examples=100, deadline=None)
@given(values=arrays(np.float32, 6, elements=st.floats(-100, 100, width=32)))
def test_without_an_idle_bound_all_is_stored_as_before(values):
    before, after = bounded(-20, 20, 40 / 255, 128), bounded(-20, 20, 40 / 255, 128)
    drop_idle_bounds(after)
    stored = [
        onnx.reference.ReferenceEvaluator(model).run(None, {"x": values})[0].astype(int)
        for model in (before, after)
    ]
    assert np.abs(stored[0] - stored[1]).max() <= 1
