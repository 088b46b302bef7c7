"""The ways int8 can be asked for: layers in float32, loops, integer ends, ranges by entropy."""

import numpy as np
import onnx
import pytest
import small_models

from baseline.checkpoint import save_keras
from baseline.errors import InputError
from baseline.keras import keras, tf
from compress.evaluation.cost import operators
from compress.evaluation.inspection import inspect
from compress.evaluation.parity import compare_outputs
from export.convert import ConversionError, Format, Int8, Precision, Ranges, convert
from export.runtimes import KerasRunner, load_runner
from export.writers.layers import layer_of, require_size
from export.writers.onnx import write_onnx
from export.writers.tflite import write_tflite

WRITERS = {"tflite": write_tflite, "onnx": write_onnx}


@pytest.fixture
def int8(windows, tmp_path):
    """Writes a model in int8 and returns the file's path."""

    def write(model, format, **options):
        path = tmp_path / f"model.{format}"
        path.write_bytes(WRITERS[format](model, Precision.INT8, windows[:16], Int8(**options)))
        return path

    return write


@pytest.mark.parametrize("format", WRITERS)
def test_a_layer_that_is_to_stay_float_does(format, windows, int8):
    model = small_models.brief()
    names = [layer.name for layer in model.layers if isinstance(layer, keras.layers.Conv1D)]
    whole = int8(model, format)
    apart = compare_outputs(load_runner(whole), KerasRunner(model), windows)
    kinds = {"tflite": "CONV_2D", "onnx": "Conv"}
    convolutions = [o for o in inspect(whole).operators if o.kind == kinds[format]]
    assert {o.precision for o in convolutions} == {"int8"}
    mixed = int8(model, format, float_layers=(names[0],))
    found = [o.precision for o in inspect(mixed).operators if o.kind == kinds[format]]
    assert sorted(found) == sorted(["float32"] + ["int8"] * (len(names) - 1))
    closer = compare_outputs(load_runner(mixed), KerasRunner(model), windows)
    assert closer.rms_difference < apart.rms_difference


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "sigmoid"), ("gru", "hard_sigmoid")])
def test_recurrences_stay_float_and_all_else_is_int8(cell, gate, windows, int8):
    model = small_models.recurrent(cell, gate=gate)
    path = int8(model, "tflite")
    convolutions = [o for o in inspect(path).operators if o.kind == "CONV_2D"]
    assert all(o.precision == "int8" for o in convolutions)
    assert not inspect(path).loops
    parity = compare_outputs(load_runner(path), KerasRunner(model), windows)
    assert parity.rms_difference < 0.005


def test_a_division_is_not_rounded_to_one_by_zero(windows, int8):
    model = small_models.attentive(published=True)
    path = int8(model, "tflite")
    found = inspect(path).operators
    assert [o.precision for o in found if o.kind == "DIV"] == ["float32"]
    assert {o.precision for o in found if o.kind == "SOFTMAX"} == {"int8"}
    parity = compare_outputs(load_runner(path), KerasRunner(model), windows)
    assert parity.rms_difference < 0.02


def test_loops_are_smaller_and_answer_the_same(windows, int8):
    model = small_models.recurrent("lstm", gate="hard_sigmoid")
    unrolled = int8(model, "tflite")
    size, answers = unrolled.stat().st_size, load_runner(unrolled)(windows[:8])
    looped = int8(model, "tflite", loops=True)
    assert operators(looped)["WHILE"] == 3
    assert looped.stat().st_size < 0.5 * size
    np.testing.assert_allclose(load_runner(looped)(windows[:8]), answers, atol=0.02)


def test_a_recurrence_too_long_to_unroll_is_a_float_loop(windows, tmp_path):
    model = small_models.long_recurrent()
    save_keras(model, tmp_path / "model.keras")
    output = tmp_path / "model.tflite"
    convert(tmp_path / "model.keras", output, Format.TFLITE, Precision.INT8, windows[:16])
    assert inspect(output).loops
    parity = compare_outputs(load_runner(output), KerasRunner(model), windows)
    assert parity.rms_difference < 0.01


def test_integer_ends(windows, int8):
    model = small_models.brief()
    usual = load_runner(int8(model, "tflite"))(windows[:8])
    path = int8(model, "tflite", integer_ends=True)
    kinds = [operator.kind for operator in inspect(path).operators]
    assert not {"QUANTIZE", "DEQUANTIZE"} & set(kinds)
    np.testing.assert_allclose(load_runner(path)(windows[:8]), usual, atol=1 / 256)


@pytest.mark.parametrize("ranges", [Ranges.ENTROPY, Ranges.PERCENTILE])
def test_onnx_ranges_by_histogram(ranges, windows, int8):
    model = small_models.brief()
    scales = []
    for way in (Ranges.EXTREMES, ranges):
        path = int8(model, "onnx", ranges=way)
        graph = onnx.load(path).graph
        constants = {t.name: onnx.numpy_helper.to_array(t) for t in graph.initializer}
        rounded = [node for node in graph.node if node.op_type == "QuantizeLinear"]
        scales.append(sorted(float(constants[node.input[1]]) for node in rounded))
        parity = compare_outputs(load_runner(path), KerasRunner(model), windows)
        assert parity.rms_difference < 0.05
    if ranges is Ranges.PERCENTILE:
        assert sum(scales[1]) < sum(scales[0])


def test_onnx_names_are_short_and_constants_there_once(int8):
    graph = onnx.load(int8(small_models.brief(), "onnx")).graph
    assert all(len(t.name) < 6 for t in graph.initializer)
    for constant in graph.initializer:
        constant.name = ""
    contents = [constant.SerializeToString() for constant in graph.initializer]
    assert len(contents) == len(set(contents))
    assert any("first" in node.name for node in graph.node if node.op_type == "Conv")


@pytest.mark.parametrize(
    ("format", "precision", "options", "message"),
    [
        (Format.ONNX, Precision.INT8, {"ranges": Ranges.SEARCHED}, "no ranges by searched"),
        (Format.TFLITE, Precision.INT8, {"ranges": Ranges.ENTROPY}, "no ranges by entropy"),
        (Format.TFLITE, Precision.INT16, {"ranges": Ranges.SEARCHED}, "are for int8"),
        (Format.TFLITE, Precision.FLOAT32, {"loops": True}, "are for int8"),
        (Format.ONNX, Precision.INT8, {"loops": True}, "are for tflite"),
        (Format.ONNX, Precision.INT8, {"integer_ends": True}, "are for tflite"),
    ],
)
def test_what_there_is_not_is_refused(format, precision, options, message, windows, tmp_path):
    calibration = windows[:16] if precision.calibrated else None
    with pytest.raises(InputError, match=message):
        convert(
            tmp_path / "m", tmp_path / "out", format, precision, calibration, Int8(**options)
        )  # fmt: skip


def test_settings_survive_the_way_to_another_process():
    way = Int8(Ranges.SEARCHED, ("a", "b"), loops=True, integer_ends=True)
    assert Int8.from_json(way.to_json()) == way


def test_a_model_that_cannot_be_int8_says_which_layer(windows, tmp_path):
    waveform = keras.Input((6000, 3), name="waveform")
    x = tf.sin(waveform)
    x = keras.layers.Conv1D(3, 3, padding="same", name="after")(x)
    model = keras.Model(waveform, keras.layers.Activation("sigmoid")(x))
    save_keras(model, tmp_path / "model.keras")
    with pytest.raises(ConversionError, match=r"sin.*\(SIN\) cannot be int8"):
        convert(
            tmp_path / "model.keras", tmp_path / "out", Format.TFLITE, Precision.INT8, windows[:16]
        )
    assert [path.name for path in tmp_path.iterdir()] == ["model.keras"]


def test_an_exploded_file_names_the_layer():
    waveform = keras.Input((6000, 3), name="waveform")
    x = keras.layers.Conv1D(3, 3, padding="same", name="small")(waveform)
    model = keras.Model(waveform, x)
    names = [*(f"m/up/split{k}" for k in range(500)), "m/small/Conv"]
    require_size(model, 100_000, names)
    with pytest.raises(ValueError, match=r"500 of its 501 operators are of no layer"):
        require_size(model, 30_000_000, names)
    upsampled = keras.layers.UpSampling1D(2, name="up")(x)
    model = keras.Model(waveform, keras.layers.Cropping1D(3000, name="crop")(upsampled))
    with pytest.raises(ValueError, match=r"500 of its 501 operators are of up"):
        require_size(model, 30_000_000, names)


@pytest.mark.parametrize(
    ("name", "layer"),
    [
        ("model/first_conv/Relu;model/first_conv/BiasAdd", "first_conv"),
        ("StatefulPartitionedCall:0", None),
        ("model/first/first_conv", "first_conv"),
    ],
)
def test_layer_of_a_name(name, layer):
    assert layer_of(name, {"first_conv", "second"}) == layer
