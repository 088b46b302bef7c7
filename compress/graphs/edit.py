"""Rebuild a functional Keras model with some layers exchanged and all other weights kept.

Every change of structure (simplification, substitution, scaling, pruning) goes through `rebuild`.
Layers are addressed by name and stand in the graph once; the old model is left untouched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.keras import keras

Change = Callable[[keras.layers.Layer, Any], Any]
"""From a layer of the old model and its new input (a list where it has several) to its new output.

Returning the input takes the layer out; `place` puts another layer there.
"""


def rebuild(model: keras.Model, changes: Mapping[str, Change]) -> keras.Model:
    """The same graph, where `changes` has a name with what it makes of that layer.

    Raises:
        ValueError: a name that the model does not have, or a layer that is called more than once.
    """
    unknown = set(changes) - {layer.name for layer in model.layers}
    if unknown:
        raise ValueError(f"the model has no layers {', '.join(sorted(unknown))}")
    made: dict[int, Any] = {}
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            made[id(layer.output)] = keras.Input(layer.output.shape[1:], name=layer.name)
            continue
        _require_single_call(layer)
        old = layer.input
        new = [made[id(x)] for x in old] if isinstance(old, list) else made[id(old)]
        made[id(layer.output)] = changes.get(layer.name, copy)(layer, new)
    inputs = [made[id(tensor)] for tensor in model.inputs]
    outputs = [made[id(tensor)] for tensor in model.outputs]
    return keras.Model(*(x[0] if len(x) == 1 else x for x in (inputs, outputs)), name=model.name)


def copy(layer: keras.layers.Layer, inputs: Any) -> Any:
    """A change that changes nothing: the same layer with the same weights."""
    return place(type(layer).from_config(layer.get_config()), inputs, layer.get_weights())


def remove(layer: keras.layers.Layer, inputs: Any) -> Any:
    """A change that takes the layer out."""
    del layer
    return inputs


def place(
    layer: keras.layers.Layer, inputs: Any, weights: Sequence[NDArray[np.float32]] | None = None
) -> Any:
    """Put a new layer behind `inputs`, with these weights (None: as it is initialised)."""
    outputs = layer(inputs)
    if weights:
        layer.set_weights(list(weights))
    return outputs


def parents(layer: keras.layers.Layer) -> list[keras.layers.Layer]:
    """The layers whose outputs this one takes."""
    _require_single_call(layer)
    return [node.layer for node in layer.inbound_nodes[0].parent_nodes]


def children(model: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """For each layer by name, those that take its output, in order."""
    found: dict[str, list[keras.layers.Layer]] = defaultdict(list)
    for layer in model.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            for parent in parents(layer):
                found[parent.name].append(layer)
    return found


def is_output(model: keras.Model, layer: keras.layers.Layer) -> bool:
    """Whether the model returns what this layer makes."""
    return any(layer.output is tensor for tensor in model.outputs)


def _require_single_call(layer: keras.layers.Layer) -> None:
    if len(layer.inbound_nodes) != 1:
        raise ValueError(
            f"layer {layer.name} is called {len(layer.inbound_nodes)} times in its graph; only "
            "graphs that call each layer once can be rebuilt"
        )
