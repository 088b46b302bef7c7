"""Layers that move values: reshaping, joining, cropping, padding."""

from __future__ import annotations

from export.writers.onnx_graph.graph import Call, Graph, Padded, Signal


def reshape(graph: Graph, call: Call) -> Signal:
    """Reshape or Flatten.

    A sub-pixel level between convolutions is two changes of layout with a Reshape between them.
    ONNX Runtime reads and writes its blocks in either layout and has none of them left; dealing the
    channels out channels first, by one Transpose, takes it longer.
    """
    (signal,) = call.inputs
    shape = call.layer.compute_output_shape((1, *signal.shape))[1:]
    return Signal(graph, shape, plain=signal.plain)


def concatenate(graph: Graph, call: Call) -> Signal | None:
    """Concatenate of the channels of signals with as many steps."""
    signals = call.inputs
    shapes = [signal.shape for signal in signals]
    if {len(shape) for shape in shapes} != {2} or call.layer.axis not in (-1, 2):
        return None
    first = any(signal.channels_first for signal in signals)
    tensors = [signal.channels if first else signal.rows for signal in signals]
    made = graph.add("Concat", *tensors, axis=1)
    shape = (shapes[0][0], sum(channels for _, channels in shapes))
    return Signal(graph, shape, channels=made) if first else Signal(graph, shape, plain=made)


def crop(graph: Graph, call: Call) -> Signal:
    """Cropping1D."""
    (signal,), (before, behind) = call.inputs, call.layer.cropping
    steps, channels = signal.shape
    bounds = ([before], [steps - behind], [3 if signal.channels_first else 2])
    made = graph.add("Slice", signal.image, *map(graph.constant, bounds))
    return signal.like(made, (steps - before - behind, channels))


def pad(graph: Graph, call: Call) -> Signal:
    """ZeroPadding1D, which a convolution behind it takes on."""
    del graph
    (signal,), zeros = call.inputs, call.layer.padding
    return Padded(signal, tuple(zeros))
