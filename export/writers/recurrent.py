"""The recurrent layers of a model, exchanged for an export."""

from __future__ import annotations

from collections.abc import Callable

from baseline.keras import keras

Exchange = Callable[[keras.layers.Layer], keras.layers.Layer]
"""From an LSTM or GRU to a new layer with the same weights, in the same order."""


def exchange_recurrent(model: keras.Model, exchange: Exchange) -> keras.Model:
    """A copy of the model, `exchange` applied to each LSTM and GRU.

    Both directions of a Bidirectional are exchanged one by one.
    """

    def clone(layer: keras.layers.Layer) -> keras.layers.Layer:
        if isinstance(layer, keras.layers.LSTM | keras.layers.GRU):
            return exchange(layer)
        if isinstance(layer, keras.layers.Bidirectional):
            return keras.layers.Bidirectional(
                clone(layer.forward_layer),
                layer.merge_mode,
                backward_layer=clone(layer.backward_layer),
                name=layer.name,
            )
        return copy_layer(layer)

    copy = keras.models.clone_model(model, clone_function=clone)
    for layer in copy.layers:
        layer.set_weights(model.get_layer(layer.name).get_weights())
    return copy


def copy_layer(layer: keras.layers.Layer) -> keras.layers.Layer:
    """A layer with the same settings, and without weights until it is called."""
    return type(layer).from_config(layer.get_config())


def is_recurrent(layer: keras.layers.Layer) -> bool:
    """Whether a layer of a model goes step by step: an LSTM, a GRU, or both ways of one."""
    return isinstance(layer, keras.layers.RNN | keras.layers.Bidirectional)


def recurrent_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Each LSTM and GRU of the model, the two of a Bidirectional included."""
    found = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.Bidirectional):
            found += [layer.forward_layer, layer.backward_layer]
        else:
            found.append(layer)
    return [layer for layer in found if isinstance(layer, keras.layers.LSTM | keras.layers.GRU)]
