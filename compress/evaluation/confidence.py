"""How sure a metric is: the bootstrap over records.

Windows of one record are not independent, so whole records are resampled: n records drawn from n
with replacement, 2000 times, every metric computed from each draw, and the percentiles of those
values taken as the interval (Efron & Tibshirani 1993, "An Introduction to the Bootstrap", chapter
13). A draw is a vector of weights, one per record (multinomial), and since metrics are functions
of column totals, resampling is a matrix product.

Two models measured on the same records are compared draw by draw, with the same weights for both.
What makes a record hard is hard for both and cancels, which a comparison of two separate intervals
would throw away.

A percentile interval cannot be wider than what was seen: where no record differs its width is
zero, however few records there are. Whoever decides by it has to ask for enough records.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from compress.evaluation.metrics import Counts, metrics_of_sums

DEFAULT_RESAMPLES = 2000

_DRAWS_AT_ONCE = 4_000_000
"""Record draws held in memory at a time: 32 MB of indices."""


@dataclass(frozen=True)
class Interval:
    """A value measured on all records, and where it lies when the records are drawn anew."""

    point: float
    lower: float
    upper: float


def intervals(
    counts: Counts,
    *,
    confidence: float = 0.95,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Two-sided percentile interval of every metric.

    Draws in which a metric cannot be computed (no noise record among them, say) are left out for
    that metric. A metric that cannot be computed from all records is NaN throughout.

    Args:
        counts: of one model.
        confidence: share of the draws inside the interval, between 0 and 1.
        resamples: number of draws.
        seed: of the draws; the same seed and number of records give the same draws.

    Raises:
        ValueError: there is no record, or an argument is out of range.
    """
    points = metrics_of_sums(counts.values.sum(axis=0))
    draws = metrics_of_sums(_resampled_sums(counts.values, resamples, seed))
    return {name: percentile_interval(points[name], draws[name], confidence) for name in points}


def paired_differences(
    candidate: Counts,
    reference: Counts,
    *,
    confidence: float = 0.95,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Candidate minus reference for every metric, both under the same weights in each draw.

    Args:
        candidate: counts of one model.
        reference: counts of the other on the same records, in the same order.
        confidence: share of the draws inside the two-sided interval, between 0 and 1.
        resamples: number of draws.
        seed: of the draws.

    Raises:
        InputError: the records differ.
        ValueError: there is no record, or an argument is out of range.
    """
    _require_same_records(candidate, reference)
    split = candidate.values.shape[1]
    both = np.hstack([candidate.values, reference.values])

    def difference(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        ours, theirs = metrics_of_sums(sums[..., :split]), metrics_of_sums(sums[..., split:])
        return {name: ours[name] - theirs[name] for name in ours}

    points = difference(both.sum(axis=0))
    draws = difference(_resampled_sums(both, resamples, seed))
    return {name: percentile_interval(points[name], draws[name], confidence) for name in points}


def unpaired_differences(
    candidate: Counts,
    reference: Counts,
    *,
    confidence: float = 0.95,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> dict[str, Interval]:
    """Candidate minus reference for every metric, each under draws of its own records.

    For models that were measured on different records or windows, between which nothing cancels:
    the intervals are wider than paired ones, and what differs between the records is part of the
    difference. Records that both have are drawn as if they were different ones.

    Args:
        candidate: counts of one model.
        reference: counts of the other, on any records.
        confidence: share of the draws inside the two-sided interval, between 0 and 1.
        resamples: number of draws of each.
        seed: of the draws.

    Raises:
        ValueError: there is no record, or an argument is out of range.
    """
    both = (candidate, reference)
    # By what was counted, so that exchanging the two exchanges their draws and turns the signs.
    ranks = [(counts.record_names, counts.values.tobytes()) for counts in both]
    seeds = (seed, seed + 1) if ranks[0] <= ranks[1] else (seed + 1, seed)
    ours, theirs = (metrics_of_sums(counts.values.sum(axis=0)) for counts in both)
    our_draws, their_draws = (
        metrics_of_sums(_resampled_sums(counts.values, resamples, own))
        for counts, own in zip(both, seeds, strict=True)
    )
    return {
        name: percentile_interval(
            ours[name] - theirs[name], our_draws[name] - their_draws[name], confidence
        )
        for name in ours
    }


def _require_same_records(candidate: Counts, reference: Counts) -> None:
    if candidate.record_names == reference.record_names:
        return
    only = set(candidate.record_names) ^ set(reference.record_names)
    what = f"{len(only)} records are in one only, {min(only)!r} among them" if only else "the order"
    raise InputError(
        f"Candidate and reference were not measured on the same records ({what}).",
        "Evaluate both on the same data set.",
    )


def _resampled_sums(values: NDArray[np.float64], resamples: int, seed: int) -> NDArray[np.float64]:
    """Column totals under resampling. (records, columns) in, (resamples, columns) out."""
    records = len(values)
    if records == 0 or resamples < 1:
        raise ValueError(f"{resamples} resamples of {records} records are not possible")
    random = np.random.default_rng(seed)
    sums = np.empty((resamples, values.shape[1]))
    step = max(1, _DRAWS_AT_ONCE // records)
    for first in range(0, resamples, step):
        draws = min(step, resamples - first)
        drawn = random.integers(records, size=(draws, records))
        # One bincount for all draws: each counts into its own stretch of `records` bins. This is
        # a multinomial sample, several times faster than Generator.multinomial.
        drawn += np.arange(draws)[:, None] * records
        weights = np.bincount(drawn.ravel(), minlength=draws * records).reshape(draws, records)
        sums[first : first + draws] = weights.astype(np.float64) @ values
    return sums


def percentile_interval(
    point: float | NDArray[np.float64], draws: NDArray[np.float64], confidence: float
) -> Interval:
    """The percentile interval of a statistic from its value in each draw.

    Draws in which it could not be computed (NaN) are left out.

    Args:
        point: its value on all records; NaN makes the interval NaN throughout.
        draws: its values, shape (draws,).
        confidence: share of the draws inside, between 0 and 1.

    Raises:
        ValueError: the confidence is out of range.
    """
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence lies between 0 and 1, not at {confidence}")
    draws = draws[~np.isnan(draws)]
    if np.isnan(point) or not len(draws):
        return Interval(float("nan"), float("nan"), float("nan"))
    tail = (1.0 - confidence) / 2.0
    lower, upper = np.quantile(draws, [tail, 1.0 - tail])
    return Interval(float(point), float(lower), float(upper))
