"""Calibration windows: loud and faint records evenly, P anywhere, the same for the same seed."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.calibration import calibration_windows
from compress.data.records import Category, Record


class Records:
    """Records whose first sample tells which one it is, and whose value rises towards P."""

    def __init__(self, snrs, others=0, samples=9000):
        self.snrs = snrs
        self.others = others
        self.samples = samples

    def __len__(self):
        return len(self.snrs) + self.others

    def __getitem__(self, index):
        waveform = np.random.default_rng(index).normal(size=(self.samples, 3)).astype(np.float32)
        if index >= len(self.snrs):
            return Record(str(index), 1e-3 * waveform, Category.NOISE)
        p = self.samples // 2
        waveform[p:] *= 50.0
        return Record(
            str(index), waveform, Category.EARTHQUAKE, p_sample=p, snr_db=self.snrs[index]
        )


def onset(window):
    """Where a window gets loud: 6000 where it never does."""
    envelope = np.abs(window).mean(axis=1)
    loud = np.flatnonzero(envelope > 0.25 * envelope.max())
    return int(loud[0])


def test_p_stands_anywhere(progress):
    del progress
    windows = calibration_windows(Records([10.0] * 40, samples=15000), 80, seed=0)
    onsets = np.array([onset(window) for window in windows])
    # From 20 s before the window to its end: a quarter begins after P.
    assert 0.15 < np.mean(onsets < 20) < 0.4
    inside = onsets[onsets >= 20]
    quarters = Counter((inside // 1500).tolist())
    assert all(quarters[k] >= 8 for k in range(4))


def test_each_quarter_of_loudness_is_used_as_often(monkeypatch):
    """Three records in four are faint, and get no more than their share of ranks."""
    seen = []
    source = Records([5.0 + 0.01 * k for k in range(30)] + [40.0 + k for k in range(10)])
    read = Records.__getitem__

    def spy(self, index):
        seen.append(index)
        return read(self, index)

    monkeypatch.setattr(Records, "__getitem__", spy)
    calibration_windows(source, 40, seed=1)
    used = seen[40:]  # the first reading ranks them
    assert len(used) == 40
    assert sum(index >= 30 for index in used) == 10
    assert len({index for index in used if index >= 30}) > 4


def test_records_without_labels_keep_their_share():
    windows = calibration_windows(Records([20.0] * 30, others=10), 40, seed=2)
    steps = np.abs(windows).max(axis=(1, 2))
    assert windows.shape == (40, 6000, 3)
    assert np.isfinite(steps).all()
    quiet = sum(onset(window) < 20 and np.abs(window).max() < 6 for window in windows)
    assert quiet >= 10


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.floats(-10, 80) | st.just(float("nan")), max_size=6),
    st.integers(0, 4),
    st.integers(1, 9),
    st.integers(3000, 9000),
)
def test_any_source_gives_as_many_as_asked_for(snrs, others, number, samples):
    source = Records(snrs, others, samples)
    if not len(source):
        return
    windows = calibration_windows(source, number, seed=3)
    assert windows.shape == (number, 6000, 3)
    assert np.isfinite(windows).all()
    np.testing.assert_array_equal(windows, calibration_windows(source, number, seed=3))


def test_another_seed_gives_others():
    source = Records([20.0] * 8)
    assert not np.array_equal(
        calibration_windows(source, 8, seed=0), calibration_windows(source, 8, seed=1)
    )


@pytest.mark.parametrize("number", [16, 50])
def test_a_source_smaller_than_what_is_asked_for(number):
    assert len(calibration_windows(Records([20.0, 30.0], others=1), number, seed=0)) == number
