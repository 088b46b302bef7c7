"""Reference windows: waveforms that a bundle carries, and what its own file answered to them.

Whoever deploys a bundle runs them again, with the runtime and on the processor that it is to work
with, and sees whether the answers are still the same. `reference.npz` holds

- `windows`: float16, (n, 6000, 3), normalised; the model is fed exactly these numbers as float32;
- `predictions`: uint16, (n, 6000, 3), the probabilities times 65535.
"""

from __future__ import annotations

import io
import zipfile
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseline.contract import PREDICTION_SHAPE, WINDOW_SHAPE
from baseline.errors import InputError
from export.runtimes import Runner

PROBABILITY_ONE = 65535
"""What a probability of 1 is stored as: half a step, 8e-6, is far below every tolerance."""

MAXIMUM_WINDOWS = 16
MAXIMUM_BYTES = 2**21
"""Of the file. More is nothing that `encode` wrote: 16 windows take 1.2 MB before compression."""

ARRAYS = {
    "windows": (np.dtype("<f2"), WINDOW_SHAPE),
    "predictions": (np.dtype("<u2"), PREDICTION_SHAPE),
}


@dataclass(frozen=True)
class Reference:
    """Windows and a model's answers.

    Attributes:
        windows: float32, (n, 6000, 3), each of them a number that float16 has.
        predictions: float32, (n, 6000, 3).
    """

    windows: NDArray[np.float32]
    predictions: NDArray[np.float32]

    def difference(self, runner: Runner) -> Difference:
        """How far from the recorded answers a model's are, over all windows in sequence."""
        apart = runner(self.windows).astype(np.float64) - self.predictions
        return Difference(
            len(self.windows), float(np.abs(apart).max()), float(np.sqrt(np.mean(apart**2)))
        )


@dataclass(frozen=True)
class Difference:
    """How far two answers are apart, over all samples and outputs; NaN if one is no number.

    Attributes:
        windows: how many were compared.
        maximum: greatest absolute difference.
        rms: root mean square.
    """

    windows: int
    maximum: float
    rms: float


def record(runner: Runner, windows: NDArray[np.float32]) -> Reference:
    """What a model answers to these normalised windows (n, 6000, 3), one after the other.

    Raises:
        InputError: some answers are no probabilities.
    """
    kept = windows.astype(np.float16).astype(np.float32)
    predictions = runner(kept)
    if not ((predictions >= 0.0) & (predictions <= 1.0)).all():
        raise InputError(
            f"The model answers {predictions.min():.4g} to {predictions.max():.4g}, which are no "
            "probabilities."
        )
    return Reference(kept, predictions)


def encode(reference: Reference) -> bytes:
    """The content of `reference.npz`."""
    file = io.BytesIO()
    np.savez_compressed(
        file,
        windows=reference.windows.astype("<f2"),
        predictions=np.rint(reference.predictions * PROBABILITY_ONE).astype("<u2"),
    )
    return file.getvalue()


def decode(content: bytes) -> Reference:
    """What `encode` wrote, whoever hands it over: nothing is unpickled, no size believed unseen.

    Raises:
        InputError: it is something else.
    """
    if len(content) > MAXIMUM_BYTES:
        raise InputError(f"{len(content):,} bytes are more than {MAXIMUM_BYTES:,}.")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names, expected = archive.namelist(), [f"{name}.npy" for name in ARRAYS]
            if sorted(names) != sorted(expected):
                raise InputError(f"It holds {names[:10]} instead of {expected}.")
            windows, predictions = (_read(archive, name) for name in ARRAYS)
    except InputError:
        raise
    except Exception as error:  # whatever zipfile, zlib and NumPy make of a damaged file
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"Not a whole NumPy archive ({reason}).") from None
    if len(windows) != len(predictions):
        raise InputError(f"{len(windows)} windows have {len(predictions)} predictions.")
    if not np.isfinite(windows).all():
        raise InputError("Some samples of its windows are no finite numbers.")
    return Reference(
        windows.astype(np.float32), predictions.astype(np.float32) / np.float32(PROBABILITY_ONE)
    )


def _read(archive: zipfile.ZipFile, name: str) -> NDArray[np.generic]:
    """One array, whose header is looked at before anything of its claimed size is made."""
    dtype, shape = ARRAYS[name]
    with archive.open(f"{name}.npy") as file:
        if np.lib.format.read_magic(file) != (1, 0):
            raise ValueError(f"{name} are in another version of the format")
        found, fortran, found_dtype = np.lib.format.read_array_header_1_0(file)
        number, *rest = found or (0,)
        if tuple(rest) != shape or found_dtype != dtype or fortran:
            raise InputError(
                f"Its {name} are {found_dtype} {found}; {dtype} (n, 6000, 3) is needed."
            )
        if not 1 <= number <= MAXIMUM_WINDOWS:
            raise InputError(f"Its {name} claim to be {number:,}; 1 to {MAXIMUM_WINDOWS} can be.")
        file.seek(0)
        array = np.lib.format.read_array(file, allow_pickle=False)
        if file.read(1):  # at the end, and only there, zipfile compares the checksum
            raise ValueError(f"{name} are followed by something else")
    return array
