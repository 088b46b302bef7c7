"""UpSampling1D computes what Keras' own does, which comes back for conversions."""

import numpy as np
import pytest

from baseline.keras import keras, keras_upsampling, tf

STEPS = 7


def answers(size, x):
    """What the layer makes of x, its gradient, and the kinds of operators of its graph."""
    layer = keras.layers.UpSampling1D(size)
    weights = tf.range(float(STEPS * size))[None, :, None]

    @tf.function
    def compute(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x)
            loss = tf.reduce_sum(weights * y)
        return y, tape.gradient(loss, x)

    operators = {
        operator.type for operator in compute.get_concrete_function(x).graph.get_operations()
    }
    return [value.numpy() for value in compute(x)], operators


@pytest.mark.parametrize("size", [1, 2, 5])
def test_upsampling_is_that_of_keras(size):
    x = tf.random.stateless_normal((2, STEPS, 3), (1, 2))
    found, operators = answers(size, x)
    with keras_upsampling():
        expected, theirs = answers(size, x)
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)
    assert "Split" in theirs and "Split" not in operators


def test_what_fails_while_keras_has_its_own_leaves_ours():
    ours = keras.layers.UpSampling1D.call
    with pytest.raises(RuntimeError), keras_upsampling():
        assert keras.layers.UpSampling1D.call is not ours
        raise RuntimeError
    assert keras.layers.UpSampling1D.call is ours


def test_models_know_their_shapes():
    x = keras.Input((STEPS, 3))
    model = keras.Model(x, keras.layers.UpSampling1D(2)(x))
    assert model.output_shape == (None, 2 * STEPS, 3)
    assert type(model.layers[1]) is keras.layers.UpSampling1D
