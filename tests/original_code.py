"""EQTransformer as the original code stores it, rebuilt from a stored `model_config`.

Independent of the project's own layers: what the tests compare those with. The three classes carry
the names and the weights under which the original code stores them.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from baseline.keras import keras, tf

LAYERS = keras.layers


class SeqSelfAttention(LAYERS.Layer):
    def __init__(
        self, units=32, attention_width=None, attention_type=None, return_attention=False, **kwargs
    ):
        known = ("name", "trainable", "dtype")
        super().__init__(**{k: v for k, v in kwargs.items() if k in known})
        assert attention_type == "additive"
        self.units, self.attention_width = units, attention_width
        self.return_attention = return_attention

    def build(self, shape):
        channels = shape[-1]
        self.wt = self.add_weight(name="Wt", shape=(channels, self.units))
        self.wx = self.add_weight(name="Wx", shape=(channels, self.units))
        self.bh = self.add_weight(name="bh", shape=(self.units,))
        self.wa = self.add_weight(name="Wa", shape=(self.units, 1))
        self.ba = self.add_weight(name="ba", shape=(1,))

    def call(self, x):
        n = x.shape[1]
        rows = []
        for t in range(n):  # one step of the sequence after the other, as the formula reads
            hidden = tf.tanh(x[:, t : t + 1] @ self.wt + x @ self.wx + self.bh)
            rows.append(tf.squeeze(hidden @ self.wa + self.ba, -1))
        e = tf.stack(rows, axis=1)
        e = tf.exp(e - tf.reduce_max(e, axis=-1, keepdims=True))
        if self.attention_width is not None:
            half = self.attention_width // 2
            band = [[float(t - half <= u < t - half + self.attention_width) for u in range(n)]
                    for t in range(n)]  # fmt: skip
            e = e * tf.constant(band)
        a = e / (tf.reduce_sum(e, axis=-1, keepdims=True) + 1e-7)
        v = tf.einsum("btu,buc->btc", a, x)
        return [v, a] if self.return_attention else v

    def get_config(self):
        return super().get_config() | {
            "units": self.units,
            "attention_width": self.attention_width,
            "attention_type": "additive",
            "return_attention": self.return_attention,
        }


class LayerNormalization(LAYERS.Layer):
    def __init__(self, epsilon=1e-14, **kwargs):
        known = ("name", "trainable", "dtype")
        super().__init__(**{k: v for k, v in kwargs.items() if k in known})
        self.epsilon = epsilon

    def build(self, shape):
        self.gamma = self.add_weight(name="gamma", shape=(shape[-1],), initializer="ones")
        self.beta = self.add_weight(name="beta", shape=(shape[-1],), initializer="zeros")

    def call(self, x):
        mean = tf.reduce_mean(x, axis=-1, keepdims=True)
        variance = tf.reduce_mean(tf.square(x - mean), axis=-1, keepdims=True)
        return (x - mean) / tf.sqrt(variance + self.epsilon) * self.gamma + self.beta

    def get_config(self):
        return super().get_config() | {"epsilon": self.epsilon}


class FeedForward(LAYERS.Layer):
    def __init__(self, units, **kwargs):
        known = ("name", "trainable", "dtype")
        super().__init__(**{k: v for k, v in kwargs.items() if k in known})
        self.units = units

    def build(self, shape):
        channels = shape[-1]
        self.w1 = self.add_weight(name="W1", shape=(channels, self.units))
        self.b1 = self.add_weight(name="b1", shape=(self.units,))
        self.w2 = self.add_weight(name="W2", shape=(self.units, channels))
        self.b2 = self.add_weight(name="b2", shape=(channels,))

    def call(self, x):
        return tf.nn.relu(x @ self.w1 + self.b1) @ self.w2 + self.b2

    def get_config(self):
        return super().get_config() | {"units": self.units}


CUSTOM = {
    "SeqSelfAttention": SeqSelfAttention,
    "LayerNormalization": LayerNormalization,
    "FeedForward": FeedForward,
}


def model_config(path: Path) -> dict[str, Any]:
    """The `model_config` stored in an `.h5`."""
    with h5py.File(path) as file:
        return json.loads(file.attrs["model_config"])


def from_config(config: dict[str, Any]) -> keras.Model:
    """The untrained model that a stored configuration describes, layer for layer."""
    config = copy.deepcopy(config)
    for layer in config["config"]["layers"]:
        if layer["class_name"] == "SpatialDropout1D":
            layer["inbound_nodes"] = [[[*node[:3], {}] for node in layer["inbound_nodes"][0]]]
    return keras.models.model_from_json(json.dumps(config), custom_objects=CUSTOM)


def stored_model(path: Path) -> keras.Model:
    """The stored graph with its stored weights."""
    model = from_config(model_config(path))
    model.load_weights(path)
    return model


def predict(model: keras.Model, windows: np.ndarray) -> np.ndarray:
    """Its three outputs as one prediction (n, 6000, 3)."""
    return np.concatenate(model(windows, training=False), axis=-1)


def narrowed(config: dict[str, Any], filters: tuple[int, ...]) -> dict[str, Any]:
    """The same architecture with other numbers of filters in its encoder and decoders."""
    config = copy.deepcopy(config)
    widest = {8: filters[0], 16: filters[1], 32: filters[2], 64: filters[3]}
    for layer in config["config"]["layers"]:
        settings = layer["config"]
        is_head = settings["name"] in ("detector", "picker_P", "picker_S")
        after_recurrent = layer["class_name"] == "Conv1D" and settings["kernel_size"] == [1]
        if layer["class_name"] == "Conv1D" and not is_head and not after_recurrent:
            settings["filters"] = widest[settings["filters"]]
    return config


def save(model: keras.Model, path: Path) -> None:
    """Write it as the original code does."""
    model.save(path, save_format="h5", include_optimizer=False)
