"""Models and bundles that are damaged or meant to do harm: an error of one paragraph, no more."""

import pytest

from benchmarks.fuzzing import bundles, keras_files, runtime_files

CASES = [case for module in (runtime_files, keras_files, bundles) for case in module.cases()]


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_bad_model_is_refused(case, outcome_of):
    outcome = outcome_of(case)
    assert outcome.code == 2, outcome.output


@pytest.mark.parametrize("ending", ["tflite", "onnx"])
def test_what_the_cases_are_made_of_is_taken(ending, contained):
    model = {"tflite": runtime_files.TFLITE, "onnx": runtime_files.ONNX}[ending]
    outcome = contained.run("inspect", model)
    assert outcome.code == 0, outcome.output
    assert not outcome.fault()


def test_the_bundle_that_the_cases_are_made_of_is_taken(contained):
    outcome = contained.run("verify", bundles.BUNDLE)
    assert outcome.code == 0, outcome.output


def test_every_case_is_another_one():
    assert len(CASES) >= 120
    assert len({str(case) for case in CASES}) == len(CASES)
