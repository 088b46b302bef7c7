"""What training reads: windows with the teacher's probabilities, cut anew at every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from baseline.contract import PREDICTION_SHAPE
from compress.data.augmentation import augment
from compress.data.records import Category, Source
from compress.data.windows import WINDOW_SAMPLES, cut, normalise
from export.runtimes import Runner

SHIFT_PADDING = 48
"""How far, in samples, windows of the consensus reach beyond a record's ends."""

RECORDS_AT_ONCE = 16

EDGE_SAMPLES = 300
"""Over its first and last 3 s a window's answer gains weight in the consensus, from near none."""


def random_windows(source: Source, number: int, seed: int) -> NDArray[np.float32]:
    """Normalised windows (number, 6000, 3) at random places of random records, each used evenly."""
    random = np.random.default_rng(seed)
    order = np.concatenate(
        [random.permutation(len(source)) for _ in range(-(-number // len(source)))]
    )
    windows = []
    for index in order[:number]:
        waveform = source[int(index)].waveform
        start = int(random.integers(max(len(waveform) - WINDOW_SAMPLES, 0) + 1))
        windows.append(cut(waveform, start))
    return np.stack(windows)


def consensus(
    teacher: Runner,
    waveforms: Sequence[NDArray[np.float32]],
    shifts: int,
    random: np.random.Generator,
) -> list[NDArray[np.float32]]:
    """The teacher's probabilities along whole records, averaged over shifts of its window.

    The published model's picks lean on where they stand in the window; over many places that
    averages out.

    Args:
        teacher: the model runner, called once for all records.
        waveforms: of each record, shape (samples, 3).
        shifts: windows per record, spread evenly from end to end and moved a little at random.
        random: moves them.

    Returns:
        Probabilities of each record, shape (samples, 3).
    """
    starts = [_shifted_starts(len(waveform), shifts, random) for waveform in waveforms]
    windows = [
        cut(waveform, start)
        for waveform, places in zip(waveforms, starts, strict=True)
        for start in places
    ]
    answers = teacher(np.stack(windows)).reshape(len(waveforms), shifts, *PREDICTION_SHAPE)
    return [
        _average(len(waveform), places, own)
        for waveform, places, own in zip(waveforms, starts, answers, strict=True)
    ]


def _shifted_starts(samples: int, shifts: int, random: np.random.Generator) -> list[int]:
    last = max(samples - WINDOW_SAMPLES, 0)
    places = np.linspace(-SHIFT_PADDING, last + SHIFT_PADDING, shifts)
    places[1:-1] += random.uniform(-SHIFT_PADDING, SHIFT_PADDING, max(shifts - 2, 0))
    return [round(place) for place in places]


def _average(
    samples: int, starts: Sequence[int], answers: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The mean of overlapping answers (shifts, 6000, 3), where each is trusted less at its ends."""
    ramp = np.minimum(np.arange(WINDOW_SAMPLES) + 1, EDGE_SAMPLES) / EDGE_SAMPLES
    trust = np.minimum(ramp, ramp[::-1])[:, None]
    total = np.zeros((samples, answers.shape[-1]))
    weight = np.zeros((samples, 1))
    for start, answer in zip(starts, answers, strict=True):
        first, end = max(start, 0), min(start + WINDOW_SAMPLES, samples)
        inside = slice(first - start, end - start)
        total[first:end] += trust[inside] * answer[inside]
        weight[first:end] += trust[inside]
    return (total / np.maximum(weight, np.finfo(float).tiny)).astype(np.float32)


def write_targets(
    path: Path,
    teacher: Runner,
    source: Source,
    *,
    number: int,
    shifts: int,
    seed: int,
    progress: Progress,
) -> None:
    """Copy up to `number` random records to an HDF5 file, each with the teacher's consensus.

    Written under another name and renamed when whole; a file that is there already is kept, so an
    interrupted stage does not ask the teacher again.
    """
    if path.exists():
        return
    random = np.random.default_rng(seed)
    chosen = random.permutation(len(source))[:number]
    unfinished = path.with_suffix(".partial")
    with h5py.File(unfinished, "w") as file:
        task = progress.add_task(f"ask the teacher about {len(chosen)} records", total=len(chosen))
        for first in range(0, len(chosen), RECORDS_AT_ONCE):
            records = [source[int(index)] for index in chosen[first : first + RECORDS_AT_ONCE]]
            answers = consensus(teacher, [r.waveform for r in records], shifts, random)
            for place, (record, answer) in enumerate(zip(records, answers, strict=True), first):
                if record.category is Category.NOISE:
                    answer[:] = 0.0  # known to hold no earthquake, whatever the teacher says
                group = file.create_group(str(place))
                group["waveform"] = record.waveform
                group["target"] = answer.astype(np.float16)
            progress.update(task, advance=len(records))
    unfinished.replace(path)


@dataclass(frozen=True)
class TargetFeed:
    """Batches for training from a file that `write_targets` wrote.

    Batch k depends on the seed and k alone, so training resumes exactly where it stopped.
    """

    path: Path
    batch: int
    seed: int
    augmented: bool

    def batches(
        self, first_step: int, steps: int
    ) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """Windows and targets, (batch, 6000, 3) each, for the steps from `first_step` on."""
        with h5py.File(self.path, "r") as file:
            for step in range(first_step, steps):
                yield self._batch(file, np.random.default_rng([self.seed, step]))

    def _batch(
        self, file: h5py.File, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        windows, targets = [], []
        chosen = random.integers(len(file), size=self.batch)
        for index in chosen:
            group = file[str(index)]
            samples = group["waveform"].shape[0]
            start = int(random.integers(max(samples - WINDOW_SAMPLES, 0) + 1))
            waveform = group["waveform"][start : start + WINDOW_SAMPLES]
            target = group["target"][start : start + WINDOW_SAMPLES].astype(np.float32)
            missing = WINDOW_SAMPLES - len(waveform)
            if missing:
                waveform = np.pad(waveform, ((0, missing), (0, 0)), mode="mean")
                target = np.pad(target, ((0, missing), (0, 0)))
            windows.append(augment(waveform, random) if self.augmented else waveform)
            targets.append(target)
        return normalise(np.stack(windows)), np.stack(targets)
