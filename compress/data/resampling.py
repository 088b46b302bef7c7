"""Resampling to 100 Hz, so that an onset keeps its place."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from numpy.typing import NDArray
from scipy.signal import resample_poly

from compress.data.records import SAMPLING_RATE_HZ

_MAX_UPSAMPLING = 1000


def resampling_ratio(sampling_rate_hz: float) -> Fraction:
    """Samples at 100 Hz for each sample at `sampling_rate_hz`, as a ratio of whole numbers.

    The numerator is at most 1000, which bounds the length of the filter. Every rate with a
    period or a number of samples per second in use (20, 31.25, 40, 62.5, 125, 128, 200, 250...)
    is met exactly; any other within 0.05 %, and one within 0.05 % of 100 Hz counts as 100 Hz.
    Scale picks by this ratio and not by the rates: they then stay on their onsets exactly.

    Args:
        sampling_rate_hz: at least 1 Hz, finite.
    """
    return 1 / Fraction(sampling_rate_hz / SAMPLING_RATE_HZ).limit_denominator(_MAX_UPSAMPLING)


def resample(waveform: NDArray[np.floating], ratio: Fraction) -> NDArray[np.float32]:
    """The waveform with `ratio` times as many samples, without aliases.

    A zero-phase polyphase filter (scipy's Kaiser window with beta 5) cuts at the lower of the two
    Nyquist frequencies. The line from the first sample to the last is taken out before filtering
    and put back after: an offset or a drift would otherwise ring at the ends and, many times
    larger than the signal as it is in raw counts, leave ripples of 5e-5 of itself all along.

    Args:
        waveform: shape (samples, components), at least one sample.
        ratio: from `resampling_ratio`.

    Returns:
        float32, shape (ceil(samples * ratio), components); sample i of the input is at i * ratio.
    """
    if ratio == 1:
        return np.asarray(waveform, dtype=np.float32)
    first, last = waveform[0].astype(np.float64), waveform[-1].astype(np.float64)
    slope = (last - first) / max(len(waveform) - 1, 1)
    line = first + slope * np.arange(len(waveform))[:, np.newaxis]
    resampled = resample_poly(waveform - line, ratio.numerator, ratio.denominator, axis=0)
    resampled += first + slope * (np.arange(len(resampled)) / float(ratio))[:, np.newaxis]
    return resampled.astype(np.float32)
