"""Probabilities that mean what they say: a trained student's logits, scaled and shifted.

Platt's (1999, "Probabilistic outputs for support vector machines") scaling of each output, p' =
sigmoid(scale * logit(p) + offset), with the two numbers that minimise the cross-entropy; with the
offset zero it is the temperature scaling of Guo et al. (2017, "On calibration of modern neural
networks", ICML). It is monotone: the order of all probabilities of an output stays, and with it
every curve, the highest peaks and what a threshold can reach; only the numbers change.

A student's logits come from a convolution, which is linear in its weights, so scale and offset
vanish in them: the calibrated student has the graph and the cost of the uncalibrated one.

What is calibrated is each sample's probability against its target, for that is what a network
learns. What becomes of the claims that a user reads, one per window, is measured by
`compress.evaluation.reliability`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.optimize import minimize
from scipy.special import expit

from baseline.contract import OUTPUTS, PREDICTION_SHAPE
from baseline.errors import InputError
from baseline.keras import keras
from compress.graphs.edit import children, parents
from export.runtimes import KerasRunner

LOWEST, HIGHEST = 1e-30, 1.0 - 2.0**-24
"""Probabilities are held between these; float32 knows none between the latter and 1."""

LOGIT_BINS = 2**16
"""Bins that logits are counted in, over their range: narrower than 0.0014 each."""

GRADIENT_TOLERANCE = 1e-8
LARGEST_STEP = 2.0
"""Of the fit, in log(scale) and offset: a factor of 7 in scale."""

MAKES_LOGITS = (keras.layers.Conv1D, keras.layers.SeparableConv1D, keras.layers.Dense)
LINEAR = keras.activations.linear
SIGMOID = keras.activations.sigmoid

_Ends = list[tuple[keras.layers.Layer, NDArray[np.intp]]]
"""Layers that make logits, each with the output that each of its channels belongs to."""


def calibrate(
    model: keras.Model, windows: NDArray[np.float32], targets: NDArray[np.floating]
) -> dict[str, dict[str, float]]:
    """Calibrate a student in place against targets of windows that it should not have learned.

    Args:
        model: a student.
        windows: normalised, shape (n, 6000, 3).
        targets: probabilities, or 0 and 1, shape (n, 6000, 3).

    Returns:
        By output: `scale`, `offset`, and the mean cross-entropy per sample, in nats, of the model
        as it was (`cross_entropy_before`) and as it is now (`cross_entropy_after`).

    Raises:
        InputError: the model's end cannot be calibrated, an output is not finite, or the targets
            of one are all 0 or all 1. The model is then as it was.
    """
    _logit_layers(model)
    runner = KerasRunner(model)
    probabilities = runner(windows)
    scale, offset = fit_logit_scaling(probabilities, targets)
    before = cross_entropy(probabilities, targets)
    fold_logit_scaling(model, scale, offset)
    after = cross_entropy(runner(windows), targets)
    return {
        output: {
            "scale": float(scale[index]),
            "offset": float(offset[index]),
            "cross_entropy_before": float(before[index]),
            "cross_entropy_after": float(after[index]),
        }
        for index, output in enumerate(OUTPUTS)
    }


def fit_logit_scaling(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.floating],
    weights: NDArray[np.floating] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Scale and offset of the logits that minimise the cross-entropy, output by output.

    The cross-entropy of a soft target t at the logit x is log(1 + e^x) - t x. In its sum the
    targets appear only in two totals, and the rest depends on how often each logit occurs, so
    logits are counted in 65,536 bins and stand at the mean of their bin. No sample is left out, and
    the fit takes no longer however many there are. The error is at most (scale * width of a bin)^2
    / 32 of a nat per sample, 1e-7 at the widest.

    Args:
        probabilities: of a model, shape (n, samples, 3).
        targets: between 0 and 1, of the same shape.
        weights: of each window, shape (n,), where the windows are not mixed as those that the model
            will meet; None weighs all alike.

    Returns:
        Scales, all greater than 0, and offsets, shape (3,) each, in the order of the outputs.

    Raises:
        InputError: a probability is not finite, or the targets of an output are all 0 or all 1.
        ValueError: shapes do not fit.
    """
    _require_pairs(probabilities, targets)
    if weights is None:
        weights = np.ones(len(probabilities))
    if weights.shape != (len(probabilities),):
        raise ValueError(f"{len(probabilities)} windows need one weight each, not {weights.shape}")
    of_sample = np.repeat(weights.astype(np.float64), probabilities.shape[1])
    fits = [
        fit_output(probabilities[:, :, index], targets[:, :, index], of_sample, output)
        for index, output in enumerate(OUTPUTS)
    ]
    scale, offset = np.array(fits).T
    return scale, offset


def fit_output(
    probabilities: NDArray[np.floating],
    targets: NDArray[np.floating] | NDArray[np.bool_],
    weights: NDArray[np.float64],
    output: str,
) -> tuple[float, float]:
    """Scale and offset of one output's logits; see `fit_logit_scaling`.

    Args:
        probabilities: n of them, in any shape.
        targets: of each.
        weights: of each, shape (n,).
        output: its name, for errors.

    Raises:
        InputError: the targets are all 0 or all 1.
    """
    target = targets.ravel().astype(np.float64)
    mass = float(weights @ target)
    if not 0.0 < mass < weights.sum():
        raise InputError(
            f"The targets of {output} are all {'1' if mass else '0'} in what there is to calibrate "
            "on.",
            "Calibrate on windows with and without earthquakes.",
        )
    return _fit(_logits(probabilities).ravel(), target, weights, mass)


def _fit(
    logits: NDArray[np.float64],
    targets: NDArray[np.float64],
    weights: NDArray[np.float64],
    mass: float,
) -> tuple[float, float]:
    """Scale and offset of one output; `mass` is the weighted sum of the targets.

    The cross-entropy is convex in both. Searched is over log(scale), which keeps the scale
    positive, from the identity on and never uphill.
    """
    lowest, spread = logits.min(), np.ptp(logits)
    bins = ((logits - lowest) * ((LOGIT_BINS - 1) / (spread or 1.0))).astype(np.intp)
    number = np.bincount(bins, weights)
    filled = number > 0.0
    number = number[filled]
    z = np.bincount(bins, weights * logits)[filled] / number
    target_logits = float((weights * targets) @ logits)

    def loss(x: NDArray[np.float64]) -> float:
        scale, offset = np.exp(x[0]), x[1]
        softplus = number @ np.logaddexp(0.0, scale * z + offset)
        return float((softplus - scale * target_logits - offset * mass) / mass)

    def gradient(x: NDArray[np.float64]) -> NDArray[np.float64]:
        scale = np.exp(x[0])
        p = number * expit(scale * z + x[1])
        return np.array([scale * (p @ z - target_logits), p.sum() - mass]) / mass

    def hessian(x: NDArray[np.float64]) -> NDArray[np.float64]:
        scale = np.exp(x[0])
        p = expit(scale * z + x[1])
        q = number * p * (1.0 - p)
        by_scale = scale**2 * (q @ z**2) + scale * ((number * p) @ z - target_logits)
        both = scale * (q @ z)
        return np.array([[by_scale, both], [both, q.sum()]]) / mass

    found = minimize(
        loss,
        np.zeros(2),
        jac=gradient,
        hess=hessian,
        method="trust-exact",
        options={"gtol": GRADIENT_TOLERANCE, "max_trust_radius": LARGEST_STEP},
    )
    return float(np.exp(found.x[0])), float(found.x[1])


def cross_entropy(
    probabilities: NDArray[np.floating], targets: NDArray[np.floating]
) -> NDArray[np.float64]:
    """Mean cross-entropy per sample in nats, by output; (n, samples, 3) each in, (3,) out.

    Raises:
        InputError: a probability is not finite.
        ValueError: shapes do not fit.
    """
    _require_pairs(probabilities, targets)
    logits = _logits(probabilities)
    return (np.logaddexp(0.0, logits) - targets * logits).mean(axis=(0, 1))


def _require_pairs(probabilities: NDArray[np.floating], targets: NDArray[np.floating]) -> None:
    if probabilities.shape != targets.shape or probabilities.shape[2:] != PREDICTION_SHAPE[1:]:
        raise ValueError(f"{probabilities.shape} probabilities, {targets.shape} targets")
    if not np.isfinite(probabilities).all():
        raise InputError(
            "The model to calibrate has outputs that are not finite.", "Its training diverged."
        )


def _logits(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    p = np.clip(probabilities.astype(np.float64), LOWEST, HIGHEST)
    return np.log(p) - np.log1p(-p)


def prior_shift(positive_weight: Sequence[float]) -> NDArray[np.float64]:
    """The offset of the logits that undoes a loss in which positive targets weigh more.

    Where an onset has the probability p, the loss -(w p log p' + (1 - p) log(1 - p')) is least
    where w p (1 - p') = (1 - p) p', that is at p' = w p / (w p + 1 - p): a network trained with it
    learns logit(p') = logit(p) + log(w). Subtracting log(w) gives p back exactly (Elkan 2001, "The
    foundations of cost-sensitive learning", IJCAI; Dal Pozzolo et al. 2015, "Calibrating
    probability with undersampling for unbalanced classification", IEEE SSCI). Soft targets stand
    for p just as well, since the loss is linear in them.

    Args:
        positive_weight: w of each output, greater than 0.

    Returns:
        Shape (3,), for `fold_logit_scaling` with a scale of 1.

    Raises:
        ValueError: a weight is not greater than 0, or there is not one for each output.
    """
    weights = np.asarray(positive_weight, dtype=np.float64)
    if weights.shape != (len(OUTPUTS),) or not (weights > 0.0).all():
        raise ValueError(f"one weight above 0 for each of {OUTPUTS}, not {positive_weight}")
    return -np.log(weights)


def fold_logit_scaling(model: keras.Model, scale: ArrayLike, offset: ArrayLike) -> None:
    """Multiply the logits of each output with its scale and add its offset, within the weights.

    Args:
        model: whose logits come from convolutions or dense layers with a bias, followed by nothing
            but reshapes that spread channels over time, a concatenation, and the sigmoid; changed
            in place.
        scale: greater than 0, shape (3,), in the order of the outputs.
        offset: shape (3,).

    Raises:
        InputError: the model ends otherwise; it is then as it was.
        ValueError: a scale is not greater than 0, or shapes do not fit.
    """
    scales, offsets = np.asarray(scale, dtype=np.float64), np.asarray(offset, dtype=np.float64)
    if scales.shape != (len(OUTPUTS),) or offsets.shape != scales.shape or not (scales > 0).all():
        raise ValueError(f"one scale above 0 and one offset per output, not {scales}, {offsets}")
    for layer, outputs in _logit_layers(model):
        # The kernel that makes the channels stands right before the bias, in a separable
        # convolution too, and has them on its last axis.
        *others, kernel, bias = layer.get_weights()
        layer.set_weights(
            [*others, kernel * scales[outputs], bias * scales[outputs] + offsets[outputs]]
        )


def _logit_layers(model: keras.Model) -> _Ends:
    """The layers that make the logits."""
    if model.output_shape[1:] != PREDICTION_SHAPE:
        raise InputError(
            f"{model.name}: returns {model.output_shape}, and only (batch, 6000, 3) can be "
            "calibrated."
        )
    takers = children(model)
    made_by = {id(layer.output): layer for layer in model.layers}

    def ends(layer: keras.layers.Layer, outputs: NDArray[np.intp], sigmoid: bool) -> _Ends:
        """The layers that make what `layer` returns, whose channels belong to `outputs`.

        `sigmoid` tells whether a layer behind this one applies it.
        """
        # A layer that the output is read from too would be scaled where it should not be.
        if len(takers[layer.name]) > 1:
            raise _uncalibratable(model, layer, "goes to several layers")
        match layer:
            case keras.layers.Concatenate():
                before = parents(layer)
                widths = [int(parent.output.shape[-1]) for parent in before]
                if sum(widths) != len(outputs):
                    raise _uncalibratable(model, layer, "does not join channels")
                parts = np.split(outputs, np.cumsum(widths)[:-1])
                return [
                    end
                    for parent, part in zip(before, parts, strict=True)
                    for end in ends(parent, part, sigmoid)
                ]
            case keras.layers.Reshape():
                width, rest = divmod(int(layer.input.shape[-1]), len(outputs))
                if rest:
                    raise _uncalibratable(model, layer, "mixes outputs in a channel")
                # Row by row: of r times the channels, each run of them is one sample.
                return ends(parents(layer)[0], np.tile(outputs, width), sigmoid)
            case keras.layers.Activation() if layer.activation is SIGMOID and not sigmoid:
                return ends(parents(layer)[0], outputs, True)
            case _ if type(layer) in MAKES_LOGITS:
                if layer.activation is not (LINEAR if sigmoid else SIGMOID):
                    raise _uncalibratable(model, layer, "applies another activation")
                if not layer.use_bias:
                    raise _uncalibratable(model, layer, "has no bias")
                return [(layer, outputs)]
        raise _uncalibratable(model, layer, f"is of the kind {type(layer).__name__}")

    return ends(made_by[id(model.output)], np.arange(len(OUTPUTS)), False)


def _uncalibratable(model: keras.Model, layer: keras.layers.Layer, why: str) -> InputError:
    return InputError(
        f"{model.name}: cannot be calibrated, since its layer {layer.name!r} {why}.",
        "Needed is a convolution or dense layer with a bias, then reshapes and a concatenation at "
        "most, and one sigmoid.",
    )
