"""Convolve before upsampling instead of after it.

Upsampling by repeating samples and then convolving gives every output phase (every r-th sample) a
convolution of the original samples with a shorter kernel: taps that fall on copies of one sample
add up. All phases together are one convolution at the low rate with r times the channels, whose
channels are then interleaved: sub-pixel convolution (Shi et al. 2016, "Real-time single image and
video super-resolution", CVPR), here with the kernel that makes it equal. Repeated samples lower to
a split and a concatenation of thousands of one-sample tensors in every export; this does not.

With u[n] = x[n // r] for 0 <= n < rN, cropped by a and b, a kernel of K taps and P zeros in front:

    y[t] = sum_k w[k] u[t + k - P + a] = sum_k w[k] x[(t + k - P + a) // r],

so tap k of output t = t0 + r m + f reads x[m + (t0 + f + k - P + a) // r]. A first output t0 <= 0
is chosen so that the taps of all phases cover as few samples as possible; what is computed beyond
the ends is trimmed. Zero padding is exact, because a zero of x stands for r zeros of u. Only where
samples were cropped does the formula see copies where the original sees zeros: at most K - 1
outputs at the ends, which EdgeCorrection1D puts right.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.keras import keras
from baseline.layers import EdgeCorrection1D
from compress.graphs.edit import Change, children, is_output, place, rebuild, remove
from compress.rewrites import Rewritten


def fold_upsampling(model: keras.Model) -> Rewritten:
    """With every `UpSampling1D -> [Cropping1D ->] Conv1D` as a convolution at the low rate.

    Where something else reads the upsampled samples, or the convolution has strides or groups, the
    layers stay, with a note.
    """
    readers = children(model)
    changes: dict[str, Change] = {}
    notes = {}
    for upsampling in model.layers:
        if not isinstance(upsampling, keras.layers.UpSampling1D):
            continue
        chain = _chain(model, upsampling, readers)
        if isinstance(chain, str):
            notes[upsampling.name] = f"not folded: {chain}"
            continue
        *between, convolution = chain
        crop = between[0].cropping if between else (0, 0)
        changes |= {layer.name: remove for layer in (upsampling, *between)}
        changes[convolution.name] = _at_low_rate(int(upsampling.size), tuple(crop))
        for layer in (upsampling, *between):
            notes[layer.name] = f"folded into {convolution.name}"
        notes[convolution.name] = f"all {int(upsampling.size)} phases at the rate before upsampling"
    graph = rebuild(model, changes)
    return Rewritten("convolving before upsampling", graph, tuple(changes), notes)


def _chain(
    model: keras.Model,
    upsampling: keras.layers.UpSampling1D,
    readers: dict[str, list[keras.layers.Layer]],
) -> list[keras.layers.Layer] | str:
    """The cropping, if any, and the convolution behind an upsampling; or what is in the way."""
    chain: list[keras.layers.Layer] = []
    layer = upsampling
    while not isinstance(layer, keras.layers.Conv1D):
        behind = readers[layer.name]
        if is_output(model, layer) or len(behind) != 1:
            return f"{layer.name} is not read by one layer alone"
        layer = behind[0]
        expected = keras.layers.Conv1D if chain else keras.layers.Conv1D | keras.layers.Cropping1D
        if not isinstance(layer, expected) or isinstance(layer, keras.layers.SeparableConv1D):
            return f"{layer.name} behind it is no convolution"
        chain.append(layer)
    if layer.strides != (1,) or layer.groups != 1 or layer.padding not in ("same", "valid"):
        return f"{layer.name} has strides, groups or causal padding"
    return chain


def _at_low_rate(factor: int, crop: tuple[int, int]) -> Change:
    """The change that puts a convolution in front of the upsampling and cropping it followed."""

    def change(layer: keras.layers.Conv1D, x: Any) -> Any:
        whole = tuple(n // factor for n in crop)
        if any(whole):
            x = keras.layers.Cropping1D(whole, name=f"{layer.name}_whole")(x)
        kernel, *bias = layer.get_weights()
        fold = _fold(
            kernel,
            steps=int(x.shape[1]),
            factor=factor,
            crop=(crop[0] % factor, crop[1] % factor),
            padding=layer.padding,
            dilation=layer.dilation_rate[0],
        )
        linear = fold.first is not None
        y = _padded(x, fold.pad, f"{_stem(layer.name)}_pad") if not fold.is_same else x
        y = place(
            keras.layers.Conv1D(
                factor * layer.filters,
                len(fold.kernel),
                padding="same" if fold.is_same else "valid",
                activation=None if linear else layer.activation,
                use_bias=layer.use_bias,
                name=layer.name,
            ),
            y,
            [fold.kernel, *(np.tile(b, factor) for b in bias)],
        )
        shape = (int(y.shape[1]) * factor, layer.filters)
        y = keras.layers.Reshape(shape, name=f"{_stem(layer.name)}_phases")(y)
        if any(fold.trim):
            y = keras.layers.Cropping1D(fold.trim, name=f"{_stem(layer.name)}_trim")(y)
        if linear:
            edges = EdgeCorrection1D(
                fold.first.shape[1], fold.last.shape[1], name=f"{_stem(layer.name)}_edges"
            )
            y = place(edges, [y, x], [fold.first, fold.last])
            y = keras.layers.Activation(layer.activation, name=f"{_stem(layer.name)}_activation")(y)
        return y

    return change


def _stem(name: str) -> str:
    return name.removesuffix("_conv")


def _padded(x: Any, pad: tuple[int, int], name: str) -> Any:
    """With zeros at both ends, or cropped where the number is negative."""
    if min(pad) < 0:
        x = keras.layers.Cropping1D(tuple(max(-n, 0) for n in pad), name=f"{name}_crop")(x)
    if max(pad) > 0:
        x = keras.layers.ZeroPadding1D(tuple(max(n, 0) for n in pad), name=name)(x)
    return x


@dataclass(frozen=True)
class _Fold:
    """A convolution at the low rate that equals one behind an upsampling.

    Attributes:
        kernel: (taps, input channels, factor * filters), phase by phase.
        pad: zeros before and after the input; negative numbers crop it.
        is_same: whether these are the zeros that padding "same" adds.
        trim: outputs to cut at both ends after interleaving.
        first: correction of the first outputs by the first sample, (input channels, outputs,
            filters), or None where nothing was cropped.
        last: likewise of the last outputs by the last sample.
    """

    kernel: NDArray[np.float32]
    pad: tuple[int, int]
    is_same: bool
    trim: tuple[int, int]
    first: Any = None
    last: Any = None


def _fold(
    kernel: NDArray[np.float32],
    *,
    steps: int,
    factor: int,
    crop: tuple[int, int],
    padding: str,
    dilation: int,
) -> _Fold:
    """See the head of this file. `crop` is smaller than `factor` at both ends."""
    taps, channels, filters = kernel.shape
    reach = (taps - 1) * dilation
    samples = steps * factor - sum(crop)
    zeros = reach // 2 if padding == "same" else 0
    outputs = samples if padding == "same" else samples - reach
    shift = crop[0] - zeros

    def read(start: int) -> tuple[int, int]:
        """First and last sample, relative to its own, that a block of phases reads."""
        return (start + shift) // factor, (start + factor - 1 + reach + shift) // factor

    start = min(range(0, -factor, -1), key=lambda t: read(t)[1] - read(t)[0])
    low, high = read(start)
    folded = np.zeros((high - low + 1, channels, factor, filters), kernel.dtype)
    for phase in range(factor):
        for tap in range(taps):
            place_in_fold = (start + phase + tap * dilation + shift) // factor - low
            folded[place_in_fold, :, phase] += kernel[tap]
    blocks = -(-(outputs - start) // factor)
    pad = (-low, blocks - 1 + high - (steps - 1))
    first = last = None
    if any(crop) and padding == "same":
        before, after = min(zeros, outputs), min(reach - zeros, outputs)
        first = np.zeros((channels, before, filters), kernel.dtype)
        last = np.zeros((channels, after, filters), kernel.dtype)
        for tap in range(taps):
            for output in range(before):
                if -crop[0] <= output + tap * dilation - zeros < 0:
                    first[:, output] -= kernel[tap]
            for output in range(outputs - after, outputs):
                if samples <= output + tap * dilation - zeros < samples + crop[1]:
                    last[:, output - outputs] -= kernel[tap]
    width = len(folded)
    return _Fold(
        kernel=folded.reshape(width, channels, factor * filters),
        pad=pad,
        is_same=pad == ((width - 1) // 2, width // 2),
        trim=(-start, start + blocks * factor - outputs),
        first=first,
        last=last,
    )
