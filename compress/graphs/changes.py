"""What became of each layer between two graphs, for reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baseline.keras import keras

KEPT = "kept"


@dataclass(frozen=True)
class LayerChange:
    """What became of one layer.

    Attributes:
        layer: its name in the graph before.
        became: `kept`, `removed`, or what it is now.
        note: what the stage has to say of it: why it was left alone, or what it did.
    """

    layer: str
    became: str
    note: str

    def to_dict(self) -> dict[str, str]:
        """For JSON."""
        return asdict(self)


def layer_changes(
    before: keras.Model, after: keras.Model, notes: Mapping[str, str]
) -> list[LayerChange]:
    """What became of every layer that has weights, is gone, or of which there is a note.

    Layers are the same if they have the same name; `name_...` are what replaced `name`. Where no
    layer with weights stayed, another model took the place of the whole: one entry says so.
    """
    new = {layer.name: layer for layer in after.layers}
    weighted = [layer.name for layer in before.layers if layer.weights]
    if not any(name.startswith(tuple(weighted)) for name in new):
        return [LayerChange("all", f"replaced by {after.name}", "")]
    changes = []
    for layer in before.layers:
        note = notes.get(layer.name, "")
        if layer.weights or note or layer.name not in new:
            changes.append(LayerChange(layer.name, _became(layer, new), note))
    return changes


def _became(layer: keras.layers.Layer, new: Mapping[str, keras.layers.Layer]) -> str:
    if layer.name not in new:
        successors = [n for name, n in new.items() if name.startswith(f"{layer.name}_")]
        kinds = list(dict.fromkeys(_kind(successor) for successor in successors))
        return f"replaced by {len(successors)} layers: {', '.join(kinds)}" if kinds else "removed"
    now = new[layer.name]
    if _kind(now) != _kind(layer):
        return f"replaced by {_kind(now)}"
    channels, channels_now = layer.output_shape[-1], now.output_shape[-1]
    if channels_now != channels:
        return f"{channels_now} channels, from {channels}"
    inputs, inputs_now = _input_channels(layer), _input_channels(now)
    return KEPT if inputs_now == inputs else f"reads {inputs_now} channels, from {inputs}"


def _kind(layer: keras.layers.Layer) -> str:
    inner = getattr(layer, "forward_layer", None)
    return type(layer).__name__ + (f"({_kind(inner)})" if inner is not None else "")


def _input_channels(layer: keras.layers.Layer) -> int:
    shape = layer.input_shape
    return int((shape[0] if isinstance(shape, list) else shape)[-1])
