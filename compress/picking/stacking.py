"""Probabilities along a stretch of any length from windows of 60 s that overlap.

Windows begin at multiples of the hop, counted from the start of the stretch, and one more ends with
its last sample, so that nothing is left over; a stretch shorter than a window stands in one, with
its own mean after it. The first and the last seconds of a window, where a model lacks what came
before or comes after, do not count but at the ends of the stretch. What windows say of a sample is
put together as `stack` says.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from baseline.contract import OUTPUTS, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from baseline.errors import InputError
from compress.data.windows import cut
from export.runtimes import Runner

WINDOWS_AT_ONCE = 32

SHIFT_SAMPLES = 12
"""Between the shifted windows of a consensus: twelve hundredths of a second, so that their starts
stand anywhere within a whole one, on which the published model leans."""

FloatArray = NDArray[np.float32]


class Stack(StrEnum):
    """How what several windows say of one sample becomes one probability."""

    MAX = "max"
    """The greatest: an onset that one window saw well counts."""
    MEAN = "mean"
    """The mean: what only one window saw counts less."""
    CONSENSUS = "consensus"
    """The mean over windows shifted by little, then the greatest: sharper times, more work."""


@dataclass(frozen=True)
class Stacking:
    """Where windows stand and how they are put together.

    Attributes:
        overlap: share of a window that it has in common with the next.
        stack: see `Stack`.
        edge_s: how much of each end of a window does not count.
        shifts: windows of a consensus.

    Raises:
        InputError: windows would leave samples between them.
    """

    overlap: float = 0.5
    stack: Stack = Stack.MAX
    edge_s: float = 3.0
    shifts: int = 5

    def __post_init__(self) -> None:
        if not 0.0 <= self.overlap < 1.0 or self.edge_s < 0.0 or self.shifts < 1:
            raise InputError(
                f"overlap {self.overlap:g}, edges of {self.edge_s:g} s and {self.shifts} shifts "
                "cannot be.",
                "An overlap is from 0 to below 1, edges are not negative, shifts at least 1.",
            )
        if self.hop + 2 * self.edge > WINDOW_SAMPLES:
            raise InputError(
                f"windows that overlap by {self.overlap:g} and of whose ends {self.edge_s:g} s do "
                "not count leave samples between them that nobody picks.",
                f"Take an overlap of at least {2 * self.edge / WINDOW_SAMPLES:g}, or shorter ends.",
            )

    @property
    def hop(self) -> int:
        """From the start of a window to that of the next, samples."""
        return max(round(WINDOW_SAMPLES * (1.0 - self.overlap)), 1)

    @property
    def edge(self) -> int:
        """Samples of each end of a window that do not count."""
        return round(self.edge_s * SAMPLING_RATE_HZ)

    @property
    def offsets(self) -> range:
        """Of the windows that are averaged to one answer, samples."""
        number = self.shifts if self.stack is Stack.CONSENSUS else 1
        return range(0, number * SHIFT_SAMPLES, SHIFT_SAMPLES)


def probabilities(
    waveform: Iterable[FloatArray], total: int, runner: Runner, stacking: Stacking
) -> Iterator[FloatArray]:
    """What a model says along a stretch, in parts in order of time.

    Args:
        waveform: the stretch in order of time, each part of shape (samples, 3), at 100 Hz.
        total: its samples.
        runner: the model.
        stacking: where windows stand.

    Returns:
        Probabilities, each part of shape (samples, 3), float32; `total` samples in all.
    """
    places = _places(total, stacking)
    stack = _Stack(stacking.stack)
    held, held_from = np.empty((0, len(OUTPUTS)), np.float32), 0
    parts = iter(waveform)
    for first in range(0, len(places), WINDOWS_AT_ONCE):
        group = places[first : first + WINDOWS_AT_ONCE]
        starts = sorted({start for place in group for start in place})
        needed = min(starts[-1] + WINDOW_SAMPLES, total)
        while held_from + len(held) < needed:
            held = np.concatenate([held[max(starts[0] - held_from, 0) :], next(parts)])
            held_from = max(held_from, starts[0])
        answers = dict(
            zip(
                starts,
                runner(np.stack([cut(held[: total - held_from], s - held_from) for s in starts])),
                strict=True,
            )
        )
        for number, place in enumerate(group, start=first):
            answer_from, answer = _averaged([(start, answers[start]) for start in place])
            begin = answer_from + stacking.edge if answer_from else 0
            end = answer_from + len(answer)
            end = total if end >= total else end - stacking.edge
            stack.add(begin, answer[begin - answer_from : end - answer_from])
            following = places[number + 1][0] if number + 1 < len(places) else None
            done = total if following is None else following + stacking.edge
            yield stack.take(done)


def _places(total: int, stacking: Stacking) -> list[tuple[int, ...]]:
    """First samples of the windows of each answer."""
    last = max(total - WINDOW_SAMPLES, 0)
    starts = [*range(0, last, stacking.hop), last]
    return [
        tuple(dict.fromkeys(min(start + offset, last) for offset in stacking.offsets))
        for start in starts
    ]


def _averaged(answers: list[tuple[int, FloatArray]]) -> tuple[int, FloatArray]:
    """First sample and mean of answers to windows that are shifted by little."""
    if len(answers) == 1:
        return answers[0]
    first = answers[0][0]
    size = answers[-1][0] - first + WINDOW_SAMPLES
    added = np.zeros((size, len(OUTPUTS)), np.float32)
    counts = np.zeros((size, 1), np.float32)
    for start, answer in answers:
        added[start - first :][: len(answer)] += answer
        counts[start - first :][: len(answer)] += 1
    return first, added / counts


class _Stack:
    """Answers on top of each other, from the first sample that is not given away yet."""

    def __init__(self, stack: Stack) -> None:
        self._mean = stack is Stack.MEAN
        self._first = 0
        self._values = np.zeros((0, len(OUTPUTS)), np.float32)
        self._counts = np.zeros((0, 1), np.float32)

    def add(self, start: int, answer: FloatArray) -> None:
        """Put an answer on top, from a sample on that is not given away yet."""
        missing = max(start - self._first + len(answer) - len(self._values), 0)
        self._values = np.concatenate([self._values, np.zeros((missing, len(OUTPUTS)), np.float32)])
        self._counts = np.concatenate([self._counts, np.zeros((missing, 1), np.float32)])
        place = slice(start - self._first, start - self._first + len(answer))
        if self._mean:
            self._values[place] += answer
            self._counts[place] += 1
        else:
            np.maximum(self._values[place], answer, out=self._values[place])

    def take(self, end: int) -> FloatArray:
        """Give away what is before a sample."""
        number = end - self._first
        taken = self._values[:number]
        if self._mean:
            taken = taken / self._counts[:number]
        self._values, self._counts = self._values[number:], self._counts[number:]
        self._first = end
        return taken
