"""Windows: how 60 s are cut from a record and normalised. The one place that owns this."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baseline.contract import WINDOW_SAMPLES

__all__ = ["WINDOW_SAMPLES", "cut", "normalise"]


def normalise(window: NDArray[np.floating]) -> NDArray[np.float32]:
    """Demean each component and divide it by its own standard deviation over the window.

    A component without motion has a zero divisor, which becomes 1. This is what EQTransformer's
    training and prediction code does with `norm_mode="std"`.

    Args:
        window: shape (..., samples, 3), any float type.

    Returns:
        float32 of the same shape.
    """
    centred = window - window.mean(axis=-2, keepdims=True, dtype=np.float64)
    power = np.einsum("...sc,...sc->...c", centred, centred) / window.shape[-2]
    scale = np.sqrt(power)[..., None, :]
    scale[scale == 0.0] = 1.0
    return (centred / scale).astype(np.float32)


def cut(waveform: NDArray[np.float32], start: int) -> NDArray[np.float32]:
    """The normalised window of 6000 samples that begins at `start`.

    Where the waveform ends before the window does, or starts after it, the missing samples hold
    the mean of their component, which normalisation turns into about zero.

    Args:
        waveform: shape (samples, 3).
        start: first sample of the window; may be negative.

    Returns:
        float32, shape (6000, 3).
    """
    first, last = max(start, 0), min(start + WINDOW_SAMPLES, len(waveform))
    if first == start and last == start + WINDOW_SAMPLES:
        return normalise(waveform[first:last])
    if last <= first:
        raise ValueError(f"window at {start} does not touch a waveform of {len(waveform)} samples")
    window = np.empty((WINDOW_SAMPLES, waveform.shape[1]), dtype=np.float64)
    window[:] = waveform[first:last].mean(axis=0, dtype=np.float64)
    window[first - start : last - start] = waveform[first:last]
    return normalise(window)
