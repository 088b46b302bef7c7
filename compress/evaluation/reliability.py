"""Whether a model's probabilities mean what they say.

A reliability diagram sets what a model claims against what came of it (DeGroot & Fienberg 1983,
"The comparison and evaluation of forecasters", The Statistician 32, 12-22): of everything that it
calls 70 % probable, seven in ten should be right. Claims are those that a user reads, one per
window and output, not one per sample:

P and S
    The highest peak of the phase with its probability; right if it stands within 0.5 s of the
    labelled onset. Windows with a label of that phase, and noise, where no peak is right.
Detection
    The greatest probability that 10 samples in a row reach (as in `compress.evaluation.curves`);
    right if the window holds a labelled onset. Windows with a label, and noise.

The expected calibration error (Guo et al. 2017, "On calibration of modern neural networks", ICML)
is the mean distance of both over bins, weighted with the number of claims. It is given over ten
bins of equal width, which are those of the diagram, and over ten of equal count (Nguyen & O'Connor
2015, "Posterior calibration and exploratory analysis for natural language processing models",
EMNLP), which does not let most bins stand empty where probabilities crowd near 0 and 1.

How many claims are right depends on the share of noise among the windows, so calibration is that of
the data measured on. Distances do not cancel: chance alone makes the error of a perfect model
positive, and drawing records anew adds chance to chance, so on few records the interval may lie
above the point.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from compress.evaluation.bootstrap import record_interval
from compress.evaluation.confidence import Interval
from compress.evaluation.curves import Output
from compress.evaluation.metrics import TOLERANCES_S
from compress.evaluation.window_scores import WindowScores

BINS = 10


@dataclass(frozen=True, eq=False)
class Claims:
    """What a model said of n windows, and whether it was so.

    Attributes:
        probability: shape (n,).
        right: shape (n,).
        record: that each window was cut from, shape (n,).
        records: number of records that `record` points into.
    """

    probability: NDArray[np.float64]
    right: NDArray[np.bool_]
    record: NDArray[np.intp]
    records: int


@dataclass(frozen=True)
class Bin:
    """The claims of a probability from `lower` to `upper`.

    Attributes:
        lower: inclusive.
        upper: exclusive, but in the last bin.
        windows: number of claims.
        records: that they come from.
        probability: mean of what was claimed; NaN in an empty bin.
        right: share that was right, with its interval; NaN likewise.
    """

    lower: float
    upper: float
    windows: int
    records: int
    probability: float
    right: Interval


def claims(scores: WindowScores) -> dict[Output, Claims]:
    """The claims of a model, by output."""
    truths, detection = scores.truths, scores.scored["detection"]
    records = len(scores.record_names)
    found: dict[Output, Claims] = {
        "detection": Claims(detection.probability, detection.right, detection.record, records)
    }
    onsets: dict[Output, NDArray[np.float64]] = {"p": truths.p_samples, "s": truths.s_samples}
    for phase, onset in onsets.items():
        scored = ~np.isnan(onset) | truths.noise
        within = np.abs(scores.residuals_s[phase]) <= TOLERANCES_S["0.5s"]  # never for NaN
        found[phase] = Claims(
            scores.highest_probability[phase][scored],
            within[scored],
            truths.records[scored],
            records,
        )
    return found


def equal_width(number: int = BINS) -> NDArray[np.float64]:
    """Edges of bins from 0 to 1, shape (number + 1,)."""
    return np.linspace(0.0, 1.0, number + 1)


def equal_count(probability: NDArray[np.float64], number: int = BINS) -> NDArray[np.float64]:
    """Edges of bins that hold equally many; fewer bins where equal probabilities stay together."""
    if not len(probability):
        return np.array([0.0, 1.0])
    inner = np.quantile(probability, np.linspace(0.0, 1.0, number + 1)[1:-1])
    return np.array([0.0, *np.unique(inner), 1.0])


def calibration_error(claims: Claims, edges: NDArray[np.float64]) -> Interval:
    """Expected calibration error with its interval; NaN where nothing is claimed.

    Args:
        claims: of one output.
        edges: of the bins, which stay the same in every draw.
    """
    bins = _bins(claims, edges)
    excess = claims.right - claims.probability

    def error(weights: NDArray[np.float64]) -> float:
        of_claim = weights[claims.record]
        total = of_claim.sum()
        if not total:
            return float("nan")
        # Number times distance of the means is the distance of the sums.
        return float(np.abs(np.bincount(bins, of_claim * excess)).sum() / total)

    return record_interval(error, claims.records)


def diagram(claims: Claims, edges: NDArray[np.float64]) -> list[Bin]:
    """What was claimed and what was right in each bin, empty ones included."""
    bins = _bins(claims, edges)
    result = []
    for index, (lower, upper) in enumerate(pairwise(edges)):
        inside = bins == index
        right, record = claims.right[inside], claims.record[inside]

        def share(
            weights: NDArray[np.float64],
            right: NDArray[np.bool_] = right,
            record: NDArray[np.intp] = record,
        ) -> float:
            total = weights[record].sum()
            return float(weights[record[right]].sum() / total) if total else float("nan")

        windows = int(inside.sum())
        result.append(
            Bin(
                float(lower),
                float(upper),
                windows,
                len(np.unique(record)),
                float(claims.probability[inside].mean()) if windows else float("nan"),
                record_interval(share, claims.records),
            )
        )
    return result


def _bins(claims: Claims, edges: NDArray[np.float64]) -> NDArray[np.intp]:
    """The bin of each claim."""
    return np.searchsorted(edges[1:-1], claims.probability, side="right")
