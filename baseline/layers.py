"""Layers that Keras does not have: attention, and what its exact rewrites need."""

from __future__ import annotations

from functools import reduce
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
        if self.width is None:
            # The sum of the weights is 1 or more: the constant is less than rounding makes.
            return tf.matmul(tf.nn.softmax(score), inputs)
        weight = tf.exp(score - tf.reduce_max(score, axis=-1, keepdims=True)) * self._band(steps)
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

    Scores are (steps, width) instead of (steps, steps), and a softmax makes weights of them: the
    same as the full form up to the small constant in its denominator. Steps near the ends, which
    have fewer neighbours, are computed one by one. Nothing is masked and nothing divided, so that
    int8 has an operator for each part.
    """

    def call(self, inputs: Any) -> Any:
        """Attend: (batch, steps, channels) to the same shape, of `width` steps at least."""
        assert self.width is not None
        before = self.width // 2
        steps = inputs.shape[1]
        inner = steps - self.width + 1
        query = tf.matmul(inputs, self.Wt) + self.bh
        key = tf.matmul(inputs, self.Wx)
        scores = [
            self._score(query[:, before : before + inner], key[:, place : place + inner])
            for place in range(self.width)
        ]
        weight = tf.nn.softmax(tf.concat(scores, axis=-1))
        parts = [
            # A slice that keeps the last axis is one that XNNPACK computes; others it does not.
            weight[:, :, place : place + 1] * inputs[:, place : place + inner]
            for place in range(self.width)
        ]
        middle = reduce(tf.add, parts)  # TFLite's ADD_N has no int8
        ends = {}
        for step in (*range(before), *range(before + inner, steps)):
            near = slice(max(step - before, 0), step - before + self.width)
            weight = tf.nn.softmax(self._score(query[:, step : step + 1], key[:, near]), axis=1)
            ends[step] = tf.reduce_sum(weight * inputs[:, near], axis=1, keepdims=True)
        first, last = (
            [end for step, end in ends.items() if (step < before) == early]
            for early in (True, False)
        )
        return tf.concat([*first, middle, *last], axis=1)

    def neighbours(self, steps: int) -> int:
        """How many weights there are: of each step those of its neighbours within the sequence."""
        assert self.width is not None
        before = self.width // 2
        after = self.width - 1 - before
        return steps * self.width - before * (before + 1) // 2 - after * (after + 1) // 2

    def _score(self, query: Any, key: Any) -> Any:
        return tf.matmul(tf.tanh(query + key), self.Wa) + self.ba


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
        # Slices that keep the axis of the samples, for XNNPACK as well.
        first = self._product(x[:, :1], self.first)
        last = self._product(x[:, -1:], self.last)
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
