"""The windows that bundles carry as `reference.npz`; see `export.reference`.

They are synthetic, so that no bundle ships a waveform that is somebody else's.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from compress.data.synthetic import SyntheticSource
from compress.data.windows import cut

SEED = 17
P_SAMPLE = 1234
"""Where P stands in both earthquakes' windows: at no whole second."""

CLEAR_SNR_DB = 25.0
WEAK_SNR_DB = 6.0


def reference_windows() -> NDArray[np.float32]:
    """A clear earthquake, a weak one and noise: normalised windows, float32, (3, 6000, 3)."""
    windows = []
    for index, snr_db in enumerate((CLEAR_SNR_DB, WEAK_SNR_DB)):
        source = SyntheticSource(index + 1, SEED, noise_fraction=0.0, snr_db=(snr_db, snr_db))
        record = source[index]
        assert record.p_sample is not None
        windows.append(cut(record.waveform, int(record.p_sample) - P_SAMPLE))
    noise = SyntheticSource(3, SEED, noise_fraction=1.0)[2]
    return np.stack([*windows, cut(noise.waveform, P_SAMPLE)])
