"""EQTransformer as a Keras functional model, built from a small configuration.

Source: Mousavi, Ellsworth, Zhu, Chuang and Beroza (2020), "Earthquake transformer - an attentive
deep-learning model for simultaneous earthquake detection and phase picking", Nature Communications
11, 3952, https://doi.org/10.1038/s41467-020-17591-w.

Dropout is left out: the published prediction code runs its spatial dropout even at inference, which
makes the answers random; without it the model is deterministic, and compression works on that.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from baseline.contract import WINDOW_SHAPE
from baseline.keras import keras
from baseline.layers import AdditiveSelfAttention

LAYER_NORM_EPSILON = 1e-14

Size = Annotated[int, Field(ge=1, le=1024)]


class EqtConfig(BaseModel):
    """What distinguishes one EQTransformer from another.

    The defaults are those of the published "conservative" model.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    encoder_filters: tuple[Size, ...] = (8, 16, 16, 32, 32, 64, 64)
    encoder_kernels: tuple[Size, ...] = (11, 9, 7, 7, 5, 5, 3)
    residual_kernels: tuple[Size, ...] = (3, 3, 3, 3, 2, 3, 2)
    recurrent_blocks: int = Field(3, ge=0, le=16)
    recurrent_units: Size = 16
    cell: Literal["lstm", "gru"] = "lstm"
    recurrent_activation: Literal["sigmoid", "hard_sigmoid"] = "hard_sigmoid"
    attention_units: Size = 32
    attention_width: int = Field(3, ge=1, description="steps seen by the P and S attention")
    feed_forward_units: Size = 128

    @model_validator(mode="after")
    def _one_kernel_per_filter(self) -> EqtConfig:
        if len(self.encoder_filters) != len(self.encoder_kernels) or not self.encoder_filters:
            raise ValueError("encoder_filters and encoder_kernels need one entry per level each")
        return self


def build_eqtransformer(config: EqtConfig) -> keras.Model:
    """An untrained EQTransformer.

    Returns:
        A functional model from `waveform` (batch, 6000, 3) to `prediction` (batch, 6000, 3):
        probabilities of detection, P and S in this order. Layer names say where a layer stands
        (`encoder_0_conv`, `p_decoder_3_conv`, ...): weights are mapped and stages select by them.
    """
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x, lengths = _encoder(config, waveform)
    for index, kernel in enumerate(config.residual_kernels):
        x = _residual_block(x, kernel, config.encoder_filters[-1], f"residual_{index}")
    for index in range(config.recurrent_blocks):
        x = _recurrent_block(config, x, f"recurrent_{index}")
    x = _transformer(config, x, "transformer_0")
    shared = _transformer(config, x, "transformer_1")

    heads = [_decoder(config, shared, lengths, "detection")]
    for phase in ("p", "s"):
        y = recurrent_layer(config, name=f"{phase}_recurrent")(shared)
        y = AdditiveSelfAttention(
            config.attention_units, config.attention_width, name=f"{phase}_attention"
        )(y)
        heads.append(_decoder(config, y, lengths, phase))
    prediction = keras.layers.Concatenate(name="prediction")(heads)
    return keras.Model(waveform, prediction, name="eqtransformer")


def recurrent_layer(config: EqtConfig, name: str) -> keras.layers.Layer:
    """An LSTM or GRU over the sequence, as `config.cell` says, returning every step.

    GRU has its reset gate after the matrix product: the form that ONNX knows as one operator.
    """
    cell = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[config.cell]
    options = {"reset_after": True} if config.cell == "gru" else {}
    return cell(
        config.recurrent_units,
        recurrent_activation=config.recurrent_activation,
        return_sequences=True,
        name=name,
        **options,
    )


def _encoder(config: EqtConfig, x: Any) -> tuple[Any, list[int]]:
    """Convolve and halve; also the lengths before each halving, which the decoders return to."""
    lengths = []
    for index, (filters, kernel) in enumerate(
        zip(config.encoder_filters, config.encoder_kernels, strict=True)
    ):
        lengths.append(int(x.shape[1]))
        x = keras.layers.Conv1D(
            filters, kernel, padding="same", activation="relu", name=f"encoder_{index}_conv"
        )(x)
        x = keras.layers.MaxPooling1D(2, padding="same", name=f"encoder_{index}_pool")(x)
    return x, lengths


def _residual_block(x: Any, kernel: int, filters: int, name: str) -> Any:
    y = x
    for half in ("a", "b"):
        y = keras.layers.BatchNormalization(name=f"{name}{half}_norm")(y)
        y = keras.layers.Activation("relu", name=f"{name}{half}_relu")(y)
        y = keras.layers.Conv1D(filters, kernel, padding="same", name=f"{name}{half}_conv")(y)
    return keras.layers.Add(name=f"{name}_add")([x, y])


def _recurrent_block(config: EqtConfig, x: Any, name: str) -> Any:
    both_ways = keras.layers.Bidirectional(
        recurrent_layer(config, name=f"{name}_cell"), name=f"{name}_both"
    )
    x = both_ways(x)
    x = keras.layers.Conv1D(config.recurrent_units, 1, padding="same", name=f"{name}_conv")(x)
    return keras.layers.BatchNormalization(name=f"{name}_norm")(x)


def _transformer(config: EqtConfig, x: Any, name: str) -> Any:
    attended = AdditiveSelfAttention(config.attention_units, None, name=f"{name}_attention")(x)
    x = keras.layers.Add(name=f"{name}_attention_add")([x, attended])
    x = keras.layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name=f"{name}_norm_0")(x)
    y = keras.layers.Dense(
        config.feed_forward_units, activation="relu", name=f"{name}_feed_forward_in"
    )(x)
    y = keras.layers.Dense(int(x.shape[-1]), name=f"{name}_feed_forward_out")(y)
    x = keras.layers.Add(name=f"{name}_feed_forward_add")([x, y])
    return keras.layers.LayerNormalization(epsilon=LAYER_NORM_EPSILON, name=f"{name}_norm_1")(x)


def _decoder(config: EqtConfig, x: Any, lengths: list[int], name: str) -> Any:
    """Double and convolve back to the window's length.

    Where a level of the encoder had an odd length, doubling overshoots: by one sample at that
    level, which cannot be cropped evenly, and by two at the next, where one is cropped at each end.
    """
    levels = zip(config.encoder_filters, config.encoder_kernels, lengths, strict=True)
    for index, (filters, kernel, length) in enumerate(reversed(list(levels))):
        x = keras.layers.UpSampling1D(2, name=f"{name}_decoder_{index}_upsample")(x)
        excess = int(x.shape[1]) - length
        if excess and excess % 2 == 0:
            x = keras.layers.Cropping1D(excess // 2, name=f"{name}_decoder_{index}_crop")(x)
        x = keras.layers.Conv1D(
            filters, kernel, padding="same", activation="relu", name=f"{name}_decoder_{index}_conv"
        )(x)
    return keras.layers.Conv1D(
        1, config.encoder_kernels[0], padding="same", activation="sigmoid", name=f"{name}_head"
    )(x)
