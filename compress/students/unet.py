"""A depthwise-separable U-Net with sub-pixel upsampling and a dilated middle.

A strided first layer brings 6000 samples to 1500 steps; three strided levels bring them to 125,
where dilated convolutions let every step see the whole minute; three sub-pixel levels with skip
connections lead back, and the last layer gives four samples of each probability per step. A
sub-pixel level is a convolution with r times the channels and a reshape: upsampling without
repeating samples (Shi et al. 2016, "Real-time single image and video super-resolution", CVPR).

Nothing here loops, attends or repeats: convolutions, additions and reshapes only, which TFLite and
ONNX Runtime quantize to int8 as they are.
"""

from __future__ import annotations

from typing import Any

from baseline.contract import OUTPUTS, WINDOW_SAMPLES, WINDOW_SHAPE
from baseline.keras import keras
from compress.students import UNetStudent

STEM_STRIDE = 4
STEM_KERNEL = 11
DOWNSAMPLING = (2, 2, 3)
"""After the stem, 1500 steps become 750, 375 and 125: every level divides the window evenly."""


def build_unet(config: UNetStudent) -> keras.Model:
    """An untrained student from `waveform` (batch, 6000, 3) to `prediction` (batch, 6000, 3)."""
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Conv1D(
        config.channels[0],
        STEM_KERNEL,
        strides=STEM_STRIDE,
        padding="same",
        use_bias=False,
        name="stem_conv",
    )(waveform)
    x = _norm_relu(x, "stem")
    x = _separable(x, config.channels[0], config.kernel, "level_0")
    skips = []
    for level, (stride, channels) in enumerate(
        zip(DOWNSAMPLING, config.channels[1:], strict=True), start=1
    ):
        skips.append(x)
        x = _separable(x, channels, config.kernel, f"down_{level}", strides=stride)
        x = _separable(x, channels, config.kernel, f"level_{level}")
    for index, dilation in enumerate(config.dilations):
        y = _separable(x, config.channels[-1], config.kernel, f"context_{index}", dilation=dilation)
        x = keras.layers.Add(name=f"context_{index}_add")([x, y])
    for level in reversed(range(len(DOWNSAMPLING))):
        channels = config.channels[level]
        x = _sub_pixel(x, channels, DOWNSAMPLING[level], f"up_{level}")
        x = keras.layers.Add(name=f"up_{level}_add")([x, skips[level]])
        x = _separable(x, channels, config.kernel, f"up_{level}_mix")
    x = keras.layers.Conv1D(
        STEM_STRIDE * len(OUTPUTS), config.kernel, padding="same", name="head_conv"
    )(x)
    x = keras.layers.Reshape((WINDOW_SAMPLES, len(OUTPUTS)), name="head_sub_pixel")(x)
    prediction = keras.layers.Activation("sigmoid", name="prediction")(x)
    return keras.Model(waveform, prediction, name="unet_student")


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


def _sub_pixel(x: Any, channels: int, factor: int, name: str) -> Any:
    """`factor` times as many steps, each with `channels` channels."""
    steps = int(x.shape[1])
    x = keras.layers.Conv1D(factor * channels, 1, use_bias=False, name=f"{name}_conv")(x)
    x = _norm_relu(x, name)
    return keras.layers.Reshape((steps * factor, channels), name=f"{name}_sub_pixel")(x)
