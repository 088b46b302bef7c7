"""LSTM and GRU step by step: without a loop, or in one that holds as little as can be.

An interpreter that runs a loop starts a subgraph for every step, which costs several times what the
step's own few small products do. The products of the inputs with their weights, which need not wait
for the step before, are one matrix product over all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

from baseline.keras import keras, tf

Step = Callable[[Any, Any], tuple[Any, Any]]
"""From a step's projected inputs and the states before it to its output and the states after it."""

MAXIMUM_STEPS = 128
"""Longest sequence that is unrolled. Each step adds 1 kB to a float32 file, 2 kB to an int8 one
and 0.05 s to the conversion, whatever the units. EQTransformer's recurrent layers see 47 steps."""


PROJECTION = "projection"
"""Scope of the products of the inputs, which are no part of the recurrence."""


def unrolled(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The same LSTM or GRU (with weights of its own) that puts its steps one by one into a graph.

    It remains a loop where the sequence is longer than MAXIMUM_STEPS or of unknown length, masked,
    or where states go in or come out.
    """
    return _UNROLLED[type(layer)].from_config(layer.get_config())


@contextmanager
def stepwise(layers: Iterable[keras.layers.Layer], loops: bool = False) -> Iterator[None]:
    """While it lasts, these LSTMs and GRUs go into a graph step by step, as `unrolled` ones do.

    The layers stay those of their model, which then need not be built again with others.

    Args:
        layers: LSTMs and GRUs; what cannot be unrolled remains as it is.
        loops: put them as loops over their steps, in which only the recurrence stands. That is a
            tenth of the file that unrolling makes, and several times slower.
    """
    classes = _LOOPED if loops else _UNROLLED
    exchanged = [(layer, type(layer)) for layer in layers if type(layer) in classes]
    try:
        for layer, own in exchanged:
            object.__setattr__(layer, "__class__", classes[own])
        yield
    finally:
        for layer, own in exchanged:
            object.__setattr__(layer, "__class__", own)


class _Stepwise(keras.layers.Layer):
    """What the cells share; stands before the Keras layer among the base classes."""

    unroll_steps = True

    def call(
        self, inputs: Any, mask: Any = None, training: Any = None, initial_state: Any = None
    ) -> Any:
        """From (batch, steps, channels) to (batch, steps, units), or (batch, units)."""
        steps = inputs.shape[1]
        short = steps is not None and (steps <= MAXIMUM_STEPS or not self.unroll_steps)
        stateless = initial_state is None and not (self.stateful or self.return_state)
        if not short or self.time_major or not stateless or mask is not None:
            return super().call(inputs, mask, training, initial_state)
        projected, step, zeros = self._recurrence(inputs)
        if not self.unroll_steps:
            last, outputs, _ = keras.backend.rnn(
                step, projected, zeros, go_backwards=self.go_backwards, input_length=steps
            )
            return outputs if self.return_sequences else last
        by_step = [tf.unstack(x, axis=1) for x in projected]
        states, outputs = zeros, []
        for number in range(steps)[:: -1 if self.go_backwards else 1]:
            output, states = step(tuple(x[number] for x in by_step), states)
            outputs.append(output)
        return tf.stack(outputs, axis=1) if self.return_sequences else outputs[-1]


class _StepwiseLSTM(_Stepwise, keras.layers.LSTM):
    def _recurrence(self, inputs: Any) -> tuple[Any, Step, Any]:
        """Products of the inputs for gates and candidate, what a step does, and its first states.

        Keras has the gates in the order in, forget, candidate, out.
        """
        cell = self.cell
        scale, offset, gate = _gate(cell.recurrent_activation)
        bias = cell.bias if cell.use_bias else tf.zeros(4 * self.units)
        gate_kernel, kernel = _gates_and_candidate(cell.kernel)
        gate_recurrent, recurrent = _gates_and_candidate(cell.recurrent_kernel)
        gate_bias, bias = _gates_and_candidate(bias)
        gate_recurrent *= scale
        projected = _projected(
            inputs, (gate_kernel * scale, gate_bias * scale + offset), (kernel, bias)
        )

        def step(gates_and_candidate: Any, states: Any) -> tuple[Any, Any]:
            gates_in, candidate_in = gates_and_candidate
            output, state = states
            gates = gate(gates_in + tf.matmul(output, gate_recurrent))
            gate_in, forget, gate_out = tf.split(gates, 3, axis=-1)
            candidate = cell.activation(candidate_in + tf.matmul(output, recurrent))
            state = forget * state + gate_in * candidate
            output = gate_out * cell.activation(state)
            return output, (output, state)

        zeros = tf.zeros_like(projected[1][:, 0])
        return projected, step, (zeros, zeros)


class _StepwiseGRU(_Stepwise, keras.layers.GRU):
    def _recurrence(self, inputs: Any) -> tuple[Any, Step, Any]:
        """Products of the inputs for gates and candidate, what a step does, and its first state.

        Keras has the gates in the order update, reset, candidate. `reset_after` says whether the
        reset gate acts on the candidate's product with the state, bias included, or on the state.
        """
        cell = self.cell
        scale, offset, gate = _gate(cell.recurrent_activation)
        split = partial(tf.split, num_or_size_splits=[2 * self.units, self.units], axis=-1)
        bias = recurrent_bias = tf.zeros(3 * self.units)
        if cell.use_bias and cell.reset_after:
            bias, recurrent_bias = tf.unstack(cell.bias)
        elif cell.use_bias:
            bias = cell.bias
        gate_kernel, kernel = split(cell.kernel)
        gate_recurrent, recurrent = split(cell.recurrent_kernel)
        gate_bias, _ = split(bias + recurrent_bias)
        (_, bias), (_, recurrent_bias) = split(bias), split(recurrent_bias)
        gate_recurrent *= scale
        projected = _projected(
            inputs, (gate_kernel * scale, gate_bias * scale + offset), (kernel, bias)
        )

        def step(gates_and_candidate: Any, states: Any) -> tuple[Any, Any]:
            gates_in, candidate_in = gates_and_candidate
            (output,) = states
            gates = gate(gates_in + tf.matmul(output, gate_recurrent))
            update, reset = tf.split(gates, 2, axis=-1)
            if cell.reset_after:
                product = reset * (tf.matmul(output, recurrent) + recurrent_bias)
            else:
                product = tf.matmul(reset * output, recurrent)
            candidate = cell.activation(candidate_in + product)
            output = candidate + update * (output - candidate)
            return output, (output,)

        return projected, step, (tf.zeros_like(projected[1][:, 0]),)


class _LoopedLSTM(_StepwiseLSTM):
    unroll_steps = False


class _LoopedGRU(_StepwiseGRU):
    unroll_steps = False


def _gate(activation: Any) -> tuple[float, float, Any]:
    """A gate's activation as scale, offset and function: function(scale x + offset).

    Keras' hard sigmoid is max(0, min(1, 0.2 x + 0.5)). Scale and offset go into weights and biases,
    and the lower bound into the addition before it: one operator is left of four.
    """
    if activation is keras.activations.hard_sigmoid:
        return 0.2, 0.5, lambda x: tf.minimum(tf.nn.relu(x), 1.0)
    return 1.0, 0.0, activation


def _projected(inputs: Any, *products: tuple[Any, Any]) -> tuple[Any, ...]:
    """For each kernel and bias one matrix product over all steps, (batch, steps, units)."""
    with tf.name_scope(PROJECTION):
        return tuple(tf.matmul(inputs, kernel) + bias for kernel, bias in products)


def _gates_and_candidate(weights: Any) -> tuple[Any, Any]:
    """An LSTM's weights (..., 4 units) for its gates in, forget and out, and for its candidate."""
    gate_in, forget, candidate, gate_out = tf.split(weights, 4, axis=-1)
    return tf.concat([gate_in, forget, gate_out], axis=-1), candidate


_UNROLLED = {keras.layers.LSTM: _StepwiseLSTM, keras.layers.GRU: _StepwiseGRU}
_LOOPED = {keras.layers.LSTM: _LoopedLSTM, keras.layers.GRU: _LoopedGRU}
