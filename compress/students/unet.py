"""A depthwise-separable U-Net with sub-pixel upsampling and a context of a minute in its middle.

A first layer brings 6000 samples to 1500, 750 or 375 steps; strided levels bring them to 125, where
dilated convolutions or attention let every step see the whole minute; sub-pixel levels with skip
connections lead back, and the last layer gives 4, 8 or 16 samples of each probability per step.
A sub-pixel level is a convolution with r times the channels and a reshape: upsampling without
repeating samples (Shi et al. 2016, "Real-time single image and video super-resolution", CVPR).

Nothing here loops or repeats, and attention is a softmax of dot products: TFLite and ONNX Runtime
quantize all of it to int8 as it is.
"""

from __future__ import annotations

from typing import Any

from baseline.contract import OUTPUTS, WINDOW_SAMPLES, WINDOW_SHAPE
from baseline.keras import keras
from baseline.layers import Saturation
from compress.students import UNetStudent
from compress.students.attention import dot_attention

STEM_KERNEL_PER_STRIDE = {4: 11, 8: 15, 16: 31}
DOWNSAMPLING = {4: (2, 2, 3), 8: (2, 3), 16: (3,)}
"""By the stride of the stem. 1500 steps become 750, 375 and 125: every level divides evenly."""

ATTENTION_BLOCKS = 2


def build_unet(config: UNetStudent) -> keras.Model:
    """An untrained student from `waveform` (batch, 6000, 3) to `prediction` (batch, 6000, 3)."""
    widths = config.scaled_channels()
    downsampling = DOWNSAMPLING[config.stem_stride]
    waveform = x = keras.Input(WINDOW_SHAPE, name="waveform")
    if config.saturation is not None:
        x = Saturation(config.saturation, name="saturation")(x)
    x = _stem(x, widths[0], config)
    convolution = _separable if config.separable == "all" else _full
    x = convolution(x, widths[0], config.kernel, "level_0")
    skips = []
    for level, (stride, channels) in enumerate(zip(downsampling, widths[1:], strict=True), start=1):
        skips.append(x)
        x = convolution(x, channels, config.kernel, f"down_{level}", strides=stride)
        if config.refine:
            x = convolution(x, channels, config.kernel, f"level_{level}")
    context_kernel = config.context_kernel or config.kernel
    if config.context == "dilation":
        for index, dilation in enumerate(config.dilations):
            x = _residual(x, context_kernel, f"context_{index}", dilation)
    if config.context == "attention":
        for index in range(ATTENTION_BLOCKS):
            x = _attentive(x, f"attention_{index}")
            x = _residual(x, context_kernel, f"context_{index}")
    for level in reversed(range(len(downsampling))):
        x = _sub_pixel(x, widths[level], downsampling[level], f"up_{level}")
        x = keras.layers.Add(name=f"up_{level}_add")([x, skips[level]])
        x = convolution(x, widths[level], config.kernel, f"up_{level}_mix")
    x = keras.layers.Conv1D(
        config.stem_stride * len(OUTPUTS),
        config.head_kernel or config.kernel,
        padding="same",
        name="head_conv",
    )(x)
    x = keras.layers.Reshape((WINDOW_SAMPLES, len(OUTPUTS)), name="head_sub_pixel")(x)
    prediction = keras.layers.Activation("sigmoid", name="prediction")(x)
    return keras.Model(waveform, prediction, name="unet_student")


def _stem(x: Any, channels: int, config: UNetStudent) -> Any:
    """The first layer: overlapping strides, or all samples of a block at once.

    Three components are few numbers to a processor that multiplies eight or more at a time; a block
    of samples has enough of them. A kernel of three blocks hears what overlapping strides of the
    same step do, and more.
    """
    stride = config.stem_stride
    if config.stem == "blocks":
        x = keras.layers.Reshape(
            (WINDOW_SAMPLES // stride, stride * int(x.shape[-1])), name="stem_blocks"
        )(x)
        return _full(x, channels, config.stem_kernel or 1, "stem")
    return _full(x, channels, STEM_KERNEL_PER_STRIDE[stride], "stem", strides=stride)


def _norm_relu(x: Any, name: str) -> Any:
    x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
    return keras.layers.ReLU(name=f"{name}_relu")(x)


def _separable(
    x: Any, channels: int, kernel: int, name: str, strides: int = 1, dilation: int = 1
) -> Any:
    x = keras.layers.SeparableConv1D(
        channels,
        kernel,
        strides=strides,
        dilation_rate=dilation,
        padding="same",
        use_bias=False,
        name=f"{name}_conv",
    )(x)
    return _norm_relu(x, name)


def _full(x: Any, channels: int, kernel: int, name: str, strides: int = 1) -> Any:
    x = keras.layers.Conv1D(
        channels, kernel, strides=strides, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    return _norm_relu(x, name)


def _residual(x: Any, kernel: int, name: str, dilation: int = 1) -> Any:
    y = _separable(x, int(x.shape[-1]), kernel, name, dilation=dilation)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _attentive(x: Any, name: str) -> Any:
    """What a step finds in all others, added to it."""
    channels = int(x.shape[-1])
    y = dot_attention(x, units=channels // 2, channels=channels, name=name)
    y = keras.layers.BatchNormalization(name=f"{name}_norm")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _sub_pixel(x: Any, channels: int, factor: int, name: str) -> Any:
    """`factor` times as many steps, each with `channels` channels."""
    steps = int(x.shape[1])
    x = _full(x, factor * channels, 1, name)
    return keras.layers.Reshape((steps * factor, channels), name=f"{name}_sub_pixel")(x)
