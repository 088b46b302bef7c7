"""How long one model takes compared with another, in one process on a machine that is never quiet.

Timing one model after another measures the machine: its clock, its neighbours and its temperature
drift by tens of percent within seconds, and two *identical* models differ by as much. Here both
are timed within milliseconds of each other, round by round, and the ratio is formed within the
round, where the drift is common to both and cancels.

A round times the candidate, the reference, and the reference once more. The ratio of the two
timings of the reference (A/A) is 1 but for what this procedure cannot resolve: the floor, reported
beside the result. All six orders of the three take turns, so none of them profits from its place.
Each timed call follows an untimed call of the same function: otherwise the candidate would always
find caches full of the reference's weights, and the reference often its own.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ORDERS = tuple(itertools.permutations(range(3)))
_NANOSECONDS_PER_MILLISECOND = 1e6
_RESAMPLES = 2000


@dataclass(frozen=True)
class LatencyRatio:
    """Time of the candidate over time of the reference: below 1, the candidate is faster.

    Attributes:
        ratio: median of the ratios of the rounds.
        lower: lower end of its interval (bootstrap over rounds).
        upper: upper end.
        candidate_ms: median time of the candidate in milliseconds.
        reference_ms: median time of the reference in milliseconds.
        floor: the ratio of the reference to itself (A/A), measured in the same rounds.
        floor_lower: lower end of its interval.
        floor_upper: upper end.
        pairs: number of rounds.
    """

    ratio: float
    lower: float
    upper: float
    candidate_ms: float
    reference_ms: float
    floor: float
    floor_lower: float
    floor_upper: float
    pairs: int


def compare(
    candidate: Callable[[], object],
    reference: Callable[[], object],
    *,
    pairs: int = 100,
    warmup: int = 5,
    seconds: float = 30.0,
    confidence: float = 0.95,
    seed: int = 0,
) -> LatencyRatio:
    """Time `candidate` and `reference` against each other.

    Limit both to one thread, and switch ONNX Runtime's spinning off
    (`session.intra_op.allow_spinning=0`), before handing them over: threads that spin for one
    model take time from the other. Garbage collection is off meanwhile and restored afterwards.

    Args:
        candidate: runs the candidate once, on input that it already holds.
        reference: runs the reference once.
        pairs: rounds at most. At least six are run, so that every order occurs.
        warmup: untimed calls of each beforehand.
        seconds: no round starts later than this after the first, the first six excepted.
        confidence: of the two-sided interval.
        seed: of the order of rounds and of the bootstrap.

    Raises:
        ValueError: `pairs` is below six or `confidence` is not between 0 and 1.
    """
    if pairs < len(_ORDERS):
        raise ValueError(f"{pairs} rounds are fewer than the {len(_ORDERS)} orders within a round")
    if not 0.0 < confidence < 1.0:
        raise ValueError(f"confidence lies between 0 and 1, not at {confidence}")
    random = np.random.default_rng(seed)
    for _ in range(warmup):
        candidate()
        reference()
    ours, theirs, again = _time_rounds(candidate, reference, pairs, seconds, random).T
    ratio, lower, upper = _median_interval(ours / theirs, confidence, random)
    floor, floor_lower, floor_upper = _median_interval(again / theirs, confidence, random)
    return LatencyRatio(
        ratio=ratio,
        lower=lower,
        upper=upper,
        candidate_ms=float(np.median(ours)) / _NANOSECONDS_PER_MILLISECOND,
        reference_ms=float(np.median(theirs)) / _NANOSECONDS_PER_MILLISECOND,
        floor=floor,
        floor_lower=floor_lower,
        floor_upper=floor_upper,
        pairs=len(ours),
    )


def _time_rounds(
    candidate: Callable[[], object],
    reference: Callable[[], object],
    pairs: int,
    seconds: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Nanoseconds of candidate, reference and reference again, shape (rounds, 3)."""
    functions = (candidate, reference, reference)
    rounds: list[list[int]] = []
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        deadline = time.perf_counter_ns() + round(seconds * 1e9)
        while len(rounds) < pairs:
            # The six orders in random order, then again: balanced, and without a rhythm that
            # something periodic on the machine could fall in with.
            for order in random.permutation(len(_ORDERS))[: pairs - len(rounds)]:
                if len(rounds) >= len(_ORDERS) and time.perf_counter_ns() >= deadline:
                    return _nanoseconds(rounds)
                times = [0, 0, 0]
                for which in _ORDERS[order]:
                    function = functions[which]
                    function()
                    begin = time.perf_counter_ns()
                    function()
                    times[which] = time.perf_counter_ns() - begin
                rounds.append(times)
    finally:
        if collecting:
            gc.enable()
    return _nanoseconds(rounds)


def _nanoseconds(rounds: list[list[int]]) -> NDArray[np.float64]:
    # A call below the clock's resolution takes no time by it; ratios need some.
    return np.maximum(np.array(rounds, dtype=np.float64), 1.0)


def _median_interval(
    ratios: NDArray[np.float64], confidence: float, random: np.random.Generator
) -> tuple[float, float, float]:
    """Median of `ratios` and its percentile interval from a bootstrap over rounds."""
    drawn = random.integers(len(ratios), size=(_RESAMPLES, len(ratios)))
    tail = (1.0 - confidence) / 2.0
    lower, upper = np.quantile(np.median(ratios[drawn], axis=1), [tail, 1.0 - tail])
    return float(np.median(ratios)), float(lower), float(upper)
