"""Importance: Taylor scores are the square of how the loss changes; weights rank within layers."""

import numpy as np
import pytest
import small_models

from baseline.contract import WINDOW_SHAPE
from baseline.keras import keras
from compress.graphs.channels import Role, trace
from compress.pruning.importance import l1, norm_scale, taylor, without_norm
from compress.training.loss import cross_entropy


@pytest.fixture(scope="module")
def model():
    return small_models.recurrent("gru", attention=True)


@pytest.fixture(scope="module")
def batch(windows):
    random = np.random.default_rng(2)
    return windows[:4], random.random((4, *WINDOW_SHAPE)).astype(np.float32)


def loss(model, batch):
    waveforms, targets = batch
    return float(cross_entropy(targets, model(waveforms)))


def read_at(model, channels, group, scale):
    """A copy in which everything that reads the group reads so much of it."""
    changed = keras.models.clone_model(model)
    changed.set_weights(model.get_weights())
    for axis in channels.axes:
        if axis.role is Role.READS:
            layer = changed.get_layer(axis.layer)
            weights = layer.get_weights()
            np.moveaxis(weights[axis.weight], axis.axis, 0)[axis.groups == group] *= scale
            layer.set_weights(weights)
    return changed


def test_taylor_is_the_squared_slope_of_the_loss(model, batch):
    channels = trace(model)
    scores = taylor(model, channels, [batch])
    step = 0.05
    for layer in ("down", "forward", "both", "attention"):
        group = next(d.groups[1] for d in channels.dimensions if layer in d.layers)
        more, less = (
            loss(read_at(model, channels, group, 1.0 + sign * step), batch) for sign in (1, -1)
        )
        slope = (more - less) / (2 * step)
        assert np.sqrt(scores[group]) == pytest.approx(abs(slope), rel=0.05, abs=1e-4)
        assert scores[group] > 1e-7


def test_taylor_is_averaged_over_batches(model, batch):
    channels = trace(model)
    other = (batch[0][::-1], batch[1] * 0.1)
    one, two = (taylor(model, channels, [b]) for b in (batch, other))
    np.testing.assert_allclose(
        taylor(model, channels, [batch, other]), (one + two) / 2, rtol=1e-3, atol=1e-9
    )


def scaled():
    """A convolution with a normalization behind it, and one with none."""
    keras.utils.set_random_seed(0)
    x = waveform = keras.Input((16, 3))
    x = keras.layers.Conv1D(4, 3, name="normalized")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Conv1D(3, 3, name="bare")(x)
    return keras.Model(waveform, keras.layers.Dense(2)(x))


def groups(channels, layer):
    return list(next(d.groups for d in channels.dimensions if layer in d.layers))


def test_l1_is_the_mean_weight_over_that_of_the_layer():
    model = scaled()
    channels = trace(model)
    kernel = model.get_layer("bare").get_weights()[0]
    expected = np.abs(kernel).mean(axis=(0, 1))
    found = l1(model, channels)[groups(channels, "bare")]
    np.testing.assert_allclose(found, expected / expected.mean(), rtol=1e-5)


def test_norm_scale_ranks_by_gamma_and_falls_back_to_weights():
    model = scaled()
    model.get_layer("norm").gamma.assign([0.5, -2.0, 1.0, 0.0])
    channels = trace(model)
    scores = norm_scale(model, channels)
    np.testing.assert_allclose(
        scores[groups(channels, "normalized")], np.array([0.5, 2.0, 1.0, 0.0]) / 0.875, rtol=1e-6
    )
    bare = groups(channels, "bare")
    np.testing.assert_allclose(scores[bare], l1(model, channels)[bare])
    assert "bare" in {d.name for d in without_norm(model, channels)}
    assert "normalized" not in {d.name for d in without_norm(model, channels)}
