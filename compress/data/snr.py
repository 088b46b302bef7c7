"""How loud an earthquake stands above the noise before it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baseline.contract import SAMPLING_RATE_HZ

SNR_NOISE_S = 10.0
SNR_SIGNAL_S = 3.0
SNR_LEAST_NOISE_S = 1.0


def snr_db(waveform: NDArray[np.floating], p_sample: float) -> float:
    """Signal-to-noise ratio at P in dB, the mean over the components that have one.

    20 log10 of the ratio of the 95th percentiles of the absolute amplitude in the 3 s after P and
    the 10 s before it (EQTransformer takes the same percentiles over equal lengths), less the mean
    of the noise. Less than 10 s of noise will do, but not less than 1 s.

    Args:
        waveform: shape (samples, 3) at 100 Hz, not filtered.
        p_sample: onset of P.

    Returns:
        NaN where P stands too close to an edge or a component has no motion before P or after.
    """
    onset = round(p_sample)
    noise = waveform[max(onset - round(SNR_NOISE_S * SAMPLING_RATE_HZ), 0) : onset]
    signal = waveform[onset : onset + round(SNR_SIGNAL_S * SAMPLING_RATE_HZ)]
    if len(noise) < SNR_LEAST_NOISE_S * SAMPLING_RATE_HZ or not len(signal):
        return float("nan")
    level = noise.mean(axis=0, dtype=np.float64)
    before = np.percentile(np.abs(noise - level), 95, axis=0)
    after = np.percentile(np.abs(signal - level), 95, axis=0)
    moves = (before > 0.0) & (after > 0.0)
    if not moves.any():
        return float("nan")
    return float(np.mean(20.0 * np.log10(after[moves] / before[moves])))
