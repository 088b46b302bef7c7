"""Conversions with the real converters, and converters that misbehave."""

import sys
import textwrap

import numpy as np
import pytest
import small_models

from baseline.checkpoint import save_keras
from baseline.errors import InputError
from baseline.keras import keras
from compress.evaluation.cost import operators
from compress.evaluation.inspection import inspect
from compress.evaluation.parity import compare_outputs
from export.convert import PRECISIONS, ConversionError, Format, Precision, convert
from export.runtimes import KerasRunner, TfliteRunner, load_runner

DIFFERENCES = {
    Precision.FLOAT32: (0.0, 1e-6),
    Precision.FLOAT16: (1e-7, 1e-3),
    Precision.DYNAMIC: (1e-9, 0.01),
    Precision.INT16: (1e-6, 3e-3),
    Precision.INT8: (1e-5, 0.01),
}
"""Between which the root mean square of an export's differences lies."""


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """What runs a student, and its file."""
    folder = tmp_path_factory.mktemp("student")
    model = small_models.student()
    save_keras(model, folder / "model.keras")
    return KerasRunner(model), folder / "model.keras"


WRITTEN = [(format, precision) for format in Format for precision in PRECISIONS[format]]


@pytest.mark.parametrize(("format", "precision"), WRITTEN)
def test_exports_compute_what_keras_computes(format, precision, student, windows, tmp_path):
    origin, path = student
    output = tmp_path / f"model.{format.value}"
    convert(path, output, format, precision, windows if precision.calibrated else None)
    parity = compare_outputs(load_runner(output), origin, windows)
    assert parity.windows == 64
    least, most = DIFFERENCES[precision]
    assert least < parity.rms_difference < most
    computes = {o.precision for o in inspect(output).computing_in("int8", "int16", "float32")}
    assert computes == {
        Precision.INT8: {"int8"}, Precision.INT16: {"int16"}
    }.get(precision, {"float32"})  # fmt: skip


def test_what_a_format_has_not_is_refused(student, tmp_path):
    with pytest.raises(InputError, match=r"onnx is not written in float16.*float32, int16x8"):
        convert(student[1], tmp_path / "out", Format.ONNX, Precision.FLOAT16)
    with pytest.raises(ValueError, match="int8 needs calibration windows"):
        convert(student[1], tmp_path / "out", Format.ONNX, Precision.INT8)


def test_cells_of_a_fused_lstm_are_not_clipped(tmp_path):
    """A cell that counts up for 12 steps and down for 12 ends where it started."""
    waveform = keras.Input((6000, 3), name="waveform")
    x = keras.layers.AveragePooling1D(250)(waveform)
    x = keras.layers.LSTM(2, return_sequences=True, name="counter")(x)
    x = keras.layers.Reshape((6000, 3))(keras.layers.Dense(750)(x))
    model = keras.Model(waveform, x)
    counter = model.get_layer("counter")
    kernel, recurrent, _ = (np.zeros_like(weight) for weight in counter.get_weights())
    kernel[:, 4:6] = 3.0  # the candidate follows the sign of the input
    bias = np.array([9, 9, 9, 9, 0, 0, 9, 9], np.float32)  # all other gates stand open
    counter.set_weights([kernel, recurrent, bias])
    up_and_down = np.ones((64, 6000, 3), np.float32)
    up_and_down[:, 3000:] = -1.0

    save_keras(model, tmp_path / "model.keras")
    convert(tmp_path / "model.keras", tmp_path / "model.tflite", Format.TFLITE)
    assert operators(tmp_path / "model.tflite")["UNIDIRECTIONAL_SEQUENCE_LSTM"] == 1
    runner = load_runner(tmp_path / "model.tflite")
    parity = compare_outputs(runner, KerasRunner(model), up_and_down)
    assert parity.maximum_difference < 1e-5


class Forgetful(TfliteRunner):
    """A runner that does not reset the state between windows."""

    def _one(self, window):
        self._interpreter.set_tensor(self._input["index"], window[None])
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._outputs[0]["index"])[0].copy()


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_state_is_not_carried_from_window_to_window(cell, windows, tmp_path):
    model = small_models.recurrent(cell)
    save_keras(model, tmp_path / "model.keras")
    convert(tmp_path / "model.keras", tmp_path / "model.tflite", Format.TFLITE)
    origin = KerasRunner(model)
    good = compare_outputs(load_runner(tmp_path / "model.tflite"), origin, windows)
    assert good.maximum_difference < 1e-5
    if cell == "lstm":  # fused into an operator that remembers
        bad = compare_outputs(Forgetful(tmp_path / "model.tflite"), origin, windows)
        assert bad.maximum_difference > 1e-3, "parity over many windows should catch it"


@pytest.fixture
def misbehaving(tmp_path, monkeypatch):
    """Makes a converter module out of a few lines."""

    def module(code):
        (tmp_path / "misbehaving_worker.py").write_text(textwrap.dedent(code))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        return "misbehaving_worker"

    return module


MISBEHAVIOUR = {
    "crashes": ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "crashed \\(SIGSEGV\\)"),
    "hangs": ("import time\ntime.sleep(60)", "not finished after 2 s"),
    "says nothing": ("raise SystemExit(0)", "without a result"),
    "explains": ("raise RuntimeError('layer x is not supported')", "layer x is not supported"),
    "leaves an empty file": (
        "import sys\nopen(sys.argv[4], 'w').close()",
        "without a result",
    ),
}


@pytest.mark.parametrize("what", MISBEHAVIOUR)
def test_converter_that_misbehaves_is_an_error(what, misbehaving, student, tmp_path):
    code, expected = MISBEHAVIOUR[what]
    output = tmp_path / "model.tflite"
    output.write_bytes(b"what was there before")
    with pytest.raises(ConversionError, match=expected):
        convert(student[1], output, Format.TFLITE, time_limit_s=2, worker=misbehaving(code))
    assert output.read_bytes() == b"what was there before"
    assert not list(tmp_path.glob(".convert-*"))


def test_memory_is_bounded(student, tmp_path):
    with pytest.raises(ConversionError):
        convert(student[1], tmp_path / "out", Format.TFLITE, memory_limit_bytes=200 * 2**20)


def test_calibration_is_handed_over_without_pickle(student, tmp_path):
    code = f"""
        import sys
        import numpy as np
        windows = np.load(sys.argv[5], allow_pickle=False)
        assert windows.shape == (16, 6000, 3)
        open(sys.argv[4], "wb").write(b"{sys.platform}")
    """
    module = tmp_path / "seeing_worker.py"
    module.write_text(textwrap.dedent(code))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(tmp_path))
        convert(
            student[1],
            tmp_path / "out",
            Format.TFLITE,
            Precision.INT8,
            np.zeros((16, 6000, 3), np.float32),
            worker="seeing_worker",
        )
    assert (tmp_path / "out").read_bytes() == sys.platform.encode()
