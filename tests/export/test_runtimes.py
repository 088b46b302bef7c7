"""Runners: outputs by name and never by position; files that cannot be run."""

from pathlib import Path

import numpy as np
import pytest
import small_models

from baseline.checkpoint import save_keras
from baseline.errors import InputError
from baseline.keras import keras, tf
from baseline.processes import usable_threads
from export.runtimes import KerasRunner, ParallelRunner, load_parallel_runner, load_runner

ROOT = Path(__file__).resolve().parents[2]
HEADS = {"picker_S": 0.75, "detector": 0.25, "picker_P": 0.5}


class Heads(tf.Module):
    """Three separate outputs of known values, in an order of their own."""

    @tf.function(input_signature=[tf.TensorSpec((1, 6000, 3), tf.float32, name="waveform")])
    def predict(self, waveform):
        zero = tf.reduce_sum(waveform, axis=-1, keepdims=True) * 0.0
        return {name: zero + value for name, value in HEADS.items()}


@pytest.fixture(scope="module")
def heads(tmp_path_factory):
    import tf2onnx

    folder = tmp_path_factory.mktemp("heads")
    module = Heads()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.predict.get_concrete_function()], module
    )
    (folder / "heads.tflite").write_bytes(converter.convert())
    model, _ = tf2onnx.convert.from_function(
        module.predict, input_signature=module.predict.input_signature, opset=17
    )
    (folder / "heads.onnx").write_bytes(model.SerializeToString())
    return folder


@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_separate_outputs_are_ordered_by_name(ending, heads):
    prediction = load_runner(heads / f"heads.{ending}")(np.ones((2, 6000, 3), np.float32))
    assert prediction.shape == (2, 6000, 3)
    np.testing.assert_allclose(prediction[:, 0], [[0.25, 0.5, 0.75]] * 2)


def test_any_number_of_windows(tmp_path, windows):
    save_keras(small_models.student(), tmp_path / "model.keras")
    runner = load_runner(tmp_path / "model.keras")
    assert runner(windows[:1]).shape == (1, 6000, 3)
    np.testing.assert_allclose(runner(windows[:35])[34], runner(windows[34:35])[0], atol=1e-5)


@pytest.mark.parametrize("kind", ["tflite-float32", "tflite-int8", "onnx-float32"])
def test_on_several_threads_the_answers_are_those_of_one(kind, windows):
    (path,) = (ROOT / f"artifacts/released/student-{kind}").glob("model.*")
    alone = load_runner(path)
    expected = alone(windows[:7])
    runner = load_parallel_runner(path)
    assert len(runner._runners) == usable_threads()
    for several in (runner, ParallelRunner([load_runner(path) for _ in range(3)])):
        for number in (1, 2, 7):
            np.testing.assert_array_equal(several(windows[:number]), expected[:number])


@pytest.mark.parametrize("name", ["model.tflite", "model.onnx", "model.keras", "model.h5"])
@pytest.mark.parametrize("content", [b"", b"not a model at all", bytes(1000)])
def test_what_is_no_model_is_refused(name, content, tmp_path):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=name):
        load_runner(tmp_path / name)


def test_missing_and_unknown_files_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_runner(tmp_path / "model.tflite")
    (tmp_path / "model.pt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"\.tflite, \.onnx"):
        load_runner(tmp_path / "model.pt")


def test_model_of_another_shape_is_refused():
    x = keras.Input((3000, 3))
    with pytest.raises(InputError, match="3000"):
        KerasRunner(keras.Model(x, keras.layers.Conv1D(3, 1)(x)))


class OutOfRange(tf.Module):
    """Looks up a place that the window itself names, and that there may not be."""

    @tf.function(input_signature=[tf.TensorSpec((1, 6000, 3), tf.float32, name="waveform")])
    def predict(self, waveform):
        place = tf.cast(tf.reduce_max(waveform), tf.int32)
        return {"prediction": waveform * tf.gather(tf.constant([0.0, 1.0]), place)}


def test_runtime_that_stops_in_the_middle_is_said(tmp_path):
    module = OutOfRange()
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [module.predict.get_concrete_function()], module
    )
    path = tmp_path / "lookup.tflite"
    path.write_bytes(converter.convert())
    runner = load_runner(path)
    window = np.ones((1, 6000, 3), np.float32)
    np.testing.assert_array_equal(runner(window), window)
    with pytest.raises(InputError, match=r"lookup\.tflite: TFLite stopped in the middle of it"):
        runner(100 * window)
