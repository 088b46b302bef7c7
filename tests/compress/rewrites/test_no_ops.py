"""Layers that do nothing at inference are left out, and no others."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.keras import keras
from compress.rewrites.no_ops import drop_no_ops

LAYERS = keras.layers
IDLE = (
    LAYERS.Dropout(0.5, name="dropout"),
    LAYERS.SpatialDropout1D(0.2, name="spatial_dropout"),
    LAYERS.GaussianNoise(1.0, name="gaussian_noise"),
    LAYERS.Activation("linear", name="linear"),
    LAYERS.ZeroPadding1D(0, name="no_padding"),
    LAYERS.Cropping1D(0, name="no_cropping"),
    LAYERS.UpSampling1D(1, name="no_upsampling"),
    LAYERS.MaxPooling1D(1, name="no_pooling"),
    LAYERS.Reshape((10, 3), name="same_shape"),
)
BUSY = (
    LAYERS.Activation("relu", name="relu"),
    LAYERS.ZeroPadding1D((0, 1), name="padding"),
    LAYERS.Cropping1D((1, 0), name="cropping"),
    LAYERS.UpSampling1D(2, name="upsampling"),
    LAYERS.MaxPooling1D(2, name="pooling"),
    LAYERS.AveragePooling1D(3, 1, name="smoothing"),
    LAYERS.Reshape((4, 6), name="other_shape"),
)


def test_idle_layers_go_and_others_stay():
    x = inputs = keras.Input((10, 3))
    for layer in (*IDLE, *BUSY):
        x = layer(x)
    model = keras.Model(inputs, x)
    rewritten = drop_no_ops(model)
    names = {layer.name for layer in rewritten.model.layers}
    assert names == {inputs.name, *(layer.name for layer in BUSY)}
    assert set(rewritten.changed) == {layer.name for layer in IDLE}
    x = np.random.default_rng(0).standard_normal((2, 10, 3)).astype(np.float32)
    np.testing.assert_array_equal(rewritten.model(x), model(x, training=False))


def test_idle_layer_that_is_the_output_stays():
    inputs = keras.Input((10, 3))
    model = keras.Model(inputs, keras.layers.Activation("linear", name="prediction")(inputs))
    assert drop_no_ops(model).changed == ()


@settings(max_examples=20, deadline=None)
@given(
    kinds=st.lists(st.integers(0, 5), max_size=6),
    steps=st.integers(2, 12),
    channels=st.integers(1, 4),
    size=st.integers(1, 3),
)
def test_any_chain_answers_the_same(kinds, steps, channels, size):
    """Layers that do something for one size and nothing for another, in any order."""
    x = inputs = keras.Input((steps, channels))
    for kind in kinds:
        width = x.shape[1]
        layers = (
            lambda: LAYERS.Dropout(0.5),
            lambda: LAYERS.UpSampling1D(size),
            lambda: LAYERS.ZeroPadding1D((0, size - 1)),
            lambda width=width: LAYERS.Cropping1D((min(size, width) - 1, 0)),
            lambda: LAYERS.AveragePooling1D(size, padding="same"),
            lambda: LAYERS.Activation("relu" if size > 1 else "linear"),
        )
        x = layers[kind]()(x)
    model = keras.Model(inputs, LAYERS.Activation("tanh", name="prediction")(x))
    rewritten = drop_no_ops(model).model
    values = np.random.default_rng(0).standard_normal((2, steps, channels)).astype(np.float32)
    np.testing.assert_array_equal(rewritten(values), model(values, training=False))
    if size == 1:
        assert [layer.name for layer in rewritten.layers] == [inputs.name, "prediction"]
