"""A batch normalization as what it is once trained: a scale and a shift of each channel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baseline.keras import keras


def scale_and_shift(
    norm: keras.layers.BatchNormalization,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What a batch normalization multiplies each channel by, and what it adds then.

    y = gamma (x - mean) / sqrt(variance + epsilon) + beta.
    """
    mean = norm.moving_mean.numpy()
    gamma = norm.gamma.numpy() if norm.scale else np.ones_like(mean)
    beta = norm.beta.numpy() if norm.center else np.zeros_like(mean)
    scale = gamma / np.sqrt(norm.moving_variance.numpy() + norm.epsilon)
    return scale, beta - mean * scale
