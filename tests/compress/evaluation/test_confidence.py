"""The bootstrap over records."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compress.evaluation.confidence as confidence_module
from baseline.errors import InputError
from compress.evaluation.confidence import (
    intervals,
    paired_differences,
    unpaired_differences,
)
from compress.evaluation.metrics import COLUMNS, METRICS, Counts, summarise


def with_p_hits(hits: np.ndarray, names: tuple[str, ...] | None = None) -> Counts:
    """One labelled P per record, found (1) or missed (0)."""
    values = np.zeros((len(hits), len(COLUMNS)))
    values[:, COLUMNS.index("p_tp_0.5s")] = hits
    values[:, COLUMNS.index("p_fn_0.5s")] = 1 - hits
    return Counts(names or tuple(f"r{i}" for i in range(len(hits))), values)


def coin(records: int, probability: float, seed: int = 0) -> np.ndarray:
    return (np.random.default_rng(seed).random(records) < probability).astype(np.float64)


def random_counts(records: int, seed: int) -> Counts:
    values = np.random.default_rng(seed).integers(0, 5, (records, len(COLUMNS)))
    return Counts(tuple(f"r{i}" for i in range(records)), values.astype(np.float64))


def test_the_interval_of_a_fraction_is_the_binomial_one() -> None:
    counts = with_p_hits(coin(400, 0.8))
    fraction = summarise(counts)["p_recall_0.5s"]

    interval = intervals(counts)["p_recall_0.5s"]

    half = 1.96 * math.sqrt(fraction * (1 - fraction) / 400)
    assert interval.point == fraction
    assert interval.lower == pytest.approx(fraction - half, abs=0.006)
    assert interval.upper == pytest.approx(fraction + half, abs=0.006)


def test_a_higher_confidence_is_a_wider_interval() -> None:
    counts = with_p_hits(coin(100, 0.7))

    narrow, wide = (intervals(counts, confidence=c)["p_recall_0.5s"] for c in (0.5, 0.99))

    assert wide.lower < narrow.lower < narrow.upper < wide.upper


def test_the_seed_decides_the_draws() -> None:
    counts = random_counts(30, 1)

    assert repr(intervals(counts, seed=3)) == repr(intervals(counts, seed=3))
    assert intervals(counts, seed=3) != intervals(counts, seed=4)


def test_draws_in_portions_are_the_same_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    counts = random_counts(30, 1)
    at_once = intervals(counts, resamples=50)
    monkeypatch.setattr(confidence_module, "_DRAWS_AT_ONCE", 100)

    assert repr(intervals(counts, resamples=50)) == repr(at_once)


def test_what_cannot_be_measured_has_no_interval() -> None:
    interval = intervals(with_p_hits(coin(20, 0.5)))["s_recall_0.5s"]

    assert all(math.isnan(value) for value in (interval.point, interval.lower, interval.upper))


def test_draws_without_a_noise_record_are_left_out() -> None:
    counts = with_p_hits(coin(3, 0.5))
    counts.values[0, COLUMNS.index("noise_seconds")] = 3600.0
    counts.values[0, COLUMNS.index("noise_p_picks")] = 2.0

    interval = intervals(counts)["false_p_per_hour"]

    assert (interval.point, interval.lower, interval.upper) == (2.0, 2.0, 2.0)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(records=st.integers(1, 40), seed=st.integers(0, 2**32 - 1))
def test_equal_counts_differ_by_exactly_nothing(records: int, seed: int) -> None:
    counts = random_counts(records, seed)

    differences = paired_differences(counts, counts, resamples=200)

    assert tuple(differences) == METRICS
    for name, value in summarise(counts).items():
        if not math.isnan(value):
            found = differences[name]
            assert (found.point, found.lower, found.upper) == (0.0, 0.0, 0.0)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_exchanging_the_two_turns_the_signs(seed: int) -> None:
    a, b = random_counts(25, seed), random_counts(25, seed + 1)

    there, back = paired_differences(a, b, resamples=200), paired_differences(b, a, resamples=200)

    for name in METRICS:
        assert there[name].point == pytest.approx(-back[name].point)
        assert there[name].lower == pytest.approx(-back[name].upper)
        assert there[name].upper == pytest.approx(-back[name].lower)


def test_pairing_removes_what_both_find_hard() -> None:
    hits = coin(400, 0.6)
    worse = hits.copy()
    worse[np.flatnonzero(hits)[:8]] = 0.0

    paired = paired_differences(with_p_hits(worse), with_p_hits(hits))["p_recall_0.5s"]
    alone = intervals(with_p_hits(worse))["p_recall_0.5s"]

    assert paired.point == pytest.approx(-0.02)
    assert paired.lower < -0.02 < paired.upper < 0.0
    assert paired.upper - paired.lower < 0.5 * (alone.upper - alone.lower)


def test_what_was_not_measured_on_the_same_records_differs_by_the_variance_of_both() -> None:
    ours, theirs = with_p_hits(coin(400, 0.8)), with_p_hits(coin(300, 0.7, seed=1))
    fractions = [summarise(counts)["p_recall_0.5s"] for counts in (ours, theirs)]

    difference = unpaired_differences(ours, theirs)["p_recall_0.5s"]

    variances = [f * (1 - f) / n for f, n in zip(fractions, (400, 300), strict=True)]
    half = 1.96 * math.sqrt(sum(variances))
    assert difference.point == fractions[0] - fractions[1]
    assert difference.lower == pytest.approx(difference.point - half, abs=0.008)
    assert difference.upper == pytest.approx(difference.point + half, abs=0.008)


def test_exchanging_unpaired_models_turns_the_signs() -> None:
    a, b = random_counts(25, 1), random_counts(30, 2)

    there, back = unpaired_differences(a, b), unpaired_differences(b, a)

    for name in METRICS:
        turned = (-back[name].point, -back[name].upper, -back[name].lower)
        assert (there[name].point, there[name].lower, there[name].upper) == pytest.approx(turned)


def test_different_records_are_not_compared_in_pairs() -> None:
    hits = coin(3, 0.5)

    with pytest.raises(InputError, match="'c' among them"):
        paired_differences(with_p_hits(hits, ("a", "b", "c")), with_p_hits(hits, ("a", "b", "d")))
    with pytest.raises(InputError, match="the order"):
        paired_differences(with_p_hits(hits, ("a", "b", "c")), with_p_hits(hits, ("a", "c", "b")))


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="0 records"):
        intervals(Counts((), np.zeros((0, len(COLUMNS)))))
    with pytest.raises(ValueError, match="0 resamples"):
        intervals(with_p_hits(coin(3, 0.5)), resamples=0)
    with pytest.raises(ValueError, match="confidence"):
        intervals(with_p_hits(coin(3, 0.5)), confidence=1.0)
