"""The Pareto front: students that no other beats in accuracy and cost at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from baseline.errors import InputError
from compress.evaluation.bootstrap import record_interval
from compress.evaluation.confidence import Interval
from compress.evaluation.metrics import Counts, HigherIsBetter, metrics_of_sums

Trial = dict[str, Any]


def front(costs: ArrayLike) -> list[int]:
    """The points that none dominates, in the order of their first cost.

    A point dominates another if it is nowhere worse and somewhere better. Of equal points the first
    stands for all.

    Args:
        costs: shape (points, objectives), less is better.

    Returns:
        Indices of the points.
    """
    points: NDArray[np.float64] = np.asarray(costs, dtype=np.float64)
    kept = []
    for index, point in enumerate(points):
        nowhere_worse = (points <= point).all(axis=1)
        dominated = (nowhere_worse & (points < point).any(axis=1)).any()
        earlier_equal = (points[:index] == point).all(axis=1).any()
        if not dominated and not earlier_equal:
            kept.append(index)
    return sorted(kept, key=lambda index: tuple(points[index]))


def front_of_trials(trials: Sequence[Trial], *, count_bytes: bool) -> list[Trial]:
    """The trials of the front, the cheapest first.

    Args:
        trials: finished ones, with `multiply_adds`, `accuracy` and, where they count, `bytes`.
        count_bytes: whether bytes are an objective.
    """
    if not trials:
        return []
    costs = [
        [
            trial["multiply_adds"],
            -trial["accuracy"]["point"],
            *([trial["bytes"]] if count_bytes else []),
        ]
        for trial in trials
    ]
    return [trials[index] for index in front(costs)]


def best_under(trials: Sequence[Trial], multiply_adds: float) -> Trial:
    """The most accurate of a front's trials with at most so many multiply-adds.

    Raises:
        InputError: there is none.
    """
    affordable = [trial for trial in trials if trial["multiply_adds"] <= multiply_adds]
    if not affordable:
        smallest = min((trial["multiply_adds"] for trial in trials), default=None)
        raise InputError(
            f"--best-under {multiply_adds:,.0f}: no student of the search has so few "
            "multiply-adds.",
            "No trial is finished yet."
            if smallest is None
            else f"The smallest on the front has {smallest:,}.",
        )
    return max(affordable, key=lambda trial: trial["accuracy"]["point"])


def accuracy(counts: Counts, weights: Mapping[HigherIsBetter, float]) -> Interval:
    """The weighted mean of some metrics and its 95 % interval from a bootstrap over records.

    A model for which a metric is not defined, such as the precision of one that picks nothing, has
    no accuracy: 0.

    Args:
        counts: of the model.
        weights: by metric, above zero.
    """
    total = sum(weights.values())

    def mean(drawn: NDArray[np.float64]) -> float:
        metrics = metrics_of_sums(drawn @ counts.values)
        return float(sum(weight * metrics[name] for name, weight in weights.items()) / total)

    interval = record_interval(mean, len(counts.record_names))
    return Interval(0.0, 0.0, 0.0) if np.isnan(interval.point) else interval
