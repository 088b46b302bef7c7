"""Where windows are cut, and what a perfect and a silent model score on them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.errors import InputError
from compress.data.records import Category, Record
from compress.data.synthetic import SyntheticSource
from compress.evaluation.metrics import summarise
from compress.evaluation.protocol import Protocol, evaluate, labelled_windows, placements


def record(samples, p=None, s=None, category=Category.EARTHQUAKE):
    return Record("r", np.zeros((samples, 3), np.float32), category, p, s)


@settings(deadline=None, derandomize=True)
@given(
    samples=st.integers(6000, 20_000),
    share=st.floats(0.05, 0.9),
    s_minus_p=st.floats(10, 3000),
    number=st.integers(1, 20),
    seed=st.integers(0, 1000),
)
def test_windows_hold_the_onsets_where_the_record_allows(samples, share, s_minus_p, number, seed):
    p = share * samples
    s = min(p + s_minus_p, samples - 1.0)
    starts = placements(record(samples, p, s), number, np.random.default_rng(seed))
    assert 1 <= len(starts) <= number
    assert starts == sorted(set(starts))
    for start in starts:
        assert 0 <= start <= samples - 6000
        assert p - start >= 300 or start == 0
        if s - p < 5600 and p >= 300:
            assert start <= p < s < start + 6000


@pytest.mark.parametrize("samples", [4000, 6000])
def test_record_no_longer_than_a_window_has_one_place(samples):
    assert placements(record(samples, 500.0, 900.0), 5, np.random.default_rng(0)) == [0]


def test_places_are_rarely_whole_seconds():
    starts = [
        start
        for seed in range(50)
        for start in placements(record(9000, 3000.0, 3400.0), 5, np.random.default_rng(seed))
    ]
    assert np.mean(np.array(starts) % 100 == 0) < 0.05
    assert np.ptp(starts) > 2000


def test_noise_is_cut_anywhere():
    starts = placements(record(9000, category=Category.NOISE), 500, np.random.default_rng(0))
    assert min(starts) < 100 < 2900 < max(starts)


class Oracle:
    """Answers with the truth of the windows, in the order in which they come."""

    def __init__(self, source, protocol, late_samples=0):
        self._truths = iter([w.truths for w in labelled_windows(source, protocol)])
        self._late = late_samples

    def __call__(self, windows):
        truths = next(self._truths)
        prediction = np.zeros((len(windows), 6000, 3), np.float32)
        for row, p, s in zip(prediction, truths.p_samples, truths.s_samples, strict=True):
            if np.isfinite(p):
                end = s if np.isfinite(s) else p + 500
                row[int(p) - 20 : int(end) + 20, 0] = 1.0
            for output, onset in ((1, p), (2, s)):
                if np.isfinite(onset):
                    row[min(round(onset) + self._late, 5990), output] = 0.9
        return prediction


@pytest.fixture(scope="module")
def source():
    return SyntheticSource(40, seed=4)


def test_truth_scores_one(source, progress):
    protocol = Protocol(placements=3, seed=1)
    metrics = summarise(evaluate(Oracle(source, protocol), source, protocol, progress))
    for name in ("p_f1_0.5s", "s_f1_0.5s", "p_f1_0.1s", "s_f1_0.1s", "detection_f1"):
        assert metrics[name] == 1.0
    assert metrics["false_detections_per_hour"] == 0.0
    assert metrics["p_residual_mae_s"] < 0.006


def test_lateness_is_measured(source, progress):
    protocol = Protocol(placements=2, seed=1)
    late = summarise(evaluate(Oracle(source, protocol, 20), source, protocol, progress))
    assert late["p_residual_mean_s"] == pytest.approx(0.2, abs=0.01)
    assert late["p_f1_0.1s"] == 0.0
    assert late["p_f1_0.5s"] > 0.9


def test_silence_finds_nothing(source, progress):
    counts = evaluate(np.zeros_like, source, Protocol(), progress)
    metrics = summarise(counts)
    assert metrics["p_f1_0.5s"] == metrics["detection_f1"] == 0.0
    assert metrics["false_p_per_hour"] == 0.0
    assert counts.record_names == tuple(source.names())


class Unlabelled(SyntheticSource):
    def categories(self):
        return [Category.UNLABELLED] * len(self)


def test_data_without_labels_are_refused(progress):
    with pytest.raises(InputError, match="None of the 5 records"):
        evaluate(np.zeros_like, Unlabelled(5, seed=1), Protocol(), progress)
