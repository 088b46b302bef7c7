"""LSTM and GRU as the ONNX operators of that name.

ONNX has the sequence first, (steps, batch, channels), its gates in an order of its own, and both
directions in one operator.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baseline.keras import keras
from export.writers.onnx_graph.elementwise import operator_of
from export.writers.onnx_graph.graph import Call, Graph, Signal

CELLS = {keras.layers.LSTM: "LSTM", keras.layers.GRU: "GRU"}
ORDER = {"LSTM": (0, 3, 1, 2), "GRU": (0, 1, 2)}
"""Where Keras keeps what ONNX has as in, out, forget, candidate; as update, reset, candidate."""


def is_operator(layer: keras.layers.Layer, backward: bool = False) -> bool:
    """Whether ONNX has an operator for an LSTM or GRU, in this direction of a Bidirectional."""
    return (
        type(layer) in CELLS
        and all(operator_of(f) for f in (layer.activation, layer.recurrent_activation))
        and layer.return_sequences
        and layer.go_backwards == backward
        and not (layer.return_state or layer.stateful or layer.time_major)
    )


def recurrent(graph: Graph, call: Call) -> Signal | None:
    """LSTM or GRU over a sequence, every step of which comes out."""
    return _operator(graph, call, [call.layer]) if is_operator(call.layer) else None


def bidirectional(graph: Graph, call: Call) -> Signal | None:
    """Bidirectional whose directions stand side by side."""
    both = [call.layer.forward_layer, call.layer.backward_layer]
    alike = len({(type(one), one.units, getattr(one, "reset_after", None)) for one in both}) == 1
    if call.layer.merge_mode != "concat" or not alike:
        return None
    if not (is_operator(both[0]) and is_operator(both[1], backward=True)):
        return None
    return _operator(graph, call, both)


def _operator(graph: Graph, call: Call, layers: list[keras.layers.Layer]) -> Signal:
    (signal,) = call.inputs
    kind, units = CELLS[type(layers[0])], layers[0].units
    steps, channels = signal.shape
    weights = [np.stack(parts) for parts in zip(*map(_weights, layers), strict=True)]
    functions = []
    for layer in layers:
        repeated = 2 if kind == "LSTM" else 1
        functions += [
            operator_of(layer.recurrent_activation),
            *[operator_of(layer.activation)] * repeated,
        ]
    options = {} if kind == "LSTM" else {"linear_before_reset": int(layers[0].reset_after)}
    sequence = signal.reshaped(steps, 1, channels)
    made = graph.add(
        kind,
        sequence,
        *map(graph.constant, weights),
        hidden_size=units,
        direction="bidirectional" if len(layers) == 2 else "forward",
        activations=functions,
        **options,
    )
    # (steps, directions, 1, units)
    return Signal(graph, (steps, len(layers) * units), plain=made)


def _weights(layer: keras.layers.Layer) -> tuple[NDArray[np.float32], ...]:
    """Weights (gates x units, channels) and (gates x units, units), and biases (2 x gates x units).

    The first half of the biases is that of the inputs, the second that of the states.
    """
    cell, kind = layer.cell, CELLS[type(layer)]
    order = ORDER[kind]

    def sorted_gates(values: NDArray[np.float32]) -> NDArray[np.float32]:
        gates = np.split(values, len(order), axis=-1)
        return np.concatenate([gates[place] for place in order], axis=-1)

    biases = np.zeros((2, len(order) * layer.units), np.float32)
    if layer.use_bias:
        given = cell.bias.numpy().reshape(-1, biases.shape[1])
        biases[: len(given)] = given
    kernels = [sorted_gates(w.numpy()).T for w in (cell.kernel, cell.recurrent_kernel)]
    return (*kernels, sorted_gates(biases).reshape(-1))
