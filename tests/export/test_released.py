"""The released students: whole, small, alike in every format, and still able to pick."""

from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from compress.data.records import Category
from compress.data.reference import reference_windows
from compress.data.synthetic import SyntheticSource
from compress.evaluation.metrics import summarise
from compress.evaluation.protocol import Protocol, evaluate
from compress.models import open_model
from export.bundle import REFERENCE_FILE, read_bundle, read_reference
from export.verify import Outcome, verify

RELEASED = Path(__file__).parents[2] / "artifacts" / "released"
STUDENTS = ("student", "student-small", "student-fast")
FORMATS = ("tflite-float32", "tflite-int8", "onnx-float32", "onnx-int8")
LIMIT_BYTES = 300_000
"""Of the model and what describes it."""
REFERENCE_LIMIT_BYTES = 120_000
FLOAT32_TOLERANCE = 1e-4
INT8_TOLERANCE = 0.02
"""Root mean square over samples; single ones on the flank of a detection may be far off."""


@pytest.mark.parametrize("name", [f"{s}-{f}" for s in STUDENTS for f in FORMATS])
def test_a_bundle_is_whole_and_small(name):
    metadata, model = read_bundle(RELEASED / name)
    assert f"{metadata.format.value}-{metadata.precision.value}" in name
    sizes = {path.name: path.stat().st_size for path in model.parent.iterdir()}
    assert sizes.pop(REFERENCE_FILE) < REFERENCE_LIMIT_BYTES
    assert sum(sizes.values()) < LIMIT_BYTES


@pytest.mark.parametrize("name", [f"{s}-{f}" for s in STUDENTS for f in FORMATS])
def test_a_bundle_answers_as_it_did(name):
    found = verify(RELEASED / name)
    assert found.outcome is Outcome.PASS, found.checks[-1]
    windows = read_reference(RELEASED / name).windows
    # Elsewhere the last bits of a synthetic waveform may differ.
    np.testing.assert_allclose(windows, reference_windows(), rtol=2e-3, atol=1e-4)


@pytest.mark.parametrize("student", STUDENTS)
def test_formats_answer_alike(student, windows):
    answers = {
        each: open_model(str(RELEASED / f"{student}-{each}"))[1](windows[:16]) for each in FORMATS
    }
    reference = answers.pop("tflite-float32")
    for name, answer in answers.items():
        difference = answer - reference
        if "float32" in name:
            assert np.abs(difference).max() < FLOAT32_TOLERANCE, name
        else:
            assert np.sqrt(np.square(difference).mean()) < INT8_TOLERANCE, name


@pytest.mark.parametrize("student", STUDENTS)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_it_picks_earthquakes_and_leaves_noise_alone(student, precision):
    model, runner = open_model(str(RELEASED / f"{student}-tflite-{precision}"))
    source = SyntheticSource(80, seed=4711, noise_fraction=0.3)
    assert source.categories().count(Category.NOISE) > 15
    protocol = Protocol(placements=1, thresholds=model.thresholds)
    found = summarise(evaluate(runner, source, protocol, Progress(disable=True)))
    assert found["p_f1_0.5s"] > 0.95
    assert found["s_f1_0.5s"] > 0.95
    assert found["p_highest_peak_recall_0.1s"] > 0.85
