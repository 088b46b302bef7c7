"""Resampling: onsets stay in their place, aliases are gone, ends do not ring."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.resampling import resample, resampling_ratio

SETTINGS = settings(deadline=None, derandomize=True, max_examples=60)
rates = st.floats(40.0, 500.0) | st.sampled_from([40.0, 50.0, 62.5, 80.0, 125.0, 128.0, 200.0])


def sine(frequency_hz: float, rate_hz: float, seconds: float = 20.0) -> np.ndarray:
    times = np.arange(int(seconds * rate_hz)) / rate_hz
    return np.repeat(np.sin(2 * np.pi * frequency_hz * times)[:, None], 3, axis=1)


@pytest.mark.parametrize(
    ("rate", "ratio"),
    [
        (100.0, Fraction(1)),
        (100.00001, Fraction(1)),
        (99.99998, Fraction(1)),
        (40.0, Fraction(5, 2)),
        (50.0, Fraction(2)),
        (62.5, Fraction(8, 5)),
        (125.0, Fraction(4, 5)),
        (128.0, Fraction(25, 32)),
        (200.0, Fraction(1, 2)),
        (250.0, Fraction(2, 5)),
        (1e5, Fraction(1, 1000)),
    ],
)
def test_ratio_of_rates_in_use_is_exact(rate, ratio):
    assert resampling_ratio(rate) == ratio


@SETTINGS
@given(rate=rates)
def test_ratio_is_near_and_its_filter_short(rate):
    ratio = resampling_ratio(rate)
    assert ratio.denominator <= 5000
    assert ratio.numerator <= 1000
    assert abs(ratio / Fraction(100.0 / rate) - 1) <= 5.1e-4


@SETTINGS
@given(rate=rates, onset_s=st.floats(8.0, 22.0))
def test_onset_keeps_its_time(rate, onset_s):
    """A 5 Hz wavelet: where it peaks is found again within half a sample."""
    times = np.arange(int(30 * rate)) / rate - onset_s
    wavelet = np.exp(-((times / 0.08) ** 2)) * np.cos(2 * np.pi * 5.0 * times)
    ratio = resampling_ratio(rate)

    resampled = resample(np.repeat(wavelet[:, None], 3, axis=1), ratio)

    assert resampled.shape == (ceil(len(times) * ratio), 3)
    assert resampled.dtype == np.float32
    assert abs(np.argmax(resampled[:, 0]) - onset_s * rate * ratio) <= 0.5 + 1e-3


@pytest.mark.parametrize("rate", [40.0, 50.0, 80.0, 125.0, 200.0, 250.0, 500.0])
def test_band_of_the_picker_passes_unchanged(rate):
    expected = sine(10.0, 100.0)
    resampled = resample(sine(10.0, rate), resampling_ratio(rate))
    inner = slice(200, 1800)
    np.testing.assert_allclose(resampled[inner], expected[inner], atol=0.01)


@pytest.mark.parametrize(("rate", "frequency"), [(200.0, 80.0), (250.0, 65.0), (500.0, 210.0)])
def test_what_100_hz_cannot_hold_is_taken_out(rate, frequency):
    resampled = resample(sine(frequency, rate), resampling_ratio(rate))
    assert np.abs(resampled[50:-50]).max() < 0.01


@pytest.mark.parametrize("rate", [40.0, 62.5, 200.0, 123.4])
def test_offset_and_drift_leave_no_ripple(rate):
    drift = np.linspace(1e6, 1.2e6, 1000)[:, None] * [1.0, -1.0, 0.0] + [0.0, 0.0, 5e5]
    ratio = resampling_ratio(rate)
    resampled = resample(drift, ratio)
    expected = (
        drift[0] + (drift[1] - drift[0]) * (np.arange(len(resampled)) / float(ratio))[:, None]
    )
    np.testing.assert_allclose(resampled, expected, rtol=1e-7)


def test_100_hz_is_handed_through():
    waveform = np.random.default_rng(0).standard_normal((77, 3)).astype(np.float32)
    np.testing.assert_array_equal(resample(waveform, Fraction(1)), waveform)


@pytest.mark.parametrize("samples", [1, 2, 3])
def test_very_short_waveforms_survive(samples):
    resampled = resample(np.ones((samples, 3)), Fraction(5, 2))
    assert resampled.shape == (ceil(samples * 2.5), 3)
    assert np.isfinite(resampled).all()
