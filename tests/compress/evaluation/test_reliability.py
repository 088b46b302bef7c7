"""What a model claims against what came of it."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import compress.evaluation.bootstrap as bootstrap
from compress.data.synthetic import SyntheticSource
from compress.evaluation.protocol import Protocol, labelled_windows
from compress.evaluation.reliability import (
    Claims,
    calibration_error,
    claims,
    diagram,
    equal_count,
    equal_width,
)
from compress.evaluation.window_scores import score_windows


@pytest.fixture(scope="module", autouse=True)
def few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 50)
        yield


def drawn(number: int, distort=lambda p: p, seed: int = 0) -> Claims:
    """Claims that are right as often as they say, five to a record; then told in other numbers."""
    random = np.random.default_rng(seed)
    probability = random.random(number)
    right = random.random(number) < probability
    return Claims(distort(probability), right, np.arange(number) // 5, -(-number // 5))


@pytest.mark.parametrize("edges", [equal_width(), equal_width(15), None])
def test_a_calibrated_model_has_next_to_no_error(edges) -> None:
    calibrated, overconfident = drawn(20_000), drawn(20_000, lambda p: p**0.5)

    for each, lower, upper in ((calibrated, 0.0, 0.02), (overconfident, 0.14, 0.20)):
        chosen = equal_count(each.probability) if edges is None else edges
        error = calibration_error(each, chosen)
        assert lower <= error.point <= upper  # of p**0.5: 1/6
        assert error.lower <= error.upper
        assert error.upper - error.lower < 0.02


def test_a_diagram_by_hand() -> None:
    known = Claims(
        np.array([0.05, 0.02, 0.5, 0.58, 0.58, 1.0]),
        np.array([False, False, True, True, False, True]),
        np.array([0, 1, 1, 2, 2, 3]),
        5,
    )

    bins = diagram(known, equal_width())

    assert [each.windows for each in bins] == [2, 0, 0, 0, 0, 3, 0, 0, 0, 1]
    assert [each.records for each in bins] == [2, 0, 0, 0, 0, 2, 0, 0, 0, 1]
    assert bins[0].probability == pytest.approx(0.035)
    assert bins[0].right.point == 0.0
    assert (bins[5].lower, bins[5].upper) == pytest.approx((0.5, 0.6))
    assert bins[5].right.point == pytest.approx(2 / 3)
    assert bins[5].right.lower < 2 / 3 < bins[5].right.upper
    assert bins[9].probability == 1.0
    assert math.isnan(bins[1].probability)
    assert math.isnan(bins[1].right.point)
    error = calibration_error(known, equal_width())
    assert error.point == pytest.approx((0.07 + abs(2 - 1.66) + 0.0) / 6)


def test_nothing_claimed_is_no_error() -> None:
    nothing = Claims(np.empty(0), np.empty(0, bool), np.empty(0, np.intp), 3)

    assert math.isnan(calibration_error(nothing, equal_count(nothing.probability)).point)
    assert all(math.isnan(each.right.point) for each in diagram(nothing, equal_width()))


@settings(deadline=None, derandomize=True, max_examples=40)
@given(probability=st.lists(st.integers(0, 20).map(lambda i: i / 20), min_size=1, max_size=60))
def test_every_claim_is_in_one_bin(probability: list[float]) -> None:
    values = np.array(probability)
    right = values > 0.5
    known = Claims(values, right, np.zeros(len(values), np.intp), 1)

    for edges in (equal_width(), equal_width(3), equal_count(values)):
        bins = diagram(known, edges)
        assert sum(each.windows for each in bins) == len(values)
        for each in bins:
            if each.windows:
                assert each.lower - 1e-12 <= each.probability <= each.upper + 1e-12
        error = calibration_error(known, edges).point
        gap = abs(right.mean() - values.mean())  # finer bins hide nothing that coarse ones show
        assert gap - 1e-12 <= error <= 1.0


def test_bins_of_equal_count_hold_equally_many() -> None:
    values = np.random.default_rng(0).random(1000) ** 6  # crowded near 0
    known = Claims(values, values > 0.5, np.arange(1000), 1000)

    assert {each.windows for each in diagram(known, equal_count(values))} == {100}
    assert max(each.windows for each in diagram(known, equal_width())) > 600


def test_claims_are_what_a_user_reads(progress) -> None:
    source = SyntheticSource(6, seed=5)
    protocol = Protocol(placements=2)
    batch = next(labelled_windows(source, protocol)).truths
    outputs = np.full((len(batch), 6000, 3), 0.01, dtype=np.float32)
    p_known = np.flatnonzero(~np.isnan(batch.p_samples))
    for index in range(len(batch)):
        at = 50 if np.isnan(batch.p_samples[index]) else int(batch.p_samples[index])
        outputs[index, at, 1] = 0.5 + index / 100
        outputs[index, 1000:1020, 0] = 0.25
    missed = p_known[0]
    outputs[missed, :, 1] = np.roll(outputs[missed, :, 1], 51)

    found = claims(score_windows(lambda windows: outputs, source, protocol, progress))

    p = found["p"]
    scored = ~np.isnan(batch.p_samples) | batch.noise
    assert p.probability == pytest.approx((0.5 + np.arange(len(batch)) / 100)[scored])
    expected = ~np.isnan(batch.p_samples)
    expected[missed] = False
    assert p.right.tolist() == expected[scored].tolist()
    assert p.record.tolist() == batch.records[scored].tolist()
    assert p.records == found["detection"].records == 6
    assert found["detection"].probability == pytest.approx(np.full(len(batch), 0.25))
    assert found["detection"].right.tolist() == (~batch.noise).tolist()
    assert 0 < batch.noise.sum() < len(batch)
