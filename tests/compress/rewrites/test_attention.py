"""Attention over its band alone: the same numbers as over all steps with a mask."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.keras import keras
from baseline.layers import AdditiveSelfAttention, BandedSelfAttention
from compress.evaluation.cost import keras_multiply_adds
from compress.rewrites.attention import band_attention


def attending(steps, channels, units, width):
    keras.utils.set_random_seed(steps)
    inputs = keras.Input((steps, channels))
    layer = AdditiveSelfAttention(units, width, name="attention")
    model = keras.Model(inputs, layer(inputs))
    random = np.random.default_rng(1)
    layer.set_weights([w + 0.2 * random.standard_normal(w.shape) for w in layer.get_weights()])
    return model


@settings(max_examples=25, deadline=None)
@given(
    steps=st.integers(4, 30),
    channels=st.integers(1, 5),
    units=st.integers(1, 6),
    width=st.integers(1, 7),
)
def test_band_gives_the_same_numbers(steps, channels, units, width):
    model = attending(steps, channels, units, width)
    rewritten = band_attention(model)
    x = np.random.default_rng(0).standard_normal((3, steps, channels)).astype(np.float32)
    # Sums near 3, added in another order: where a processor takes 16 numbers at a time, they came
    # out 3.3e-5 apart.
    np.testing.assert_allclose(rewritten.model(x), model(x), rtol=1e-5, atol=2e-5)
    assert rewritten.changed == (("attention",) if width < steps else ())
    if width < steps:
        assert isinstance(rewritten.model.get_layer("attention"), BandedSelfAttention)
        assert keras_multiply_adds(rewritten.model) < keras_multiply_adds(model)


def test_attention_to_all_steps_stays():
    model = attending(12, 3, 4, None)
    assert band_attention(model).changed == ()


def test_constant_in_the_denominator_is_why_the_stage_checks():
    """Scores beyond the band that are larger by ten make the constant count."""
    model = attending(12, 2, 1, 3)
    layer = model.get_layer("attention")
    layer.set_weights(
        [np.zeros((2, 1)), np.ones((2, 1)), np.zeros(1), np.full((1, 1), 15.0), np.zeros(1)]
    )
    x = np.zeros((1, 12, 2), np.float32)
    x[:, :3], x[:, 9:] = -1.0, 1.0
    apart = np.abs(band_attention(model).model(x).numpy() - model(x).numpy()).max()
    assert apart > 1e-2
