"""Which windows to look at: where two models disagree, and how a model does at its best.

The ranking rule, in which every step only decides what the step before left equal:

1. *Outcomes.* A model's outcomes in a window are its errors against the labels: a missed
   earthquake, P or S (at 0.5 s), and every false detection, P and S. A pick more than 0.5 s off is
   a miss and a false pick. The two models differ by the sum of the differences of these six
   numbers; the larger the sum, the more the choice between them matters here.
2. *Times.* Seconds between the P picks of both plus seconds between their S picks, where both
   found the labelled onset; in steps of 0.01 s, one sample.
3. *Probabilities.* The difference of the highest P plus that of the highest S, in steps of 0.01.

Windows in which all three are zero are agreement, and in no ranking.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from compress.evaluation.metrics import COLUMNS, PHASES
from compress.evaluation.window_scores import WindowScores

ERRORS = {
    "detection_fn": "earthquake missed",
    "detection_fp": "false detection",
    "p_fn_0.5s": "P missed",
    "p_fp_0.5s": "false P",
    "s_fn_0.5s": "S missed",
    "s_fp_0.5s": "false S",
}
"""Columns of the counts that are errors, and what they are called."""

Kind = Literal["best", "typical", "worst"]
NUMBERS: dict[Kind, int] = {"best": 4, "typical": 4, "worst": 8}
"""How many windows of each kind are chosen."""


@dataclass(frozen=True, eq=False)
class WindowFacts:
    """What one model did in n windows, as far as it takes to choose some of them.

    Attributes:
        record_names: the records that `records` points into.
        records: of each window, shape (n,).
        places: which window of its record it is, from 0, shape (n,).
        labelled: whether P and S are labelled in the window, shape (n, 2).
        errors: how often it made each of ERRORS, shape (n, len(ERRORS)).
        residuals_s: P and S pick minus label, shape (n, 2); NaN where the onset was not found.
        probabilities: the highest of P and S, shape (n, 2).
    """

    record_names: tuple[str, ...]
    records: NDArray[np.integer]
    places: NDArray[np.integer]
    labelled: NDArray[np.bool_]
    errors: NDArray[np.integer]
    residuals_s: NDArray[np.floating]
    probabilities: NDArray[np.floating]

    def to_arrays(self) -> dict[str, NDArray]:
        """Arrays of which `from_arrays` makes the same facts."""
        return {**vars(self), "record_names": np.array(self.record_names, dtype=np.str_)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, NDArray]) -> WindowFacts:
        """What `to_arrays` gave."""
        others = {name: array for name, array in arrays.items() if name != "record_names"}
        return cls(record_names=tuple(arrays["record_names"].tolist()), **others)


@dataclass(frozen=True, eq=False)
class Differences:
    """By how much two models differ in each window, by the three steps of the rule; shape (n,)."""

    outcomes: NDArray[np.integer]
    times_s: NDArray[np.floating]
    probabilities: NDArray[np.floating]

    def any(self) -> NDArray[np.bool_]:
        """Where they differ at all."""
        return (self.outcomes > 0) | (self.times_s > 0) | (self.probabilities > 0)


def window_facts(scores: WindowScores) -> WindowFacts:
    """The facts of a model's pass over all windows."""
    truths, rows = scores.truths, scores.rows
    # A record's windows stand together, in the order in which they were cut.
    first = np.searchsorted(truths.records, truths.records)
    found = rows[:, [COLUMNS.index(f"{phase}_residual_count") for phase in PHASES]] > 0
    sums = rows[:, [COLUMNS.index(f"{phase}_residual_sum") for phase in PHASES]]
    return WindowFacts(
        record_names=scores.record_names,
        records=truths.records.astype(np.int32),
        places=(np.arange(len(truths)) - first).astype(np.int16),
        labelled=~np.isnan(np.stack([truths.p_samples, truths.s_samples], axis=1)),
        errors=rows[:, [COLUMNS.index(column) for column in ERRORS]].astype(np.int16),
        residuals_s=np.where(found, sums, np.nan).astype(np.float32),
        probabilities=np.stack(
            [scores.highest_probability[phase] for phase in PHASES], axis=1
        ).astype(np.float32),
    )


def differences(baseline: WindowFacts, candidate: WindowFacts) -> Differences:
    """Where and by how much a candidate differs from the baseline.

    Raises:
        ValueError: these are not the same windows.
    """
    same = baseline.record_names == candidate.record_names
    if not (
        same
        and np.array_equal(baseline.records, candidate.records)
        and np.array_equal(baseline.places, candidate.places)
    ):
        raise ValueError("two models are compared on the same windows")
    errors = candidate.errors.astype(int) - baseline.errors
    apart = np.abs(candidate.residuals_s - baseline.residuals_s)
    levels = np.abs(candidate.probabilities - baseline.probabilities)
    return Differences(
        np.abs(errors).sum(axis=1),
        np.round(np.nansum(apart, axis=1), 2),
        np.round(levels.sum(axis=1), 2),
    )


def rank_disagreements(baseline: WindowFacts, candidate: WindowFacts) -> list[int]:
    """The windows in which two models differ, those that matter most first (rule above).

    What is equal by the rule is in order of the records' names.

    Raises:
        ValueError: these are not the same windows.
    """
    found = differences(baseline, candidate)
    order = _ordered(candidate, -found.outcomes, -found.times_s, -found.probabilities)
    differing = found.any()
    return [window for window in order if differing[window]]


def rank_quality(candidate: WindowFacts) -> list[int]:
    """The windows with most labelled onsets, those that a model does best in first.

    First the fewest errors, then the smallest sum of absolute residuals, then the highest sum of
    probabilities of P and S. Windows without a label are left out.
    """
    labels = candidate.labelled.sum(axis=1)
    order = _ordered(
        candidate,
        candidate.errors.sum(axis=1),
        np.round(np.nansum(np.abs(candidate.residuals_s), axis=1), 3),
        -candidate.probabilities.sum(axis=1),
    )
    most = labels.max(initial=0)
    return [window for window in order if most and labels[window] == most]


def choose(baseline: WindowFacts, candidate: WindowFacts) -> dict[Kind, list[int]]:
    """The windows to show: at most NUMBERS of each kind, and at most one of each record.

    The worst disagreements head their ranking; the best windows head that of quality, and typical
    ones stand in its middle.

    Raises:
        ValueError: these are not the same windows.
    """
    used: set[int] = set()

    def take(windows: list[int], kind: Kind) -> list[int]:
        taken: list[int] = []
        for window in windows:
            record = int(candidate.records[window])
            if len(taken) < NUMBERS[kind] and record not in used:
                used.add(record)
                taken.append(window)
        return taken

    worst = take(rank_disagreements(baseline, candidate), "worst")
    quality = rank_quality(candidate)
    best = take(quality, "best")
    middle = (len(quality) - 1) / 2
    outward = sorted(range(len(quality)), key=lambda position: (abs(position - middle), position))
    typical = take([quality[position] for position in outward], "typical")
    return {"best": best, "typical": typical, "worst": worst}


def _ordered(facts: WindowFacts, *keys: NDArray) -> list[int]:
    """Windows by the first key, then by the next; then by the names of the records."""
    by_name = np.argsort(np.argsort(np.array(facts.record_names, dtype=np.str_), kind="stable"))
    names = by_name[facts.records] if len(by_name) else facts.records
    return np.lexsort((facts.places, names, *keys[::-1])).tolist()
