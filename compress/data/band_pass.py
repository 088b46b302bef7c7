"""The band-pass of EQTransformer's own predictor: two corners, forwards and then backwards."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.signal import butter, sosfiltfilt

from compress.data.records import SAMPLING_RATE_HZ

CORNERS = 2


def band_pass(
    waveform: NDArray[np.floating], band_hz: tuple[float, float] | None
) -> NDArray[np.float32]:
    """A waveform (samples, 3) at 100 Hz within a band, its onsets in place; None leaves it."""
    if band_hz is None:
        return np.asarray(waveform, np.float32)
    sections = _sections(band_hz)
    centred = waveform - waveform.mean(axis=0, dtype=np.float64)
    # As much as scipy takes by itself, or as much as there is.
    padding = min(3 * (2 * len(sections) + 1), len(centred) - 1)
    return sosfiltfilt(sections, centred, axis=0, padlen=padding).astype(np.float32)


@lru_cache
def _sections(band_hz: tuple[float, float]) -> NDArray[np.float64]:
    return np.asarray(butter(CORNERS, band_hz, "bandpass", fs=SAMPLING_RATE_HZ, output="sos"))
