"""Verification of bundles: what passes, what fails, and what is refused as damaged."""

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from baseline.contract import WINDOW_SHAPE
from baseline.errors import InputError
from export.bundle import (
    METADATA_FILE,
    REFERENCE_FILE,
    add_reference,
    read_bundle,
    read_counts,
    read_reference,
    write_bundle,
)
from export.reference import Reference, encode, record
from export.runtimes import load_runner
from export.verify import Outcome, verify

RELEASED = Path(__file__).parents[2] / "artifacts" / "released"
TFLITE_INT8, ONNX_FLOAT32 = "student-tflite-int8", "student-onnx-float32"


@pytest.fixture
def bundle(request, tmp_path):
    """A released bundle, or the one that the test names, with counts and with answers of this
    machine, to be changed.
    """
    name = getattr(request, "param", TFLITE_INT8)
    metadata, model = read_bundle(RELEASED / name)
    folder = tmp_path / "bundle"
    reference = record(load_runner(model), read_reference(RELEASED / name).windows)
    write_bundle(folder, model, metadata.given(), metadata.name, '{"p": 1}', reference)
    return folder


def alter(bundle, **values):
    path = bundle / METADATA_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def record_instead(bundle, content):
    """Put another reference.npz into a bundle, and its hash into the metadata."""
    (bundle / REFERENCE_FILE).write_bytes(content)
    alter(bundle, reference_sha256=hashlib.sha256(content).hexdigest())


def outcomes(bundle):
    return {check.what: check.outcome for check in verify(bundle).checks}


@pytest.mark.parametrize("bundle", [TFLITE_INT8, ONNX_FLOAT32], indirect=True)
def test_an_intact_bundle_passes(bundle):
    found = verify(bundle)
    assert found.outcome is Outcome.PASS
    assert {check.outcome for check in found.checks} == {Outcome.PASS}
    assert found.difference.windows == 3
    assert found.difference.maximum < 1e-5
    assert json.loads(json.dumps(found.to_dict()))["metadata"]["name"] == "student"


def answers_changed(bundle, change):
    reference = read_reference(bundle)
    record_instead(bundle, encode(replace(reference, predictions=change(reference.predictions))))


@pytest.mark.parametrize("bundle", [ONNX_FLOAT32], indirect=True)
@pytest.mark.parametrize(("change", "outcome"), [(5e-4, Outcome.PASS), (2e-3, Outcome.FAIL)])
def test_one_answer_of_a_float_model_that_is_off_fails(change, outcome, bundle):
    def off(predictions):
        altered = predictions.copy()
        altered[2, 4000, 1] += change
        return altered

    answers_changed(bundle, off)
    assert outcomes(bundle)["answers"] is outcome


def test_integer_answers_may_differ_as_kernels_do(bundle):
    def on_flanks(predictions):
        """A tenth more or less wherever a probability is neither high nor low."""
        flank = (predictions > 0.2) & (predictions < 0.8)
        return np.where(flank, predictions + 0.1, predictions)

    answers_changed(bundle, on_flanks)
    found = verify(bundle)
    assert found.outcome is Outcome.PASS
    assert found.difference.maximum > 0.09


@pytest.mark.parametrize(
    "change",
    [
        lambda y: np.roll(y, 10, axis=1),
        lambda y: y[..., ::-1],
        lambda y: y[::-1],
        lambda y: y * 0.9,
    ],
    ids=["0.1 s late", "outputs in another order", "windows in another order", "lower"],
)
def test_integer_answers_of_another_model_fail(change, bundle):
    answers_changed(bundle, change)
    assert outcomes(bundle)["answers"] is Outcome.FAIL


def test_another_model_fails_though_its_hash_is_right(bundle):
    content = (RELEASED / "student-small-tflite-int8" / "model.tflite").read_bytes()
    (bundle / "model.tflite").write_bytes(content)
    alter(bundle, sha256=hashlib.sha256(content).hexdigest(), bytes=len(content))
    assert outcomes(bundle)["answers"] is Outcome.FAIL


def test_answers_that_are_no_numbers_fail(bundle, tmp_path):
    shape, tensor = [1, *WINDOW_SHAPE], onnx.TensorProto.FLOAT
    ends = [
        [helper.make_tensor_value_info(name, tensor, shape)] for name in ("waveform", "prediction")
    ]
    node = helper.make_node("Log", ["waveform"], ["prediction"])
    opset = [helper.make_opsetid("", 17)]
    graph = helper.make_graph([node], "log", *ends)
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "log.onnx")
    fields = read_bundle(bundle)[0].given() | {"format": "onnx"}
    windows = np.full(shape, -1, np.float32)
    write_bundle(
        bundle, tmp_path / "log.onnx", fields, "log", reference=Reference(windows, windows + 1)
    )
    found = verify(bundle)
    assert found.outcome is Outcome.FAIL
    assert found.to_dict()["difference"] == {"windows": 1, "maximum": None, "rms": None}


def test_what_a_bundle_does_not_hold_is_not_checked(bundle):
    metadata, model = read_bundle(bundle)
    write_bundle(bundle, model, metadata.given(), metadata.name)
    found = verify(bundle)
    assert found.outcome is Outcome.NOT_CHECKED
    assert found.difference is None
    assert {check.what for check in found.checks if check.outcome is Outcome.NOT_CHECKED} == {
        "counts.json",
        "reference.npz",
        "answers",
    }


def test_reference_windows_are_added_and_nothing_else_changes(bundle):
    before, model = read_bundle(bundle)
    content = model.read_bytes()
    windows = read_reference(bundle).windows[:2]
    after = add_reference(bundle, windows)
    assert after == before.model_copy(update={"reference_sha256": after.reference_sha256})
    assert (model.read_bytes(), read_counts(bundle)) == (content, '{"p": 1}')
    assert verify(bundle).difference.windows == 2


@pytest.fixture
def in_c(bundle):
    """A bundle with C source."""
    metadata, model = read_bundle(bundle)
    fields = metadata.given() | {"c_source": True}
    write_bundle(bundle, model, fields, metadata.name)
    return bundle


def test_c_source_of_the_model_passes(in_c):
    assert outcomes(in_c)["model.h, model.c"] is Outcome.PASS


# --- Damage --------------------------------------------------------------------------------------


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


FILES = ("model.tflite", "counts.json", "reference.npz")


@pytest.mark.parametrize("name", FILES)
def test_a_flipped_bit_is_damage(name, bundle):
    flip(bundle / name)
    with pytest.raises(InputError, match=f"{name}: its SHA-256"):
        verify(bundle)


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_damage(name, bundle):
    (bundle / name).unlink()
    with pytest.raises(InputError, match=f"its {name} is missing"):
        verify(bundle)


def test_c_source_of_another_model_is_damage(in_c):
    source, header = in_c / "model.c", in_c / "model.h"
    text = source.read_text()
    place = text.rindex("0x") + 2
    source.write_text(f"{text[:place]}{'1' if text[place] == '0' else '0'}{text[place + 1 :]}")
    with pytest.raises(InputError, match=r"model\.c: is not of model\.tflite"):
        verify(in_c)
    source.write_text(text)
    header.write_text(header.read_text().replace(read_bundle(in_c)[0].sha256, "0" * 64))
    with pytest.raises(InputError, match=r"model\.h: is not of"):
        verify(in_c)
    header.unlink()
    with pytest.raises(InputError, match=r"model\.h: No such file"):
        verify(in_c)


def test_a_large_file_is_refused_before_it_is_read(bundle):
    with (bundle / REFERENCE_FILE).open("ab") as file:
        file.truncate(10**10)  # a hole, which takes no space
    with pytest.raises(InputError, match="is larger than"):
        verify(bundle)


def test_reference_windows_of_another_shape_are_damage(bundle):
    reference = read_reference(bundle)
    record_instead(bundle, encode(replace(reference, windows=reference.windows[:, :5999])))
    with pytest.raises(InputError, match=r"reference\.npz: Its windows are float16 \(3, 5999, 3\)"):
        verify(bundle)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"bytes": 5}, "bytes: the model has 62,784, not 5"),
        ({"bundle_version": 2}, "bundle_version: .* all this version can run"),
        ({"component_order": "ZNE"}, "component_order: .*'ZNE' is not 'ENZ'"),
        ({"output_order": ["p", "s", "detection"]}, "output_order: "),
        ({"sampling_rate_hz": 50.0}, "sampling_rate_hz: "),
        ({"thresholds": {"detection": 0.3, "p": 0.1}}, "thresholds: "),
        ({"thresholds": {"detection": 3.0, "p": 0.1, "s": 0.1}}, "thresholds: "),
        ({"precision": "int9"}, "precision: "),
        ({"reference_sha256": "0" * 64}, "reference.npz: its SHA-256"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_metadata_of_something_else_are_refused(changed, said, bundle):
    alter(bundle, **changed)
    with pytest.raises(InputError, match=said):
        verify(bundle)


def test_a_model_that_its_runtime_cannot_run_is_refused(bundle):
    (bundle / "model.tflite").write_bytes(b"TFL3")
    alter(bundle, sha256=hashlib.sha256(b"TFL3").hexdigest(), bytes=4)
    with pytest.raises(InputError, match="TFLite cannot run it"):
        verify(bundle)


def test_a_bundle_written_before_there_were_reference_windows_is_read(bundle):
    path = bundle / METADATA_FILE
    metadata = json.loads(path.read_text())
    del metadata["reference_sha256"]
    path.write_text(json.dumps(metadata))
    shutil.move(bundle / REFERENCE_FILE, bundle.parent)
    assert read_reference(bundle) is None
    assert verify(bundle).outcome is Outcome.NOT_CHECKED
