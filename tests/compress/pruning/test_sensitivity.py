"""Sensitivity: each layer alone, on the command line and for a schedule."""

import json

import numpy as np
import pytest
import small_models
from hand_made import write_seisbench

from baseline.checkpoint import save_keras
from baseline.contract import WINDOW_SHAPE
from baseline.errors import InputError
from baseline.keras import keras
from compress.graphs.channels import trace, without
from compress.pruning.importance import l1
from compress.pruning.sensitivity import divergence, each_alone, loss_rises
from compress.pruning.study import parse_rates
from compress.report.sensitivity import heat_map


@pytest.fixture(scope="module")
def model():
    """Three layers, of which the second is read by almost nothing."""
    keras.utils.set_random_seed(0)
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Conv1D(6, 250, strides=250, activation="relu", name="down")(waveform)
    y = keras.layers.Conv1D(8, 3, padding="same", activation="relu", name="unread")(x)
    x = keras.layers.Concatenate(name="join")([x, y])
    x = keras.layers.Dense(750, name="up")(x)
    x = keras.layers.Reshape(WINDOW_SHAPE, name="shape")(x)
    model = small_models.settled(keras.Model(waveform, keras.layers.Activation("sigmoid")(x)))
    kernel, bias = model.get_layer("up").get_weights()
    kernel[6:] *= 1e-4
    model.get_layer("up").set_weights([3 * kernel, bias - 2])
    return model


def test_rises_are_those_of_the_pruned_model(model, windows, progress):
    channels = trace(model)
    scores = l1(model, channels)
    rises = loss_rises(model, channels, scores, [0.5], windows[:4], progress)
    assert set(rises) == {"down", "unread"}
    down = next(d for d in channels.dimensions if d.name == "down")
    weakest = sorted(down.groups, key=lambda group: scores[group])[:3]
    expected = divergence(
        model(windows[:4]).numpy(), without(model, channels, weakest)(windows[:4]).numpy()
    )
    assert rises["down"][0.5] == pytest.approx(expected, rel=1e-3)
    assert rises["down"][0.5] > 100 * abs(rises["unread"][0.5])


def test_weights_are_put_back(model, windows):
    channels = trace(model)
    twin = keras.models.clone_model(model)
    twin.set_weights(model.get_weights())
    seen = [
        (pruned.dimension.name, pruned.rate, len(pruned.removed))
        for pruned in each_alone(twin, model, channels, l1(model, channels), [0.05, 0.5, 0.99])
    ]
    assert [number for name, _, number in seen if name == "down"] == [1, 3, 5]
    assert [rate for name, rate, _ in seen if name == "unread"] == [1 / 8, 0.5, 7 / 8]
    np.testing.assert_array_equal(twin(windows[:2]), model(windows[:2]))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three earthquakes and a noise record in split test."""
    onsets = (2000.0, 2500.0, 3000.0, np.nan)
    names = {f"test_{index}": onset for index, onset in enumerate(onsets)}
    return write_seisbench(tmp_path_factory.mktemp("data"), names)


def test_command_ranks_layers_and_draws_them(model, data, tmp_path, run_cli):
    save_keras(model, tmp_path / "model.keras")
    result, figure = tmp_path / "sensitivity.json", tmp_path / "map.png"
    code, printed = run_cli(
        "sensitivity", tmp_path / "model.keras", "--data", data, "--split", "test",
        "--rates", "0.75,0.5", "--json", result, "--plot", figure,
    )  # fmt: skip
    assert code == 0, printed
    assert "down" in printed
    assert "unread" in printed
    assert figure.read_bytes().startswith(b"\x89PNG")
    document = json.loads(result.read_text())
    assert document["rates"] == [0.5, 0.75]
    assert document["data"]["records"] == 4
    costs = [d["cost"] for d in document["dimensions"]]
    assert costs == sorted(costs, reverse=True)
    by_name = {d["name"]: d for d in document["dimensions"]}
    assert by_name["down"]["channels"] == 6
    half, most = by_name["unread"]["rates"]
    assert (half["removed"], most["removed"]) == (4, 6)
    # 24 steps: 4 filters of 3 taps over 6 channels, read 4 times by 750 units.
    assert half["multiply_adds_saved"] == 24 * (4 * 18 + 4 * 750)
    falls = [-difference["point"] for difference in half["differences"].values()]
    assert half["cost"] == pytest.approx(np.mean(falls))
    assert {d["name"] for d in document["fixed"]} == {"waveform", "up"}
    assert "--data" in document["command"]


def test_heat_map_has_a_row_per_layer_and_says_what_is_missing():
    rate = {"rate": 0.5, "cost": 0.4, "multiply_adds_saved": 50}
    document = {
        "model": {"name": "model", "multiply_adds": 100},
        "data": {"folder": "records", "records": 3},
        "rates": [0.5],
        "dimensions": [
            {"name": "dear", "layers": ["dear", "twin"], "cost": 0.4, "rates": [rate]},
            {"name": "blank", "layers": ["blank"], "cost": None, "rates": [rate | {"cost": None}]},
        ],
    }
    axes, beside, *_ = heat_map(document).axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ["dear + 1 tied", "blank"]
    assert [text.get_text() for text in axes.texts] == ["0.400", "0.400"]
    assert [bar.get_width() for bar in beside.patches] == [50.0, 50.0]


@pytest.mark.parametrize("text", ["", "a", "0", "1", "0.5,1.5", "nan"])
def test_rates_that_are_no_shares_are_refused(text):
    with pytest.raises(InputError, match="rates"):
        parse_rates(text)


def test_rates_are_put_in_order():
    assert parse_rates("0.75, 0.25,0.75") == [0.25, 0.75]
