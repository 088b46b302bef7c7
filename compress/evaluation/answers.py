"""Whether a model answers at all: with numbers, and not the same whatever it is shown."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from export.runtimes import Runner, load_runner


@dataclass
class Answers:
    """What kind of answers a model gave.

    Attributes:
        windows: how many it was shown.
        not_finite: how many of them it answered with a NaN or an infinity.
        lowest: its smallest answer that is a number.
        highest: its largest.
    """

    windows: int = 0
    not_finite: int = 0
    lowest: float = np.inf
    highest: float = -np.inf

    def fault(self) -> str:
        """Why they are none of a model that works; "" if they may be."""
        if self.not_finite:
            return (
                f"{self.not_finite:,} of {self.windows:,} windows are answered with what is no "
                "number"
            )
        if self.windows and self.lowest == self.highest:
            return (
                f"all {self.windows:,} windows are answered with {self.lowest:.4g} throughout, "
                "earthquake or not"
            )
        return ""

    def to_dict(self) -> dict[str, float]:
        """For JSON; limits that there are none of are left out."""
        return {name: value for name, value in asdict(self).items() if np.isfinite(value)}


def watched(runner: Runner) -> tuple[Runner, Answers]:
    """The same model, and an account of its answers that is kept while it runs.

    What is no number becomes 0, and an infinity 0 or 1, so that such a model picks nothing there
    and everything that is measured of it stays a number.
    """
    answers = Answers()

    def run(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        predictions = runner(windows)
        finite = np.isfinite(predictions)
        answers.windows += len(predictions)
        answers.not_finite += int((~finite.all(axis=(1, 2))).sum())
        if finite.any():
            answers.lowest = min(answers.lowest, float(predictions[finite].min()))
            answers.highest = max(answers.highest, float(predictions[finite].max()))
        return np.nan_to_num(predictions, nan=0.0, posinf=1.0, neginf=0.0)

    return run, answers


def load_numeric_runner(path: Path, threads: int = 1) -> Runner:
    """As `export.runtimes.load_runner`, for picking, where no number is easily taken for no pick.

    Raises:
        InputError: as there; and the runner itself, for an answer that is no finite number.
    """
    runner = load_runner(path, threads)

    def run(windows: NDArray[np.float32]) -> NDArray[np.float32]:
        predictions = runner(windows)
        if not np.isfinite(predictions).all():
            raise InputError(
                f"{path}: answers with what is no number, so nothing is picked with it.",
                "Its weights may be damaged: compare its hash, or run `compress verify`.",
            )
        return predictions

    return run
