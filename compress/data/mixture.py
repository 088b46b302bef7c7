"""Training records from several sources, and how much each source counts."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from compress.data.records import Category, Record, Source


@dataclass(frozen=True)
class Share:
    """What one source counts for in training.

    Attributes:
        weight: how often its records are drawn altogether, relative to the other sources; None
            for as many times as it has records.
        label_weight: how much its labels of detection, P and S count against the teacher's
            answers, from 0 to 1.
    """

    weight: float | None = None
    label_weight: tuple[float, float, float] = (0.0, 0.0, 0.0)


class Mixture:
    """A `Source` of several, one after the other, each with its share in training."""

    def __init__(self, parts: Sequence[Source], shares: Sequence[Share] | None = None) -> None:
        self._parts = list(parts)
        self._shares = list(shares) if shares else [Share()] * len(self._parts)
        self._ends = list(accumulate(len(part) for part in self._parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Record:
        """See Source."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = self._part(index)
        return self._parts[part][index - (self._ends[part - 1] if part else 0)]

    def names(self) -> list[str]:
        """See Source."""
        return [name for part in self._parts for name in part.names()]

    def categories(self) -> list[Category]:
        """See Source."""
        return [category for part in self._parts for category in part.categories()]

    def fingerprint(self) -> str:
        """A hash of the records and of what each source counts for; see Source."""
        lines = [
            part.fingerprint() if share == Share() else f"{part.fingerprint()} {share}"
            for part, share in zip(self._parts, self._shares, strict=True)
        ]
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def label_weight(self, index: int) -> tuple[float, float, float]:
        """How much the labels of the record at `index` count; see Share."""
        return self._shares[self._part(index)].label_weight

    def draw(self, number: int, random: np.random.Generator) -> NDArray[np.intp]:
        """The indices of `number` different random records, or of all if there are no more.

        Sources give in proportion to their weight, as long as they have records; one without
        weight gives none.
        """
        weights = self.weights_of(np.arange(len(self)))
        if number >= np.count_nonzero(weights):
            return random.permutation(np.flatnonzero(weights))
        return random.choice(len(self), size=number, replace=False, p=weights / weights.sum())

    def weights_of(self, indices: NDArray[np.intp]) -> NDArray[np.float64]:
        """How often each of these records is drawn, relative to the others among them.

        The weight of a source is that of all its records among `indices` together.
        """
        parts = np.searchsorted(self._ends, indices, side="right")
        counts = np.bincount(parts, minlength=len(self._parts))
        totals = [
            len(part) if share.weight is None else share.weight
            for part, share in zip(self._parts, self._shares, strict=True)
        ]
        return (np.array(totals) / np.maximum(counts, 1))[parts]

    def _part(self, index: int) -> int:
        return bisect.bisect_right(self._ends, index)


def as_mixture(source: Source) -> Mixture:
    """The source itself, or as a mixture of one."""
    return source if isinstance(source, Mixture) else Mixture([source])
