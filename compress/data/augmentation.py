"""Changes to a three-component window that leave its onsets where they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from baseline.contract import SAMPLING_RATE_HZ

EAST, NORTH, VERTICAL = 0, 1, 2

NOISE_PROBABILITY = 0.3
NOISE_LEVEL = (0.01, 0.15)
"""Added noise, as a fraction of the window's standard deviation; log-uniform."""


def augment(waveform: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """A window as another station might have recorded it.

    The horizontals are turned by a random angle, each component may be reversed and its gain
    changed, and sometimes coloured noise is added.

    Args:
        waveform: shape (samples, 3), components E, N, Z, not normalised.
        random: draws everything.

    Returns:
        A changed copy, float32.
    """
    changed = rotate(waveform, random.uniform(0.0, 2.0 * np.pi))
    changed *= random.choice([-1.0, 1.0], size=3) * np.exp(random.normal(0.0, 0.2, size=3))
    if random.random() < NOISE_PROBABILITY:
        level = np.exp(random.uniform(*np.log(NOISE_LEVEL)))
        changed += level * changed.std(axis=0) * coloured_noise(len(changed), random)
    return changed.astype(np.float32)


def rotate(waveform: NDArray[np.float32], angle: float) -> NDArray[np.float64]:
    """The same motion on horizontals turned by `angle` (radians) about the vertical."""
    turned = waveform.astype(np.float64)
    east, north = turned[:, EAST].copy(), turned[:, NORTH].copy()
    turned[:, EAST] = np.cos(angle) * east - np.sin(angle) * north
    turned[:, NORTH] = np.sin(angle) * east + np.cos(angle) * north
    return turned


def coloured_noise(samples: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Gaussian noise (samples, 3) of unit variance, its power falling as f^-a with a random a."""
    frequency = np.maximum(fft.rfftfreq(samples, 1.0 / SAMPLING_RATE_HZ), 0.1)
    slope = frequency ** (-random.uniform(0.0, 1.0))
    spectrum = random.normal(size=(len(frequency), 3)) + 1j * random.normal(
        size=(len(frequency), 3)
    )
    noise = fft.irfft(spectrum * slope[:, None], n=samples, axis=0)
    return noise / noise.std(axis=0)
