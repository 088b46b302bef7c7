"""What training reads: windows with what is taught of them, cut and changed anew at every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np
from numpy.typing import NDArray

from baseline.contract import WINDOW_SAMPLES
from compress.data.augmentation import Augmentation, draw_window
from compress.data.records import Source
from compress.data.targets import Target
from compress.data.windows import cut, normalise

FloatArray = NDArray[np.float32]
Batch = tuple[FloatArray, FloatArray]


def random_windows(source: Source, number: int, seed: int) -> FloatArray:
    """Normalised windows (number, 6000, 3) at random places of random records, each used evenly."""
    random = np.random.default_rng(seed)
    return np.stack(
        [random_cut(source[i].waveform, random) for i in even_draw(len(source), number, random)]
    )


def even_draw(records: int, number: int, random: np.random.Generator) -> list[int]:
    """So many records by index, in random order, each as often as any other, or once more."""
    rounds = [random.permutation(records) for _ in range(-(-number // records))]
    return [int(index) for index in np.concatenate(rounds)[:number]]


def random_cut(waveform: FloatArray, random: np.random.Generator) -> FloatArray:
    """A normalised window at a random place of a record."""
    return cut(waveform, int(random.integers(max(len(waveform) - WINDOW_SAMPLES, 0) + 1)))


class Draw(NamedTuple):
    """How one window was drawn: of which record, and by which chance."""

    record: int
    chance: int


@dataclass(frozen=True)
class TargetFeed:
    """Batches of windows from a file that `compress.data.targets.write_targets` wrote.

    Attributes:
        path: the file.
        batch: windows per step.
        seed: of the windows.
        augmentation: how windows are changed.
        hard_negatives: windows without an earthquake on which the student fires.
        hard_share: the share of each batch that is drawn from these, where there are any.
        ask: asks the teacher about the windows as they are after augmentation, and weighs its
            answer against the labels in the file; where these say everything it is not asked.
        labels: whether the labels in the file count beside what `ask` says.
        part: (k, n) to make only the k-th (from 0) of n equal parts of each batch. Put together,
            they are the whole batch, but for the chance by which `ask` moves its windows.
    """

    path: Path
    batch: int
    seed: int
    augmentation: Augmentation = field(default_factory=Augmentation)
    hard_negatives: Sequence[Draw] = ()
    hard_share: float = 0.0
    ask: Target | None = None
    labels: bool = True
    part: tuple[int, int] = (0, 1)

    @property
    def part_size(self) -> int:
        """How many windows of each batch are made."""
        return self.batch // self.part[1]

    def batches(self, first_step: int, steps: int) -> Iterator[Batch]:
        """The batches of the steps from `first_step` on."""
        for step in range(first_step, steps):
            yield self.batch_at(step)

    def batch_at(self, step: int) -> Batch:
        """Normalised windows and their targets, (part_size, 6000, 3) each.

        They depend on the seed and the step alone, so training resumes where it stopped.
        """
        random = np.random.default_rng([self.seed, step])
        draws = []
        for _ in range(self.batch):
            if self.hard_negatives and random.random() < self.hard_share:
                draws.append(self.hard_negatives[int(random.integers(len(self.hard_negatives)))])
            else:
                draws.append(self._draw(random, self._records.cumulative))
        first = self.part[0] * self.part_size
        return self.windows(draws[first : first + self.part_size])

    def quiet_draws(self, number: int, round_: int) -> list[Draw]:
        """Draws of records without an earthquake, those of training never among them.

        None where no record is known to hold no earthquake.
        """
        if not len(self._records.cumulative_quiet):
            return []
        random = np.random.default_rng([self.seed, round_, number])
        return [self._draw(random, self._records.cumulative_quiet) for _ in range(number)]

    def windows(self, draws: Sequence[Draw]) -> Batch:
        """The windows of some draws and their targets, (number, 6000, 3) each."""
        windows, targets, shares = [], [], []
        for draw in draws:
            window, target = draw_window(
                self._records.waveform(draw.record),
                self._records.target(draw.record),
                np.random.default_rng(draw.chance),
                self.augmentation,
                self._records,
            )
            windows.append(window)
            targets.append(target)
            share = self._records.taught[draw.record]
            shares.append(share if self.labels else np.ones_like(share))
        taught = np.stack(targets)
        if self.ask is not None:
            asked = [place for place, share in enumerate(shares) if share.any()]
            if asked:
                answers = self.ask(
                    [windows[place] for place in asked], np.random.default_rng(draws[0].chance)
                )
                for place, answer in zip(asked, answers, strict=True):
                    share = shares[place]
                    taught[place] = (1.0 - share) * taught[place] + share * answer
        return normalise(np.stack(windows)), taught

    @staticmethod
    def _draw(random: np.random.Generator, cumulative: NDArray[np.float64]) -> Draw:
        record = int(np.searchsorted(cumulative, random.random(), side="right"))
        return Draw(record, int(random.integers(2**62)))

    @cached_property
    def _records(self) -> _Records:
        return _Records(self.path)


class _Stretch:
    """One record within a data set of all: it has a shape, and is read where it is sliced."""

    def __init__(self, data: h5py.Dataset, first: int, end: int) -> None:
        self._data, self._first = data, first
        self.shape = (end - first, data.shape[1])

    def __getitem__(self, place: slice) -> NDArray[np.floating]:
        start, stop, _ = place.indices(self.shape[0])
        return self._data[self._first + start : self._first + stop]


class _Records:
    """The records of a file of targets, drawn from by several threads; also the `Donors` of it."""

    def __init__(self, path: Path) -> None:
        self._file = h5py.File(path, "r")
        self._waveforms, self._targets = self._file["waveform"], self._file["target"]
        self._ends = np.concatenate([[0], self._file["ends"][:]])
        weights = self._file["weights"][:]
        quiet = self._file["quiet"][:]
        self.taught = self._file["taught"][:]
        self.cumulative = _cumulative(weights)
        quiet_weights = weights * quiet
        self.cumulative_quiet = _cumulative(quiet_weights) if quiet_weights.any() else np.zeros(0)
        self._loud = np.flatnonzero(~quiet)
        self._quiet = np.flatnonzero(quiet)

    def waveform(self, record: int) -> _Stretch:
        """The whole record, (samples, 3), read where it is sliced."""
        return _Stretch(self._waveforms, *self._ends[record : record + 2])

    def target(self, record: int) -> _Stretch:
        """What is taught of it, (samples, 3)."""
        return _Stretch(self._targets, *self._ends[record : record + 2])

    def earthquake(self, random: np.random.Generator) -> Batch | None:
        """A whole random record that may hold an earthquake, and its target."""
        if not len(self._loud):
            return None
        record = int(random.choice(self._loud))
        return self.waveform(record)[:], self.target(record)[:].astype(np.float32)

    def noise(self, random: np.random.Generator) -> FloatArray | None:
        """A whole random record without an earthquake."""
        return self.waveform(int(random.choice(self._quiet)))[:] if len(self._quiet) else None


def _cumulative(weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The upper ends of intervals of [0, 1) as wide as the weights say."""
    total = np.cumsum(weights)
    return total / total[-1]
