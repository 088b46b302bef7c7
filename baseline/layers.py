"""Layers that Keras does not have: attention, and what its exact rewrites need."""

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


@keras.saving.register_keras_serializable(package="eqt_compress")
class BandedSelfAttention(AdditiveSelfAttention):
    """The same attention over `width` neighbours, computed for these alone.

    Scores are (steps, width) instead of (steps, steps). The largest score is subtracted within the
    band, where the full form subtracts the largest of all steps: the same up to the small constant
    in the denominator.
    """

    def call(self, inputs: Any) -> Any:
        """Attend: (batch, steps, channels) to the same shape."""
        assert self.width is not None
        before = self.width // 2
        after = self.width - 1 - before
        steps = inputs.shape[1]
        query = tf.matmul(inputs, self.Wt) + self.bh
        key = tf.pad(tf.matmul(inputs, self.Wx), [[0, 0], [before, after], [0, 0]])
        value = tf.pad(inputs, [[0, 0], [before, after], [0, 0]])
        scores = [
            tf.matmul(tf.tanh(query + key[:, place : place + steps]), self.Wa) + self.ba
            for place in range(self.width)
        ]
        score = tf.concat(scores, axis=-1)
        weight = tf.exp(score - tf.reduce_max(score, axis=-1, keepdims=True))
        weight *= self._inside(steps, before)
        weight /= tf.reduce_sum(weight, axis=-1, keepdims=True) + self.DENOMINATOR_CONSTANT
        return tf.add_n(
            [
                weight[:, :, place, None] * value[:, place : place + steps]
                for place in range(self.width)
            ]
        )

    def _inside(self, steps: int, before: int) -> Any:
        """1 where a neighbour is a step of the sequence, 0 beyond its ends: (steps, width)."""
        assert self.width is not None
        neighbour = tf.range(steps)[:, None] + tf.range(self.width)[None, :] - before
        return tf.cast((neighbour >= 0) & (neighbour < steps), self.compute_dtype)


@keras.saving.register_keras_serializable(package="eqt_compress")
class EdgeCorrection1D(keras.layers.Layer):
    """Adds to the first and last outputs of a convolution what depends on one input sample each.

    Inputs: the outputs y (batch, steps, filters) and the convolution's input x (batch, samples,
    channels). To the first outputs x[0] times `first` is added, to the last ones x[-1] times
    `last`. See compress.rewrites.upsampling, where it makes folding a cropped upsampling exact.

    Args:
        first: number of outputs corrected at the start.
        last: number of outputs corrected at the end.
    """

    def __init__(self, first: int, last: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.first_outputs = first
        self.last_outputs = last

    def build(self, input_shape: Any) -> None:
        """Create `first` (channels, first, filters) and `last` (channels, last, filters)."""
        (_, _, filters), (_, _, channels) = input_shape
        for name, outputs in (("first", self.first_outputs), ("last", self.last_outputs)):
            shape = (int(channels), outputs, int(filters))
            setattr(self, name, self.add_weight(name, shape, initializer="zeros"))
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Correct: [(batch, steps, filters), (batch, samples, channels)] to the first's shape."""
        y, x = inputs
        steps = y.shape[1]
        first = self._product(x[:, 0], self.first)
        last = self._product(x[:, -1], self.last)
        y += tf.pad(first, [[0, 0], [0, steps - self.first_outputs], [0, 0]])
        return y + tf.pad(last, [[0, 0], [steps - self.last_outputs, 0], [0, 0]])

    def _product(self, sample: Any, kernel: Any) -> Any:
        channels, outputs, filters = kernel.shape
        flat = tf.matmul(sample, tf.reshape(kernel, (channels, outputs * filters)))
        return tf.reshape(flat, (-1, outputs, filters))

    def get_config(self) -> dict[str, Any]:
        """The arguments that rebuild the layer."""
        sizes = {"first": self.first_outputs, "last": self.last_outputs}
        return {**super().get_config(), **sizes}


@keras.saving.register_keras_serializable(package="eqt_compress")
class Saturation(keras.layers.Layer):
    """Bounds every value to between -limit and limit.

    Args:
        limit: above zero.
    """

    def __init__(self, limit: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.limit = float(limit)

    def call(self, inputs: Any) -> Any:
        """The bounded values, of the same shape."""
        return tf.clip_by_value(inputs, -self.limit, self.limit)

    def get_config(self) -> dict[str, Any]:
        """The argument that rebuilds the layer."""
        return {**super().get_config(), "limit": self.limit}
