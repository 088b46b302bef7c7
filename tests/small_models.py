"""Small Keras models with every kind of layer, which convert in seconds."""

from __future__ import annotations

import numpy as np

from baseline.contract import WINDOW_SHAPE
from baseline.keras import keras
from baseline.layers import AdditiveSelfAttention, BandedSelfAttention
from compress.students import UNetStudent, build_student


def student(seed: int = 0) -> keras.Model:
    """A student of 4 to 16 channels with statistics as training leaves them."""
    keras.utils.set_random_seed(seed)
    return settled(build_student(UNetStudent(channels=(4, 8, 8, 16), kernel=3, dilations=(1, 2))))


def recurrent(
    cell: str, attention: bool = False, seed: int = 0, gate: str = "sigmoid"
) -> keras.Model:
    """A strided convolution to 24 steps, an LSTM or GRU, and a way back to 6000 samples.

    `gate` is the recurrent activation.
    """
    keras.utils.set_random_seed(seed)
    layer = {"lstm": keras.layers.LSTM, "gru": keras.layers.GRU}[cell]
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Conv1D(4, 250, strides=250, activation="relu", name="down")(waveform)
    options = {"return_sequences": True, "recurrent_activation": gate}
    x = layer(6, name="forward", **options)(x)
    x = keras.layers.Bidirectional(layer(3, **options), name="both")(x)
    if attention:
        x = AdditiveSelfAttention(5, None, name="attention")(x)
        x = keras.layers.LayerNormalization(name="layer_norm")(x)
        x = AdditiveSelfAttention(4, 3, name="local_attention")(x)
    x = keras.layers.Dense(750, name="up")(x)
    x = keras.layers.Reshape(WINDOW_SHAPE, name="shape")(x)
    return settled(keras.Model(waveform, keras.layers.Activation("sigmoid")(x)))


def long_recurrent(seed: int = 0) -> keras.Model:
    """A GRU over 150 steps: more than an export unrolls.

    ONNX's operator does not have its activation.
    """
    keras.utils.set_random_seed(seed)
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.AveragePooling1D(40, name="down")(waveform)
    x = keras.layers.GRU(
        3, activation="swish", return_sequences=True, reset_after=False, name="long"
    )(x)
    x = keras.layers.Dense(120, activation="sigmoid", name="up")(x)
    return settled(keras.Model(waveform, keras.layers.Reshape(WINDOW_SHAPE, name="shape")(x)))


def settled(model: keras.Model) -> keras.Model:
    """Biases and BatchNorm statistics away from their initial zeros and ones."""
    random = np.random.default_rng(1)
    for layer in model.layers:
        layer.set_weights(
            [w if w.ndim > 1 else w + 0.1 * random.random(w.shape) for w in layer.get_weights()]
        )
    return model


def attentive(seed: int = 0, published: bool = False) -> keras.Model:
    """Attention to all of 24 steps and to three of them, as EQTransformer has after `simplify`.

    Or as it was `published`, with scores that differ by much.
    """
    keras.utils.set_random_seed(seed)
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Conv1D(6, 250, strides=250, activation="relu", name="down")(waveform)
    x = AdditiveSelfAttention(5, None, name="attention")(x)
    local = AdditiveSelfAttention if published else BandedSelfAttention
    x = local(4, 3, name="local_attention")(x)
    x = keras.layers.Dense(750, activation="sigmoid", name="up")(x)
    model = keras.Model(waveform, keras.layers.Reshape(WINDOW_SHAPE, name="shape")(x))
    if published:
        layer = model.get_layer("local_attention")
        layer.Wa.assign(8 * layer.Wa)
    return settled(model)


def brief(seed: int = 3) -> keras.Model:
    """Two convolutions and a reshape: few tensors, so that each can be tried in a moment."""
    keras.utils.set_random_seed(seed)
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Conv1D(6, 20, strides=20, activation="relu", name="first")(waveform)
    x = keras.layers.Conv1D(60, 3, padding="same", name="second")(x)
    x = keras.layers.Reshape(WINDOW_SHAPE)(x)
    return keras.Model(waveform, keras.layers.Activation("sigmoid")(x))


def uneven(seed: int = 5) -> keras.Model:
    """Three convolutions, of which `wide` makes values of 1000 in a channel that nothing needs."""
    keras.utils.set_random_seed(seed)
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Conv1D(8, 20, strides=20, name="first")(waveform)
    x = keras.layers.Conv1D(8, 3, padding="same", name="wide")(x)
    x = keras.layers.Conv1D(60, 3, padding="same", name="last")(x)
    x = keras.layers.Reshape(WINDOW_SHAPE)(x)
    model = keras.Model(waveform, keras.layers.Activation("sigmoid", name="sigmoid")(x))
    wide, last = model.get_layer("wide"), model.get_layer("last")
    kernel, bias = wide.get_weights()
    bias[0] = 1000.0
    wide.set_weights([kernel, bias])
    kernel, bias = last.get_weights()
    kernel[:, 0] = 0.0
    last.set_weights([kernel, bias])
    return model
