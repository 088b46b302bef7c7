"""Whether an exported model computes what the model it came from computes."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from export.runtimes import Runner

MINIMUM_WINDOWS = 64
"""Enough, one after the other, for a state carried from window to window to show."""


@dataclass(frozen=True)
class Parity:
    """How far two models' probabilities are apart, over all windows and outputs.

    Attributes:
        windows: number of windows compared, run in sequence.
        maximum_difference: greatest absolute difference.
        rms_difference: root mean square of the differences.
    """

    windows: int
    maximum_difference: float
    rms_difference: float

    def require(self, tolerance: float, what: str) -> None:
        """Refuse an exported model that is further from its origin than rounding makes it.

        Raises:
            InputError: a difference is greater than `tolerance`, or not a number.
        """
        if not self.maximum_difference <= tolerance:
            raise InputError(
                f"{what}: the exported model does not compute what the Keras model computes: they "
                f"differ by up to {self.maximum_difference:.3g} over {self.windows} windows, more "
                f"than {tolerance:g}."
            )

    def to_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def compare_outputs(exported: Runner, origin: Runner, windows: NDArray[np.float32]) -> Parity:
    """Run both models over the same windows (n, 6000, 3), in the same order, and compare.

    Raises:
        ValueError: fewer than 64 windows, which could miss a state carried between windows.
    """
    if len(windows) < MINIMUM_WINDOWS:
        raise ValueError(f"parity takes {MINIMUM_WINDOWS} windows or more, not {len(windows)}")
    difference = exported(windows).astype(np.float64) - origin(windows)
    return Parity(
        len(windows),
        float(np.abs(difference).max()),
        float(np.sqrt(np.mean(difference**2))),
    )
