"""A copy of a model to train or to try weights in."""

from __future__ import annotations

from typing import Any

from baseline.keras import keras

FLOAT32 = "float32"

OWN_LAYERS = "eqt_compress>"
"""Start of the registered names of this project's layers, which are written for float32."""

PROBABILITIES = {"sigmoid", "softmax"}
"""Activations whose results need more digits near 0 and 1 than 16 bits hold."""


def twin_of(
    model: keras.Model, policy: str = FLOAT32, joint_statistics: bool = False
) -> keras.Model:
    """The same model, computing the same, with weights of its own.

    Args:
        model: any.
        policy: how layers compute, such as mixed_float16: in 16 bits on variables in 32. Outputs,
            probabilities, recurrent layers and those of this project stay in float32.
        joint_statistics: whether BatchNorm takes its statistics from what all workers of a
            distributed training see, instead of from what this one sees.
    """
    last = {layer.name for layer in model.layers if _is_output(layer, model)}

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        config = layer.get_config()
        if policy != FLOAT32 and layer.name not in last and _computes_in_16_bits(layer, config):
            config["dtype"] = policy
        if joint_statistics and isinstance(layer, keras.layers.BatchNormalization):
            config["synchronized"] = True
        return type(layer).from_config(config)

    twin = keras.models.clone_model(model, clone_function=copy)
    twin.set_weights(model.get_weights())
    return twin


def _is_output(layer: keras.layers.Layer, model: keras.Model) -> bool:
    return any(layer.output is output for output in model.outputs)


def _computes_in_16_bits(layer: keras.layers.Layer, config: dict[str, Any]) -> bool:
    own = keras.saving.get_registered_name(type(layer)).startswith(OWN_LAYERS)
    needs_float32 = (keras.layers.InputLayer, keras.layers.RNN, keras.layers.Wrapper)
    return (
        not own
        and not isinstance(layer, needs_float32)
        and config.get("activation") not in PROBABILITIES
        and "dtype" in config
    )
