"""How far two models agree."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.records import Category, Record
from compress.evaluation.agreement import agree, match, window_starts
from compress.evaluation.metrics import Counts, summarise
from compress.evaluation.picker import Pick, Thresholds


class Noise:
    """Unlabelled records of so many samples, each with a spike in every window."""

    def __init__(self, *samples: int) -> None:
        self._samples = samples

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Record:
        waveform = np.random.default_rng(index).normal(size=(self._samples[index], 3)) * 1e-3
        waveform[3000::6000] = 5.0
        return Record(self.names()[index], waveform.astype(np.float32), Category.UNLABELLED)

    def names(self) -> list[str]:
        return [f"r{i}" for i in range(len(self))]

    def categories(self) -> list[Category]:
        return [Category.UNLABELLED] * len(self)

    def fingerprint(self) -> str:
        return "by hand"


def spike(windows: np.ndarray) -> np.ndarray:
    """P at the spike, S a second later, a detection around both."""
    predictions = np.zeros(windows.shape, dtype=np.float32)
    for window, prediction in zip(windows, predictions, strict=True):
        p = min(int(window[:, 0].argmax()), 5800)
        prediction[p : p + 150, 0] = 0.5
        prediction[p, 1] = 0.5
        prediction[p + 100, 2] = 0.5
    return predictions


def compare(candidate, reference, source):
    from rich.progress import Progress

    own = Thresholds()
    return agree(candidate, reference, source, own, own, 0, Progress(disable=True))


def picks(samples: list[float]) -> tuple[Pick, ...]:
    return tuple(Pick(sample, 0.5) for sample in samples)


def test_a_model_agrees_with_itself() -> None:
    result = compare(spike, spike, Noise(9000, 12000, 6000))

    metrics = summarise(result.counts)
    for name, value in metrics.items():
        if "precision" in name or "recall" in name or "f1" in name:
            assert value == 1.0, name
        else:
            assert value == 0.0, name
    assert [rmse.upper for rmse in result.probability_rmse()] == [0.0] * 3
    assert result.lost_detections_per_hour().point == 0.0
    assert result.samples.tolist() == [6000, 12000, 6000]


def test_a_model_that_is_late() -> None:
    result = compare(lambda w: np.roll(spike(w), 15, axis=1), spike, Noise(*[9000] * 5))

    metrics = summarise(result.counts)
    assert metrics["p_f1_0.5s"] == metrics["s_f1_0.2s"] == metrics["detection_f1"] == 1.0
    assert metrics["p_f1_0.1s"] == metrics["s_recall_0.1s"] == 0.0
    assert metrics["p_residual_mean_s"] == pytest.approx(0.15)
    assert metrics["p_residual_std_s"] == pytest.approx(0.0, abs=1e-6)


def test_what_is_added_and_what_is_lost() -> None:
    def silent(windows: np.ndarray) -> np.ndarray:
        return np.zeros(windows.shape, dtype=np.float32)

    lost = compare(silent, spike, Noise(*[6000] * 4))
    added = compare(spike, silent, Noise(*[6000] * 4))

    assert summarise(lost.counts)["detection_recall"] == 0.0
    assert lost.lost_detections_per_hour().point == 60.0
    assert summarise(lost.counts)["false_detections_per_hour"] == 0.0
    assert summarise(added.counts)["p_precision_0.5s"] == 0.0
    assert summarise(added.counts)["false_detections_per_hour"] == 60.0
    assert summarise(added.counts)["false_s_per_hour"] == 60.0
    assert added.probability_rmse()[0].point == pytest.approx(np.sqrt(150 * 0.25 / 6000), rel=1e-4)
    assert added.probability_rmse()[1].point == pytest.approx(np.sqrt(0.25 / 6000), rel=1e-4)


def test_counts_can_be_stored() -> None:
    counts = compare(spike, spike, Noise(6000, 9000)).counts

    np.testing.assert_array_equal(Counts.from_json(counts.to_json()).values, counts.values)


@settings(deadline=None, derandomize=True, max_examples=50)
@given(samples=st.integers(1, 40_000), seed=st.integers(0, 99))
def test_windows_do_not_overlap(samples: int, seed: int) -> None:
    starts = window_starts(samples, np.random.default_rng(seed))

    assert starts[0] >= 0
    assert all(b - a == 6000 for a, b in itertools.pairwise(starts))
    assert starts[-1] + 6000 <= max(samples, 6000)
    assert len(starts) == max(samples // 6000, 1)


places = st.lists(st.integers(0, 120).map(float), max_size=4)


def most_pairs(ours: list[float], theirs: list[float], tolerance: float) -> int:
    """The greatest number of one-to-one pairs, by trying all of them."""
    if not ours:
        return 0
    rest = ours[1:]
    found = [most_pairs(rest, theirs, tolerance)]
    for index, other in enumerate(theirs):
        if abs(ours[0] - other) / 100 <= tolerance:
            left = theirs[:index] + theirs[index + 1 :]
            found.append(1 + most_pairs(rest, left, tolerance))
    return max(found)


@settings(deadline=None, derandomize=True, max_examples=200)
@given(ours=places, theirs=places, tolerance=st.sampled_from([0.1, 0.2, 0.5]))
def test_as_many_picks_match_as_can(ours, theirs, tolerance) -> None:
    residuals = match(picks(ours), picks(theirs), tolerance)
    back = match(picks(theirs), picks(ours), tolerance)

    assert len(residuals) == most_pairs(ours, theirs, tolerance)
    assert all(abs(residual) <= tolerance for residual in residuals)
    assert residuals == pytest.approx([-residual for residual in back])
