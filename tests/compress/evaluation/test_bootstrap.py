"""The bootstrap over records for any statistic."""

from __future__ import annotations

import math

import numpy as np
import pytest

from compress.evaluation.bootstrap import record_interval
from compress.evaluation.confidence import intervals
from compress.evaluation.metrics import COLUMNS, Counts


def test_one_record_in_25() -> None:
    interval = record_interval(lambda weights: float(weights[0] / weights.sum()), 25)

    assert interval.point == 0.04
    assert interval.lower == 0.0
    assert 0.1 <= interval.upper <= 0.2


def test_a_ratio_has_the_interval_of_the_counts() -> None:
    hits = np.random.default_rng(0).integers(0, 2, 80)
    values = np.zeros((80, len(COLUMNS)))
    values[:, COLUMNS.index("p_tp_0.5s")] = hits
    values[:, COLUMNS.index("p_fn_0.5s")] = 1 - hits
    expected = intervals(Counts(tuple(map(str, range(80))), values))["p_recall_0.5s"]

    found = record_interval(lambda weights: float(weights @ hits / weights.sum()), 80)

    assert found.point == expected.point
    assert found.lower == pytest.approx(expected.lower, abs=0.015)
    assert found.upper == pytest.approx(expected.upper, abs=0.015)


def test_draws_that_cannot_be_measured_are_left_out() -> None:
    def known(weights: np.ndarray) -> float:
        return 1.0 if weights[0] else math.nan

    interval = record_interval(known, 2)

    assert (interval.point, interval.lower, interval.upper) == (1.0, 1.0, 1.0)


def test_what_cannot_be_measured() -> None:
    interval = record_interval(lambda weights: math.nan, 3)

    assert all(math.isnan(value) for value in vars(interval).values())
    with pytest.raises(ValueError, match="no record"):
        record_interval(lambda weights: 0.0, 0)
