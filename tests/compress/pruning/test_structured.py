"""Structured pruning: the target is met, the useless goes first, interruptions change nothing."""

import json

import fine_tuned
import numpy as np
import pytest
import small_models
from pydantic import ValidationError

from baseline.contract import WINDOW_SHAPE
from baseline.errors import InputError
from baseline.keras import keras
from compress.evaluation.cost import keras_multiply_adds
from compress.graphs.channels import silenced_weights, trace, without
from compress.stages.base import StageModel
from compress.stages.fine_tuning import FineTunedStage
from compress.stages.prune import Prune


def stage(steps=0, **method):
    settings = {"kind": "structured", "importance_windows": 16, "sensitivity_windows": 2}
    return Prune(kind="prune", method=settings | method, steps=steps, records=4, batch=2)


@pytest.fixture
def model():
    """A strided convolution to 24 steps with a residual sum, and a way back to 6000 samples."""
    keras.utils.set_random_seed(0)
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Conv1D(10, 250, strides=250, activation="relu", name="down")(waveform)
    y = keras.layers.Conv1D(12, 3, padding="same", name="inner")(x)
    y = keras.layers.BatchNormalization(name="norm")(y)
    y = keras.layers.ReLU(name="relu")(y)
    y = keras.layers.Conv1D(10, 3, padding="same", name="residual")(y)
    x = keras.layers.Add(name="add")([x, y])
    x = keras.layers.Conv1D(12, 1, activation="relu", name="last")(x)
    x = keras.layers.Dense(750, name="up")(x)
    x = keras.layers.Reshape(WINDOW_SHAPE, name="shape")(x)
    return small_models.settled(keras.Model(waveform, keras.layers.Activation("sigmoid")(x)))


def silence(model, layer, number):
    """Let nothing read the first channels of a layer's dimension; the model without them."""
    channels = trace(model)
    groups = next(d.groups for d in channels.dimensions if layer in d.layers)[:number]
    for name, weights in silenced_weights(model, channels, groups).items():
        model.get_layer(name).set_weights(weights)
    return without(model, channels, groups)


def widths(model):
    return {d.name: len(d.groups) for d in trace(model).dimensions}


def test_target_is_met_and_what_nothing_reads_goes_first(model, windows, tmp_path):
    ideal = silence(model, "inner", 5)
    before = model(windows[:4]).numpy()
    channels = widths(model)
    target = {"measure": "parameters", "ratio": (ideal.count_params() + 0.5) / model.count_params()}
    pruned = stage(rounds=1, target=target, sensitivity="none").apply(
        StageModel(model), fine_tuned.context(tmp_path, model)
    )
    assert pruned.keras.count_params() == ideal.count_params() < model.count_params()
    assert widths(pruned.keras) == channels | {"inner": 7}
    np.testing.assert_allclose(pruned.keras(windows[:4]), before, atol=1e-5)


def test_half_of_the_multiply_adds_in_rounds(model, tmp_path):
    method = {"rounds": 2, "multiple_of": 2, "maximum_rate": 0.8}
    pruned = stage(steps=3, **method).apply(StageModel(model), fine_tuned.context(tmp_path, model))
    ratio = keras_multiply_adds(pruned.keras) / keras_multiply_adds(model)
    assert 0.4 < ratio <= 0.5
    before, after = widths(model), widths(pruned.keras)
    for name, width in after.items():
        assert width == before[name] or width % 2 == 0
        assert width >= min(before[name], max(2, 0.2 * before[name]))
    for steps in (1, 2):  # 3 in two rounds
        log = tmp_path / "products" / f"round-{steps}-of-2.history.csv"
        assert [line.split(",")[0] for line in log.read_text().split()] == ["step", str(steps)]
    assert "an output of the model" in pruned.notes["up"]


class Killed(BaseException):
    pass


def test_interrupted_stage_gives_the_same_result(model, windows, tmp_path, monkeypatch):
    pruning = stage(steps=4, rounds=2, target={"ratio": 0.6})
    undisturbed = pruning.apply(StageModel(model), fine_tuned.context(tmp_path / "a", model))

    tune = FineTunedStage.fine_tune

    def die_in_round_two(self, model, context, *, steps, what):
        if what == "round 2 of 2":
            raise Killed
        tune(self, model, context, steps=steps, what=what)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(FineTunedStage, "fine_tune", die_in_round_two)
        pruning.apply(StageModel(model), fine_tuned.context(tmp_path / "b", model))

    rounds = []

    def noted(self, model, context, *, steps, what):
        rounds.append(what)
        tune(self, model, context, steps=steps, what=what)

    monkeypatch.setattr(FineTunedStage, "fine_tune", noted)
    resumed = pruning.apply(StageModel(model), fine_tuned.context(tmp_path / "b", model))
    assert rounds == ["round 2 of 2"]
    assert widths(resumed.keras) == widths(undisturbed.keras)
    np.testing.assert_allclose(
        resumed.keras(windows[:2]), undisturbed.keras(windows[:2]), atol=1e-5
    )
    assert resumed.notes == undisturbed.notes


def test_sensitivity_of_a_file_weighs_the_layers(model, tmp_path):
    dimensions = [d for d in trace(model).dimensions if not d.fixed]
    dear, *cheap = dimensions
    document = {
        "dimensions": [
            {"name": d.name, "rates": [{"rate": 0.5, "loss_rise": 1e6 if d is dear else 1.0}]}
            for d in dimensions
        ]
    }
    path = tmp_path / "sensitivity.json"
    path.write_text(json.dumps(document))
    pruning = stage(rounds=1, importance="l1", sensitivity=str(path), target={"ratio": 0.6})
    pruned = pruning.apply(StageModel(model), fine_tuned.context(tmp_path, model))
    after = widths(pruned.keras)
    assert after[dear.name] == len(dear.groups)
    assert any(after[d.name] < len(d.groups) for d in cheap)

    document["dimensions"].pop()
    before = pruning.model_dump_json()
    path.write_text(json.dumps(document))
    assert pruning.model_dump_json() != before  # other content is another stage
    with pytest.raises(InputError, match=dimensions[-1].name):
        pruning.apply(StageModel(model), fine_tuned.context(tmp_path / "other", model))


def test_norm_scale_says_where_it_had_to_use_weights(model, tmp_path):
    pruned = stage(rounds=1, importance="norm_scale", sensitivity="none").apply(
        StageModel(model), fine_tuned.context(tmp_path, model)
    )
    assert keras_multiply_adds(pruned.keras) <= 0.5 * keras_multiply_adds(model)
    assert "no normalization" in pruned.notes["last"]
    assert "no normalization" not in pruned.notes.get("inner", "")


def test_target_out_of_reach_says_how_far_it_goes(model, tmp_path):
    pruning = stage(target={"ratio": 0.1}, maximum_rate=0.3)
    with pytest.raises(InputError, match=r"target of 0\.1 .* 0\.\d+ are left") as caught:
        pruning.apply(StageModel(model), fine_tuned.context(tmp_path, model))
    assert "maximum_rate" in caught.value.hint


@pytest.mark.parametrize(
    "method", [{"target": {"ratio": 1.0}}, {"rounds": 0}, {"maximum_rate": 1.0}, {"surplus": 1}]
)
def test_settings_out_of_range_are_refused(method):
    with pytest.raises(ValidationError):
        stage(**method)
