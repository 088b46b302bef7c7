"""Trained weights from the original code's `.h5`, read with h5py: nothing in the file is executed.

The file's `model_config` attribute is read as JSON, only to learn the sizes; the weights are then
assigned to the rebuilt model (baseline.architecture) layer by layer. The original code builds its
layers in one fixed order and Keras numbers them as they are built, so the stored names, sorted by
number within their class, say where each belongs.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.contract import WINDOW_SHAPE
from baseline.errors import InputError, pass_interrupt
from baseline.keras import keras
from baseline.untrusted import bounded_weights, require_own_contents

RESIDUAL_CONVOLUTIONS = 2
TRANSFORMERS = 2
DECODERS = ("detection", "p", "s")
HEADS = {"detector": "detection_head", "picker_P": "p_head", "picker_S": "s_head"}
ATTENTIONS = {
    "attentionD0": "transformer_0_attention",
    "attentionD": "transformer_1_attention",
    "attentionP": "p_attention",
    "attentionS": "s_attention",
}

Layer = dict[str, Any]


def load_eqtransformer(path: Path) -> keras.Model:
    """The trained model in an `.h5` written by the original EQTransformer code.

    Raises:
        InputError: not such a file, truncated, or it does not fit; names the layer and the shapes.
    """
    try:
        with h5py.File(path, "r") as file:
            require_own_contents(path, file)
            layers = _read_layers(path, file)
            config, places = _understand(path, layers)
            with bounded_weights(path):
                model = build_eqtransformer(config)
            _assign(path, file, model, places)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file.") from None
    except InputError:
        raise
    except Exception as error:  # whatever h5py makes of a damaged file
        pass_interrupt(error)
        raise InputError(
            f"{path}: not a readable HDF5 file ({error}).",
            "It may be cut short: compare its size with that of the original.",
        ) from None
    return model


def _read_layers(path: Path, file: h5py.File) -> dict[str, list[Layer]]:
    """The stored layers by class, each class in the order in which the layers were built."""
    stored = file.attrs.get("model_config")
    if stored is None or "model_weights" not in file:
        raise InputError(
            f"{path}: holds no whole Keras model (no `model_config` or no `model_weights`).",
            "Save the trained model with `model.save(...)`, not `model.save_weights(...)`.",
        )
    try:
        layers = json.loads(stored)["config"]["layers"]
        by_class: dict[str, list[Layer]] = defaultdict(list)
        for layer in layers:
            by_class[layer["class_name"]].append(layer["config"])
            layer["config"]["name"] += ""  # a name that is no string is caught here
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: `model_config` is not a Keras model's ({error!r}).") from None
    for same_class in by_class.values():
        same_class.sort(key=lambda config: _number(config["name"]))
    return by_class


def _number(name: str) -> int:
    """The number that Keras gave a layer: `conv1d` 0, `conv1d_7` 7."""
    found = re.search(r"_(\d+)$", name)
    return int(found.group(1)) if found else 0


def _understand(path: Path, layers: dict[str, list[Layer]]) -> tuple[EqtConfig, dict[str, str]]:
    """The configuration, and for each layer of the rebuilt model the name of the stored one."""

    def expect(right: bool, what: str) -> None:
        if not right:
            raise InputError(
                f"{path}: not an EQTransformer as the original code builds it: {what}.",
                "Only models trained with that architecture (any filters, kernels and numbers of "
                "blocks) can be loaded.",
            )

    convolutions = [c for c in layers["Conv1D"] if c["name"] not in HEADS]
    depth = len(layers["MaxPooling1D"])
    recurrent = layers["Bidirectional"]
    residual = len(layers["Add"]) - 2 * TRANSFORMERS
    expected = depth + RESIDUAL_CONVOLUTIONS * residual + len(recurrent) + len(DECODERS) * depth
    expect(depth > 0 and residual >= 0, "it has no encoder")
    expect(
        len(convolutions) == expected,
        f"{len(convolutions)} convolutions, where {depth} levels, {residual} residual and "
        f"{len(recurrent)} recurrent blocks make {expected}",
    )
    names = {c["name"] for same_class in layers.values() for c in same_class}
    for needed in (*HEADS, *ATTENTIONS):
        expect(needed in names, f"layer {needed!r} is missing")
    cells = [config["layer"]["class_name"] for config in recurrent]
    inner = [config["layer"]["config"] for config in recurrent] + layers["LSTM"]
    expect(set(cells) <= {"LSTM"} and len(layers["LSTM"]) == 2, "its recurrent layers are no LSTM")
    expect(len({c["recurrent_activation"] for c in inner}) == 1, "its LSTMs differ in activation")
    attention = {config["name"]: config for config in layers["SeqSelfAttention"]}
    expect(
        all(c["attention_type"] == "additive" for c in attention.values()),
        "its attention is not additive",
    )
    expect(len(layers["FeedForward"]) == TRANSFORMERS, "it has not two feed-forward layers")
    expect(len(layers["LayerNormalization"]) == 2 * TRANSFORMERS, "it has not four layer norms")
    shape = layers["InputLayer"][0].get("batch_input_shape", [])
    expect(
        tuple(shape[1:]) == WINDOW_SHAPE,
        f"its input is {tuple(shape[1:])}, not {WINDOW_SHAPE}",
    )

    encoder = convolutions[:depth]
    blocks = convolutions[depth : depth + RESIDUAL_CONVOLUTIONS * residual]
    try:
        config = EqtConfig(
            encoder_filters=tuple(c["filters"] for c in encoder),
            encoder_kernels=tuple(c["kernel_size"][0] for c in encoder),
            residual_kernels=tuple(c["kernel_size"][0] for c in blocks[::RESIDUAL_CONVOLUTIONS]),
            recurrent_blocks=len(recurrent),
            recurrent_units=layers["LSTM"][0]["units"],
            recurrent_activation=layers["LSTM"][0]["recurrent_activation"],
            attention_units=attention["attentionD"]["units"],
            attention_width=attention["attentionP"]["attention_width"],
            feed_forward_units=layers["FeedForward"][0]["units"],
        )
    except ValidationError as error:
        first = error.errors()[0]
        raise InputError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from None
    return config, _places(config, layers, convolutions)


def _places(
    config: EqtConfig, layers: dict[str, list[Layer]], convolutions: list[Layer]
) -> dict[str, str]:
    """For each layer with weights in the rebuilt model, the stored layer that holds them."""
    depth, residual = len(config.encoder_filters), len(config.residual_kernels)
    order = [f"encoder_{i}_conv" for i in range(depth)]
    order += [f"residual_{i}{half}_conv" for i in range(residual) for half in "ab"]
    order += [f"recurrent_{i}_conv" for i in range(config.recurrent_blocks)]
    order += [f"{d}_decoder_{i}_conv" for d in DECODERS for i in range(depth)]
    norms = [f"residual_{i}{half}_norm" for i in range(residual) for half in "ab"]
    norms += [f"recurrent_{i}_norm" for i in range(config.recurrent_blocks)]

    def pair(mine: list[str], stored: list[Layer]) -> dict[str, str]:
        return {m: s["name"] for m, s in zip(mine, stored, strict=False)}

    return {
        **pair(order, convolutions),
        **pair(norms, layers["BatchNormalization"]),
        **pair(
            [f"recurrent_{i}_both" for i in range(config.recurrent_blocks)], layers["Bidirectional"]
        ),
        **pair(["p_recurrent", "s_recurrent"], layers["LSTM"]),
        **pair(
            [f"transformer_{i}_norm_{j}" for i in range(TRANSFORMERS) for j in range(2)],
            layers["LayerNormalization"],
        ),
        **pair(
            [f"transformer_{i}_feed_forward" for i in range(TRANSFORMERS)], layers["FeedForward"]
        ),
        **{mine: stored for stored, mine in (HEADS | ATTENTIONS).items()},
    }


def _assign(path: Path, file: h5py.File, model: keras.Model, places: dict[str, str]) -> None:
    """Put the stored weights into the model; every weight of the model must be filled."""
    for layer in model.layers:
        if not layer.weights:
            continue
        # The original keeps both halves of a feed-forward in one layer: W1, b1, W2, b2.
        half = re.fullmatch(r"(transformer_\d_feed_forward)_(in|out)", layer.name)
        place = half.group(1) if half else layer.name
        if place not in places:
            raise InputError(f"{path}: holds nothing for layer {layer.name!r}.")
        stored = _stored_weights(path, file, places[place])
        if half:
            stored = stored[:2] if half.group(2) == "in" else stored[2:]
        wanted = [tuple(weight.shape) for weight in layer.weights]
        found = [weight.shape for weight in stored]
        if wanted != found:
            raise InputError(
                f"{path}: layer {places[place]!r} holds weights of shapes {found}, "
                f"where its place in the model ({layer.name}) needs {wanted}."
            )
        if not all(np.isfinite(weight).all() for weight in stored):
            raise InputError(f"{path}: layer {places[place]!r} holds weights that are not finite.")
        layer.set_weights(stored)


def _stored_weights(path: Path, file: h5py.File, name: str) -> list[NDArray[np.float32]]:
    group = file["model_weights"].get(name)
    if not isinstance(group, h5py.Group) or "weight_names" not in group.attrs:
        raise InputError(f"{path}: holds no weights for its layer {name!r}.")
    weights = []
    for stored in group.attrs["weight_names"]:
        key = stored.decode() if isinstance(stored, bytes) else str(stored)
        if not isinstance(group.get(key), h5py.Dataset):
            raise InputError(f"{path}: weight {key!r} of layer {name!r} is missing.")
        weights.append(np.asarray(group[key], dtype=np.float32))
    return weights
