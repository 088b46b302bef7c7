"""Which channels to remove next: what they are worth, per multiply-add or parameter they cost."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from compress.graphs.channels import Channels, Dimension
from compress.pruning.budget import Budget

NEVER_FREE = 1e-6
"""What a whole layer costs at least, in shares of the largest rise: channels that are always zero
cost nothing when measured, and of these the ones that save most should go first."""


def prices(
    dimension: Dimension,
    scores: NDArray[np.float64],
    rises: Mapping[float, float],
    channels_at_first: int,
    largest_rise: float,
) -> NDArray[np.float64]:
    """What each next channel of a dimension costs in loss, in the order of removal.

    The rise of the loss between two rates that were measured is shared out over the channels
    between them by their importance. A whole layer, which nobody can measure, is taken to cost what
    the dearest layer did: published decoders have many channels that are always zero, and what is
    left of them beyond the highest rate is all they work with.

    Args:
        dimension: as it is now.
        scores: importance of all groups.
        rises: rise of the loss by share of the dimension, as it was when that was measured.
        channels_at_first: how many channels the dimension had then.
        largest_rise: over all dimensions.

    Returns:
        One price per channel, least important first.
    """
    rates = [0.0, *sorted(rises)]
    # Rises that fall with the rate are noise.
    measured = np.maximum.accumulate([0.0, *(rises[rate] for rate in rates[1:])])
    rates.append(1.0)
    measured = np.append(measured, max(largest_rise, measured[-1]))
    measured = measured + NEVER_FREE * largest_rise * np.array(rates)

    own = np.sort(scores[list(dimension.groups)])
    removed = channels_at_first - len(own)
    ends = (removed + 1 + np.arange(len(own))) / channels_at_first
    segment = np.clip(np.searchsorted(rates, ends - 1e-9) - 1, 0, len(rates) - 2)
    found = np.empty(len(own))
    for index in np.unique(segment):
        inside = segment == index
        per_channel = (
            (measured[index + 1] - measured[index])
            / (rates[index + 1] - rates[index])
            / channels_at_first
        )
        weight = own[inside] + np.finfo(float).tiny
        found[inside] = per_channel * weight / weight.mean()
    return found


def choose(
    channels: Channels,
    budget: Budget,
    price_lists: Mapping[str, NDArray[np.float64]],
    scores: NDArray[np.float64],
    floors: Mapping[str, int],
    goal: float,
    multiple_of: int,
) -> list[int]:
    """Groups to remove, greedily: what costs least per multiply-add (or parameter) it saves.

    Args:
        channels: of the model.
        budget: of the model.
        price_lists: by dimension, what each next channel costs, least important first.
        scores: importance of all groups.
        floors: by dimension, how many channels have to be left.
        goal: the cost that is to be reached.
        multiple_of: channels are removed down to multiples of this.

    Returns:
        The groups; where all floors are reached first, the goal is not.
    """
    order = {
        d.name: sorted(d.groups, key=lambda group: scores[group])
        for d in channels.dimensions
        if not d.fixed
    }
    kept = np.ones(channels.number, dtype=bool)
    taken = dict.fromkeys(order, 0)
    while budget.total(kept) > goal:
        savings = budget.savings(kept)
        best, best_worth = None, np.inf
        for name, groups in order.items():
            block = _block(len(groups) - taken[name], floors[name], multiple_of)
            if not block:
                continue
            place = slice(taken[name], taken[name] + block)
            worth = price_lists[name][place].sum() / max(savings[groups[place]].sum(), 1e-9)
            if worth < best_worth:
                best, best_worth = (name, place), worth
        if best is None:
            break
        name, place = best
        kept[order[name][place]] = False
        taken[name] = place.stop
    return [group for name, groups in order.items() for group in groups[: taken[name]]]


def _block(left: int, floor: int, multiple_of: int) -> int:
    """How many channels go at once, so that a multiple is left; 0 where that is below the floor."""
    block = left % multiple_of or multiple_of
    return block if left - block >= floor else 0
