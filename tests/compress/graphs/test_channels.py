"""Channels: what belongs together, and removing it answers what nobody reading it answers."""

import numpy as np
import pytest
import small_models
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.errors import InputError
from baseline.keras import keras, tf
from baseline.layers import AdditiveSelfAttention, BandedSelfAttention, EdgeCorrection1D
from compress.graphs.channels import silenced, trace, without

LAYERS = keras.layers
STEPS = 12


def shaken(model, seed=0):
    """All weights random, variances positive: nothing is zero or one by chance."""
    random = np.random.default_rng(seed)
    for layer in model.layers:
        layer.set_weights(
            [0.2 + 0.3 * random.standard_normal(w.shape) for w in layer.get_weights()]
        )
        if isinstance(layer, LAYERS.BatchNormalization):
            layer.moving_variance.assign(0.5 + random.random(layer.moving_variance.shape))
    return model


def waveforms(model, number=2):
    random = np.random.default_rng(5)
    return random.standard_normal((number, *model.input_shape[1:])).astype(np.float32)


def some_groups(channels, random):
    """From every dimension that may change some groups, at least one stays."""
    removed = []
    for dimension in channels.dimensions:
        if not dimension.fixed:
            number = random.integers(len(dimension.groups))
            removed += random.permutation(dimension.groups)[:number].tolist()
    return removed


def dimension(channels, layer):
    return next(d for d in channels.dimensions if layer in d.layers)


def residual(x, name):
    y = LAYERS.BatchNormalization(name=f"{name}_norm")(x)
    y = LAYERS.ReLU(name=f"{name}_relu")(y)
    y = LAYERS.Conv1D(x.shape[-1], 3, padding="same", name=f"{name}_conv")(y)
    return LAYERS.Add(name=f"{name}_add")([x, y])


def convolution(x, name):
    y = LAYERS.Conv1D(5, 3, padding="same", activation="relu", name=f"{name}_conv")(x)
    return LAYERS.DepthwiseConv1D(3, padding="same", depth_multiplier=2, name=f"{name}_depth")(y)


def separable(x, name):
    y = LAYERS.SeparableConv1D(4, 3, padding="same", depth_multiplier=2, name=f"{name}_sep")(x)
    return LAYERS.BatchNormalization(name=f"{name}_norm")(y)


def sub_pixel(x, name):
    """Down and up again, beside a skip connection."""
    steps = x.shape[1]
    y = LAYERS.Conv1D(3, 2, strides=2, padding="same", activation="relu", name=f"{name}_down")(x)
    y = LAYERS.Conv1D(8, 3, padding="same", name=f"{name}_up")(y)
    y = LAYERS.Reshape((2 * y.shape[1], 4), name=f"{name}_phases")(y)
    y = LAYERS.Cropping1D((0, y.shape[1] - steps), name=f"{name}_crop")(y)
    return LAYERS.Concatenate(name=f"{name}_join")([y, x])


def beside(x, name):
    """Pairs of steps as channels of one, and back."""
    y = LAYERS.Reshape((x.shape[1] // 2, 2 * x.shape[2]), name=f"{name}_pairs")(x)
    y = LAYERS.Conv1D(6, 1, name=f"{name}_conv")(y)
    return LAYERS.UpSampling1D(2, name=f"{name}_repeat")(y)


def lstm(x, name):
    cell = LAYERS.LSTM(3, return_sequences=True)
    return LAYERS.Bidirectional(cell, name=name)(x)


def gru(x, name):
    return LAYERS.GRU(4, return_sequences=True, reset_after=True, name=name)(x)


def attention(x, name):
    y = AdditiveSelfAttention(4, None, name=f"{name}_all")(x)
    y = LAYERS.Add(name=f"{name}_add")([x, y])
    return BandedSelfAttention(3, 3, name=f"{name}_band")(y)


def layer_norm(x, name):
    y = LAYERS.LayerNormalization(name=f"{name}_norm")(x)
    return LAYERS.Dense(5, activation="relu", name=f"{name}_dense")(y)


def edges(x, name):
    y = LAYERS.Conv1D(4, 3, padding="same", name=f"{name}_conv")(x)
    y = EdgeCorrection1D(2, 1, name=f"{name}_edges")([y, x])
    return LAYERS.ReLU(name=f"{name}_relu")(y)


PARTS = [
    residual, convolution, separable, sub_pixel, beside, lstm, gru, attention, layer_norm, edges,
]  # fmt: skip


def built(parts, seed=0):
    x = waveform = keras.Input((STEPS, 3), name="waveform")
    x = LAYERS.Conv1D(4, 3, padding="same", name="first")(x)
    for index, part in enumerate(parts):
        x = part(x, f"{index}_{part.__name__}")
    return shaken(keras.Model(waveform, LAYERS.Dense(2, name="last")(x)), seed)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from(PARTS), min_size=1, max_size=3), st.integers(0, 2**16))
def test_without_a_channel_answers_what_silencing_it_answers(parts, seed):
    model = built(parts, seed)
    channels = trace(model)
    removed = some_groups(channels, np.random.default_rng(seed))
    narrower = without(model, channels, removed)
    x = waveforms(model)
    expected = silenced(model, channels, removed)(x)
    np.testing.assert_allclose(narrower(x), expected, rtol=1e-4, atol=1e-5)
    parameters = narrower.count_params() - model.count_params()
    assert parameters < 0 if removed else parameters == 0


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_every_part_loses_channels_and_its_answers_change(part):
    model = built([part, residual])
    channels = trace(model)
    removed = [d.groups[0] for d in channels.dimensions if not d.fixed]
    x = waveforms(model)
    narrower, quiet = without(model, channels, removed)(x), silenced(model, channels, removed)(x)
    np.testing.assert_allclose(narrower, quiet, rtol=1e-4, atol=1e-5)
    assert np.abs(narrower - model(x)).max() > 1e-2


def test_eqtransformer_loses_half_of_every_dimension():
    config = EqtConfig(
        encoder_filters=(4, 6, 8),
        encoder_kernels=(5, 3, 3),
        residual_kernels=(3, 2),
        recurrent_blocks=1,
        recurrent_units=4,
        attention_units=6,
        feed_forward_units=8,
    )
    small = build_eqtransformer(config)
    # As it is, 750 steps of full attention are slow and large; 24 do as well here.
    model = shaken(keras.Model.from_config(_shorter(small.get_config())))
    channels = trace(model)
    removed = [
        group
        for d in channels.dimensions
        if not d.fixed
        for group in d.groups[: len(d.groups) // 2]
    ]
    narrower = without(model, channels, removed)
    x = waveforms(model)
    np.testing.assert_allclose(
        narrower(x), silenced(model, channels, removed)(x), rtol=1e-4, atol=1e-5
    )
    assert narrower.get_layer("residual_1b_conv").filters == 4
    assert narrower.get_layer("recurrent_0_both").forward_layer.units == 2
    assert narrower.get_layer("recurrent_0_both").backward_layer.units == 2
    assert narrower.get_layer("transformer_0_attention").units == 3
    assert narrower.get_layer("p_recurrent").units == 2
    assert narrower.get_layer("recurrent_0_conv").filters == 4
    assert narrower.output_shape == model.output_shape


def _shorter(config):
    config["layers"][0]["config"]["batch_input_shape"] = (None, 48, 3)
    return config


def test_a_residual_sum_ties_what_it_adds():
    channels = trace(built([residual, residual]))
    assert dimension(channels, "first").layers == ("first", "0_residual_conv", "1_residual_conv")
    assert len(dimension(channels, "first").groups) == 4


def test_phases_of_a_channel_go_together():
    model = built([sub_pixel])
    channels = trace(model)
    up = dimension(channels, "0_sub_pixel_up")
    assert len(up.groups) == 4
    narrower = without(model, channels, up.groups[1:2])
    assert narrower.get_layer("0_sub_pixel_up").filters == 6
    assert narrower.get_layer("0_sub_pixel_phases").output_shape == (None, STEPS, 3)


def test_fixed_dimensions_say_why():
    channels = trace(built([layer_norm]))
    assert "input" in dimension(channels, "waveform").fixed
    assert "output" in dimension(channels, "last").fixed
    assert "0_layer_norm_norm" in dimension(channels, "first").fixed
    assert dimension(channels, "0_layer_norm_dense").fixed == ""


@pytest.mark.parametrize("layer", ["last", "first"])
def test_what_has_to_stay_is_not_removed(layer):
    model = built([layer_norm] if layer == "first" else [convolution])
    channels = trace(model)
    with pytest.raises(ValueError, match=f"{layer}.*have to stay"):
        without(model, channels, dimension(channels, layer).groups[:1])


def test_the_last_channel_of_a_dimension_stays():
    model = built([convolution])
    channels = trace(model)
    with pytest.raises(ValueError, match="at least one channel"):
        without(model, channels, dimension(channels, "0_convolution_conv").groups)


def test_the_old_model_is_left_as_it_was():
    model = built([gru, convolution])
    channels = trace(model)
    x = waveforms(model)
    before = model(x).numpy()
    removed = some_groups(channels, np.random.default_rng(0))
    assert removed
    without(model, channels, removed)
    silenced(model, channels, removed)
    np.testing.assert_array_equal(model(x), before)


@pytest.mark.parametrize(
    ("layer", "what"),
    [
        (LAYERS.LocallyConnected1D(3, 2, name="strange"), "strange.*LocallyConnected1D"),
        (LAYERS.Conv1D(4, 3, groups=2, name="grouped"), "grouped.*groups"),
        (LAYERS.SimpleRNN(3, return_sequences=True, name="simple"), "simple.*SimpleRNN"),
        (LAYERS.Reshape((6, 8), name="kept"), None),
        (LAYERS.Reshape((16, 3), name="mixed"), "mixed.*mixes"),
    ],
)
def test_layers_that_cannot_be_followed_are_named(layer, what):
    waveform = keras.Input((STEPS, 4))
    model = keras.Model(waveform, layer(waveform))
    if what is None:
        trace(model)
        return
    with pytest.raises(InputError, match=what):
        trace(model)


def test_student_loses_channels():
    model = small_models.student()
    channels = trace(model)
    removed = some_groups(channels, np.random.default_rng(3))
    x = tf.random.stateless_normal((1, *model.input_shape[1:]), (1, 2))
    narrower = without(model, channels, removed)
    expected = silenced(model, channels, removed)(x)
    np.testing.assert_allclose(narrower(x), expected, atol=1e-5)
    assert narrower.count_params() < model.count_params()
