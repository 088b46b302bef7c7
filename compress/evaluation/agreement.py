"""How far two models agree on waveforms that nobody labelled.

The reference's picks stand for the truth. What share of them the candidate has is like recall,
what share of the candidate's picks the reference has is like precision; which of the two is right
where they differ, agreement cannot say.

Windows
    Records are cut into consecutive windows of 60 s from a random place within what is left over,
    so no pick is seen twice. Labels are not looked at.
Picks
    Each model picks with its own thresholds. Picks of one window are matched one to one, in order
    of time, as many as lie within the tolerance (0.5 s, 0.2 s and 0.1 s); residuals are candidate
    minus reference, of the picks matched at 0.5 s.
Detections
    Two match if they overlap. Detections of the candidate that match none are added, those of the
    reference that match none are lost.
Probabilities
    Root mean square of the difference over all samples, by output. Most samples are near zero in
    both, so a small number is no proof of agreement.

What agrees is kept as `Counts` by record, which gates and intervals take as they are: matched picks
are true positives, the candidate's others false positives, the reference's others false negatives.
All windows stand for noise, so that false alarms per hour are what the candidate adds per hour. The
columns of the highest peak repeat the matched picks: a window may hold several earthquakes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from compress.data.records import SAMPLING_RATE_HZ, Source
from compress.data.windows import WINDOW_SAMPLES, cut
from compress.evaluation.bootstrap import record_interval
from compress.evaluation.confidence import Interval
from compress.evaluation.metrics import (
    COLUMNS,
    PHASES,
    RESIDUAL_TOLERANCE,
    TOLERANCES_S,
    Counts,
)
from compress.evaluation.picker import Pick, Thresholds, WindowPicks, pick
from compress.evaluation.protocol import BATCH
from export.runtimes import Runner

_COLUMN = {name: index for index, name in enumerate(COLUMNS)}
_SECONDS_PER_HOUR = 3600.0
_OUTPUTS = 3


@dataclass(frozen=True, eq=False)
class Agreement:
    """What two models have in common, by record.

    Attributes:
        counts: matched, added and lost picks and detections; see the module's description.
        squared_differences: sums over samples, shape (records, 3): detection, P, S.
        samples: number of samples, shape (records,).
    """

    counts: Counts
    squared_differences: NDArray[np.float64]
    samples: NDArray[np.float64]

    def probability_rmse(self) -> tuple[Interval, Interval, Interval]:
        """Root mean square difference of the detection, P and S probabilities."""

        def rmse(output: int) -> Interval:
            squares = self.squared_differences[:, output]
            return record_interval(
                lambda weights: float(np.sqrt((weights @ squares) / (weights @ self.samples))),
                len(self.samples),
            )

        return rmse(0), rmse(1), rmse(2)

    def lost_detections_per_hour(self) -> Interval:
        """Detections of the reference that the candidate does not have."""
        lost = self.counts.values[:, _COLUMN["detection_fn"]]
        hours = self.samples / SAMPLING_RATE_HZ / _SECONDS_PER_HOUR
        return record_interval(
            lambda weights: float((weights @ lost) / (weights @ hours)), len(lost)
        )


def agree(
    candidate: Runner,
    reference: Runner,
    source: Source,
    candidate_thresholds: Thresholds,
    reference_thresholds: Thresholds,
    seed: int,
    progress: Progress,
) -> Agreement:
    """Run two models over the same windows of every record and compare what they find.

    Args:
        candidate: the compressed model.
        reference: what it came from.
        source: records of any category.
        candidate_thresholds: of the candidate.
        reference_thresholds: of the reference.
        seed: of the windows' places.
        progress: where progress is shown.

    Raises:
        InputError: a record cannot be read, or an output is not finite.
    """
    records = len(source)
    values = np.zeros((records, len(COLUMNS)))
    squares = np.zeros((records, _OUTPUTS))
    samples = np.zeros(records)
    windows: list[NDArray[np.float32]] = []
    of_record: list[int] = []

    def compare() -> None:
        batch = np.stack(windows)
        for index, ours, theirs in zip(of_record, candidate(batch), reference(batch), strict=True):
            values[index] += compare_picks(
                pick(ours, candidate_thresholds), pick(theirs, reference_thresholds), len(ours)
            )
            difference = ours.astype(np.float64) - theirs
            squares[index] += (difference**2).sum(axis=0)
            samples[index] += len(ours)
        windows.clear()
        of_record.clear()

    task = progress.add_task("agree", total=records)
    for index in range(records):
        waveform = source[index].waveform
        for start in window_starts(len(waveform), np.random.default_rng([seed, index])):
            windows.append(cut(waveform, start))
            of_record.append(index)
            if len(windows) == BATCH:
                compare()
        progress.update(task, advance=1)
    if windows:
        compare()
    return Agreement(Counts(tuple(source.names()), values), squares, samples)


def window_starts(samples: int, random: np.random.Generator) -> list[int]:
    """Starts of consecutive windows in a record; one at 0 where it is no longer than a window."""
    number = max(samples // WINDOW_SAMPLES, 1)
    left_over = max(samples - number * WINDOW_SAMPLES, 0)
    first = int(random.integers(left_over + 1))
    return [first + WINDOW_SAMPLES * window for window in range(number)]


def compare_picks(
    candidate: WindowPicks, reference: WindowPicks, samples: int
) -> NDArray[np.float64]:
    """A row of `Counts` for one window of so many samples."""
    row = np.zeros(len(COLUMNS))
    for phase, ours, theirs in (
        ("p", candidate.p_picks, reference.p_picks),
        ("s", candidate.s_picks, reference.s_picks),
    ):
        for tolerance, seconds in TOLERANCES_S.items():
            residuals = match(ours, theirs, seconds)
            row[_COLUMN[f"{phase}_tp_{tolerance}"]] = len(residuals)
            row[_COLUMN[f"{phase}_fp_{tolerance}"]] = len(ours) - len(residuals)
            row[_COLUMN[f"{phase}_fn_{tolerance}"]] = len(theirs) - len(residuals)
            row[_COLUMN[f"{phase}_highest_peak_hits_{tolerance}"]] = len(residuals)
            if tolerance == RESIDUAL_TOLERANCE:
                row[_COLUMN[f"noise_{phase}_picks"]] = len(ours) - len(residuals)
                row[_COLUMN[f"{phase}_residual_count"]] = len(residuals)
                row[_COLUMN[f"{phase}_residual_sum"]] = sum(residuals)
                row[_COLUMN[f"{phase}_residual_sum_squares"]] = sum(r**2 for r in residuals)
                row[_COLUMN[f"{phase}_residual_sum_absolute"]] = sum(map(abs, residuals))
    added = _without_overlap(candidate, reference)
    lost = _without_overlap(reference, candidate)
    row[_COLUMN["detection_tp"]] = len(reference.events) - lost
    row[_COLUMN["detection_fn"]] = lost
    row[_COLUMN["detection_fp"]] = row[_COLUMN["noise_detections"]] = added
    row[_COLUMN["noise_seconds"]] = samples / SAMPLING_RATE_HZ
    return row


def match(ours: tuple[Pick, ...], theirs: tuple[Pick, ...], tolerance_s: float) -> list[float]:
    """Residuals (ours minus theirs, s) of as many pairs as lie within the tolerance, inclusive.

    Going through both in order of time and pairing what can be paired gives the most pairs.
    """
    residuals = []
    first, second = (sorted(pick.sample for pick in picks) for picks in (ours, theirs))
    i = j = 0
    while i < len(first) and j < len(second):
        residual = (first[i] - second[j]) / SAMPLING_RATE_HZ
        if abs(residual) <= tolerance_s:
            residuals.append(residual)
        i, j = i + (residual <= tolerance_s), j + (residual >= -tolerance_s)
    return residuals


def _without_overlap(these: WindowPicks, those: WindowPicks) -> int:
    """How many of these detections overlap none of those."""
    return sum(
        not any(e.start < other.end and other.start < e.end for other in those.events)
        for e in these.events
    )


AGREEMENT_METRICS: tuple[str, ...] = (
    *(
        f"{phase}_{what}_{tolerance}"
        for phase in PHASES
        for tolerance in TOLERANCES_S
        for what in ("recall", "precision", "f1")
    ),
    *(f"{phase}_residual_{what}_s" for phase in PHASES for what in ("mean", "std", "mae")),
    "detection_recall",
    "detection_precision",
    "detection_f1",
)
"""Metrics of `Counts` that keep their meaning between two models."""
