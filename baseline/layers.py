"""The one layer of EQTransformer that Keras does not have."""

from __future__ import annotations

from typing import Any

from baseline.keras import keras, tf


@keras.saving.register_keras_serializable(package="eqt_compress")
class AdditiveSelfAttention(keras.layers.Layer):
    """Self-attention with additive scores over a sequence (Bahdanau et al. 2015).

    score(t, t') = tanh(x_t Wt + x_t' Wx + bh) Wa + ba; the weights are the softmax of the scores
    over t', restricted to |t' - t| <= width // 2 where a width is given; the output at t is the
    weighted mean of the inputs. Weight names and the small constant in the denominator are those
    of the published model, so that its weights fit and its answers are reproduced.

    Input and output: (batch, steps, channels).

    Args:
        units: size of the hidden layer of the score.
        width: number of neighbouring steps that a step attends to, or None for all.
    """

    DENOMINATOR_CONSTANT = 1e-7

    def __init__(self, units: int = 32, width: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.units = units
        self.width = width

    def build(self, input_shape: Any) -> None:
        """Create Wt, Wx (channels, units), bh (units,), Wa (units, 1) and ba (1,)."""
        channels = int(input_shape[-1])
        self.Wt = self.add_weight("Wt", (channels, self.units), initializer="glorot_normal")
        self.Wx = self.add_weight("Wx", (channels, self.units), initializer="glorot_normal")
        self.bh = self.add_weight("bh", (self.units,), initializer="zeros")
        self.Wa = self.add_weight("Wa", (self.units, 1), initializer="glorot_normal")
        self.ba = self.add_weight("ba", (1,), initializer="zeros")
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Attend: (batch, steps, channels) to the same shape."""
        steps = inputs.shape[1]
        query = tf.matmul(inputs, self.Wt)[:, :, None, :]
        key = tf.matmul(inputs, self.Wx)[:, None, :, :]
        hidden = tf.tanh(query + key + self.bh)
        score = tf.reshape(tf.matmul(hidden, self.Wa) + self.ba, (-1, steps, steps))
        weight = tf.exp(score - tf.reduce_max(score, axis=-1, keepdims=True))
        if self.width is not None:
            weight *= self._band(steps)
        total = tf.reduce_sum(weight, axis=-1, keepdims=True)
        return tf.matmul(weight / (total + self.DENOMINATOR_CONSTANT), inputs)

    def _band(self, steps: int) -> Any:
        assert self.width is not None
        first = tf.range(steps)[:, None] - self.width // 2
        step = tf.range(steps)[None, :]
        return tf.cast((step >= first) & (step < first + self.width), self.compute_dtype)

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild the layer."""
        return {**super().get_config(), "units": self.units, "width": self.width}
