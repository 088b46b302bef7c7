"""Which channels of a model belong together, and models without some of them.

Every tensor of the graph carries an id for each place of its last axis. Layers that make new
channels (convolutions, dense and recurrent layers) bring new ids; layers that treat each channel
alone hand theirs on; where a sum or a reshape makes two channels one, their ids are tied. Ids that
are tied form a *group*: what can only be removed together. Groups that the same layers make form a
*dimension*, the unit in which widths are chosen: all convolutions of a residual stack write to one
sum, so they share one dimension.

For every weight array the trace says which of its axes run along channels, and how (`Role`); that
one table is what removing, silencing and scoring channels go by.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from baseline.keras import keras
from baseline.layers import AdditiveSelfAttention, BandedSelfAttention, EdgeCorrection1D
from compress.graphs.edit import Change, is_output, parents, place, rebuild

Ids = NDArray[np.intp]

LAYERS = keras.layers


class Role(Enum):
    """What the places along one axis of a weight array do with the channels they belong to."""

    MAKES = "makes"
    """Each place makes its channel, such as a filter of a convolution."""
    READS = "reads"
    """Each place reads its channel, such as the input channels of a kernel."""
    FOLLOWS = "follows"
    """Each place belongs to one channel on its way, such as the scale of a normalization."""


@dataclass(frozen=True, eq=False)
class Axis:
    """One axis of one weight array that runs along channels.

    Attributes:
        layer: name of the layer.
        weight: which of `layer.get_weights()`.
        axis: which of its axes.
        role: what the places along it do.
        groups: the group that each place belongs to; a group may have several (gates, phases).
    """

    layer: str
    weight: int
    axis: int
    role: Role
    groups: Ids


@dataclass(frozen=True)
class Dimension:
    """Groups that the same layers make.

    Attributes:
        name: of the first of these layers; where that is not unique, of all of them.
        layers: names of the layers that make the channels, in the model's order.
        groups: the groups, in the order of the first layer's channels.
        fixed: why no channel of it can be removed, or empty.
    """

    name: str
    layers: tuple[str, ...]
    groups: tuple[int, ...]
    fixed: str


@dataclass(frozen=True, eq=False)
class Channels:
    """The channels of one model.

    Attributes:
        number: of groups; they are numbered from 0.
        axes: every axis of every weight array that runs along channels.
        outputs: by layer, the group of each channel of its output.
        sizes: by layer, the settings that are numbers of channels, as the groups they count.
        dimensions: every group is in one.
    """

    number: int
    axes: tuple[Axis, ...]
    outputs: Mapping[str, Ids]
    sizes: Mapping[str, Mapping[str, Ids]]
    dimensions: tuple[Dimension, ...]


def trace(model: keras.Model) -> Channels:
    """Follow the channels of a model through its graph.

    Raises:
        InputError: a layer of which is not known what it does to channels.
        ValueError: a layer that is called more than once.
    """
    tracer = _Tracer()
    for layer in model.layers:
        if isinstance(layer, LAYERS.InputLayer):
            ids = tracer.new(layer.name, int(layer.output.shape[-1]))
            tracer.fix(ids, "an input of the model")
            tracer.outputs[layer.name] = ids
            continue
        inputs = [tracer.outputs[parent.name] for parent in parents(layer)]
        tracer.outputs[layer.name] = _rule(layer)(tracer, layer, inputs)
        if getattr(layer, "activation", None) is keras.activations.softmax:
            tracer.fix(tracer.outputs[layer.name], f"the softmax of {layer.name} runs over it")
        if is_output(model, layer):
            tracer.fix(tracer.outputs[layer.name], "an output of the model")
    return tracer.channels()


def without(model: keras.Model, channels: Channels, removed: Collection[int]) -> keras.Model:
    """The model without these groups: narrower layers, with the weights of what is left.

    Answers what `silenced` does.

    Args:
        model: that `channels` was traced from; it is left as it is.
        channels: its channels.
        removed: groups, none of a fixed dimension and not all of any.

    Raises:
        ValueError: a group that has to stay, or all groups of a dimension.
    """
    gone = set(removed)
    for dimension in channels.dimensions:
        own = gone.intersection(dimension.groups)
        if own and (dimension.fixed or len(own) == len(dimension.groups)):
            reason = dimension.fixed or "a layer needs at least one channel"
            raise ValueError(f"channels of {dimension.name} have to stay: {reason}")
    kept = kept_groups(channels, gone)
    axes: dict[str, list[Axis]] = {}
    for axis in channels.axes:
        axes.setdefault(axis.layer, []).append(axis)

    def narrow(layer: keras.layers.Layer, inputs: Any) -> Any:
        weights = layer.get_weights()
        for axis in axes.get(layer.name, ()):
            weights[axis.weight] = np.compress(
                kept[axis.groups], weights[axis.weight], axis=axis.axis
            )
        sizes = {key: int(kept[groups].sum()) for key, groups in channels.sizes[layer.name].items()}
        return place(type(layer).from_config(_resized(layer, sizes)), inputs, weights)

    touched = {axis.layer for axis in channels.axes if not kept[axis.groups].all()}
    touched |= {
        name
        for name, sizes in channels.sizes.items()
        if any(not kept[groups].all() for groups in sizes.values())
    }
    changes: dict[str, Change] = dict.fromkeys(touched, narrow)
    return rebuild(model, changes)


def silenced(model: keras.Model, channels: Channels, removed: Collection[int]) -> keras.Model:
    """The same graph, in which nothing reads these groups any more.

    Zeroing what makes a channel would not do: a normalization behind it shifts the zeros.

    Args:
        model: that `channels` was traced from, or a clone of it; it is left as it is.
        channels: its channels.
        removed: groups.
    """
    changed = silenced_weights(model, channels, removed)

    def silence(layer: keras.layers.Layer, inputs: Any) -> Any:
        return place(type(layer).from_config(layer.get_config()), inputs, changed[layer.name])

    return rebuild(model, dict.fromkeys(changed, silence))


def silenced_weights(
    model: keras.Model, channels: Channels, removed: Collection[int]
) -> dict[str, list[NDArray[np.float32]]]:
    """The weights of `silenced`, by layer, for those layers that read these groups."""
    kept = kept_groups(channels, removed)
    changed: dict[str, list[NDArray[np.float32]]] = {}
    for axis in channels.axes:
        if axis.role is Role.READS and not kept[axis.groups].all():
            weights = changed.setdefault(axis.layer, model.get_layer(axis.layer).get_weights())
            np.moveaxis(weights[axis.weight], axis.axis, 0)[~kept[axis.groups]] = 0.0
    return changed


def kept_groups(channels: Channels, removed: Collection[int]) -> NDArray[np.bool_]:
    """For every group, whether it is not among `removed`."""
    kept = np.ones(channels.number, dtype=bool)
    kept[list(removed)] = False
    return kept


def _resized(layer: keras.layers.Layer, sizes: Mapping[str, int]) -> dict[str, Any]:
    """The layer's configuration with other numbers of channels."""
    config = layer.get_config()
    match layer:
        case LAYERS.Bidirectional():
            for half in ("layer", "backward_layer"):
                if half in config:
                    config[half]["config"].update(sizes)
        case LAYERS.Reshape():
            config["target_shape"] = (*config["target_shape"][:-1], sizes["target_shape"])
        case _:
            config.update(sizes)
    return config


class _Tracer:
    """Ids while the graph is walked: who made them, which are tied, and which have to stay."""

    def __init__(self) -> None:
        self.outputs: dict[str, Ids] = {}
        self.sizes: dict[str, dict[str, Ids]] = {}
        self._axes: list[Axis] = []
        self._makers: list[str] = []
        self._tied_to: list[int] = []
        self._fixed: dict[int, str] = {}

    def new(self, layer: str, number: int) -> Ids:
        first = len(self._makers)
        self._makers += [layer] * number
        self._tied_to += range(first, first + number)
        return np.arange(first, first + number)

    def tie(self, one: Ids, other: Ids) -> None:
        for a, b in zip(one, other, strict=True):
            first, second = sorted((self._root(a), self._root(b)))
            self._tied_to[second] = first

    def fix(self, ids: Ids, reason: str) -> None:
        for id_ in ids:
            self._fixed.setdefault(int(id_), reason)

    def axis(self, layer: keras.layers.Layer, weight: int, axis: int, role: Role, ids: Ids) -> None:
        assert layer.get_weights()[weight].shape[axis] == len(ids), layer.name
        self._axes.append(Axis(layer.name, weight, axis, role, ids))

    def size(self, layer: keras.layers.Layer, key: str, ids: Ids) -> None:
        self.sizes.setdefault(layer.name, {})[key] = ids

    def _root(self, id_: int) -> int:
        while self._tied_to[id_] != id_:
            self._tied_to[id_] = id_ = self._tied_to[self._tied_to[id_]]
        return id_

    def channels(self) -> Channels:
        roots = np.array([self._root(id_) for id_ in range(len(self._makers))], dtype=np.intp)
        first_ids, group_of = np.unique(roots, return_inverse=True)
        axes = tuple(
            Axis(axis.layer, axis.weight, axis.axis, axis.role, group_of[axis.groups])
            for axis in self._axes
        )
        return Channels(
            len(first_ids),
            axes,
            {name: group_of[ids] for name, ids in self.outputs.items()},
            {
                name: {key: group_of[ids] for key, ids in self.sizes.get(name, {}).items()}
                for name in self.outputs
            },
            self._dimensions(group_of),
        )

    def _dimensions(self, group_of: Ids) -> tuple[Dimension, ...]:
        makers: dict[int, dict[str, None]] = {}
        fixed: dict[int, str] = {}
        for id_, group in enumerate(group_of.tolist()):
            makers.setdefault(group, {})[self._makers[id_]] = None
            if id_ in self._fixed:
                fixed.setdefault(group, self._fixed[id_])
        alike: dict[tuple[tuple[str, ...], str], list[int]] = {}
        for group, layers in makers.items():
            alike.setdefault((tuple(layers), fixed.get(group, "")), []).append(group)
        first = [layers[0] for layers, _ in alike]
        return tuple(
            Dimension(
                layers[0] if first.count(layers[0]) == 1 else " + ".join(layers),
                layers,
                tuple(groups),
                reason or ("it has one channel only" if len(groups) == 1 else ""),
            )
            for (layers, reason), groups in alike.items()
        )


Rule = Callable[[_Tracer, Any, Sequence[Ids]], Ids]
"""From a layer and the ids of its inputs to those of its output; notes axes and sizes."""


def _rule(layer: keras.layers.Layer) -> Rule:
    rule = RULES.get(type(layer))
    if rule is None:
        raise InputError(
            f"layer {layer.name} ({type(layer).__name__}): it is not known what it does to "
            "channels, so none can be followed through it.",
            "Take it out of the model, or leave this stage out.",
        )
    return rule


def _handed_on(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    del tracer, layer
    return inputs[0]


def _tied(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    first, *others = inputs
    for other in others:
        if len(other) != len(first):
            raise InputError(
                f"layer {layer.name} ({type(layer).__name__}) combines {len(first)} with "
                f"{len(other)} channels; only inputs of the same width can be followed."
            )
        tracer.tie(first, other)
    return first


def _concatenated(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    if layer.axis not in (-1, len(layer.output_shape) - 1):
        return _tied(tracer, layer, inputs)
    return np.concatenate(inputs)


def _reshaped(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    """Sub-pixel: channel c of phase f is f C + c; or back, samples beside each other."""
    (ids,) = inputs
    old, new = len(ids), int(layer.output_shape[-1])
    if len(layer.input_shape) != 3 or len(layer.output_shape) != 3 or (old % new and new % old):
        raise InputError(
            f"layer {layer.name} (Reshape) mixes steps and channels, {layer.input_shape} to "
            f"{layer.output_shape}; only whole phases can be followed."
        )
    if old >= new:
        phases = ids.reshape(-1, new)
        for phase in phases[1:]:
            tracer.tie(phases[0], phase)
        outputs = phases[0]
    else:
        outputs = np.tile(ids, new // old)
    tracer.size(layer, "target_shape", outputs)
    return outputs


def _linear(size: str) -> Rule:
    """Conv1D and Dense: a kernel (..., inputs, outputs) and a bias."""

    def rule(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
        kernel, *bias = layer.get_weights()
        if kernel.shape[-2] != len(inputs[0]):
            raise InputError(
                f"layer {layer.name} ({type(layer).__name__}) has groups, which cannot be followed."
            )
        outputs = tracer.new(layer.name, kernel.shape[-1])
        tracer.axis(layer, 0, kernel.ndim - 2, Role.READS, inputs[0])
        tracer.axis(layer, 0, kernel.ndim - 1, Role.MAKES, outputs)
        if bias:
            tracer.axis(layer, 1, 0, Role.MAKES, outputs)
        tracer.size(layer, size, outputs)
        return outputs

    return rule


def _depthwise(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    outputs = np.repeat(inputs[0], layer.depth_multiplier)
    tracer.axis(layer, 0, 1, Role.FOLLOWS, inputs[0])
    if layer.use_bias:
        tracer.axis(layer, 1, 0, Role.FOLLOWS, outputs)
    return outputs


def _separable(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    outputs = tracer.new(layer.name, layer.filters)
    tracer.axis(layer, 0, 1, Role.FOLLOWS, inputs[0])
    tracer.axis(layer, 1, 1, Role.READS, np.repeat(inputs[0], layer.depth_multiplier))
    tracer.axis(layer, 1, 2, Role.MAKES, outputs)
    if layer.use_bias:
        tracer.axis(layer, 2, 0, Role.MAKES, outputs)
    tracer.size(layer, "filters", outputs)
    return outputs


def _recurrent(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    outputs = tracer.new(layer.name, layer.units)
    tracer.size(layer, "units", outputs)
    _cell(tracer, layer, layer, 0, inputs[0], outputs)
    return outputs


def _bidirectional(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    """Unit k of both directions stays or goes together, so that they stay equally wide."""
    halves = (layer.forward_layer, layer.backward_layer)
    if layer.merge_mode is None or halves[0].units != halves[1].units:
        raise InputError(
            f"layer {layer.name} (Bidirectional): only directions of the same width, with their "
            "outputs put together, can be followed."
        )
    outputs = tracer.new(layer.name, halves[0].units)
    tracer.size(layer, "units", outputs)
    first = 0
    for half in halves:
        _cell(tracer, layer, half, first, inputs[0], outputs)
        first += len(half.get_weights())
    return np.tile(outputs, 2) if layer.merge_mode == "concat" else outputs


def _cell(tracer: _Tracer, layer: Any, half: Any, first: int, inputs: Ids, outputs: Ids) -> None:
    """LSTM and GRU: kernel, recurrent kernel and bias, all gates beside each other."""
    if type(half) not in (LAYERS.LSTM, LAYERS.GRU) or half.return_state:
        raise InputError(
            f"layer {layer.name}: its {type(half).__name__} cannot be followed; only LSTM and GRU "
            "that return no state can."
        )
    kernel, _, *bias = half.get_weights()
    gates = np.tile(outputs, kernel.shape[1] // len(outputs))
    tracer.axis(layer, first, 0, Role.READS, inputs)
    tracer.axis(layer, first, 1, Role.MAKES, gates)
    tracer.axis(layer, first + 1, 0, Role.READS, outputs)
    tracer.axis(layer, first + 1, 1, Role.MAKES, gates)
    if bias:
        tracer.axis(layer, first + 2, bias[0].ndim - 1, Role.MAKES, gates)


def _attention(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    """Gives back a mean of its inputs; the hidden units of its score are channels of their own."""
    hidden = tracer.new(layer.name, layer.units)
    tracer.size(layer, "units", hidden)
    for weight in (0, 1):
        tracer.axis(layer, weight, 0, Role.READS, inputs[0])
        tracer.axis(layer, weight, 1, Role.MAKES, hidden)
    tracer.axis(layer, 2, 0, Role.MAKES, hidden)
    tracer.axis(layer, 3, 0, Role.READS, hidden)
    return inputs[0]


def _edge_correction(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    corrected, read = inputs
    for weight in (0, 1):
        tracer.axis(layer, weight, 0, Role.READS, read)
        tracer.axis(layer, weight, 2, Role.MAKES, corrected)
    return corrected


def _normalized(tracer: _Tracer, layer: Any, inputs: Sequence[Ids]) -> Ids:
    axes = [layer.axis] if isinstance(layer.axis, int) else list(layer.axis)
    if axes not in ([-1], [len(layer.input_shape) - 1]):
        raise InputError(f"layer {layer.name}: it normalizes axis {axes}, not the channels.")
    for weight in range(len(layer.get_weights())):
        tracer.axis(layer, weight, 0, Role.FOLLOWS, inputs[0])
    if isinstance(layer, LAYERS.LayerNormalization):
        tracer.fix(inputs[0], f"{layer.name} normalizes over all of it")
    return inputs[0]


RULES: Mapping[type, Rule] = {
    LAYERS.Conv1D: _linear("filters"),
    LAYERS.Dense: _linear("units"),
    LAYERS.SeparableConv1D: _separable,
    LAYERS.DepthwiseConv1D: _depthwise,
    LAYERS.LSTM: _recurrent,
    LAYERS.GRU: _recurrent,
    LAYERS.Bidirectional: _bidirectional,
    AdditiveSelfAttention: _attention,
    BandedSelfAttention: _attention,
    EdgeCorrection1D: _edge_correction,
    LAYERS.BatchNormalization: _normalized,
    LAYERS.LayerNormalization: _normalized,
    LAYERS.Concatenate: _concatenated,
    LAYERS.Reshape: _reshaped,
    **dict.fromkeys(
        (
            LAYERS.Add,
            LAYERS.Subtract,
            LAYERS.Multiply,
            LAYERS.Average,
            LAYERS.Maximum,
            LAYERS.Minimum,
        ),
        _tied,
    ),
    **dict.fromkeys(
        (
            LAYERS.Activation,
            LAYERS.ReLU,
            LAYERS.LeakyReLU,
            LAYERS.ELU,
            LAYERS.MaxPooling1D,
            LAYERS.AveragePooling1D,
            LAYERS.UpSampling1D,
            LAYERS.Cropping1D,
            LAYERS.ZeroPadding1D,
            LAYERS.Dropout,
            LAYERS.SpatialDropout1D,
            LAYERS.GaussianNoise,
        ),
        _handed_on,
    ),
}
"""What each type of layer does to channels. Subclasses are not taken for what they derive from."""
