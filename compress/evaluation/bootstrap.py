"""Intervals of statistics that are no `Counts` metric: the bootstrap over records, by weights.

The same bootstrap as `compress.evaluation.confidence`, for statistics that are not functions of
column totals alone, such as an area under a curve or the recall at a false-alarm rate.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from compress.evaluation.confidence import Interval, percentile_interval

RESAMPLES = 1000
"""Draws. Each computes the statistic anew, which is dearer than adding up columns."""

CONFIDENCE = 0.95


def record_interval(
    statistic: Callable[[NDArray[np.float64]], float],
    records: int,
    *,
    seed: int = 0,
) -> Interval:
    """The 95 % percentile interval of a statistic when the records are drawn anew.

    Args:
        statistic: takes how often each record was drawn, shape (records,), and returns a number,
            or NaN where that draw does not allow to compute it; such draws are left out.
        records: number of records.
        seed: of the draws.

    Returns:
        NaN throughout where all records together do not allow to compute it.

    Raises:
        ValueError: there is no record.
    """
    if records < 1:
        raise ValueError("there is no record to draw from")
    point = float(statistic(np.ones(records)))
    if np.isnan(point):  # spares the draws
        return Interval(point, point, point)
    random = np.random.default_rng(seed)
    draws = np.array(
        [
            statistic(
                np.bincount(random.integers(records, size=records), minlength=records).astype(
                    np.float64
                )
            )
            for _ in range(RESAMPLES)
        ]
    )
    return percentile_interval(point, draws, CONFIDENCE)
