"""What training makes small: how far the student's probabilities are from what it is taught."""

from __future__ import annotations

from baseline.keras import tf
from compress.training.settings import LossSettings

LOSS_SCALE = 100.0
"""Mean cross-entropies per sample are tiny, since picks are rare; this brings them near one."""

PROBABILITY_FLOOR = 1e-6


def cross_entropy(
    targets: tf.Tensor, prediction: tf.Tensor, settings: LossSettings | None = None
) -> tf.Tensor:
    """Binary cross-entropy with soft labels, averaged over windows and samples.

    Args:
        targets: what is taught, (batch, 6000, 3).
        prediction: the student's probabilities, (batch, 6000, 3).
        settings: weights of the outputs and of what is there, and the temperature; None for the
            defaults. At a temperature T the loss is multiplied by T^2, which keeps gradients of
            the same size (Hinton, Vinyals and Dean 2015).

    Returns:
        A scalar.
    """
    settings = settings or LossSettings()
    p = tf.clip_by_value(prediction, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    t = targets
    if settings.temperature != 1.0:
        p, t = (_cooled(q, settings.temperature) for q in (p, targets))
    positive = tf.constant(settings.positive, tf.float32)
    loss = -(positive * t * tf.math.log(p) + (1.0 - t) * tf.math.log(1.0 - p))
    mean = tf.reduce_mean(tf.tensordot(loss, tf.constant(settings.weights, tf.float32), axes=1))
    return LOSS_SCALE * settings.temperature**2 * mean


def _cooled(probability: tf.Tensor, temperature: float) -> tf.Tensor:
    """The probability whose logit is that of `probability` divided by the temperature."""
    p = tf.clip_by_value(probability, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    return tf.sigmoid((tf.math.log(p) - tf.math.log(1.0 - p)) / temperature)
