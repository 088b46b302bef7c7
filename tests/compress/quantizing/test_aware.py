"""Quantization-aware training: it rounds what the export rounds, and there is a way back."""

import numpy as np
import pytest
import small_models

from baseline.errors import InputError
from baseline.keras import keras, tf
from compress.quantizing.aware import Between, PerChannel, with_rounding, without_rounding
from compress.training.twin import twin_of
from export.convert import Precision
from export.runtimes import KerasRunner
from export.writers.ranges import answers
from export.writers.tflite import write_tflite


@pytest.fixture(scope="module")
def model():
    return small_models.student()


@pytest.fixture(scope="module")
def rounded(model, windows):
    return with_rounding(model, windows)


def test_it_computes_as_the_int8_file_does(model, rounded, windows):
    exact = KerasRunner(model)(windows)
    simulated = KerasRunner(rounded)(windows)
    int8 = answers(write_tflite(model, Precision.INT8, windows), windows)

    def apart(a, b):
        return float(np.sqrt(np.mean((a - b) ** 2)))

    assert apart(int8, exact) > 1e-4, "int8 has to differ for this to tell anything"
    assert apart(int8, simulated) < 0.7 * apart(int8, exact)


def test_the_way_back_is_exact(model, rounded, windows):
    back = without_rounding(rounded, model)
    assert not [x for x in back.layers if "rounded" in x.name or "depthwise" in x.name]
    np.testing.assert_allclose(
        KerasRunner(back)(windows[:8]), KerasRunner(model)(windows[:8]), atol=1e-5
    )


def test_trained_weights_come_back(model, windows):
    rounded = twin_of(with_rounding(model, windows[:16]))
    before = {w.name: w.numpy() for w in rounded.trainable_variables}
    optimizer = keras.optimizers.legacy.SGD(0.1)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean(tf.square(rounded(windows[:4]) - 0.5))
    gradients = tape.gradient(loss, rounded.trainable_variables)
    assert all(gradient is not None for gradient in gradients)
    optimizer.apply_gradients(zip(gradients, rounded.trainable_variables, strict=True))
    moved = [w for w in rounded.trainable_variables if not np.array_equal(w, before[w.name])]
    assert len(moved) > 0.9 * len(before)
    back = without_rounding(rounded, model)
    simulated = KerasRunner(with_rounding(back, windows[:16]))(windows[:8])
    # The bounds are found anew, so that the two are not quite the same.
    np.testing.assert_allclose(simulated, KerasRunner(rounded)(windows[:8]), atol=0.02)
    assert np.abs(simulated - KerasRunner(model)(windows[:8])).max() > 1e-4


def test_copies_and_saved_models_round_alike(rounded, windows):
    twin = twin_of(rounded)
    np.testing.assert_array_equal(KerasRunner(twin)(windows[:4]), KerasRunner(rounded)(windows[:4]))


@pytest.mark.parametrize(("shape", "axis"), [((3, 4, 5), -1), ((3, 5, 1), -2), ((4, 5), -1)])
def test_kernels_have_255_steps_for_each_channel(shape, axis):
    kernel = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    kernel *= 10.0 ** np.arange(5).reshape(
        [5 if a == axis % len(shape) else 1 for a in range(len(shape))]
    )
    values = PerChannel(axis)(tf.constant(kernel), False, {}).numpy()
    channels, exact = np.moveaxis(values, axis, 0), np.moveaxis(kernel, axis, 0)
    for own, was in zip(channels, exact, strict=True):
        step = np.abs(was).max() / 127
        np.testing.assert_allclose(own, np.rint(was / step) * step, rtol=1e-4, atol=1e-6)


def test_activations_have_256_steps_between_their_bounds():
    weights = {"lowest": tf.constant(0.0), "highest": tf.constant(25.5)}
    values = Between()(tf.constant([-3.0, 0.04, 0.06, 25.4, 99.0]), False, weights).numpy()
    np.testing.assert_allclose(values, [0.0, 0.0, 0.1, 25.4, 25.5], atol=1e-5)


def test_a_model_without_products_is_refused(windows):
    waveform = keras.Input((6000, 3), name="waveform")
    model = keras.Model(waveform, keras.layers.Activation("sigmoid")(waveform))
    with pytest.raises(InputError, match="no convolution"):
        with_rounding(model, windows[:2])
