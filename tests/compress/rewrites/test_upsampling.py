"""Convolving before upsampling: the same numbers for every shape, kernel, padding and crop."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from small_models import settled

from baseline.keras import keras
from compress.evaluation.cost import keras_multiply_adds
from compress.rewrites.upsampling import fold_upsampling

LAYERS = keras.layers


def upsampled(steps, channels, factor, crop, **convolution):
    """A graph of upsampling, cropping and a convolution, with random weights and biases."""
    keras.utils.set_random_seed(steps + 7 * factor)
    x = inputs = keras.Input((steps, channels))
    x = LAYERS.UpSampling1D(factor, name="up")(x)
    if crop is not None:
        x = LAYERS.Cropping1D(crop, name="crop")(x)
    x = LAYERS.Conv1D(name="level_conv", **convolution)(x)
    return settled(keras.Model(inputs, x))


def assert_equal(model, rewritten, steps, channels):
    x = np.random.default_rng(0).standard_normal((3, steps, channels)).astype(np.float32)
    expected = model(x).numpy()
    np.testing.assert_allclose(rewritten(x).numpy(), expected, atol=2e-5, rtol=1e-4)


def kinds(model):
    return {type(layer) for layer in model.layers}


@settings(max_examples=60, deadline=None)
@given(
    steps=st.integers(1, 14),
    channels=st.integers(1, 3),
    factor=st.integers(2, 4),
    crop=st.none() | st.tuples(st.integers(0, 5), st.integers(0, 5)),
    kernel=st.integers(1, 12),
    dilation=st.integers(1, 3),
    padding=st.sampled_from(["same", "valid"]),
    activation=st.sampled_from([None, "relu", "sigmoid"]),
    use_bias=st.booleans(),
)
def test_every_convolution_behind_an_upsampling_is_the_same_before_it(
    steps, channels, factor, crop, kernel, dilation, padding, activation, use_bias
):
    samples = steps * factor - sum(crop or (0, 0))
    reach = (kernel - 1) * dilation
    assume(samples > (reach if padding == "valid" else 0))
    model = upsampled(
        steps,
        channels,
        factor,
        crop,
        filters=2,
        kernel_size=kernel,
        dilation_rate=dilation,
        padding=padding,
        activation=activation,
        use_bias=use_bias,
    )
    rewritten = fold_upsampling(model)
    assert rewritten.model.output_shape == model.output_shape
    assert "level_conv" in rewritten.changed
    assert LAYERS.UpSampling1D not in kinds(rewritten.model)
    assert_equal(model, rewritten.model, steps, channels)


@pytest.mark.parametrize(("kernel", "taps"), [(11, 6), (9, 5), (7, 4), (5, 3), (3, 2)])
def test_kernels_fold_to_half_the_taps(kernel, taps):
    model = upsampled(20, 3, 2, None, filters=4, kernel_size=kernel, padding="same")
    rewritten = fold_upsampling(model).model
    assert rewritten.get_layer("level_conv").kernel.shape == (taps, 3, 2 * 4)
    # One block of phases more is computed where the first output is not the first phase.
    assert keras_multiply_adds(rewritten) <= 1.05 * taps / kernel * keras_multiply_adds(model)


def test_even_phases_need_neither_padding_nor_trimming():
    model = upsampled(20, 3, 2, None, filters=4, kernel_size=9, padding="same", activation="relu")
    rewritten = fold_upsampling(model).model
    assert kinds(rewritten) == {LAYERS.InputLayer, LAYERS.Conv1D, LAYERS.Reshape}


def test_cropped_samples_differ_at_the_edges_alone(monkeypatch):
    """Without the correction, the folded convolution sees copies that were cropped."""
    model = upsampled(20, 3, 2, 1, filters=4, kernel_size=7, padding="same")
    rewritten = fold_upsampling(model).model
    assert_equal(model, rewritten, 20, 3)
    edges = rewritten.get_layer("level_edges")
    edges.set_weights([0 * weight for weight in edges.get_weights()])
    x = np.random.default_rng(0).standard_normal((1, 20, 3)).astype(np.float32)
    wrong = np.abs(rewritten(x).numpy() - model(x).numpy()).max(axis=(0, 2)) > 1e-4
    assert set(np.flatnonzero(wrong)) == {0, 1, 2, 35, 36, 37}


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda x: LAYERS.Conv1D(2, 3, strides=2, padding="same", name="c")(x), "strides"),
        (lambda x: LAYERS.Conv1D(2, 3, padding="causal", name="c")(x), "causal"),
        (lambda x: LAYERS.Conv1D(4, 3, groups=2, padding="same", name="c")(x), "groups"),
        (lambda x: LAYERS.SeparableConv1D(2, 3, padding="same", name="c")(x), "no convolution"),
        (lambda x: LAYERS.MaxPooling1D(3, name="c")(x), "no convolution"),
        (
            lambda x: LAYERS.Concatenate()([LAYERS.Conv1D(2, 3, padding="same")(x), x]),
            "not read by one layer alone",
        ),
        (lambda x: x, "not read by one layer alone"),
    ],
    ids=["strides", "causal", "groups", "separable", "pooling", "read twice", "output"],
)
def test_what_cannot_be_folded_stays_and_says_why(build, reason):
    inputs = keras.Input((12, 4))
    model = keras.Model(inputs, build(LAYERS.UpSampling1D(2, name="up")(inputs)))
    rewritten = fold_upsampling(model)
    assert rewritten.changed == ()
    assert reason in rewritten.notes["up"]
    assert_equal(model, rewritten.model, 12, 4)
