"""Convolutions, pooling and matrix products by step, with the normalizations behind them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baseline.batch_norm import scale_and_shift
from baseline.keras import keras
from export.writers.onnx_graph.elementwise import activated, knows
from export.writers.onnx_graph.graph import Call, Graph, Padded, Signal

Kernel = NDArray[np.float32]


def conv(graph: Graph, call: Call) -> Signal | None:
    """Conv1D; one of a single step is a matrix product where its input has its steps as rows."""
    layer, (signal,) = call.layer, call.inputs
    if layer.data_format != "channels_last" or not knows(layer.activation):
        return None
    kernel = layer.kernel.numpy()
    kernel, bias = _normalized(kernel, layer.bias.numpy() if layer.use_bias else None, call)
    if kernel.shape[0] == layer.strides[0] == layer.groups == 1 and not signal.channels_first:
        return activated(graph, layer.activation, _product(graph, signal, kernel[0], bias))
    made = _convolved(graph, signal, layer, kernel.transpose(2, 1, 0), bias, layer.groups)
    return activated(graph, layer.activation, made)


def depthwise_conv(graph: Graph, call: Call) -> Signal | None:
    """DepthwiseConv1D."""
    layer, (signal,) = call.layer, call.inputs
    if layer.data_format != "channels_last" or not knows(layer.activation):
        return None
    kernel = _flattened(layer.depthwise_kernel.numpy())
    kernel, bias = _normalized(kernel, layer.bias.numpy() if layer.use_bias else None, call)
    made = _convolved(graph, signal, layer, kernel.transpose(2, 1, 0), bias, signal.shape[-1])
    return activated(graph, layer.activation, made)


def separable_conv(graph: Graph, call: Call) -> Signal | None:
    """SeparableConv1D: one convolution by channel, one by step."""
    layer, (signal,) = call.layer, call.inputs
    if layer.data_format != "channels_last" or not knows(layer.activation):
        return None
    spread = _flattened(layer.depthwise_kernel.numpy()).transpose(2, 1, 0)
    spread_out = _convolved(graph, signal, layer, spread, None, signal.shape[-1])
    bias = layer.bias.numpy() if layer.use_bias else None
    kernel, bias = _normalized(layer.pointwise_kernel.numpy(), bias, call)
    return activated(graph, layer.activation, _pointwise(graph, spread_out, kernel[0], bias))


def dense(graph: Graph, call: Call) -> Signal | None:
    """Dense over vectors or over the channels of each step."""
    layer, (signal,) = call.layer, call.inputs
    if len(signal.shape) > 2 or not knows(layer.activation):
        return None
    bias = layer.bias.numpy() if layer.use_bias else None
    kernel, bias = _normalized(layer.kernel.numpy(), bias, call)
    multiply = _pointwise if signal.channels_first else _product
    return activated(graph, layer.activation, multiply(graph, signal, kernel, bias))


def max_pool(graph: Graph, call: Call) -> Signal | None:
    """MaxPooling1D."""
    return _pooled(graph, call, "MaxPool")


def average_pool(graph: Graph, call: Call) -> Signal | None:
    """AveragePooling1D, whose mean at either end is of what there is."""
    return _pooled(graph, call, "AveragePool")


def batch_norm(graph: Graph, call: Call) -> Signal | None:
    """BatchNormalization that no layer before it could take on.

    In a graph to be quantized it is a convolution by channel, since ONNX Runtime has integers for
    that and none for normalizations.
    """
    layer, (signal,) = call.layer, call.inputs
    if len(signal.shape) != 2 or list(layer.axis) != [2]:
        return None
    scale, shift = scale_and_shift(layer)
    channels = len(scale)
    if graph.integers:
        return _image_conv(graph, signal, scale[:, None, None], shift, groups=channels)
    zeros, ones = np.zeros_like(scale), np.ones_like(scale)
    constants = [graph.constant(values) for values in (scale, shift, zeros, ones)]
    tensor = signal.channels if signal.channels_first else signal.rows
    return signal.like(graph.add("BatchNormalization", tensor, *constants, epsilon=0.0))


def _normalized(kernel: Kernel, bias: Kernel | None, call: Call) -> tuple[Kernel, Kernel | None]:
    """Kernel (..., filters) and bias (filters,) with the normalization behind them."""
    if call.norm is None:
        return kernel, bias
    scale, shift = scale_and_shift(call.norm)
    return kernel * scale, shift if bias is None else bias * scale + shift


def _flattened(kernel: Kernel) -> Kernel:
    """A depthwise kernel (taps, channels, multiplier) as (taps, 1, channels x multiplier)."""
    return kernel.reshape(len(kernel), 1, -1)


def _padding(layer: keras.layers.Layer, steps: int, taps: int) -> tuple[int, int]:
    """Zeros before and behind a signal, as TensorFlow has them."""
    (stride,), (dilation,) = layer.strides, getattr(layer, "dilation_rate", (1,))
    reach = (taps - 1) * dilation
    if layer.padding == "causal":
        return reach, 0
    if layer.padding == "valid":
        return 0, 0
    total = max((-(-steps // stride) - 1) * stride + reach + 1 - steps, 0)
    return total // 2, total - total // 2


def _convolved(
    graph: Graph,
    signal: Signal,
    layer: keras.layers.Layer,
    kernel: Kernel,
    bias: Kernel | None,
    groups: int,
) -> Signal:
    """The signal under a kernel (filters, channels per group, taps), stepping as the layer does."""
    before, behind = _padding(layer, signal.shape[0], kernel.shape[2])
    return _image_conv(
        graph,
        signal,
        kernel,
        bias,
        groups,
        strides=(1, layer.strides[0]),
        dilations=(1, layer.dilation_rate[0]),
        pads=(0, before, 0, behind),
    )


def _pointwise(graph: Graph, signal: Signal, kernel: Kernel, bias: Kernel | None) -> Signal:
    """Each step times a kernel (channels, filters), channels first."""
    return _image_conv(graph, signal, kernel.T[:, :, None], bias, groups=1)


def _image_conv(
    graph: Graph,
    signal: Signal,
    kernel: Kernel,
    bias: Kernel | None,
    groups: int,
    strides: tuple[int, int] = (1, 1),
    dilations: tuple[int, int] = (1, 1),
    pads: tuple[int, int, int, int] = (0, 0, 0, 0),
) -> Signal:
    if isinstance(signal, Padded):
        pads = (0, pads[1] + signal.zeros[0], 0, pads[3] + signal.zeros[1])
        signal = signal.inner
    constants = [kernel[:, :, None, :], *([] if bias is None else [bias])]
    made = graph.add(
        "Conv",
        signal.channels,
        *map(graph.constant, constants),
        kernel_shape=(1, kernel.shape[2]),
        group=groups,
        strides=strides,
        dilations=dilations,
        pads=pads,
    )
    steps = signal.shape[0] + sum(pads) - (kernel.shape[2] - 1) * dilations[1]
    shape = (-(-steps // strides[1]), kernel.shape[0])
    return Signal(graph, shape, channels=made)


def _product(graph: Graph, signal: Signal, kernel: Kernel, bias: Kernel | None) -> Signal:
    """Each row times a kernel (channels, filters)."""
    rows = signal.rows if len(signal.shape) == 2 else signal.plain
    constants = [kernel, *([] if bias is None else [bias])]
    made = graph.add("Gemm", rows, *map(graph.constant, constants))
    return Signal(graph, (*signal.shape[:-1], kernel.shape[1]), plain=made)


def _pooled(graph: Graph, call: Call, kind: str) -> Signal | None:
    layer, (signal,) = call.layer, call.inputs
    if layer.data_format != "channels_last":
        return None
    (size,), (stride,) = layer.pool_size, layer.strides
    before, behind = _padding(layer, signal.shape[0], size)
    made = graph.add(
        kind,
        signal.channels,
        kernel_shape=(1, size),
        strides=(1, stride),
        pads=(0, before, 0, behind),
    )
    return Signal(graph, layer.compute_output_shape((1, *signal.shape))[1:], channels=made)
