"""Models with a share of the channels of every layer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from baseline.keras import keras
from compress.graphs.channels import Channels, trace, without
from compress.graphs.edit import is_output


def narrowed(
    model: keras.Model, channels: Channels, scores: NDArray[np.float64], width: float
) -> keras.Model:
    """The model with `width` of the channels of every dimension, those with the highest scores.

    Their number is rounded, and at least one. They keep their weights.

    Args:
        model: as it is; it is left so.
        channels: its channels (see `scalable_channels`); fixed dimensions stay whole.
        scores: by group, shape (groups,).
        width: share of the channels, 0 to 1.
    """
    removed = []
    for dimension in channels.dimensions:
        if not dimension.fixed:
            groups = np.array(dimension.groups)
            kept = max(round(width * len(groups)), 1)
            removed += groups[scores[groups].argsort()[: len(groups) - kept]].tolist()
    return without(model, channels, removed)


def scalable_channels(model: keras.Model) -> Channels:
    """The channels of a model, of which those that a layer normalization averages over may go too.

    Without some of them the normalization gives others other values, which pruning has to avoid;
    here the whole model is fine-tuned to its new widths.

    Raises:
        InputError: a layer that channels cannot be followed through.
    """
    channels = trace(model)
    normalized = {
        group
        for axis in channels.axes
        if isinstance(model.get_layer(axis.layer), keras.layers.LayerNormalization)
        for group in axis.groups.tolist()
    }
    ends = {
        group
        for layer in model.layers
        if isinstance(layer, keras.layers.InputLayer) or is_output(model, layer)
        for group in channels.outputs[layer.name].tolist()
    }
    free = normalized - ends
    dimensions = tuple(
        replace(dimension, fixed="")
        if len(dimension.groups) > 1 and free.issuperset(dimension.groups)
        else dimension
        for dimension in channels.dimensions
    )
    return replace(channels, dimensions=dimensions)
