"""A process that tries one runtime: `python -m compress.doctor_checks NAME FOLDER`.

Started by compress.doctor, so that a crash ends this process and no other. Each check makes the
model that is nothing but a sigmoid in its own format and compares what comes out with the sigmoid
that NumPy computes; the last line on standard error is the reason where that fails.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baseline.contract import WINDOW_SHAPE
from export.convert import Format, Precision, convert
from export.runtimes import load_runner

TOLERANCE = 1e-4
SHAPE = (1, *WINDOW_SHAPE)

KERAS_FILE = "sigmoid.keras"


def check_litert(folder: Path) -> None:
    """A `.tflite` file, written without TensorFlow."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    from export.writers.flatbuffer import TFLITE_IDENTIFIER

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.LOGISTIC
    code.version = 1
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = 0, [0], [1]
    graph = schema.SubGraphT()
    graph.inputs, graph.outputs, graph.operators = [0], [1], [operator]
    graph.tensors = [schema.TensorT(), schema.TensorT()]
    for tensor in graph.tensors:
        tensor.shape, tensor.type, tensor.buffer = list(SHAPE), schema.TensorType.FLOAT32, 0
    model = schema.ModelT()
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT()]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), TFLITE_IDENTIFIER)
    file = folder / "sigmoid.tflite"
    file.write_bytes(builder.Output())
    _require_sigmoid(file)


def check_onnxruntime(folder: Path) -> None:
    """An `.onnx` file."""
    import onnx
    from onnx import TensorProto, helper

    ends = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, SHAPE)
        for name in ("waveform", "prediction")
    ]
    node = helper.make_node("Sigmoid", ["waveform"], ["prediction"])
    graph = helper.make_graph([node], "sigmoid", ends[:1], ends[1:])
    opset = helper.make_opsetid("", 17)
    file = folder / "sigmoid.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[opset], ir_version=8), file)
    _require_sigmoid(file)


def check_keras(folder: Path) -> None:
    """A `.keras` file, which the conversions take."""
    from baseline.checkpoint import save_keras
    from baseline.keras import keras

    inputs = keras.Input(WINDOW_SHAPE, name="waveform")
    save_keras(keras.Model(inputs, keras.activations.sigmoid(inputs)), folder / KERAS_FILE)
    _require_sigmoid(folder / KERAS_FILE)


def check_to_tflite(folder: Path) -> None:
    """The conversion of `check_keras`'s file."""
    _convert(folder, Format.TFLITE)


def check_to_onnx(folder: Path) -> None:
    """The conversion of `check_keras`'s file."""
    _convert(folder, Format.ONNX)


CHECKS: dict[str, Callable[[Path], None]] = {
    "LiteRT": check_litert,
    "ONNX Runtime": check_onnxruntime,
    "Keras 2": check_keras,
    "Keras to TFLite": check_to_tflite,
    "Keras to ONNX": check_to_onnx,
}
"""By the name of what is tried, in an order in which later ones find what they need."""


def _convert(folder: Path, format: Format) -> None:
    file = folder / f"converted.{format.value}"
    convert(folder / KERAS_FILE, file, format, Precision.FLOAT32)
    _require_sigmoid(file)


def _require_sigmoid(file: Path) -> None:
    windows: NDArray[np.float32] = np.linspace(-8, 8, 2 * np.prod(SHAPE), dtype=np.float32)
    windows = windows.reshape(2, *WINDOW_SHAPE)
    difference = float(np.abs(load_runner(file)(windows) - 1 / (1 + np.exp(-windows))).max())
    if not difference <= TOLERANCE:
        raise RuntimeError(f"its answers are wrong by {difference:.3g}")


if __name__ == "__main__":
    CHECKS[sys.argv[1]](Path(sys.argv[2]))
