"""Narrower ranges for int8: what is tried, what stays, and that it helps."""

import numpy as np
import pytest
import small_models
from ai_edge_litert import schema_py_generated as schema

from baseline.checkpoint import save_keras
from baseline.keras import keras
from compress.evaluation.inspection import inspect
from compress.evaluation.parity import compare_outputs
from export.convert import Format, Int8, Precision, Ranges, convert
from export.runtimes import KerasRunner, load_runner
from export.writers.ranges import SHARES, _groups
from export.writers.tflite import Quantizable, write_int8_tflite, write_tflite


@pytest.fixture(scope="module")
def model():
    return small_models.brief()


@pytest.fixture(scope="module")
def loud(windows):
    """Windows of which one holds a sample far louder than all others."""
    changed = windows.copy()
    changed[5, 3000] = 400.0
    return changed


@pytest.fixture(scope="module")
def narrowed(model, loud):
    return write_int8_tflite(model, loud, Int8(Ranges.SEARCHED))[:2]


def test_tensors_of_one_scale_are_changed_together(model, loud):
    calibrated = Quantizable(model, loud[:8], Int8()).calibrated
    groups = list(_groups(calibrated))
    names = [name for group, _ in groups for name in group]
    assert len(names) == len(set(names))
    graph = schema.ModelT.InitFromPackedBuf(calibrated, 0).subgraphs[0]
    reshaped = [group for group, _ in groups if len(group) > 1]
    assert reshaped, "a reshape has the scale of what it reshapes"
    assert groups[0][0][0] == graph.tensors[graph.inputs[0]].name.decode()
    assert groups[0][1][1] == pytest.approx(400.0)


def test_a_loud_sample_does_not_take_all_steps(model, loud, windows, narrowed, tmp_path):
    content, search = narrowed
    assert search.error_after < 0.7 * search.error_before
    first = search.narrowed[0]
    assert first.found[1] == pytest.approx(400.0)
    assert first.taken[1] < 0.5 * first.found[1]
    for one in search.narrowed:
        ends = [taken / found for taken, found in zip(one.taken, one.found, strict=True) if found]
        assert all(any(abs(end - share) < 1e-6 for share in (1.0, *SHARES)) for end in ends)
    plain, better = tmp_path / "plain.tflite", tmp_path / "better.tflite"
    plain.write_bytes(write_tflite(model, Precision.INT8, loud))
    better.write_bytes(content)
    assert not inspect(better).computing_in("float32", "hybrid")
    others = np.concatenate([windows[64 // 2 :], windows[: 64 // 2]])[::-1]
    apart = [
        compare_outputs(load_runner(path), KerasRunner(model), others).rms_difference
        for path in (plain, better)
    ]
    assert apart[1] < 0.7 * apart[0]


def test_the_search_finds_the_same_again(model, loud, narrowed):
    assert write_int8_tflite(model, loud, Int8(Ranges.SEARCHED))[:2] == narrowed


def test_conversion_tells_what_was_changed(model, loud, narrowed, tmp_path):
    save_keras(model, tmp_path / "model.keras")
    output = tmp_path / "model.tflite"
    found = convert(
        tmp_path / "model.keras", output, Format.TFLITE, Precision.INT8, loud, Int8(Ranges.SEARCHED)
    )
    assert found is not None
    assert found["error_after"] == pytest.approx(narrowed[1].error_after)
    assert output.read_bytes() == narrowed[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.keras", "model.tflite"]


def test_an_operator_that_cannot_be_int8_is_named(windows, tmp_path):
    waveform = keras.Input((6000, 3), name="waveform")
    x = keras.layers.Lambda(lambda x: keras.backend.sin(x), name="wave")(waveform)
    x = keras.layers.Conv1D(3, 3, padding="same", name="after")(x)
    model = keras.Model(waveform, keras.layers.Activation("sigmoid")(x))
    with pytest.raises(ValueError, match=r"wave.* cannot be int8"):
        write_int8_tflite(model, windows[:4], Int8(Ranges.SEARCHED))
