"""What a model would score at other thresholds, without running it again.

Of every window are kept the peaks of P and S down to a probability of 0.01 and the level of its
detection. From these follow precision-recall curves, recall at a given rate of false
alarms (models whose probabilities mean different things can be compared at no other place), and
the thresholds with the best F1.

Peaks
    Local maxima at least 0.5 s apart, the higher kept. They need no detection, unlike the picks of
    `compress.evaluation.picker`: a threshold on one output could not be swept alone otherwise.
    A maximum at an edge of the window is no peak.
P and S
    A labelled onset is found by the most probable peak within 0.5 s; every other peak is false,
    one within the tolerance too. What is a match does not depend on the threshold, so a peak is
    right or wrong once and for all, and an onset without a peak is missed at every threshold.
    Scored are windows with a label of that phase, and noise. An earthquake that nobody labelled in
    the same window counts as false, for every model alike.
Detection
    By window: one with a labelled onset against one of noise, by the greatest probability that 10
    samples in a row reach, which is the highest threshold at which the picker would still detect.
    A noise window raises one false alarm at most. (The counts of `compress.evaluation.metrics` are
    by detection, of which a window may have several.)
Average precision
    The sum of precision times the step in recall, without interpolation, as scikit-learn defines
    it. Recall that no threshold reaches adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from scipy.signal import find_peaks
from sklearn.metrics import precision_recall_curve

from baseline.contract import DETECTION, WINDOW_SAMPLES, P, S
from compress.data.records import SAMPLING_RATE_HZ
from compress.evaluation.bootstrap import record_interval
from compress.evaluation.confidence import Interval
from compress.evaluation.metrics import TOLERANCES_S, Truths
from compress.evaluation.picker import SHORTEST_DETECTION_SAMPLES, Thresholds

Output = Literal["detection", "p", "s"]
OUTPUTS: tuple[Output, ...] = ("detection", "p", "s")

FLOOR = 0.01
"""Least probability of a peak that is kept."""

PEAK_DISTANCE_SAMPLES = round(0.5 * SAMPLING_RATE_HZ)
TOLERANCE_SAMPLES = TOLERANCES_S["0.5s"] * SAMPLING_RATE_HZ

FALSE_ALARMS_PER_HOUR = (1.0, 5.0, 20.0)
"""Rates at which the recall of models is compared."""

WINDOW_S = WINDOW_SAMPLES / SAMPLING_RATE_HZ
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, eq=False)
class Candidates:
    """Everything that a threshold on one output may let through in some windows.

    Attributes:
        probability: of each candidate, shape (candidates,), float64.
        right: whether the candidate finds a labelled onset (or its window holds one).
        noise: whether it stands in a noise window.
        record: the record that its window was cut from.
        missed: records of the onsets that no candidate finds, one entry per onset.
    """

    probability: NDArray[np.float64]
    right: NDArray[np.bool_]
    noise: NDArray[np.bool_]
    record: NDArray[np.intp]
    missed: NDArray[np.intp]


@dataclass(frozen=True, eq=False)
class Scored(Candidates):
    """The candidates of all windows of some records.

    Attributes:
        noise_seconds: length of the noise of each record, shape (records,).
    """

    noise_seconds: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Curve:
    """Precision and recall of one output at every threshold that changes them, ascending."""

    threshold: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]

    @property
    def f1(self) -> NDArray[np.float64]:
        """F1 at every threshold."""
        total = self.precision + self.recall
        product = 2.0 * self.precision * self.recall
        return np.divide(product, total, out=np.zeros_like(total), where=total > 0.0)


@dataclass(frozen=True)
class AtFalseAlarms:
    """Recall where a model raises at most so many false alarms per hour of noise.

    Attributes:
        allowed_per_hour: the rate that was asked for.
        threshold: lowest threshold that keeps it (0.01 where every one does).
        per_hour: the rate there.
        recall: share of the onsets found there, with its interval; in every draw of the bootstrap
            the threshold is set anew.
    """

    allowed_per_hour: float
    threshold: float
    per_hour: float
    recall: Interval


def score(predictions: NDArray[np.floating], truths: Truths) -> dict[Output, Candidates]:
    """The candidates of a batch of windows.

    Args:
        predictions: shape (n, 6000, 3): detection, P and S probabilities.
        truths: what is known of these n windows.

    Raises:
        ValueError: predictions and truths differ in number.
    """
    if len(predictions) != len(truths):
        raise ValueError(f"{len(predictions)} predictions do not fit {len(truths)} truths")
    labelled = ~(np.isnan(truths.p_samples) & np.isnan(truths.s_samples))
    windows = labelled | truths.noise
    detection = Candidates(
        _detection_level(predictions[windows, :, DETECTION]),
        labelled[windows],
        truths.noise[windows],
        truths.records[windows],
        np.empty(0, dtype=np.intp),
    )
    return {
        "detection": detection,
        "p": _score_phase(predictions[:, :, P], truths.p_samples, truths),
        "s": _score_phase(predictions[:, :, S], truths.s_samples, truths),
    }


def _detection_level(probability: NDArray[np.floating]) -> NDArray[np.float64]:
    """The greatest probability that enough samples in a row reach; (n, samples) in, (n,) out."""
    runs = sliding_window_view(probability, SHORTEST_DETECTION_SAMPLES, axis=1)
    return runs.min(axis=2).max(axis=1).astype(np.float64)


def _score_phase(
    probabilities: NDArray[np.floating], onsets: NDArray[np.float64], truths: Truths
) -> Candidates:
    probability: list[NDArray[np.float64]] = []
    right: list[NDArray[np.bool_]] = []
    noise: list[NDArray[np.bool_]] = []
    record: list[NDArray[np.intp]] = []
    missed: list[int] = []
    for trace, onset, is_noise, of in zip(
        probabilities, onsets, truths.noise, truths.records, strict=True
    ):
        if np.isnan(onset) and not is_noise:
            continue
        peaks = find_peaks(trace, height=FLOOR, distance=PEAK_DISTANCE_SAMPLES)[0]
        heights = trace[peaks].astype(np.float64)
        finds = np.zeros(len(peaks), dtype=bool)
        near = np.flatnonzero(np.abs(peaks - onset) <= TOLERANCE_SAMPLES)  # none for NaN
        if len(near):
            finds[near[heights[near].argmax()]] = True
        elif not is_noise:
            missed.append(int(of))
        probability.append(heights)
        right.append(finds)
        noise.append(np.full(len(peaks), is_noise))
        record.append(np.full(len(peaks), of, dtype=np.intp))
    return Candidates(
        np.concatenate([*probability, np.empty(0)]),
        np.concatenate([*right, np.empty(0, dtype=bool)]),
        np.concatenate([*noise, np.empty(0, dtype=bool)]),
        np.concatenate([*record, np.empty(0, dtype=np.intp)]),
        np.array(missed, dtype=np.intp),
    )


def join(parts: list[Candidates], truths: Truths, records: int) -> Scored:
    """The candidates of several batches of windows from the same records.

    Args:
        parts: of one output.
        truths: what is known of the windows of all batches.
        records: number of records that `truths.records` points into.
    """
    return Scored(
        probability=np.concatenate([part.probability for part in parts]),
        right=np.concatenate([part.right for part in parts]),
        noise=np.concatenate([part.noise for part in parts]),
        record=np.concatenate([part.record for part in parts]),
        missed=np.concatenate([part.missed for part in parts]),
        noise_seconds=WINDOW_S
        * np.bincount(truths.records[truths.noise], minlength=records).astype(np.float64),
    )


def precision_recall(scored: Scored) -> Curve:
    """Precision and recall at every probability of a candidate (scikit-learn's curve).

    Empty where nothing is labelled or there is no candidate at all.
    """
    found = int(scored.right.sum())
    onsets = found + len(scored.missed)
    if not onsets or not len(scored.probability):
        flat = np.zeros(1 if onsets else 0)
        return Curve(flat + FLOOR, flat, flat)
    if not found:
        return Curve(np.array([FLOOR]), np.zeros(1), np.zeros(1))
    precision, recall, threshold = precision_recall_curve(scored.right, scored.probability)
    # scikit-learn knows only onsets that have a candidate; its last point has no threshold.
    return Curve(threshold.astype(np.float64), precision[:-1], recall[:-1] * (found / onsets))


def average_precision(scored: Scored) -> Interval:
    """Average precision with its interval; NaN where nothing is labelled, 0 where none is found.

    That of scikit-learn, which would sort and check the candidates anew for every draw.
    """
    most_probable_first = np.argsort(-scored.probability, kind="stable")
    right = scored.right[most_probable_first]
    record = scored.record[most_probable_first]
    # A threshold lets candidates of one probability through together: the last of each.
    ends = np.flatnonzero(np.diff(scored.probability[most_probable_first], append=-1.0))

    def value(weights: NDArray[np.float64]) -> float:
        of_candidate = weights[record]
        found = np.cumsum(of_candidate * right)[ends]
        let_through = np.cumsum(of_candidate)[ends]
        onsets = of_candidate[right].sum() + weights[scored.missed].sum()
        if not onsets:
            return float("nan")
        precision = np.divide(found, let_through, out=np.zeros_like(found), where=let_through > 0)
        return float(np.diff(found, prepend=0.0) @ precision / onsets)

    return record_interval(value, len(scored.noise_seconds))


def at_false_alarms(scored: Scored, allowed_per_hour: float) -> AtFalseAlarms | None:
    """Recall at a rate of false alarms on noise; None without noise or without an onset."""
    records = len(scored.noise_seconds)
    onsets = int(scored.right.sum()) + len(scored.missed)
    if not onsets or not scored.noise_seconds.any():
        return None
    loudest_first = np.flatnonzero(scored.noise)
    loudest_first = loudest_first[np.argsort(-scored.probability[loudest_first], kind="stable")]
    alarms, alarm_record = scored.probability[loudest_first], scored.record[loudest_first]
    found, found_record = scored.probability[scored.right], scored.record[scored.right]

    def threshold(weights: NDArray[np.float64]) -> float:
        allowed = allowed_per_hour * (weights @ scored.noise_seconds) / _SECONDS_PER_HOUR
        over = np.cumsum(weights[alarm_record]) > allowed + 1e-9
        # Just above the first alarm that is one too many, and its equals with it.
        return float(np.nextafter(alarms[over.argmax()], np.inf)) if over.any() else FLOOR

    def recall(weights: NDArray[np.float64]) -> float:
        hits = weights[found_record]
        total = hits.sum() + weights[scored.missed].sum()
        seconds = weights @ scored.noise_seconds
        if not total or not seconds:
            return float("nan")
        return float(hits[found >= threshold(weights)].sum() / total)

    at = threshold(np.ones(records))
    hours = scored.noise_seconds.sum() / _SECONDS_PER_HOUR
    return AtFalseAlarms(
        allowed_per_hour, at, float((alarms >= at).sum() / hours), record_interval(recall, records)
    )


def f1_at(curve: Curve, threshold: float) -> float:
    """F1 at any threshold; 0 above the most probable candidate."""
    index = int(np.searchsorted(curve.threshold, threshold))
    return float(curve.f1[index]) if index < len(curve.threshold) else 0.0


def best_threshold(curve: Curve, probability: NDArray[np.float64]) -> tuple[float, float]:
    """The threshold with the greatest F1, and that F1.

    Any threshold between the candidate that it lets through last and the next lower one does the
    same on these windows; the middle is returned, the least likely to lose either on others.

    Args:
        curve: of one output, with at least one point.
        probability: of all candidates.
    """
    f1 = curve.f1
    best = int(len(f1) - 1 - f1[::-1].argmax())  # of equals the highest threshold
    top = curve.threshold[best]
    below = probability[probability < top]
    return float((top + (below.max() if len(below) else FLOOR)) / 2.0), float(f1[best])


def tune_thresholds(scored: dict[Output, Scored], own: Thresholds) -> Thresholds:
    """The thresholds with the best F1 (P and S at 0.5 s), for a development set.

    Never tune on the records that a model is evaluated on: the result would be the best that luck
    allows on them, and not what the model does elsewhere.

    Args:
        scored: candidates of windows of the development set.
        own: what is kept where an output cannot be tuned: where nothing is labelled or nothing
            found, and for detection where there is no noise (every threshold would be too high).
    """
    tuned = own.model_dump()
    for output, candidates in scored.items():
        if not candidates.right.any() or (output == "detection" and not candidates.noise.any()):
            continue
        curve = precision_recall(candidates)
        tuned[output] = best_threshold(curve, candidates.probability)[0]
    return Thresholds(**tuned)
