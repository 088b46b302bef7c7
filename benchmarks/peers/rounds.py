"""Several ways timed against one reference, pair by pair, while the machine drifts.

As in `compress/evaluation/latency.py`, but each way is a process of its own, in an environment of
its own, and there are many. In a round each of them meets the reference once, in random order: both
are timed so many times, in one of all possible orders, within moments of each other, and the ratio
is formed of the faster timing of each. Drift is common to both and cancels.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

CANDIDATE, REFERENCE = 0, 1
CONFIDENCE = 0.95
RESAMPLES = 2000

LEAST_ROUNDS = 2
"""In each block, however little time there is."""

Timer = Callable[[], int]
Times = NDArray[np.float64]
"""Nanoseconds (rounds, 2, repeats): of the candidate and of the reference."""


def time_rounds(
    timers: Mapping[str, Timer],
    reference: Timer,
    *,
    repeats: int,
    seconds: float,
    random: np.random.Generator,
) -> dict[str, Times]:
    """Time each of `timers` against the reference.

    Args:
        timers: each runs its model once and tells the nanoseconds.
        reference: runs the reference.
        repeats: timings of each in one round.
        seconds: no round starts later than this after the first, the first two excepted.
        random: of the orders.
    """
    orders = sorted(set(itertools.permutations((CANDIDATE, REFERENCE) * repeats)))
    times: dict[str, list[tuple[list[int], list[int]]]] = {name: [] for name in timers}
    # All orders take turns, for each candidate at another point of the turn.
    turns = {name: itertools.cycle(random.permutation(len(orders))) for name in timers}
    deadline = time.monotonic() + seconds
    rounds = 0
    while rounds < LEAST_ROUNDS or time.monotonic() < deadline:
        for name in random.permutation(list(timers)):
            pair: tuple[list[int], list[int]] = ([], [])
            for which in orders[next(turns[name])]:
                pair[which].append((timers[name], reference)[which]())
            times[name].append(pair)
        rounds += 1
    return {name: np.array(pairs, np.float64) for name, pairs in times.items()}


def summarise(blocks: Sequence[Times], seed: int = 0) -> dict[str, Any]:
    """What the rounds of all blocks say of one candidate.

    Returns:
        `ms`, median over rounds of its time; `ratio`, median of its time over the reference's, with
        `lower` and `upper` ends of the 95 % interval of a bootstrap over rounds; `block_ratios`,
        the medians of the blocks, each of which had processes of its own; `rounds`.
    """
    fastest = [block.min(axis=2) for block in blocks]
    ratios = [block[:, CANDIDATE] / block[:, REFERENCE] for block in fastest]
    every = np.concatenate(ratios)
    drawn = np.random.default_rng(seed).integers(len(every), size=(RESAMPLES, len(every)))
    tail = (1.0 - CONFIDENCE) / 2.0
    lower, upper = np.quantile(np.median(every[drawn], axis=1), [tail, 1.0 - tail])
    return {
        "ms": float(np.median(np.concatenate(fastest)[:, CANDIDATE])) / 1e6,
        "ratio": float(np.median(every)),
        "lower": float(lower),
        "upper": float(upper),
        "block_ratios": [float(np.median(block)) for block in ratios],
        "rounds": len(every),
    }
