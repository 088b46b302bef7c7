"""Schedules: measured costs are shared out by importance; what is cheap for its saving goes."""

import numpy as np
import pytest

from baseline.keras import keras
from compress.graphs.channels import Dimension, trace, without
from compress.pruning.budget import Budget
from compress.pruning.schedule import choose, prices

FOUR = Dimension("layer", ("layer",), (0, 1, 2, 3), "")


def test_prices_add_up_to_what_was_measured():
    found = prices(FOUR, np.array([4.0, 1.0, 3.0, 2.0]), {0.5: 6.0, 0.75: 10.0}, 4, 30.0)
    assert found[:2].sum() == pytest.approx(6.0, abs=1e-3)
    np.testing.assert_allclose(
        found[:3], [2.0, 4.0, 4.0], atol=1e-3
    )  # by importance 1:2, then alone
    assert found[3] == pytest.approx(20.0, abs=1e-3)  # all of it costs what the dearest layer did


def test_a_layer_that_lost_channels_goes_on_where_it_stands():
    three = Dimension("layer", ("layer",), (1, 2, 3), "")
    scores = np.array([9.0, 1.0, 1.0, 1.0])
    found = prices(three, scores, {0.25: 1.0, 0.5: 3.0, 0.75: 9.0}, 4, 9.0)
    np.testing.assert_allclose(found, [2.0, 6.0, 0.0], atol=1e-3)


def test_a_layer_that_costs_nothing_is_not_free():
    found = prices(FOUR, np.ones(4), {0.5: 0.0, 0.75: -1.0}, 4, 10.0)
    assert (found > 0).all()
    assert found[:3].sum() < 0.1
    assert found[3] == pytest.approx(10.0, abs=1e-3)


def test_channels_that_are_always_zero_cost_less_than_the_one_that_is_not():
    found = prices(FOUR, np.array([0.0, 5.0, 0.0, 0.0]), {0.25: 0.0}, 4, 10.0)
    assert found[3] > 9.0
    assert found[:3].sum() < 0.1


def chain():
    x = waveform = keras.Input((32, 3))
    x = keras.layers.Conv1D(8, 3, padding="same", name="first")(x)
    x = keras.layers.Conv1D(8, 9, padding="same", name="second")(x)
    return keras.Model(waveform, keras.layers.Dense(2, name="last")(x))


def chosen(price_of_second, **changes):
    """How many channels of the first and the second layer go."""
    model = chain()
    channels = trace(model)
    budget = Budget(model, channels, "multiply_adds")
    settings = {"floors": {"first": 2, "second": 2}, "share": 0.5, "multiple_of": 1} | changes
    scores = np.arange(channels.number, dtype=float)
    price_lists = {"first": np.ones(8), "second": np.full(8, price_of_second)}
    everything = np.ones(channels.number, dtype=bool)
    goal = settings["share"] * budget.total(everything)
    removed = choose(
        channels,
        budget,
        price_lists,
        scores,
        settings["floors"],
        goal,
        settings["multiple_of"],
    )
    narrower = without(model, channels, removed)
    for d in channels.dimensions:  # the least important ones
        own = [group for group in d.groups if group in removed]
        assert own == list(d.groups[: len(own)])
    return narrower.get_layer("first").filters, narrower.get_layer("second").filters


def test_what_costs_more_is_pruned_less():
    assert chosen(100.0) == (3, 8)
    first, second = chosen(0.01)
    assert first == 8
    assert second < 5


def test_floors_hold_even_where_the_goal_is_out_of_reach():
    assert chosen(1.0, share=0.01) == (2, 2)
    assert chosen(100.0, floors={"first": 6, "second": 2}) == (6, 4)


def test_multiples_are_left():
    first, second = chosen(1.0, multiple_of=4)
    assert {first, second} <= {4, 8}
    assert first * second < 64
