"""What is inside exported files: operators, precision, loops, bytes; and files that are none."""

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.errors import InputError
from baseline.keras import keras, tf
from compress.evaluation.cost import operators
from compress.evaluation.inspection import CONVERSIONS, inspect
from compress.report.inspection import findings
from export.convert import Format

RELEASED = Path(__file__).resolve().parents[3] / "artifacts" / "released"


def released(format, name="student", precision="int8"):
    return RELEASED / f"{name}-{format.value}-{precision}" / f"model.{format.value}"


@pytest.mark.parametrize(("name", "computing"), [("student", 20), ("student-small", 28)])
@pytest.mark.parametrize("format", list(Format))
def test_an_int8_student_computes_in_integers_alone(name, computing, format):
    path = released(format, name)
    found = inspect(path)
    assert found.bytes == path.stat().st_size
    assert not found.computing_in("float32", "float16", "hybrid")
    assert len(found.computing_in("int8")) >= computing
    assert found.loops == ()
    counts = {}
    for operator in found.operators:
        counts[operator.kind] = counts.get(operator.kind, 0) + 1
    assert counts == operators(path)
    assert findings(found)[:2] == ["No loops.", "Everything that computes does so in integers."]
    if format is Format.TFLITE:
        assert sum(operator.kind in CONVERSIONS for operator in found.operators) == 2


@pytest.mark.parametrize("format", list(Format))
def test_a_float_student_computes_in_floats_alone(format):
    found = inspect(released(format, precision="float32"))
    assert found.computing_in("float32")
    assert not found.computing_in("int8", "hybrid")


def test_weights_in_int8_with_float_activations_are_called_hybrid(tmp_path):
    waveform = keras.Input((6000, 3), batch_size=1)
    wide = keras.layers.Conv1D(3, 128, padding="same")  # fewer than 1024 weights stay in float
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(waveform, wide(waveform)))
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    (tmp_path / "dynamic.tflite").write_bytes(converter.convert())
    found = inspect(tmp_path / "dynamic.tflite")
    assert found.computing_in("hybrid")
    assert not found.computing_in("int8")
    assert findings(found)[1:] == [
        "1 operators have int8 weights and float activations.",
        "Nothing computes in integers alone: a float model.",
    ]


def test_command_prints_a_table_and_writes_json(run_cli, tmp_path):
    output = tmp_path / "found.json"
    code, printed = run_cli("inspect", released(Format.TFLITE).parent, "--json", output)
    assert code == 0
    assert "CONV_2D" in printed
    assert "No loops." in printed
    document = json.loads(output.read_text())
    assert {o["kind"] for o in document["operators"]} >= {"CONV_2D", "QUANTIZE", "DEQUANTIZE"}
    assert sum(o["bytes"] for o in document["operators"]) < document["bytes"]


@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_damaged_files_are_one_error(data, tmp_path_factory):
    format = data.draw(st.sampled_from(list(Format)))
    content = bytearray(released(format, "student-small").read_bytes())
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for place in data.draw(st.lists(st.integers(0, len(content) - 1), min_size=1, max_size=8)):
            content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.getbasetemp() / f"damaged.{format.value}"
    path.write_bytes(content)
    try:
        assert inspect(path).operators
    except InputError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("there is none.tflite", "no such file"), ("model.keras", "nothing to inspect")],
)
def test_what_cannot_be_inspected_is_said(name, expected, tmp_path):
    (tmp_path / "model.keras").write_bytes(b"PK")
    with pytest.raises(InputError, match=expected):
        inspect(tmp_path / name)
