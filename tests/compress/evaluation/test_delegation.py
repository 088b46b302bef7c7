"""What XNNPACK takes of a TFLite file."""

from pathlib import Path

import pytest

from baseline.errors import InputError
from baseline.keras import keras, tf
from baseline.layers import BandedSelfAttention, EdgeCorrection1D
from compress.evaluation.delegation import Delegation, delegation
from compress.report.inspection import delegation_finding

RELEASED = Path(__file__).resolve().parents[3] / "artifacts" / "released"


@pytest.mark.parametrize(
    ("name", "precision", "operators"),
    [
        ("student", "float32", 27), ("student", "int8", 27),
        ("student-small", "float32", 37), ("student-small", "int8", 39),
        ("student-fast", "float32", 27), ("student-fast", "int8", 27),
    ],
)  # fmt: skip
def test_xnnpack_takes_the_released_students_whole(name, precision, operators):
    found = delegation(RELEASED / f"{name}-tflite-{precision}" / "model.tflite")
    assert found == Delegation(1, operators, {})
    assert delegation_finding(found) == "XNNPACK computes everything, in 1 partition."


@pytest.fixture
def tflite(tmp_path):
    """Writes a Keras model for one window and returns the file's path."""

    def write(model):
        function = tf.function(model, input_signature=[tf.TensorSpec((1, *model.input_shape[1:]))])
        converter = tf.lite.TFLiteConverter.from_concrete_functions(
            [function.get_concrete_function()], model
        )
        path = tmp_path / "model.tflite"
        path.write_bytes(converter.convert())
        return path

    return write


def test_attention_to_neighbours_does_not_part_a_graph(tflite):
    samples = keras.Input((24, 4))
    x = keras.layers.Conv1D(4, 3, padding="same")(samples)
    x = BandedSelfAttention(5, 3)(x)
    found = delegation(tflite(keras.Model(samples, keras.layers.ReLU()(x))))
    assert (found.partitions, found.outside) == (1, {})


def test_correcting_edges_does_not_part_a_graph(tflite):
    samples = keras.Input((24, 4))
    outputs = keras.layers.Conv1D(5, 3, padding="same")(samples)
    corrected = EdgeCorrection1D(2, 3)([outputs, samples])
    found = delegation(tflite(keras.Model(samples, keras.layers.ReLU()(corrected))))
    assert (found.partitions, found.outside) == (1, {})


def test_operators_outside_are_counted(tflite):
    samples = keras.Input((24, 4))
    x = keras.layers.Conv1D(5, 3, padding="same", activation="relu")(samples)
    x = tf.reverse(x, axis=[1])
    x = keras.layers.Conv1D(5, 3, padding="same")(x)
    found = delegation(tflite(keras.Model(samples, x)))
    assert (found.partitions, found.outside) == (2, {"REVERSE_V2": 1})
    finding = delegation_finding(found)
    assert finding.startswith(f"XNNPACK computes {found.inside} operators, in 2 partitions; 1 run")
    assert finding.endswith("outside it: 1 REVERSE_V2.")


def test_a_file_that_does_not_run_is_refused(tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(40))
    with pytest.raises(InputError, match="TFLite cannot run it"):
        delegation(tmp_path / "broken.tflite")
