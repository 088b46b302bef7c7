"""Scores at other thresholds, from the candidates of one pass."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score

import compress.evaluation.bootstrap as bootstrap
from compress.evaluation.bootstrap import record_interval
from compress.evaluation.curves import (
    FLOOR,
    Scored,
    at_false_alarms,
    average_precision,
    best_threshold,
    f1_at,
    join,
    precision_recall,
    score,
    tune_thresholds,
)
from compress.evaluation.metrics import Truths
from compress.evaluation.picker import Thresholds

NAN = float("nan")


def prediction(p: dict[int, float], s: dict[int, float] | None = None, detection: float = 0.0):
    """One window with these peaks."""
    window = np.zeros((6000, 3), dtype=np.float32)
    window[1000:2000, 0] = detection
    for column, peaks in ((1, p), (2, s or {})):
        for sample, probability in peaks.items():
            window[sample, column] = probability
    return window


def truths(p, s, noise, records) -> Truths:
    return Truths(
        np.array(p, dtype=float),
        np.array(s, dtype=float),
        np.array(noise, dtype=bool),
        np.array(records, dtype=np.intp),
    )


def scored(right: list[float], wrong: list[float], noise: list[float], missed: int = 0) -> Scored:
    """Candidates of one earthquake record, and of as many noise records as there are alarms."""
    total = len(right) + len(wrong)
    return Scored(
        np.array([*right, *wrong, *noise]),
        np.array([True] * len(right) + [False] * (len(wrong) + len(noise)), dtype=bool),
        np.array([False] * total + [True] * len(noise), dtype=bool),
        np.array([0] * total + list(range(1, len(noise) + 1)), dtype=np.intp),
        np.zeros(missed, dtype=np.intp),
        np.array([0.0] + [3600.0] * max(len(noise), 1)),
    )


def test_what_a_peak_is_worth() -> None:
    windows = np.stack(
        [
            prediction({1000: 0.9, 1049: 0.5, 1060: 0.7, 3000: 0.4}, detection=0.8),
            prediction({2000: 0.3, 5: 0.005}),
            prediction({500: 0.2}, detection=0.6),
            prediction({600: 0.9}),
        ]
    )
    known = truths([1040, 4000, NAN, NAN], [NAN] * 4, [0, 0, 1, 0], [0, 1, 2, 0])

    found = score(windows, known)
    result = {output: join([found[output]], known, records=3) for output in found}

    p = result["p"]  # 1049 is too close to the higher 1000; the window without a label is left out
    assert p.probability.tolist() == pytest.approx([0.9, 0.7, 0.4, 0.3, 0.2])
    assert p.right.tolist() == [True, False, False, False, False]
    assert p.noise.tolist() == [False] * 4 + [True]
    assert p.record.tolist() == [0, 0, 0, 1, 2]
    assert p.missed.tolist() == [1]
    assert p.noise_seconds.tolist() == [0.0, 0.0, 60.0]
    detection = result["detection"]
    assert detection.probability.tolist() == pytest.approx([0.8, 0.0, 0.6])
    assert detection.right.tolist() == [True, True, False]
    assert result["s"].probability.tolist() == []


def test_a_short_burst_is_no_detection() -> None:
    window = prediction({}, detection=0.4)
    window[3000:3009, 0] = 0.9
    window[4000:4010, 0] = 0.6

    result = score(window[None], truths([1000], [NAN], [0], [0]))["detection"]

    assert result.probability.tolist() == pytest.approx([0.6])


@pytest.mark.parametrize(("distance", "found"), [(50, True), (51, False), (-50, True)])
def test_the_tolerance_is_half_a_second_inclusive(distance: int, found: bool) -> None:
    windows = prediction({2000 + distance: 0.9})[None]

    result = score(windows, truths([2000], [NAN], [0], [0]))["p"]

    assert result.right.tolist() == [found]
    assert len(result.missed) == (not found)


def test_a_curve_by_hand() -> None:
    candidates = scored(right=[0.9, 0.5], wrong=[0.7], noise=[0.3], missed=2)

    curve = precision_recall(candidates)

    assert curve.threshold.tolist() == [0.3, 0.5, 0.7, 0.9]
    assert curve.precision.tolist() == pytest.approx([2 / 4, 2 / 3, 1 / 2, 1])
    assert curve.recall.tolist() == [0.5, 0.5, 0.25, 0.25]
    assert average_precision(candidates).point == pytest.approx(0.25 * 1 + 0.25 * 2 / 3)
    assert f1_at(curve, 0.5) == pytest.approx(2 * 2 / (2 * 2 + 1 + 2))
    assert f1_at(curve, 0.95) == 0.0
    threshold, f1 = best_threshold(curve, candidates.probability)
    assert threshold == pytest.approx((0.5 + 0.3) / 2)
    assert f1 == pytest.approx(f1_at(curve, 0.5))


def test_what_cannot_be_measured() -> None:
    nothing_labelled = scored([], [0.5], [0.4])
    nothing_found = scored([], [0.5], [0.4], missed=3)

    assert math.isnan(average_precision(nothing_labelled).point)
    assert at_false_alarms(nothing_labelled, 1.0) is None
    assert len(precision_recall(nothing_labelled).threshold) == 0
    assert average_precision(nothing_found).point == 0.0
    assert precision_recall(nothing_found).recall.tolist() == [0.0]
    silent = scored([0.9], [], [])
    assert at_false_alarms(silent, 1.0).threshold == FLOOR
    without_noise = Scored(*(getattr(silent, n) for n in list(vars(silent))[:-1]), np.zeros(2))
    assert at_false_alarms(without_noise, 1.0) is None


def test_recall_at_false_alarms_by_hand() -> None:
    candidates = scored(right=[0.9, 0.6, 0.3], wrong=[0.99], noise=[0.7, 0.4, 0.4, 0.2], missed=1)
    # Four hours of noise: 0.25 an hour is one alarm, 0.5 is two, of which 0.4 comes twice.

    one, two, three = (at_false_alarms(candidates, rate) for rate in (0.25, 0.5, 0.75))

    assert (one.per_hour, one.recall.point) == (0.25, 0.5)
    assert (two.per_hour, two.recall.point) == (0.25, 0.5)
    assert (three.per_hour, three.recall.point) == (0.75, 0.75)
    assert one.threshold == pytest.approx(0.4)
    assert one.threshold > 0.4
    assert at_false_alarms(candidates, 0.0).recall.point == 0.25


def test_thresholds_that_cannot_be_tuned_stay() -> None:
    own = Thresholds(detection=0.35, p=0.15, s=0.25)
    good = scored([0.9, 0.8], [0.5], [0.4])
    no_noise = scored([0.9, 0.8], [], [])
    no_labels = scored([], [0.9], [0.8])

    assert tune_thresholds({"detection": no_noise, "p": good, "s": no_labels}, own) == Thresholds(
        detection=0.35, p=0.65, s=0.25
    )


@pytest.fixture(scope="module")
def few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 3)
        yield


probabilities = st.lists(st.integers(2, 40).map(lambda i: i / 40), max_size=12)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(right=probabilities, wrong=probabilities, noise=probabilities, missed=st.integers(0, 5))
def test_curves_keep_their_promises(few_draws, right, wrong, noise, missed) -> None:
    candidates = scored(right, wrong, noise, missed)
    curve = precision_recall(candidates)
    onsets = len(right) + missed

    assert (np.diff(curve.threshold) > 0).all()
    assert (np.diff(curve.recall) <= 0).all()
    for threshold, precision, recall in zip(
        curve.threshold, curve.precision, curve.recall, strict=True
    ):
        tp = sum(p >= threshold for p in right)
        fp = sum(p >= threshold for p in [*wrong, *noise])
        assert recall == pytest.approx(tp / onsets)
        assert precision == pytest.approx(tp / (tp + fp) if tp else 0.0)
    if onsets:
        steps = curve.recall - np.append(curve.recall[1:], 0.0)
        expected = float(steps @ curve.precision)
        assert average_precision(candidates).point == pytest.approx(expected)
        best, f1 = best_threshold(curve, candidates.probability)
        assert f1 == pytest.approx(curve.f1.max())
        assert f1_at(curve, best) == pytest.approx(f1)
        points = [at_false_alarms(candidates, rate) for rate in (0.0, 0.5, 1.0, 2.0)]
        assert all(point.per_hour <= point.allowed_per_hour for point in points)
        assert [p.recall.point for p in points] == sorted(p.recall.point for p in points)


@settings(
    deadline=None,
    derandomize=True,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(seed=st.integers(0, 2**32 - 1), number=st.integers(1, 60))
def test_average_precision_of_every_draw_is_that_of_scikit_learn(
    seed: int, number: int, monkeypatch
) -> None:
    monkeypatch.setattr("compress.evaluation.bootstrap.RESAMPLES", 20)
    random = np.random.default_rng(seed)
    right = random.random(number) < 0.5
    candidates = Scored(
        random.integers(1, 9, number) / 10,
        right,
        ~right & (random.random(number) < 0.5),
        random.integers(0, 7, number),
        random.integers(0, 7, 2),
        np.zeros(7),
    )

    def expected(weights) -> float:
        each = weights[candidates.record]
        found = each[right].sum()
        onsets = found + weights[candidates.missed].sum()
        if not onsets or not found:
            return 0.0 if onsets else NAN
        share = average_precision_score(right, candidates.probability, sample_weight=each)
        return share * found / onsets

    ours, theirs = average_precision(candidates), record_interval(expected, 7)
    assert vars(ours) == pytest.approx(vars(theirs), nan_ok=True)


@settings(deadline=None, derandomize=True, max_examples=15)
@given(seed=st.integers(0, 2**32 - 1), split=st.integers(0, 6))
def test_batches_add_up(seed: int, split: int) -> None:
    random = np.random.default_rng(seed)
    windows = random.random((6, 6000, 3), dtype=np.float32) ** 8
    noise = random.random(6) < 0.4
    onsets = np.where(noise | (random.random(6) < 0.2), NAN, random.uniform(0, 6000, 6))
    known = truths(onsets, onsets, noise, random.integers(0, 3, 6))

    together = score(windows, known)
    parts = [
        score(windows[part], Truths(*(column[part] for column in vars(known).values())))
        for part in (slice(None, split), slice(split, None))
    ]

    for output, candidates in together.items():
        joined = join([part[output] for part in parts], known, 3)
        for name, values in vars(candidates).items():
            np.testing.assert_array_equal(getattr(joined, name), values)
