"""How much a model needs each of its channels: one score per group of channels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from baseline.keras import keras, tf
from compress.graphs.channels import Axis, Channels, Dimension, Role
from compress.training.loss import cross_entropy

Scores = NDArray[np.float64]
"""By group, shape (groups,): the higher, the more it is needed."""

Batches = Iterable[tuple[NDArray[np.float32], NDArray[np.float32]]]


def taylor(model: keras.Model, channels: Channels, batches: Batches) -> Scores:
    """First-order Taylor score: the square of what the loss would change by, to first order.

    Molchanov et al. (2019), "Importance estimation for neural network pruning", CVPR. Leaving a
    group out scales everything that reads it from one to zero; the derivative of the loss by that
    scale is the sum over the reading weights of weight times gradient, which is the sum of
    activation times gradient where the group is read. Squared per batch, and averaged over batches.

    Args:
        model: what `channels` was traced from.
        channels: its channels.
        batches: windows and targets, (batch, 6000, 3) each; small ones, since contributions of
            opposite sign within a batch cancel.
    """
    read = [axis for axis in channels.axes if axis.role is Role.READS]
    variables = [model.get_layer(axis.layer).weights[axis.weight] for axis in read]

    @tf.function(reduce_retracing=True)
    def change(windows: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            loss = cross_entropy(targets, model(windows, training=False))
        total = tf.zeros(channels.number)
        for axis, variable, gradient in zip(
            read, variables, tape.gradient(loss, variables), strict=True
        ):
            others = [place for place in range(len(variable.shape)) if place != axis.axis]
            by_place = tf.reduce_sum(variable * gradient, axis=others)
            total += tf.math.unsorted_segment_sum(by_place, axis.groups, channels.number)
        return total

    squares = [np.square(change(*batch).numpy().astype(np.float64)) for batch in batches]
    return np.mean(squares, axis=0)


def l1(model: keras.Model, channels: Channels) -> Scores:
    """Mean absolute weight of the kernels that make a group, over the mean of its dimension.

    Li et al. (2017), "Pruning filters for efficient ConvNets", ICLR. Layers' weights differ in
    scale, so that groups compare within their dimension only; the division leaves it at that.
    """
    makes = [axis for axis in channels.axes if axis.role is Role.MAKES]
    return _normalised(channels, _mean_by_group(model, channels, makes, minimum_dimensions=2))


def norm_scale(model: keras.Model, channels: Channels) -> Scores:
    """Absolute scale of the batch normalizations on a group's way, over the mean of its dimension.

    Liu et al. (2017), "Learning efficient convolutional networks through network slimming", ICCV.
    Dimensions that pass none (see `without_norm`) are scored by `l1`.
    """
    scales = list(_scales(model, channels))
    normalised = _normalised(channels, _mean_by_group(model, channels, scales))
    unscaled = [group for d in without_norm(model, channels) for group in d.groups]
    normalised[unscaled] = l1(model, channels)[unscaled]
    return normalised


def without_norm(model: keras.Model, channels: Channels) -> list[Dimension]:
    """The dimensions that pass no batch normalization with a scale."""
    scaled = {group for axis in _scales(model, channels) for group in axis.groups.tolist()}
    return [d for d in channels.dimensions if not scaled.intersection(d.groups)]


def _scales(model: keras.Model, channels: Channels) -> Iterator[Axis]:
    for axis in channels.axes:
        layer = model.get_layer(axis.layer)
        if isinstance(layer, keras.layers.BatchNormalization) and layer.scale and not axis.weight:
            yield axis


def _mean_by_group(
    model: keras.Model, channels: Channels, axes: Iterable[Axis], minimum_dimensions: int = 1
) -> Scores:
    """Mean absolute value, over all weights along these axes that belong to a group."""
    total, number = np.zeros(channels.number), np.zeros(channels.number)
    for axis in axes:
        weight = model.get_layer(axis.layer).get_weights()[axis.weight]
        if weight.ndim < minimum_dimensions:
            continue
        others = tuple(place for place in range(weight.ndim) if place != axis.axis)
        np.add.at(total, axis.groups, np.abs(weight).sum(axis=others))
        np.add.at(number, axis.groups, weight.size / len(axis.groups))
    return total / np.maximum(number, 1)


def _normalised(channels: Channels, scores: Scores) -> Scores:
    normalised = scores.copy()
    for dimension in channels.dimensions:
        groups = list(dimension.groups)
        normalised[groups] /= max(scores[groups].mean(), np.finfo(float).tiny)
    return normalised
