"""EQTransformer, narrowed, of operators that int8 has.

The graph is the published one (baseline.architecture) with fewer channels and blocks, in which

- LSTMs are GRUs or dilated separable convolutions (compress.cells), or there are no such blocks and
  a convolution of one step stands before the P and S decoders;
- the attention over all steps is a softmax of dot products (compress.students.attention), and that
  over three steps a separable convolution over these;
- layer normalizations, which need the mean and variance of every step, are batch normalizations;
- decoders convolve before they double the steps (compress.rewrites.upsampling). Where the published
  decoder crops two samples it does so before convolving; here after it, which spares the layer that
  would make up for the difference.

Layers stand and are called as in the published model, so that what they make can be compared with
the teacher's (compress.students.matching).
"""

from __future__ import annotations

from typing import Any

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.keras import keras
from baseline.layers import AdditiveSelfAttention
from compress.cells import CellOptions
from compress.cells.conv import conv
from compress.graphs.edit import Change, children, copy, rebuild, remove
from compress.rewrites.upsampling import fold_upsampling
from compress.students import EqtStudent
from compress.students.attention import dot_attention

PUBLISHED = EqtConfig.model_validate({})


def build_eqt(config: EqtStudent) -> keras.Model:
    """An untrained student from `waveform` (batch, 6000, 3) to `prediction` (batch, 6000, 3)."""

    def scaled(channels: int) -> int:
        return max(4 * round(channels * config.width / 4), 4)

    narrow = EqtConfig(
        encoder_filters=tuple(map(scaled, PUBLISHED.encoder_filters)),
        residual_kernels=PUBLISHED.residual_kernels[: config.residual_blocks],
        recurrent_blocks=config.recurrent_blocks if config.recurrence != "none" else 0,
        recurrent_units=scaled(PUBLISHED.recurrent_units),
        cell="gru",
        recurrent_activation="sigmoid",
        attention_width=PUBLISHED.attention_width,
        attention_units=scaled(PUBLISHED.attention_units),
        feed_forward_units=scaled(PUBLISHED.feed_forward_units),
    )
    model = build_eqtransformer(narrow)
    changes: dict[str, Change] = {}
    for layer in model.layers:
        if change := _change(layer, config):
            changes[layer.name] = change
        if isinstance(layer, keras.layers.Cropping1D):
            (convolution,) = children(model)[layer.name]
            changes |= {layer.name: remove, convolution.name: _cropped_after(layer)}
    folded = fold_upsampling(rebuild(model, changes)).model
    return keras.Model(folded.inputs, folded.outputs, name="eqt_student")


def _change(layer: keras.layers.Layer, config: EqtStudent) -> Change | None:
    """What becomes of a layer of the narrow EQTransformer; None if it stays."""
    if not config.attention and layer.name.startswith("transformer_"):
        return _hand_on
    match layer:
        case keras.layers.GRU() | keras.layers.Bidirectional():
            return {"gru": None, "conv": _convolutions, "none": _pointwise}[config.recurrence]
        case AdditiveSelfAttention() if not config.attention:
            return remove
        case AdditiveSelfAttention():
            return _dot_attention if layer.width is None else _local_convolution
        case keras.layers.LayerNormalization():
            return _batch_norm
    return None


def _hand_on(layer: keras.layers.Layer, inputs: Any) -> Any:
    """The input, or the first of a sum's, whose others are the same by then."""
    del layer
    return inputs[0] if isinstance(inputs, list) else inputs


def _convolutions(layer: keras.layers.Layer, x: Any) -> Any:
    both_ways = isinstance(layer, keras.layers.Bidirectional)
    return conv(x, int(layer.output_shape[-1]), layer.name, CellOptions(both_ways))


def _pointwise(layer: keras.layers.GRU, x: Any) -> Any:
    return keras.layers.Conv1D(layer.units, 1, activation="relu", name=layer.name)(x)


def _dot_attention(layer: AdditiveSelfAttention, x: Any) -> Any:
    return dot_attention(x, layer.units, int(x.shape[-1]), layer.name)


def _local_convolution(layer: AdditiveSelfAttention, x: Any) -> Any:
    return keras.layers.SeparableConv1D(
        int(x.shape[-1]), layer.width, padding="same", name=layer.name
    )(x)


def _batch_norm(layer: keras.layers.LayerNormalization, x: Any) -> Any:
    return keras.layers.BatchNormalization(name=layer.name)(x)


def _cropped_after(crop: keras.layers.Cropping1D) -> Change:
    """The change that crops behind a convolution what `crop` cropped in front of it."""

    def change(layer: keras.layers.Layer, x: Any) -> Any:
        return keras.layers.Cropping1D(crop.cropping, name=crop.name)(copy(layer, x))

    return change
