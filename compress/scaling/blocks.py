"""Which blocks a model is made of, what it loses without one, and models without some of them.

A block is what its layers' names say: `residual_3` are all layers from `residual_3a_norm` to
`residual_3_add`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from baseline.keras import keras, tf
from compress.graphs.edit import Change, children, copy, is_output, parents, rebuild
from compress.training.loss import cross_entropy

Kind = Literal["residual", "recurrent"]

Batches = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]
"""Windows and targets, (batch, 6000, 3) each."""


@dataclass(frozen=True)
class Block:
    """Layers that stand in the graph as one.

    Attributes:
        name: such as `residual_3`.
        layers: names of its layers, in the model's order; the last is the one that others read.
        stays: why it cannot be taken out, or empty.
    """

    name: str
    layers: tuple[str, ...]
    stays: str


@dataclass(frozen=True)
class Removal:
    """One block that was taken out.

    Attributes:
        block: the block.
        before: loss against the targets with it.
        after: loss without it.
    """

    block: Block
    before: float
    after: float


def find_blocks(model: keras.Model, kind: Kind) -> list[Block]:
    """The blocks of one kind, in the model's order."""
    names: dict[str, list[str]] = {}
    for layer in model.layers:
        if match := re.match(rf"{kind}_\d+", layer.name):
            names.setdefault(match[0], []).append(layer.name)
    return [Block(name, tuple(own), _why_it_stays(model, own)) for name, own in names.items()]


def without_blocks(model: keras.Model, blocks: Iterable[Block]) -> keras.Model:
    """The model in which these blocks hand on what they get, all other weights kept."""
    names = [name for block in blocks for name in block.layers]
    return rebuild(model, dict.fromkeys(names, _hand_on))


def remove_least_needed(
    model: keras.Model, kind: Kind, number: int, batches: Batches, progress: Progress
) -> tuple[keras.Model, list[Removal]]:
    """Take out blocks one after the other, each time the one whose absence costs least.

    The cost is the rise of the training loss against the targets. It is measured anew for each
    removal: the blocks that are left take over what went.

    Args:
        model: as it is; it is left so.
        kind: of the blocks.
        number: how many go; at least as many must be free to go.
        batches: on which the loss is measured.
        progress: where it is shown.
    """
    left = [block for block in find_blocks(model, kind) if not block.stays]
    # One model with switches: to build one for each candidate would take far longer than to ask it.
    probe = _with_switches(model, left)

    @tf.function
    def loss_of_batch(windows: Any, targets: Any) -> Any:
        return cross_entropy(targets, probe(windows, training=False))

    def mean_loss() -> float:
        return float(np.mean([loss_of_batch(*batch).numpy() for batch in batches]))

    def without(block: Block) -> float:
        switch = probe.get_layer(_switch_name(block))
        switch.on.assign(False)
        loss = mean_loss()
        switch.on.assign(True)
        return loss

    removals: list[Removal] = []
    loss = mean_loss()
    for turn in range(1, number + 1):
        what = f"measure the model without each {kind} block ({turn} of {number})"
        losses = [without(block) for block in progress.track(left, description=what)]
        least = int(np.argmin(losses))
        removals.append(Removal(left[least], loss, losses[least]))
        probe.get_layer(_switch_name(left.pop(least))).on.assign(False)
        loss = losses[least]
    return without_blocks(model, [removal.block for removal in removals]), removals


class _Switch(keras.layers.Layer):
    """The second of its inputs while it is on, otherwise the first: (batch, steps, channels)."""

    def build(self, input_shape: Any) -> None:
        """Create the switch, on."""
        self.on = tf.Variable(True, trainable=False)
        super().build(input_shape)

    def call(self, inputs: Any) -> Any:
        """Choose."""
        before, after = inputs
        return tf.where(self.on, after, before)


def _with_switches(model: keras.Model, blocks: Iterable[Block]) -> keras.Model:
    """The model in which each of these blocks can be bypassed."""
    entered: dict[str, Any] = {}
    changes: dict[str, Change] = {}
    for block in blocks:

        def enter(layer: keras.layers.Layer, inputs: Any, name: str = block.name) -> Any:
            entered[name] = inputs
            return copy(layer, inputs)

        def leave(layer: keras.layers.Layer, inputs: Any, block: Block = block) -> Any:
            before = entered.get(block.name, inputs)  # a block of one layer is entered here
            return _Switch(name=_switch_name(block))([before, copy(layer, inputs)])

        changes |= {block.layers[0]: enter, block.layers[-1]: leave}
    return rebuild(model, changes)


def _switch_name(block: Block) -> str:
    return f"{block.name}_switch"


def _hand_on(layer: keras.layers.Layer, inputs: Any) -> Any:
    """Where all layers of a block hand on, a sum of its branches gets the block's input twice."""
    del layer
    return inputs[0] if isinstance(inputs, list) else inputs


def _why_it_stays(model: keras.Model, names: Sequence[str]) -> str:
    followers = children(model)
    layers = [model.get_layer(name) for name in names]
    entering = {p.name: p for layer in layers for p in parents(layer) if p.name not in names}
    leaving = [
        layer
        for layer in layers
        if is_output(model, layer) or any(f.name not in names for f in followers[layer.name])
    ]
    if len(entering) != 1 or leaving != layers[-1:]:
        return "other layers reach into it"
    before, after = next(iter(entering.values())).output_shape, leaving[0].output_shape
    if isinstance(before, list):  # of an InputLayer
        (before,) = before
    if before != after:
        return f"it turns {_spelled(before)} into {_spelled(after)}"
    return ""


def _spelled(shape: tuple[int | None, ...]) -> str:
    return f"{shape[1]} steps of {shape[2]} channels"
