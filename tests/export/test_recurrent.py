"""Recurrent layers in exports: no loop where it can be avoided, and the same numbers."""

from functools import cache

import numpy as np
import pytest
import small_models

from baseline.keras import keras, tf
from compress.evaluation.cost import operators
from compress.evaluation.inspection import inspect
from compress.evaluation.parity import compare_outputs
from compress.report.inspection import findings
from export.convert import Precision
from export.runtimes import KerasRunner, load_runner
from export.writers.onnx import write_onnx
from export.writers.recurrent import exchange_recurrent, recurrent_layers
from export.writers.tflite import write_tflite
from export.writers.unrolled import stepwise, unrolled

CELLS = [(cell, gate) for cell in ("lstm", "gru") for gate in ("sigmoid", "hard_sigmoid")]
WRITERS = {"tflite": write_tflite, "onnx": write_onnx}


@pytest.fixture
def export(tmp_path):
    """Writes a model and returns the file's path."""

    def write(model, format, calibration=None):
        path = tmp_path / f"model.{format}"
        precision = Precision.FLOAT32 if calibration is None else Precision.INT8
        path.write_bytes(WRITERS[format](model, precision, calibration))
        return path

    return write


@cache
def recurrent(cell, gate):
    """What runs a model with these recurrences."""
    return KerasRunner(small_models.recurrent(cell, gate=gate))


@pytest.mark.parametrize("format", WRITERS)
@pytest.mark.parametrize(("cell", "gate"), CELLS)
def test_no_loop_and_the_same_answers_in_sequence(cell, gate, format, windows, export):
    origin = recurrent(cell, gate)
    path = export(origin.model, format)
    used = operators(path)
    assert not used.keys() & {"WHILE", "Loop", "Scan"}
    if format == "onnx":
        assert used[cell.upper()] == 2, "one operator for a layer, both directions in one"
    else:
        fused = 3 if (cell, gate) == ("lstm", "sigmoid") else 0
        assert used.get("UNIDIRECTIONAL_SEQUENCE_LSTM", 0) == fused
    parity = compare_outputs(load_runner(path), origin, windows)
    assert parity.maximum_difference < 1e-5


def test_each_onnx_gru_keeps_its_own_gates(windows, export):
    """One GRU with sigmoid and one with hard sigmoid gates in a model."""
    model = mixed_grus()
    path = export(model, "onnx")
    assert operators(path)["GRU"] == 2
    parity = compare_outputs(load_runner(path), KerasRunner(model), windows)
    assert parity.maximum_difference < 1e-5


def mixed_grus():
    def gates(layer):
        kind = "hard_sigmoid" if layer.name == "forward" else "sigmoid"
        return type(layer).from_config(layer.get_config() | {"recurrent_activation": kind})

    return exchange_recurrent(small_models.recurrent("gru"), gates)


@pytest.mark.parametrize(("format", "loop"), [("tflite", "WHILE"), ("onnx", "Loop")])
def test_long_sequence_remains_a_loop_and_is_counted_as_one(format, loop, windows, export):
    model = small_models.long_recurrent()
    path = export(model, format)
    assert operators(path)[loop] == 1
    found = inspect(path)
    assert [operator.kind for operator in found.loops] == [loop]
    assert findings(found)[0].startswith(f"Loops: {loop}")
    assert not found.computing_in("int8")
    constants = sum(operator.bytes for operator in found.operators)
    assert 0.9 * 4 * model.count_params() < constants < found.bytes
    parity = compare_outputs(load_runner(path), KerasRunner(model), windows)
    assert parity.maximum_difference < 1e-5


@pytest.mark.parametrize(("cell", "gate"), [("lstm", "hard_sigmoid"), ("gru", "sigmoid")])
def test_unrolled_recurrence_becomes_int8(cell, gate, windows, export):
    origin = recurrent(cell, gate)
    path = export(origin.model, "tflite", windows)
    assert not operators(path).keys() & {"WHILE"}
    parity = compare_outputs(load_runner(path), origin, windows)
    assert 1e-5 < parity.rms_difference < 0.01


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.LSTM(4, activation="elu", return_sequences=True),
        keras.layers.LSTM(4, use_bias=False, recurrent_activation="hard_sigmoid"),
        keras.layers.LSTM(4, go_backwards=True, implementation=1, return_sequences=True),
        keras.layers.GRU(4, reset_after=False, return_sequences=True),
        keras.layers.GRU(4, reset_after=False, use_bias=False),
        keras.layers.GRU(4, use_bias=False, recurrent_activation="hard_sigmoid"),
        keras.layers.GRU(4, go_backwards=True, activation="relu", return_sequences=True),
        keras.layers.Bidirectional(keras.layers.GRU(4), merge_mode="sum"),
        keras.layers.Bidirectional(
            keras.layers.LSTM(4, return_sequences=True),
            backward_layer=keras.layers.GRU(4, go_backwards=True, return_sequences=True),
        ),
    ],
)
def test_unrolling_changes_no_number(layer):
    sequence = keras.Input((9, 3))
    model = small_models.settled(keras.Model(sequence, layer(sequence)))
    copy = exchange_recurrent(model, unrolled)
    x = np.random.default_rng(0).normal(size=(5, 9, 3)).astype(np.float32)
    expected = model(x).numpy()
    assert np.abs(expected).max() > 0.05
    np.testing.assert_allclose(copy(x).numpy(), expected, atol=1e-6)


def test_masked_steps_are_left_to_keras():
    sequence = keras.Input((9, 3))
    masked = keras.layers.Masking()(sequence)
    model = small_models.settled(keras.Model(sequence, keras.layers.GRU(4)(masked)))
    x = np.random.default_rng(0).normal(size=(5, 9, 3)).astype(np.float32)
    x[:, 6:] = 0.0
    copy = exchange_recurrent(model, unrolled)
    np.testing.assert_allclose(copy(x).numpy(), model(x).numpy(), atol=1e-6)


@pytest.mark.parametrize("loops", [False, True])
def test_a_model_goes_into_a_graph_step_by_step_for_a_while(loops):
    sequence = keras.Input((9, 3))
    both = keras.layers.Bidirectional(keras.layers.LSTM(4, return_sequences=True))(sequence)
    layer = keras.layers.GRU(4, recurrent_activation="hard_sigmoid")
    model = small_models.settled(keras.Model(sequence, layer(both)))
    x = np.random.default_rng(0).normal(size=(5, 9, 3)).astype(np.float32)
    expected = model(x).numpy()

    def loops_in_graph():
        traced = tf.function(lambda x: model(x)).get_concrete_function(x)
        np.testing.assert_allclose(traced(tf.constant(x)).numpy(), expected, atol=1e-6)
        return sum("While" in node.op for node in traced.graph.as_graph_def().node)

    with pytest.raises(KeyboardInterrupt), stepwise(recurrent_layers(model), loops):
        assert (loops_in_graph() > 0) is loops
        raise KeyboardInterrupt
    assert [type(each) for each in recurrent_layers(model)] == [
        keras.layers.LSTM, keras.layers.LSTM, keras.layers.GRU,
    ]  # fmt: skip
    np.testing.assert_array_equal(model(x).numpy(), expected)
