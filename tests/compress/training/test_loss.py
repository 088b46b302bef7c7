"""The training loss: its values, and that positive weights leave no trace in the probabilities."""

import numpy as np
import pytest
from pydantic import ValidationError

from baseline.contract import WINDOW_SHAPE
from baseline.keras import keras, tf
from compress.students.calibration import fold_logit_scaling, prior_shift
from compress.training.loss import LOSS_SCALE, cross_entropy
from compress.training.settings import LOSS_WEIGHTS, HardNegatives, LossSettings


def formula(targets, prediction, weights=LOSS_WEIGHTS, positive=(1, 1, 1), temperature=1.0):
    """The same in NumPy, in double precision."""
    t, p = (np.asarray(x, dtype=np.float64) for x in (targets, prediction))
    if temperature != 1.0:
        t, p = ((q / (1 - q)) ** (1 / temperature) for q in (t, p))
        t, p = t / (1 + t), p / (1 + p)
    loss = -(np.array(positive) * t * np.log(p) + (1 - t) * np.log(1 - p))
    return 100.0 * temperature**2 * (loss.mean(axis=(0, 1)) * weights).sum()


@pytest.fixture
def pair():
    """Targets and predictions away from 0 and 1, (2, 40, 3) each."""
    random = np.random.default_rng(0)
    return random.uniform(0.01, 0.99, size=(2, 2, 40, 3)).astype(np.float32)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"weights": (1.0, 0.0, 2.5)},
        {"positive": (1.0, 6.0, 0.5)},
        {"temperature": 3.0},
        {"weights": (0.2, 0.3, 0.5), "positive": (2.0, 3.0, 4.0), "temperature": 1.5},
    ],
)
def test_loss_is_what_the_formula_says(pair, settings):
    targets, prediction = pair
    loss = cross_entropy(targets, tf.constant(prediction), LossSettings(**settings))
    assert float(loss) == pytest.approx(formula(targets, prediction, **settings), rel=1e-5)


def test_defaults_are_those_of_the_settings(pair):
    targets, prediction = pair
    assert LOSS_SCALE == 100.0
    expected = cross_entropy(targets, prediction, LossSettings())
    assert float(cross_entropy(targets, prediction)) == float(expected)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_certain_answers_have_a_finite_loss_and_gradient(temperature):
    targets = np.array([[[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]], dtype=np.float32)
    prediction = tf.constant([[[0.0, 0.0, 1.0], [1.0, 1.0, 0.0]]])
    with tf.GradientTape() as tape:
        tape.watch(prediction)
        loss = cross_entropy(targets, prediction, LossSettings(temperature=temperature))
    assert np.isfinite(loss)
    assert np.isfinite(tape.gradient(loss, prediction)).all()


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_loss_is_least_where_teacher_and_student_agree(pair, temperature):
    targets, other = pair
    settings = LossSettings(temperature=temperature)
    least = float(cross_entropy(targets, targets, settings))
    for step in (0.01, 0.3, 1.0):
        moved = (1 - step) * targets + step * other
        assert float(cross_entropy(targets, moved, settings)) > least


RATES = np.array([[0.02, 0.1, 0.6], [0.3, 0.5, 0.95]])
"""How often each output is there, where a sample's mark is 0 and where it is 1."""


def marked(random, soft):
    """Samples with a mark of 0 or 1 in each component, and what is taught of them."""
    marks = random.integers(0, 2, size=(4, *WINDOW_SHAPE))
    rates = np.take_along_axis(RATES, marks.reshape(-1, 3), axis=0).reshape(marks.shape)
    taught = rates if soft else random.random(marks.shape) < rates
    return marks.astype(np.float32), taught.astype(np.float32), rates


@pytest.mark.parametrize(("temperature", "soft"), [(1.0, False), (1.0, True), (2.0, True)])
def test_positive_weights_are_taken_out_again(temperature, soft):
    """A logistic regression on known rates, trained with weights, gives these rates.

    Labels of 0 and 1 have them at a temperature of 1; soft ones at any.
    """
    keras.utils.set_random_seed(0)
    waveform = keras.Input(WINDOW_SHAPE)
    layer = keras.layers.Conv1D(3, 1, activation="sigmoid", kernel_initializer="zeros")
    model = keras.Model(waveform, layer(waveform))
    settings = LossSettings(weights=(1, 1, 1), positive=(5.0, 3.0, 0.4), temperature=temperature)
    optimizer = keras.optimizers.Adam(0.1)
    windows, targets, rates = marked(np.random.default_rng(1), soft)

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            loss = cross_entropy(targets, model(windows), settings)
        variables = model.trainable_variables
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    for _ in range(300):
        step()
    raised = np.abs(model(windows).numpy() - rates).max(axis=(0, 1))
    assert (raised > 0.1).all(), "the weights should have changed the probabilities"
    shift = temperature * prior_shift(settings.positive)
    fold_logit_scaling(model, (1.0, 1.0, 1.0), shift)
    np.testing.assert_allclose(model(windows), rates, atol=0.005 if soft else 0.02)


@pytest.mark.parametrize(
    "wrong",
    [
        {"weights": (0, 0, 0)},
        {"weights": (-1, 1, 1)},
        {"positive": (0, 1, 1)},
        {"positive": (1, 1)},
        {"temperature": 0.5},
        {"tau": 1},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        LossSettings(**wrong)


@pytest.mark.parametrize("wrong", [{"every": 1}, {"threshold": 0}, {"share": 0.9}])
def test_searches_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValidationError):
        HardNegatives(**wrong)
