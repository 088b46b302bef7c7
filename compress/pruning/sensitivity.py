"""How much pruning one dimension alone moves a model's answers: what schedules go by."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from baseline.errors import InputError
from baseline.keras import keras
from compress.graphs.channels import Channels, Dimension, silenced_weights
from compress.pruning.importance import Scores
from compress.training.loss import cross_entropy
from compress.training.twin import twin_of
from export.runtimes import KerasRunner


@dataclass(frozen=True)
class Pruned:
    """One dimension without its least important channels, all others as they are.

    Attributes:
        dimension: which.
        removed: the groups that nothing reads.
    """

    dimension: Dimension
    removed: tuple[int, ...]

    @property
    def rate(self) -> float:
        """The share of the dimension that is removed."""
        return len(self.removed) / len(self.dimension.groups)


def each_alone(
    twin: keras.Model,
    model: keras.Model,
    channels: Channels,
    scores: Scores,
    rates: Sequence[float],
) -> Iterator[Pruned]:
    """Silence each dimension alone, in `twin`, at each rate: least important channels first.

    One model takes all the weights, so that its graph is built once.

    Args:
        twin: a model with the layers of `model`, whose weights are changed and put back.
        model: the model as it is.
        channels: its channels.
        scores: of its groups.
        rates: shares of a dimension to remove; one channel goes and one stays at least.
    """
    for dimension in channels.dimensions:
        if dimension.fixed:
            continue
        order = sorted(dimension.groups, key=lambda group: scores[group])
        for rate in rates:
            number = min(max(round(rate * len(order)), 1), len(order) - 1)
            removed = tuple(order[:number])
            changed = silenced_weights(model, channels, removed)
            for name, weights in changed.items():
                twin.get_layer(name).set_weights(weights)
            yield Pruned(dimension, removed)
            for name in changed:
                twin.get_layer(name).set_weights(model.get_layer(name).get_weights())


Losses = dict[str, dict[float, float]]
"""By dimension, then by the share of it that was removed: how far the loss rises."""


def loss_rises(
    model: keras.Model,
    channels: Channels,
    scores: Scores,
    rates: Sequence[float],
    windows: NDArray[np.float32],
    progress: Progress,
) -> Losses:
    """How far each dimension alone moves the model's answers: cross-entropy to its own, unpruned.

    Args:
        model: the model.
        channels: its channels.
        scores: of its groups.
        rates: shares of a dimension to remove.
        windows: normalised, (n, 6000, 3).
        progress: where it is shown.
    """
    twin = twin_of(model)
    runner = KerasRunner(twin)
    own = runner(windows)
    rises: Losses = {}
    prunable = sum(not dimension.fixed for dimension in channels.dimensions)
    task = progress.add_task("sensitivity", total=prunable * len(rates))
    for pruned in each_alone(twin, model, channels, scores, rates):
        rise = divergence(own, runner(windows))
        rises.setdefault(pruned.dimension.name, {})[pruned.rate] = rise
        progress.update(task, advance=1)
    progress.update(task, completed=prunable * len(rates))
    return rises


def divergence(own: NDArray[np.float32], moved: NDArray[np.float32]) -> float:
    """How far the training loss rises where the answers move: a Kullback-Leibler divergence."""
    return float(cross_entropy(own, moved) - cross_entropy(own, own))


def read_losses(path: Path, channels: Channels) -> Losses:
    """The rises of the loss that `compress sensitivity --json` wrote, for this model's dimensions.

    Raises:
        InputError: not such a file, or it does not have a dimension of the model.
    """
    hint = "Give the file that `compress sensitivity MODEL --json FILE` wrote of this very model."
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        losses = {
            d["name"]: {rate["rate"]: rate["loss_rise"] for rate in d["rates"]}
            for d in document["dimensions"]
        }
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path}: is no sensitivity ({error!r}).", hint) from None
    missing = [d.name for d in channels.dimensions if not d.fixed and d.name not in losses]
    if missing:
        raise InputError(f"{path}: says nothing of {', '.join(missing[:3])}.", hint)
    return losses
