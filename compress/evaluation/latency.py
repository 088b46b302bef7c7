"""How long one model takes compared with another, in one process on a machine that is never quiet.

Timing one model after another measures the machine: its clock, its neighbours and its temperature
drift by tens of percent within seconds, and two *identical* models differ by as much. Here both
are timed within milliseconds of each other, round by round, and the ratio is formed within the
round, where the drift is common to both and cancels.

A round times the candidate twice and the reference twice, in one of the six possible orders, which
take turns. Both are called equally often, and each timed call follows an untimed call of the same
function, so neither finds caches warmer than the other does. That matters: with the reference
called twice as often as the candidate, a model came out up to 8 % slower than itself
(`docs/latency.md`). The ratio of a round is that of the faster timing of each, because an
interruption only ever adds time. The ratio of the two timings of the reference (A/A) is 1 but for
what this procedure cannot resolve: the floor, reported beside the result.

Two openings of one file differ too, by where they come to lie in memory. Whoever can open both
models twice hands the second openings over as `copies`: each then counts with its better one, and
the floor contains the difference.
"""

from __future__ import annotations

import gc
import itertools
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.runtimes import Runner, load_runner

_CANDIDATE, _REFERENCE = 0, 1
_ORDERS = tuple(
    sorted(set(itertools.permutations((_CANDIDATE, _CANDIDATE, _REFERENCE, _REFERENCE))))
)
_NANOSECONDS_PER_MILLISECOND = 1e6
_RESAMPLES = 2000


@dataclass(frozen=True)
class LatencyRatio:
    """Time of the candidate over time of the reference: below 1, the candidate is faster.

    Attributes:
        ratio: median over rounds of the ratio of the faster timing of each.
        lower: lower end of its interval (bootstrap over rounds).
        upper: upper end.
        candidate_ms: median time of the candidate in milliseconds.
        reference_ms: median time of the reference in milliseconds.
        floor: the ratio of the reference to itself (A/A), measured in the same rounds from single
            timings, so that it rather says too much than too little.
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
    copies: tuple[Callable[[], object], Callable[[], object]] | None = None,
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
        copies: the candidate and the reference opened a second time. The second timing of a round
            is then theirs: where a model comes to lie in memory makes percents of difference, which
            otherwise favour whichever was opened later, unseen by the floor. Open in the order
            candidate, reference, copy of the reference, copy of the candidate.
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
    second_candidate, second_reference = copies or (candidate, reference)
    functions = ((candidate, second_candidate), (reference, second_reference))
    for _ in range(warmup):
        for first, second in functions:
            first()
            if copies:
                second()
    times = _time_rounds(functions, pairs, seconds, random)
    ours, theirs = times[:, _CANDIDATE], times[:, _REFERENCE]
    ratio, lower, upper = _median_interval(
        ours.min(axis=1) / theirs.min(axis=1), confidence, random
    )
    # In random order: the later one of a round finds caches a little warmer.
    one, other = random.permuted(theirs, axis=1).T
    floor, floor_lower, floor_upper = _median_interval(one / other, confidence, random)
    return LatencyRatio(
        ratio=ratio,
        lower=lower,
        upper=upper,
        candidate_ms=float(np.median(ours)) / _NANOSECONDS_PER_MILLISECOND,
        reference_ms=float(np.median(theirs)) / _NANOSECONDS_PER_MILLISECOND,
        floor=floor,
        floor_lower=floor_lower,
        floor_upper=floor_upper,
        pairs=len(times),
    )


def compare_files(
    candidate: Path,
    reference: Path,
    windows: NDArray[np.float32],
    *,
    opening: Callable[[Path], Runner] = load_runner,
    pairs: int = 100,
    seconds: float = 30.0,
) -> LatencyRatio:
    """Time two model files against each other, each opened twice; see `compare`.

    Args:
        candidate: the file whose time is asked for.
        reference: the file it is compared with.
        windows: normalised windows (n, 6000, 3) of one call.
        opening: makes a runner of a file, with as many threads as it shall have.
        pairs: rounds at most.
        seconds: time at most.

    Raises:
        InputError: a file cannot be run.
    """
    # In this order, see `compare`.
    ours, theirs, their_copy, our_copy = (
        partial(opening(path), windows) for path in (candidate, reference, reference, candidate)
    )
    return compare(ours, theirs, copies=(our_copy, their_copy), pairs=pairs, seconds=seconds)


def _time_rounds(
    functions: Sequence[Sequence[Callable[[], object]]],
    pairs: int,
    seconds: float,
    random: np.random.Generator,
) -> NDArray[np.float64]:
    """Nanoseconds of both candidates and both references, shape (rounds, 2, 2)."""
    rounds: list[tuple[list[int], list[int]]] = []
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
                times: tuple[list[int], list[int]] = ([], [])
                for which in _ORDERS[order]:
                    function = functions[which][len(times[which])]
                    function()
                    begin = time.perf_counter_ns()
                    function()
                    times[which].append(time.perf_counter_ns() - begin)
                rounds.append(times)
    finally:
        if collecting:
            gc.enable()
    return _nanoseconds(rounds)


def _nanoseconds(rounds: list[tuple[list[int], list[int]]]) -> NDArray[np.float64]:
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
