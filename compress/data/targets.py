"""What a student is taught: a teacher's probabilities along whole records, or analysts' labels."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress
from scipy.signal import find_peaks

from baseline.contract import DETECTION, OUTPUTS, PREDICTION_SHAPE, P, S
from baseline.files import remove_leftovers, whole_file
from compress.data.mixture import as_mixture
from compress.data.records import Category, Record, Source
from compress.data.windows import WINDOW_SAMPLES, cut
from export.runtimes import Runner

ONSET_SAMPLES = 20
"""Half the base of the triangle that stands for an onset: 0.2 s (Mousavi et al. 2020)."""

DETECTION_BEYOND_S = 0.4
"""A detection lasts until S and this share of S-P longer (as EQTransformer's was trained)."""

SHIFT_PADDING = 48
"""How far, in samples, windows of the consensus reach beyond a record's ends."""

EDGE_SAMPLES = 300
"""Over its first and last 3 s a window's answer gains weight in the consensus, from near none."""

RECORDS_AT_ONCE = 16

QUIET = 0.05
"""A record in which the teacher nowhere finds more probable than this is taken to be quiet."""

ONSET_PROBABILITY = 0.1
"""Of a hill of P or S that is an onset: EQTransformer's own threshold for a pick."""

FLANK = 0.02
"""How far down an onset's hill is taken to reach."""

FILE_FORMAT = 3
"""Of what `write_targets` leaves: another number for every other layout."""

FloatArray = NDArray[np.float32]
Target = Callable[[Sequence[FloatArray], np.random.Generator], list[FloatArray]]
"""From waveforms (samples, 3) to probabilities (samples, 3) along each of them."""


def label_target(record: Record, samples: int) -> FloatArray:
    """What a perfect model would say of a record: the labels EQTransformer was trained with.

    An onset is a triangle of 0.2 s to each side, with its top at the onset, between samples where
    it falls there. The detection is one from P until 0.4 S-P times after S; a record with only one
    of both onsets has none, since where it ends is not known.

    Args:
        record: with the onsets, in samples; noise has none.
        samples: how many to make.

    Returns:
        Detection, P and S, shape (samples, 3).
    """
    target = np.zeros((samples, len(OUTPUTS)), dtype=np.float32)
    time = np.arange(samples)
    for output, onset in ((P, record.p_sample), (S, record.s_sample)):
        if onset is not None:
            target[:, output] = np.maximum(1.0 - np.abs(time - onset) / ONSET_SAMPLES, 0.0)
    if record.p_sample is not None and record.s_sample is not None:
        end = record.s_sample + DETECTION_BEYOND_S * (record.s_sample - record.p_sample)
        target[(time >= record.p_sample) & (time <= end), DETECTION] = 1.0
    return target


def consensus(
    teacher: Runner,
    waveforms: Sequence[FloatArray],
    shifts: int,
    random: np.random.Generator,
) -> list[FloatArray]:
    """The teacher's probabilities along whole records, averaged over shifts of its window.

    The published model's picks lean on where they stand in the window; over many places that
    averages out.

    Args:
        teacher: the model runner, called once for all records.
        waveforms: of each record, shape (samples, 3).
        shifts: windows per record, spread evenly from end to end and moved a little at random;
            with 1, a single pass: as few windows as cover the record, and each sample takes the
            answer of the one whose middle is nearest.
        random: moves the windows.

    Returns:
        Probabilities of each record, shape (samples, 3).
    """
    starts = [
        _covering_starts(len(waveform))
        if shifts == 1
        else _shifted_starts(len(waveform), shifts, random)
        for waveform in waveforms
    ]
    windows = [
        cut(waveform, start)
        for waveform, places in zip(waveforms, starts, strict=True)
        for start in places
    ]
    answers = teacher(np.stack(windows))
    combine = _nearest if shifts == 1 else _average
    first, targets = 0, []
    for waveform, places in zip(waveforms, starts, strict=True):
        targets.append(combine(len(waveform), places, answers[first : first + len(places)]))
        first += len(places)
    return targets


def _covering_starts(samples: int) -> list[int]:
    last = max(samples - WINDOW_SAMPLES, 0)
    number = math.ceil(samples / WINDOW_SAMPLES)
    return [round(place) for place in np.linspace(0, last, max(number, 1))]


def _shifted_starts(samples: int, shifts: int, random: np.random.Generator) -> list[int]:
    last = max(samples - WINDOW_SAMPLES, 0)
    places = np.linspace(-SHIFT_PADDING, last + SHIFT_PADDING, shifts)
    places[1:-1] += random.uniform(-SHIFT_PADDING, SHIFT_PADDING, max(shifts - 2, 0))
    return [round(place) for place in places]


def _nearest(samples: int, starts: Sequence[int], answers: FloatArray) -> FloatArray:
    """Of overlapping answers (windows, 6000, 3), for each sample the one nearest to its middle."""
    target = np.zeros((samples, PREDICTION_SHAPE[-1]), dtype=np.float32)
    middles = np.array(starts) + (WINDOW_SAMPLES - 1) / 2
    nearest = np.abs(np.arange(samples)[:, None] - middles).argmin(axis=1)
    for number, (start, answer) in enumerate(zip(starts, answers, strict=True)):
        own = np.flatnonzero(nearest == number)
        target[own] = answer[own - start]
    return target


def _average(samples: int, starts: Sequence[int], answers: FloatArray) -> FloatArray:
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


def sharpened(probabilities: FloatArray) -> FloatArray:
    """The same answers with each onset as sharp as a label.

    The mean of many answers, each a few samples beside the others, is lower and wider than any of
    them, and a student that learns such hills places its own tops worse. Where a hill of P or S
    reaches 0.1, triangles as of `label_target` take its place, each as high as the peak it stands
    on and with its top between samples, where a parabola through the peak has it. Peaks less than
    0.2 s apart are one, the higher. What stays below 0.1 stays as it is.

    Args:
        probabilities: of detection, P and S, shape (samples, 3).
    """
    sharp = probabilities.copy()
    time = np.arange(len(probabilities))
    for output in (P, S):
        hill = probabilities[:, output].astype(np.float64)
        edges = np.flatnonzero(np.diff(hill > FLANK, prepend=False, append=False))
        peaks = find_peaks(hill, height=ONSET_PROBABILITY, distance=ONSET_SAMPLES)[0]
        for start, end in edges.reshape(-1, 2):
            if ((peaks >= start) & (peaks < end)).any():
                sharp[start:end, output] = 0.0
        for peak in peaks:
            before, top, after = hill[peak - 1 : peak + 2]
            bend = 2.0 * top - before - after
            onset = peak + (0.5 * (after - before) / bend if bend > 0.0 else 0.0)
            triangle = top * np.maximum(1.0 - np.abs(time - onset) / ONSET_SAMPLES, 0.0)
            sharp[:, output] = np.maximum(sharp[:, output], triangle)
    return sharp


def write_targets(
    path: Path,
    target: Target | None,
    source: Source,
    *,
    number: int,
    seed: int,
    progress: Progress,
) -> None:
    """Copy up to `number` random records to an HDF5 file, each with what is taught of it.

    Records known to be noise are taught as silence. The labels of the others count as much as the
    `label_weight` of their source says, the teacher for the rest; who is not needed is not asked.

    Written whole or not at all; a file that is there already is kept, so an interrupted stage does
    not ask the teacher again. Nobody else may write to its folder meanwhile. The data sets
    `waveform`, float32, and `target`, float16, hold all records one after the other, shape (samples
    of all, 3); `ends` says where in them each ends. (A group for each record would take memory with
    every record read.)
    `weights` say how often each is drawn, `quiet` whether it holds no earthquake, `taught` how much
    the teacher has to say of it, shape (records, 3).

    Args:
        path: of the file.
        target: asks the teacher; None if it is asked about every window later on. What is kept
            then is the labels alone, whole wherever they count at all.
        source: the records, a Mixture where sources have weights.
        number: at most so many records.
        seed: draws the records and moves the teacher's windows.
        progress: where it is shown.

    Raises:
        InputError: it cannot be written.
    """
    if path.exists():
        return
    random = np.random.default_rng(seed)
    mixture = as_mixture(source)
    chosen = mixture.draw(number, random)
    path.parent.mkdir(parents=True, exist_ok=True)
    remove_leftovers(path.parent)
    lengths, quiet, says = [], [], []
    with whole_file(path) as fresh, _Patient(fresh, "w+") as stream:
        with h5py.File(stream, "w") as file:
            waveforms = _endless(file, "waveform", np.float32)
            targets = _endless(file, "target", np.float16)
            what = "copy" if target is None else "ask the teacher about"
            task = progress.add_task(f"{what} {len(chosen)} records", total=len(chosen))
            for first in range(0, len(chosen), RECORDS_AT_ONCE):
                indices = [int(index) for index in chosen[first : first + RECORDS_AT_ONCE]]
                records = [mixture[index] for index in indices]
                shares = [
                    teacher_share(record, mixture.label_weight(index))
                    for record, index in zip(records, indices, strict=True)
                ]
                taught = _taught(records, shares, target, random)
                _append(waveforms, [record.waveform for record in records])
                _append(targets, taught)
                lengths += [len(record.waveform) for record in records]
                quiet += [
                    bool(answer.max(initial=0.0) < QUIET)
                    and (target is not None or not share.any())
                    for answer, share in zip(taught, shares, strict=True)
                ]
                says += shares
                stream.require_written()
                progress.update(task, advance=len(records))
            file["ends"] = np.cumsum(lengths)
            file["weights"] = mixture.weights_of(chosen)
            file["quiet"] = np.array(quiet)
            file["taught"] = np.array(says)
        stream.require_written()


class _Patient(io.FileIO):
    """A file that takes whatever is written to it, and tells later that it could not.

    HDF5 takes the process along, now or when that ends, where it cannot write what it still holds
    of a file that is closed.
    """

    _error: OSError | KeyboardInterrupt | None = None

    def write(self, content: Any) -> int:
        """Write all of it, or remember why not; how long it is."""
        rest = memoryview(content)
        try:
            while rest and self._error is None:
                rest = rest[super().write(rest) :]
        except (OSError, KeyboardInterrupt) as error:  # neither may come up within HDF5
            self._error = error
        return len(memoryview(content))

    def truncate(self, size: int | None = None) -> int:
        """As any file, if everything was written."""
        return super().truncate(size) if self._error is None else size or 0

    def require_written(self) -> None:
        """Raise what kept this from being written.

        Raises:
            OSError: something did.
            KeyboardInterrupt: somebody did.
        """
        if self._error is not None:
            raise self._error


def _endless(file: h5py.File, name: str, kind: type[np.floating]) -> h5py.Dataset:
    """An empty data set (0, 3) that grows."""
    chunks = (WINDOW_SAMPLES, len(OUTPUTS))
    return file.create_dataset(
        name, (0, len(OUTPUTS)), kind, maxshape=(None, len(OUTPUTS)), chunks=chunks
    )


def _append(data: h5py.Dataset, parts: Sequence[FloatArray]) -> None:
    first = len(data)
    data.resize(first + sum(len(part) for part in parts), axis=0)
    data[first:] = np.concatenate(parts)


def teacher_share(record: Record, label_weight: Sequence[float]) -> FloatArray:
    """How much the teacher has to say of a record, from 0 (nothing) to 1 (everything).

    Labels count only where they say everything: noise, whatever the weight, and earthquakes with
    both onsets.

    Returns:
        For detection, P and S, shape (3,).
    """
    if record.category is Category.NOISE:
        return np.zeros(len(OUTPUTS), dtype=np.float32)
    both = record.p_sample is not None and record.s_sample is not None
    return 1.0 - np.array(label_weight if both else (0.0, 0.0, 0.0), dtype=np.float32)


def _taught(
    records: Sequence[Record],
    shares: Sequence[FloatArray],
    target: Target | None,
    random: np.random.Generator,
) -> list[FloatArray]:
    """The target of each record, asking the teacher only about those it has a say in."""
    taught = [
        ((share < 1.0).astype(np.float32) if target is None else 1.0 - share)
        * label_target(record, len(record.waveform))
        for record, share in zip(records, shares, strict=True)
    ]
    asked = [place for place, share in enumerate(shares) if share.any()]
    if asked and target is not None:
        answers = target([records[place].waveform for place in asked], random)
        for place, answer in zip(asked, answers, strict=True):
            taught[place] += shares[place] * answer
    return taught
