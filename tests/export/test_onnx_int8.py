"""What int8 ONNX files hold, and what ONNX Runtime makes of them."""

from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
import small_models
from onnx import numpy_helper

from export.convert import Precision
from export.writers.onnx import write_onnx


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
