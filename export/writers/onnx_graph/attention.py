"""Attention as matrix products and softmaxes, and what mends the edges of cropped convolutions."""

from __future__ import annotations

import numpy as np

from baseline.keras import keras
from export.writers.onnx_graph.graph import Call, Graph, Signal

OUTSIDE = -1e9
"""Added to the scores of neighbours that there are none of: their weight is zero then."""


def additive_attention(graph: Graph, call: Call) -> Signal | None:
    """AdditiveSelfAttention over all steps.

    `ba`, which moves all scores alike, changes nothing in a softmax.
    """
    layer, (signal,) = call.layer, call.inputs
    if layer.width is not None:
        return None
    steps = signal.shape[0]
    query, key = _query_and_key(graph, layer, signal)
    query = graph.reshape(query, steps, 1, layer.units)
    hidden = graph.add("Tanh", graph.add("Add", query, key))
    score = graph.add("MatMul", hidden, graph.constant(layer.Wa.numpy()))
    weights = graph.add("Softmax", graph.reshape(score, steps, steps), axis=-1)
    return Signal(graph, signal.shape, plain=graph.add("MatMul", weights, signal.rows))


def banded_attention(graph: Graph, call: Call) -> Signal:
    """BandedSelfAttention: of each step its neighbours are gathered, (steps, width, channels).

    Where there is none, a step's nearest stands, without weight.
    """
    layer, (signal,) = call.layer, call.inputs
    (steps, channels), width = signal.shape, layer.width
    places = np.arange(steps)[:, None] + np.arange(width) - width // 2
    inside = (places >= 0) & (places < steps)
    near = graph.constant(np.clip(places, 0, steps - 1))
    query, key = _query_and_key(graph, layer, signal)
    query = graph.reshape(query, steps, 1, layer.units)
    hidden = graph.add("Tanh", graph.add("Add", query, graph.add("Gather", key, near, axis=0)))
    score = graph.add("MatMul", hidden, graph.constant(layer.Wa.numpy()))
    score = graph.reshape(score, steps, 1, width)
    mask = graph.constant(np.where(inside, 0.0, OUTSIDE)[:, None, :])
    weights = graph.add_precise("Softmax", graph.add_precise("Add", score, mask), axis=-1)
    neighbours = graph.add("Gather", signal.rows, near, axis=0)
    made = graph.add("MatMul", weights, neighbours)
    return Signal(graph, (steps, channels), plain=made)


def dot_attention(graph: Graph, call: Call) -> Signal | None:
    """Keras' Attention as a softmax of dot products, channels first.

    Weights are (keys, queries), so that values need not be transposed either.
    """
    layer, (query, value, *others) = call.layer, call.inputs
    key = others[0] if others else value
    config = layer.get_config()
    plain = config.get("score_mode", "dot") == "dot" and not config.get("use_scale")
    if not plain or any(len(signal.shape) != 2 for signal in call.inputs):
        return None
    columns = [
        graph.reshape(signal.channels, signal.shape[1], signal.shape[0])
        for signal in (query, value)
    ]
    score = graph.add("MatMul", key.rows, columns[0])
    weights = graph.add("Softmax", score, axis=0)
    made = graph.add("MatMul", columns[1], weights)
    shape = (query.shape[0], value.shape[1])
    return Signal(graph, shape, channels=graph.reshape(made, 1, shape[1], 1, shape[0]))


def edge_correction(graph: Graph, call: Call) -> Signal | None:
    """EdgeCorrection1D: both corrections and all zeros between them by one ConvTranspose.

    It reads the first and the last sample alone, each in channels of its own, and writes what it
    makes of them as far apart as the first and the last outputs are.
    """
    layer, (outputs, samples) = call.layer, call.inputs
    steps, filters = outputs.shape
    number, channels = samples.shape
    longest = max(layer.first_outputs, layer.last_outputs)
    if number < 2 or steps < 2 * longest:
        return None
    kernel = np.zeros((2, channels, filters, longest), np.float32)
    first, last = layer.first.numpy(), layer.last.numpy()  # (channels, outputs, filters)
    kernel[0, :, :, : layer.first_outputs] = first.transpose(0, 2, 1)
    kernel[1, :, :, longest - layer.last_outputs :] = last.transpose(0, 2, 1)
    bounds = ([0], [number], [3], [number - 1])
    ends = graph.add("Slice", samples.channels, *map(graph.constant, bounds))
    apart = graph.add("Mul", ends, graph.constant(np.eye(2).reshape(2, 1, 1, 2)))
    correction = graph.add(
        "ConvTranspose",
        graph.reshape(apart, 1, 2 * channels, 1, 2),
        graph.constant(kernel.reshape(2 * channels, filters, 1, longest)),
        strides=(1, steps - longest),
    )
    made = graph.add("Add", outputs.channels, correction)
    return Signal(graph, outputs.shape, channels=made)


def _query_and_key(graph: Graph, layer: keras.layers.Layer, signal: Signal) -> tuple[str, str]:
    """Both (steps, units); the bias of the score is part of the query."""
    rows = signal.rows
    constants = [graph.constant(w.numpy()) for w in (layer.Wt, layer.bh, layer.Wx)]
    return graph.add("Gemm", rows, *constants[:2]), graph.add("MatMul", rows, constants[2])
