"""The three tasks of SeisBench's comparison of pickers.

Münchmeyer et al. (2022), "Which picker fits my data? A quantitative evaluation of deep learning
based seismic pickers", JGR Solid Earth 127, e2021JB023499, with the program that they published
(github.com/seisbench/pick-benchmark). A picker of any window length is scored inside a target
window; it may look at what stands around that, but has to answer inside.

Task 1, detection
    Target windows of 30 s: for each earthquake record one at a random place with the first onset
    in it, at least 1 s from both ends; for each noise record one anywhere; and where the first
    onset comes later than 30 s into an earthquake record one before it, which counts as noise.
    Score: the greatest detection probability in it. Measured: area under the ROC curve.
Task 2, phase
    Target windows of 10 s with exactly one onset in them, at least 0.5 s from both ends and with
    the other onset at least 0.5 s outside. Score: greatest P against greatest S probability in
    it. Measured: Matthews correlation coefficient.
Task 3, onset
    The target windows of task 2. The onset is the most probable sample of its phase in it,
    whatever its probability. Measured: root mean square, mean absolute and median absolute
    residual, of all windows.

The model's 60 s window has the target window in its middle, and is moved where the record does not
reach that far. Since the target's place is random, so is the place of the onset.

What is different here: the published targets of the big data sets are not used, so numbers can be
compared with each other and not with the paper's. Task 2 calls P what is more probably P; the
paper picks the ratio of the two from which on it does so on development data. (The paper's F1 of
task 1, at a threshold picked on development data, is `compress tune-thresholds` and `compress
evaluate`.) Records without a label that are not marked as noise are left out, where SeisBench
takes every record without an onset for noise. The window is normalised as everywhere in this
project, not by its peak. The intervals are new.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress
from sklearn.metrics import matthews_corrcoef, roc_auc_score

from baseline.contract import DETECTION, P, S
from compress.data.records import SAMPLING_RATE_HZ, Category, Record, Source
from compress.data.windows import WINDOW_SAMPLES, cut
from compress.evaluation.bootstrap import record_interval
from compress.evaluation.confidence import Interval
from compress.evaluation.protocol import BATCH, labelled
from export.runtimes import Runner

DETECTION_WINDOW_SAMPLES = round(30 * SAMPLING_RATE_HZ)
DETECTION_MARGIN_SAMPLES = round(1 * SAMPLING_RATE_HZ)
PHASE_WINDOW_SAMPLES = round(10 * SAMPLING_RATE_HZ)
PHASE_MARGIN_SAMPLES = round(0.5 * SAMPLING_RATE_HZ)
OTHER_PHASE_SAMPLES = round(0.5 * SAMPLING_RATE_HZ)


@dataclass(frozen=True)
class Target:
    """A target window within a record, and what is right in it.

    Attributes:
        start: its first sample.
        end: the sample after its last.
        earthquake: whether an earthquake is in it (task 1), or None.
        phase: "p" or "s", whose onset is in it (tasks 2 and 3), or None.
        onset: that onset, in samples of the record.
    """

    start: int
    end: int
    earthquake: bool | None = None
    phase: str | None = None
    onset: float = float("nan")


@dataclass(frozen=True)
class Residuals:
    """Residuals of the most probable sample, in seconds."""

    windows: int
    rmse_s: Interval
    mae_s: Interval
    median_absolute_s: Interval


@dataclass(frozen=True)
class TaskResults:
    """Results of all three tasks; NaN where one of the two classes has no window.

    Attributes:
        earthquake_windows: of task 1.
        noise_windows: of task 1.
        detection_auc: task 1.
        phase_mcc: task 2.
        onset: task 3, by phase; phases without a window left out.
    """

    earthquake_windows: int
    noise_windows: int
    detection_auc: Interval
    phase_mcc: Interval
    onset: dict[str, Residuals]


def targets(record: Record, random: np.random.Generator) -> Iterator[Target]:
    """The target windows of one record, for all three tasks."""
    samples = len(record.waveform)
    onsets = sorted(
        (onset, phase)
        for phase, onset in (("p", record.p_sample), ("s", record.s_sample))
        if onset is not None
    )
    long = DETECTION_WINDOW_SAMPLES
    if record.category is Category.NOISE:
        start = _anywhere(0, samples - long, random)
        if start is not None:
            yield Target(start, start + long, earthquake=False)
        return
    first = onsets[0][0]
    start = _around(first, long, DETECTION_MARGIN_SAMPLES, 0, samples, random)
    if start is not None:
        yield Target(start, start + long, earthquake=True)
    before = _anywhere(0, int(first) - long, random)
    if before is not None:
        yield Target(before, before + long, earthquake=False)
    for index, (onset, phase) in enumerate(onsets):
        after = int(onsets[index - 1][0]) + OTHER_PHASE_SAMPLES if index else 0
        last = index == len(onsets) - 1
        until = samples if last else int(onsets[index + 1][0]) - OTHER_PHASE_SAMPLES
        short = PHASE_WINDOW_SAMPLES
        start = _around(onset, short, PHASE_MARGIN_SAMPLES, after, until, random)
        if start is not None:
            yield Target(start, start + short, phase=phase, onset=onset)


def _anywhere(first: int, last: int, random: np.random.Generator) -> int | None:
    return int(random.integers(first, last + 1)) if last >= first else None


def _around(
    onset: float, length: int, margin: int, after: int, until: int, random: np.random.Generator
) -> int | None:
    """Random start of a window with `onset` in it, `margin` from its ends; None if none fits."""
    earliest = max(after, int(np.ceil(onset)) - length + margin)
    latest = min(until - length, int(onset) - margin)
    return _anywhere(earliest, latest, random)


def run_tasks(
    runner: Runner, source: Source, seed: int, progress: Progress, what: str = "SeisBench's tasks"
) -> TaskResults:
    """Score a model in all three tasks.

    Args:
        runner: the model.
        source: labelled records.
        seed: of the places of the target windows.
        progress: where progress is shown.
        what: its title.

    Raises:
        InputError: no record is labelled, or a record cannot be read.
    """
    indices = labelled(source)
    pending: list[tuple[NDArray[np.float32], Target, int, int]] = []
    answers: list[tuple[Target, int, float, float, float, float]] = []

    def score() -> None:
        predictions = runner(np.stack([window for window, *_ in pending]))
        for prediction, (_, target, start, position) in zip(predictions, pending, strict=True):
            inside = prediction[target.start - start : target.end - start]
            p_or_s = inside[:, P if target.phase == "p" else S]
            residual = (target.start + int(p_or_s.argmax()) - target.onset) / SAMPLING_RATE_HZ
            greatest = inside.max(axis=0).astype(np.float64)
            answers.append(
                (target, position, greatest[DETECTION], greatest[P], greatest[S], residual)
            )
        pending.clear()

    task = progress.add_task(what, total=len(indices))
    for position, index in enumerate(indices):
        record = source[index]
        for target in targets(record, np.random.default_rng([seed, position])):
            start = _model_window(target, len(record.waveform))
            pending.append((cut(record.waveform, start), target, start, position))
            if len(pending) == BATCH:
                score()
        progress.update(task, advance=1)
    if pending:
        score()
    return _results(answers, len(indices))


def _model_window(target: Target, samples: int) -> int:
    """Start of the 60 s that have the target in their middle, moved to lie in the record."""
    middle = (target.start + target.end - WINDOW_SAMPLES) // 2
    return max(min(middle, samples - WINDOW_SAMPLES), 0)


def _results(
    answers: list[tuple[Target, int, float, float, float, float]], records: int
) -> TaskResults:
    first = [answer for answer in answers if answer[0].earthquake is not None]
    second = [answer for answer in answers if answer[0].phase is not None]
    earthquake = np.array([answer[0].earthquake for answer in first], dtype=bool)
    score = np.array([answer[2] for answer in first])
    of_first = np.array([answer[1] for answer in first], dtype=np.intp)
    is_p = np.array([answer[0].phase == "p" for answer in second], dtype=bool)
    called_p = np.array([answer[3] > answer[4] for answer in second], dtype=bool)
    of_second = np.array([answer[1] for answer in second], dtype=np.intp)
    residual = np.array([answer[5] for answer in second])

    def auc(weights: NDArray[np.float64]) -> float:
        drawn = weights[of_first] > 0.0
        if len(np.unique(earthquake[drawn])) < 2:
            return float("nan")
        return float(roc_auc_score(earthquake, score, sample_weight=weights[of_first]))

    def mcc(weights: NDArray[np.float64]) -> float:
        drawn = weights[of_second] > 0.0
        if len(np.unique(is_p[drawn])) < 2:
            return float("nan")
        return float(matthews_corrcoef(is_p, called_p, sample_weight=weights[of_second]))

    return TaskResults(
        int(earthquake.sum()),
        int((~earthquake).sum()),
        record_interval(auc, records),
        record_interval(mcc, records),
        {
            phase: _residuals(residual[mask], of_second[mask], records)
            for phase, mask in (("p", is_p), ("s", ~is_p))
            if mask.any()
        },
    )


def _residuals(residual: NDArray[np.float64], record: NDArray[np.intp], records: int) -> Residuals:
    absolute = np.abs(residual)

    def mean(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
        total = weights[record].sum()
        return float(weights[record] @ values / total) if total else float("nan")

    def median(weights: NDArray[np.float64]) -> float:
        drawn = np.repeat(absolute, weights[record].astype(int))
        return float(np.median(drawn)) if len(drawn) else float("nan")

    return Residuals(
        len(residual),
        record_interval(lambda weights: float(np.sqrt(mean(residual**2, weights))), records),
        record_interval(lambda weights: mean(absolute, weights), records),
        record_interval(median, records),
    )
