"""Models that answer with what is no number, or always the same, are found out and fail."""

import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from stored_models import COST, counts

from compress.evaluation.answers import watched
from compress.gates import Gates, Measured, Outcome, judge
from compress.results import from_document, to_document, verdict_document

WINDOWS = np.zeros((4, 6000, 3), np.float32)


def answering(values):
    run, answers = watched(lambda windows: np.broadcast_to(values, windows.shape).copy())
    return run(WINDOWS), answers


@given(st.sampled_from([math.nan, math.inf, -math.inf]), st.integers(0, 5999), st.integers(0, 2))
def test_one_answer_that_is_no_number_is_found(value, sample, output):
    values = np.full((6000, 3), 0.5, np.float32)
    values[sample, output] = value
    cleaned, answers = answering(values)
    assert "4 of 4 windows are answered with what is no number" in answers.fault()
    assert ((cleaned >= 0) & (cleaned <= 1)).all()


def test_answers_that_never_change_are_found():
    _, answers = answering(np.float32(0.25))
    assert "all 4 windows are answered with 0.25" in answers.fault()


def test_answers_that_change_are_left_alone():
    values = np.random.default_rng(0).random((6000, 3)).astype(np.float32)
    seen, answers = answering(values)
    assert answers.fault() == ""
    np.testing.assert_array_equal(seen[0], values)


@pytest.mark.parametrize("gates", [Gates(), Gates(cost=({"measure": "bytes", "maximum": 1e9},))])
def test_such_a_model_fails_whatever_is_declared(gates):
    reference = Measured(counts(), COST)
    broken = from_document(to_document(Measured(counts(), COST, fault="all are answered with 0")))
    *others, verdict = judge(gates, broken, reference)
    assert verdict.outcome is Outcome.FAIL
    assert "all are answered with 0" in verdict.reason
    assert all(other.outcome is Outcome.PASS for other in others)
    json.dumps(verdict_document(verdict), allow_nan=False)
    assert all(v.outcome is Outcome.PASS for v in judge(gates, reference, reference))
