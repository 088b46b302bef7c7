"""Keras models on disk, as `.keras` files, without executing what a file may carry."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

# Importing the layers registers them with Keras, which looks them up by name when it loads.
import baseline.layers  # noqa: F401
from baseline.errors import InputError, pass_interrupt
from baseline.files import whole_file
from baseline.keras import keras, tf
from baseline.untrusted import bounded_weights, require_harmless_keras


def save_keras(model: keras.Model, path: Path) -> None:
    """Write `model` as a `.keras` file, whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    with whole_file(path) as fresh:
        model.save(fresh, save_format="keras")


def weights_hash(model: keras.Model) -> str:
    """SHA-256 of a model's weights: of the kind, shape and numbers of each, in order.

    Unlike that of a file it says nothing of when and how they were stored.
    """
    digest = hashlib.sha256()
    for weight in model.get_weights():
        digest.update(f"{weight.dtype.str} {weight.shape} ".encode())
        digest.update(np.ascontiguousarray(weight).tobytes())
    return digest.hexdigest()


def load_keras(path: Path) -> keras.Model:
    """The model in a `.keras` file; layers that would execute code from the file are refused.

    Raises:
        InputError: no such file, not a whole `.keras` file, or a layer that is not allowed.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    require_harmless_keras(path)
    try:
        with bounded_weights(path):
            model = keras.models.load_model(path, compile=False, safe_mode=True)
    except InputError:
        raise
    except Exception as error:  # whatever Keras makes of a description that makes no sense
        pass_interrupt(error)
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: cannot be loaded as a Keras 2 model: {reason}") from None
    if not isinstance(model, keras.Model):
        raise InputError(f"{path}: holds a {type(model).__name__} and no model.")
    _require_finite(path, model)
    return model


def is_finite(weight: tf.Variable) -> bool:
    """Whether a weight holds finite numbers alone, as integers (masks, counters) always do."""
    return not weight.dtype.is_floating or bool(tf.reduce_all(tf.math.is_finite(weight)))


def _require_finite(path: Path, model: keras.Model) -> None:
    for weight in model.weights:
        if not is_finite(weight):
            raise InputError(f"{path}: weight {weight.name} holds numbers that are not finite.")
