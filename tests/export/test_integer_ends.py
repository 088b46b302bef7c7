"""int8 files without the conversions at their ends answer the same integers."""

from pathlib import Path

import numpy as np
import pytest
import small_models
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter

from baseline.checkpoint import save_keras
from export.bundle import read_bundle
from export.convert import Format, Int8, Precision, convert
from export.ends import read_ends
from export.writers.flatbuffer import edit, operator_kind
from export.writers.passes.integer_ends import drop_float_ends

RELEASED = Path(__file__).parents[2] / "artifacts" / "released"


def answers(content, windows):
    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()
    made = []
    for window in windows:
        interpreter.set_tensor(source["index"], window[None].astype(source["dtype"]))
        interpreter.invoke()
        made.append(interpreter.get_tensor(result["index"])[0])
    return np.stack(made)


def kinds(content):
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    return [operator_kind(model, operator) for operator in model.subgraphs[0].operators]


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Converts a model to int8 in one way or another."""
    folder = tmp_path_factory.mktemp("converted")

    def make(model, windows, **way):
        save_keras(model, folder / "model.keras")
        target = folder / "model.tflite"
        convert(folder / "model.keras", target, Format.TFLITE, Precision.INT8, windows, Int8(**way))
        return target.read_bytes()

    return make


@pytest.mark.parametrize("name", ["student-tflite-int8", "student-small-tflite-int8"])
def test_released_students_answer_the_same_integers(name):
    whole = read_bundle(RELEASED / name)[1].read_bytes()
    cut = edit(whole, drop_float_ends)
    assert set(kinds(whole)) - set(kinds(cut)) == {"QUANTIZE", "DEQUANTIZE"}
    source, result = read_ends(cut)
    assert source.integer and result.integer
    fed = np.random.default_rng(0).integers(-128, 128, (4, *source.shape[1:]))
    floats = answers(whole, ((fed - source.zero_point) * source.scale).astype(np.float32))
    integers = answers(cut, fed)
    np.testing.assert_array_equal(
        (integers.astype(np.float32) - result.zero_point) * np.float32(result.scale), floats
    )


def test_nothing_is_left_that_nobody_uses():
    cut = edit(read_bundle(RELEASED / "student-tflite-int8")[1].read_bytes(), drop_float_ends)
    graph = schema.ModelT.InitFromPackedBuf(cut, 0).subgraphs[0]
    used = {int(i) for o in graph.operators for i in (*o.inputs, *o.outputs)}
    assert used == set(range(len(graph.tensors)))
    interpreter = Interpreter(model_content=cut)
    signature = interpreter.get_signature_runner("serving_default")
    (answer,) = signature(waveform=np.zeros((1, 6000, 3), np.int8)).values()
    assert answer.dtype == np.int8


def test_it_is_what_the_converter_makes_of_the_same_model(converted, windows):
    model = small_models.brief()
    cut = edit(converted(model, windows[:16]), drop_float_ends)
    made = converted(model, windows[:16], integer_ends=True)
    assert kinds(cut) == kinds(made)
    assert read_ends(cut) == read_ends(made)
    fed = np.random.default_rng(1).integers(-128, 128, (2, 6000, 3))
    np.testing.assert_array_equal(answers(cut, fed), answers(made, fed))


def test_an_end_that_computes_in_float_stays_float(converted, windows):
    whole = converted(small_models.brief(), windows[:16], float_layers=("first",))
    source, result = read_ends(edit(whole, drop_float_ends))
    assert not source.integer
    assert result.integer


def test_float_files_stay_as_they_are():
    whole = read_bundle(RELEASED / "student-small-tflite-float32")[1].read_bytes()
    assert edit(whole, drop_float_ends) == edit(whole)
