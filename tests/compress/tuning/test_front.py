"""The Pareto front, and the accuracy that it is drawn over."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_models import counts

from baseline.errors import InputError
from compress.evaluation.confidence import Interval, intervals
from compress.tuning.front import accuracy, best_under, front, front_of_trials

POINTS = st.integers(2, 3).flatmap(
    lambda objectives: st.lists(
        st.tuples(*objectives * [st.integers(0, 6)]), min_size=1, max_size=25
    )
)


def dominates(one, other):
    better = any(a < b for a, b in zip(one, other, strict=True))
    return better and all(a <= b for a, b in zip(one, other, strict=True))


@settings(max_examples=100, deadline=None)
@given(POINTS)
def test_nothing_dominates_the_front_and_the_front_dominates_the_rest(points):
    found = front(points)
    kept = [points[index] for index in found]
    assert kept == sorted(set(kept)), "in order of cost, equal points once"
    for point in kept:
        assert not any(dominates(other, point) for other in points)
    for point in set(points) - set(kept):
        assert any(dominates(other, point) for other in kept)


def trial(number, millions, score, size=0):
    return {
        "number": number,
        "multiply_adds": millions * 1_000_000,
        "accuracy": {"point": score, "lower": score, "upper": score},
        "bytes": size,
    }


def test_a_student_stays_for_its_bytes_where_these_count():
    trials = [trial(0, 2, 0.9, size=50), trial(1, 1, 0.9, size=60), trial(2, 3, 0.8, size=70)]
    assert [each["number"] for each in front_of_trials(trials, count_bytes=False)] == [1]
    assert [each["number"] for each in front_of_trials(trials, count_bytes=True)] == [1, 0]
    assert front_of_trials([], count_bytes=True) == []


def test_the_best_student_that_is_cheap_enough():
    trials = [trial(0, 1, 0.7), trial(1, 5, 0.9), trial(2, 9, 0.95)]
    assert best_under(trials, 5e6)["number"] == 1
    with pytest.raises(InputError, match="smallest on the front has 1,000,000"):
        best_under(trials, 1e5)
    with pytest.raises(InputError, match="No trial is finished yet"):
        best_under([], 1e5)


def test_the_accuracy_is_the_weighted_mean_of_its_metrics():
    measured = counts(records=60, misses=12)
    of = intervals(measured)
    mean = accuracy(measured, {"p_f1_0.5s": 3.0, "detection_f1": 1.0})
    assert mean.point == pytest.approx(0.75 * of["p_f1_0.5s"].point + 0.25)
    assert mean.lower < mean.point < mean.upper <= 1
    alone = accuracy(measured, {"p_f1_0.5s": 2.0})
    assert alone.lower == pytest.approx(of["p_f1_0.5s"].lower, abs=0.02)


def test_what_is_not_defined_is_no_accuracy():
    silent = counts(records=5)
    silent.values[:] = 0.0
    assert accuracy(silent, {"p_precision_0.5s": 1.0}) == Interval(0.0, 0.0, 0.0)
