"""Timing of one function against another, on a machine that may be busy."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable

import numpy as np
import pytest

from compress.evaluation.latency import compare


def work(size: int) -> Callable[[], object]:
    """Something that takes time in proportion to `size`."""
    return lambda: sum(range(size))


def test_three_times_the_work_takes_about_three_times_as_long() -> None:
    result = compare(work(30_000), work(10_000), pairs=120)

    assert 1.5 < result.ratio < 6.0
    assert result.lower <= result.ratio <= result.upper
    assert result.candidate_ms > result.reference_ms > 0.0
    assert result.pairs == 120


def test_the_reference_against_itself_is_about_one() -> None:
    result = compare(work(20_000), work(20_000), pairs=120)

    assert 0.7 < result.ratio < 1.4
    assert 0.7 < result.floor < 1.4
    assert result.floor_lower <= result.floor <= result.floor_upper


def test_every_timed_call_follows_one_of_its_own_and_no_place_is_favoured() -> None:
    calls: list[str] = []

    compare(lambda: calls.append("c"), lambda: calls.append("r"), pairs=12, warmup=0)

    assert len(calls) == 12 * 8
    assert calls[0::2] == calls[1::2]
    rounds = np.array(calls[1::2]).reshape(12, 4)
    assert ((rounds == "c").sum(axis=0) == 6).all()
    assert ((rounds == "c").sum(axis=1) == 2).all()


def test_copies_take_the_second_place_of_every_round() -> None:
    calls: list[str] = []
    names = ("c", "r", "C", "R")
    candidate, reference, *copies = ((lambda name=name: calls.append(name)) for name in names)

    compare(candidate, reference, copies=(copies[0], copies[1]), pairs=12, warmup=0)

    for timed in np.array(calls[1::2]).reshape(12, 4).tolist():
        assert sorted(timed) == ["C", "R", "c", "r"]
        assert timed.index("c") < timed.index("C")
        assert timed.index("r") < timed.index("R")


def test_calls_before_the_first_round_are_the_warmup() -> None:
    calls: list[str] = []

    compare(lambda: calls.append("c"), lambda: calls.append("r"), pairs=6, warmup=4)

    assert calls.count("c") == 4 + 6 * 4
    assert calls.count("r") == 4 + 6 * 4


def test_an_interruption_in_every_round_does_not_move_the_ratio() -> None:
    calls = 0

    def interrupted() -> None:
        nonlocal calls
        calls += 1
        # Of the four calls in a round two are timed; the last of them takes ten times as long.
        time.sleep(0.01 if calls % 4 == 0 else 0.001)

    result = compare(interrupted, lambda: time.sleep(0.001), pairs=12, warmup=0)

    assert 0.7 < result.ratio < 1.5


def test_time_is_bounded_and_every_order_still_occurs() -> None:
    exhausted = compare(work(10), work(10), pairs=1000, seconds=0.0)
    bounded = compare(lambda: time.sleep(0.001), lambda: None, pairs=100_000, seconds=0.1)

    assert exhausted.pairs == 6
    assert 6 <= bounded.pairs < 100


@pytest.mark.parametrize("collecting", [True, False])
def test_garbage_collection_is_off_meanwhile_and_restored(collecting: bool) -> None:
    seen: set[bool] = set()
    before = gc.isenabled()
    try:
        (gc.enable if collecting else gc.disable)()

        compare(lambda: seen.add(gc.isenabled()), lambda: None, pairs=6, warmup=0)

        assert seen == {False}
        assert gc.isenabled() is collecting
    finally:
        (gc.enable if before else gc.disable)()


def test_garbage_collection_is_restored_after_an_error() -> None:
    def broken() -> None:
        raise RuntimeError("no such operator")

    assert gc.isenabled()
    with pytest.raises(RuntimeError, match="no such operator"):
        compare(broken, lambda: None, warmup=0)
    assert gc.isenabled()


def test_impossible_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="5 rounds"):
        compare(work(1), work(1), pairs=5)
    with pytest.raises(ValueError, match="confidence"):
        compare(work(1), work(1), confidence=0.0)
