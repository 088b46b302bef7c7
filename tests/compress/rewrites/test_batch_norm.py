"""Folding batch normalization: the same numbers, one layer less."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.keras import keras
from compress.rewrites.batch_norm import fold_batch_norms

LAYERS = keras.layers
STEPS, CHANNELS = 9, 3


def answers(model):
    x = np.random.default_rng(2).standard_normal((4, STEPS, CHANNELS)).astype(np.float32)
    return model(x, training=False).numpy()


def with_random_weights(model):
    """Kernels, biases and statistics as training leaves them; variances above zero."""
    random = np.random.default_rng(3)
    for layer in model.layers:
        layer.set_weights(
            [
                random.uniform(0.3, 1.5, w.shape) * random.choice([-1, 1])
                for w in layer.get_weights()
            ]
        )
        if isinstance(layer, LAYERS.BatchNormalization):
            layer.moving_variance.assign(np.abs(layer.moving_variance))
    return model


@settings(max_examples=25, deadline=None)
@given(
    kind=st.sampled_from([LAYERS.Conv1D, LAYERS.SeparableConv1D, LAYERS.Dense]),
    kernel=st.integers(1, 5),
    use_bias=st.booleans(),
    scale=st.booleans(),
    center=st.booleans(),
    epsilon=st.sampled_from([1e-3, 1e-5]),
)
def test_normalization_folds_into_what_is_before_it(kind, kernel, use_bias, scale, center, epsilon):
    size = {} if kind is LAYERS.Dense else {"kernel_size": kernel, "padding": "same"}
    inputs = keras.Input((STEPS, CHANNELS))
    x = kind(5, use_bias=use_bias, name="before", **size)(inputs)
    x = LAYERS.BatchNormalization(scale=scale, center=center, epsilon=epsilon, name="norm")(x)
    model = with_random_weights(keras.Model(inputs, LAYERS.ReLU()(x)))
    rewritten = fold_batch_norms(model)
    assert "norm" not in {layer.name for layer in rewritten.model.layers}
    assert rewritten.notes["norm"] == "folded into before"
    np.testing.assert_allclose(answers(rewritten.model), answers(model), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("build", "reason"),
    [
        (lambda x: LAYERS.MaxPooling1D(2, name="before")(x), "no convolution"),
        (lambda x: LAYERS.Conv1D(5, 1, activation="relu", name="before")(x), "activation"),
    ],
    ids=["pooling", "activation"],
)
def test_normalization_behind_anything_else_stays(build, reason):
    inputs = keras.Input((STEPS, CHANNELS))
    x = LAYERS.BatchNormalization(name="norm")(build(inputs))
    model = with_random_weights(keras.Model(inputs, LAYERS.ReLU()(x)))
    rewritten = fold_batch_norms(model)
    assert reason in rewritten.notes["norm"]
    assert rewritten.changed == ()
    np.testing.assert_array_equal(answers(rewritten.model), answers(model))


def test_convolution_that_others_read_too_is_not_changed():
    inputs = keras.Input((STEPS, CHANNELS))
    x = LAYERS.Conv1D(5, 3, padding="same", name="before")(inputs)
    y = LAYERS.BatchNormalization(name="norm")(x)
    model = with_random_weights(keras.Model(inputs, LAYERS.Add()([x, y])))
    rewritten = fold_batch_norms(model)
    assert "read elsewhere" in rewritten.notes["norm"]
    np.testing.assert_array_equal(answers(rewritten.model), answers(model))
