"""Scaling a student's logits: fitted, folded, and nothing lost by it."""

from __future__ import annotations

import numpy as np
import pytest
import small_models
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, logit

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.errors import InputError
from baseline.keras import keras
from compress.students.calibration import (
    calibrate,
    cross_entropy,
    fit_logit_scaling,
    fold_logit_scaling,
    prior_shift,
)
from export.runtimes import KerasRunner

SCALE = np.array([0.4, 1.7, 1.0])
OFFSET = np.array([-1.5, 2.0, 0.3])

LAYERS = keras.layers


def eqt_student() -> keras.Model:
    """A narrow EQTransformer with GRU, a sigmoid in each of its three heads."""
    keras.utils.set_random_seed(0)
    narrow = EqtConfig(
        encoder_filters=(4, 4, 4, 4, 4, 4, 8),
        residual_kernels=(3,),
        recurrent_blocks=1,
        recurrent_units=4,
        cell="gru",
        recurrent_activation="sigmoid",
        attention_units=4,
        feed_forward_units=8,
    )
    return small_models.settled(build_eqtransformer(narrow))


def sub_pixel_heads() -> keras.Model:
    """One separable convolution per output at a low rate, joined before the sigmoid."""
    keras.utils.set_random_seed(0)
    waveform = keras.Input((6000, 3))
    x = LAYERS.Conv1D(4, 20, strides=20, activation="relu")(waveform)
    heads = [
        LAYERS.Reshape((6000, 1))(LAYERS.SeparableConv1D(20, 3, padding="same")(x))
        for _ in range(3)
    ]
    joined = LAYERS.Activation("sigmoid")(LAYERS.Concatenate()(heads))
    return small_models.settled(keras.Model(waveform, joined))


def soft_targets(seed: int = 3, windows: int = 4) -> np.ndarray:
    """Rare onsets, (windows, 6000, 3), most samples next to 0."""
    random = np.random.default_rng(seed)
    return expit(random.normal(-9.0, 4.0, (windows, 6000, 3)))


@settings(deadline=None, derandomize=True, max_examples=20)
@given(
    scale=st.lists(st.floats(0.2, 4.0), min_size=3, max_size=3).map(np.array),
    offset=st.lists(st.floats(-4.0, 4.0), min_size=3, max_size=3).map(np.array),
    seed=st.integers(0, 1000),
)
def test_the_fit_recovers_a_known_scaling(scale, offset, seed: int) -> None:
    probabilities = soft_targets(seed).astype(np.float32)
    targets = expit(scale * logit(probabilities.astype(np.float64)) + offset)

    found_scale, found_offset = fit_logit_scaling(probabilities, targets)

    np.testing.assert_allclose(found_scale, scale, rtol=1e-4)
    np.testing.assert_allclose(found_offset, offset, atol=1e-3)


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 1000), sharpness=st.floats(0.1, 5.0), hard=st.booleans())
def test_no_cross_entropy_rises(seed: int, sharpness: float, hard: bool) -> None:
    random = np.random.default_rng(seed)
    targets = soft_targets(seed, windows=2)
    if hard:
        targets = (random.random(targets.shape) < targets).astype(float)
    noise = random.normal(0.0, 2.0, targets.shape)
    probabilities = expit(sharpness * logit(soft_targets(seed, windows=2)) + noise)
    probabilities[0, :9] = 1.0  # saturated, as float32 makes it
    probabilities[0, 9:18] = 0.0

    scale, offset = fit_logit_scaling(probabilities, targets)

    clipped = np.clip(probabilities, 1e-30, 1 - 2.0**-24)
    scaled = expit(scale * logit(clipped) + offset)
    before, after = (cross_entropy(p, targets) for p in (probabilities, scaled))
    assert (scale > 0).all()
    assert (after <= before * (1 + 1e-6)).all()
    for step in (0.98, 1.02):  # the least there is
        beside = expit(step * scale * logit(clipped) + offset)
        assert (cross_entropy(beside, targets) >= after * (1 - 1e-6)).all()


def test_targets_that_never_go_along_with_the_output_leave_a_scale_above_zero() -> None:
    targets = soft_targets()

    scale, offset = fit_logit_scaling(1.0 - targets, targets)

    assert (scale > 0).all()
    assert np.isfinite(offset).all()


def test_a_window_of_weight_three_counts_as_three() -> None:
    random = np.random.default_rng(0)
    probabilities, targets = soft_targets(1), soft_targets(2)
    weights = np.array([1.0, 3.0, 0.0, 2.0])
    repeated = np.repeat(np.arange(4), weights.astype(int))
    probabilities += random.random(probabilities.shape) * 1e-3

    weighted = fit_logit_scaling(probabilities, targets, weights)

    expected = fit_logit_scaling(probabilities[repeated], targets[repeated])
    np.testing.assert_allclose(weighted, expected, rtol=1e-4)
    with pytest.raises(ValueError, match="one weight each"):
        fit_logit_scaling(probabilities, targets, weights[:3])


def test_what_cannot_be_fitted() -> None:
    targets = soft_targets()
    with pytest.raises(InputError, match="targets of s are all 0"):
        fit_logit_scaling(targets, targets * np.array([1, 1, 0]))
    with pytest.raises(InputError, match="targets of detection are all 1"):
        fit_logit_scaling(targets, np.maximum(targets, np.array([1, 0, 0])))
    with pytest.raises(InputError, match="not finite"):
        fit_logit_scaling(targets * np.nan, targets)
    with pytest.raises(ValueError, match="targets"):
        fit_logit_scaling(targets, targets[:2])


@settings(deadline=None, derandomize=True, max_examples=20)
@given(weight=st.floats(0.05, 50.0), p=st.floats(0.001, 0.999))
def test_the_shift_undoes_a_weight_on_positives(weight: float, p: float) -> None:
    learned = np.linspace(1e-5, 1 - 1e-5, 400_001)
    loss = -(weight * p * np.log(learned) + (1 - p) * np.log1p(-learned))

    taught = learned[loss.argmin()]

    (shift, *others) = prior_shift([weight, 1.0, 1.0])
    assert others == [0.0, 0.0]
    assert expit(logit(taught) + shift) == pytest.approx(p, abs=max(weight, 1 / weight) * 1e-5)


@pytest.mark.parametrize("weights", [[1.0, 0.0, 1.0], [1.0, 2.0]])
def test_weights_that_teach_nothing(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="one weight above 0"):
        prior_shift(weights)


@pytest.mark.parametrize(
    "make",
    [small_models.student, eqt_student, sub_pixel_heads, lambda: small_models.recurrent("gru")],
)
def test_folding_is_scaling(make, windows) -> None:
    model = make()
    before = KerasRunner(model)(windows[:2]).astype(np.float64)
    parameters = model.count_params()

    fold_logit_scaling(model, SCALE, OFFSET)

    after = KerasRunner(model)(windows[:2])
    expected = expit(SCALE * logit(before) + OFFSET)
    assert np.abs(expected - before).max() > 0.05
    assert np.abs(after - expected).max() < 1e-5
    assert model.count_params() == parameters


def ending(end) -> keras.Model:
    waveform = keras.Input((6000, 3))
    return keras.Model(waveform, end(LAYERS.Conv1D(6, 3, padding="same", name="body")(waveform)))


ENDS = {
    "no bias": lambda x: LAYERS.Conv1D(3, 1, activation="sigmoid", use_bias=False)(x),
    "another activation": lambda x: LAYERS.Conv1D(3, 1, activation="relu")(x),
    "of the kind BatchNormalization": lambda x: LAYERS.Activation("sigmoid")(
        LAYERS.BatchNormalization()(LAYERS.Conv1D(3, 1)(x))
    ),
    "of the kind Activation": lambda x: LAYERS.Activation("relu")(LAYERS.Conv1D(3, 1)(x)),
    "several layers": lambda x: LAYERS.Concatenate()(
        [(y := LAYERS.Conv1D(1, 1, activation="sigmoid")(x)), y, LAYERS.ReLU()(y)]
    ),
    "mixes outputs": lambda x: LAYERS.Activation("sigmoid")(
        LAYERS.Reshape((6000, 3))(LAYERS.Conv1D(4, 3, strides=1)(x[:, :4502]))
    ),
    "only (batch, 6000, 3)": lambda x: LAYERS.Conv1D(2, 1, activation="sigmoid")(x),
}


@pytest.mark.parametrize("why", ENDS)
def test_other_ends_are_refused_and_left_alone(why: str) -> None:
    model = ending(ENDS[why])
    before = model.get_weights()

    with pytest.raises(InputError) as error:
        fold_logit_scaling(model, SCALE, OFFSET)

    assert why in str(error.value)
    for old, new in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_a_scale_has_to_be_positive() -> None:
    with pytest.raises(ValueError, match="scale above 0"):
        fold_logit_scaling(small_models.student(), np.array([1.0, 0.0, 1.0]), OFFSET)


def test_a_distorted_student_is_set_right(windows) -> None:
    model = small_models.student()
    targets = KerasRunner(model)(windows[:8])
    fold_logit_scaling(model, SCALE, OFFSET)

    told = calibrate(model, windows[:8], targets)

    assert list(told) == ["detection", "p", "s"]
    for index, output in enumerate(told.values()):
        assert output["scale"] == pytest.approx(1 / SCALE[index], rel=1e-3)
        assert output["offset"] == pytest.approx(-OFFSET[index] / SCALE[index], rel=1e-3)
        assert output["cross_entropy_after"] < output["cross_entropy_before"]
    np.testing.assert_allclose(KerasRunner(model)(windows[:8]), targets, atol=1e-5)
