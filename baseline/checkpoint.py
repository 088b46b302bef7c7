"""Keras models on disk, as `.keras` files, without executing what a file may carry."""

from __future__ import annotations

import zipfile
from pathlib import Path

# Importing the layers registers them with Keras, which looks them up by name when it loads.
import baseline.layers  # noqa: F401
from baseline.errors import InputError
from baseline.keras import keras


def save_keras(model: keras.Model, path: Path) -> None:
    """Write `model` as a `.keras` file."""
    model.save(path, save_format="keras")


def load_keras(path: Path) -> keras.Model:
    """The model in a `.keras` file; layers that would execute code from the file are refused.

    Raises:
        InputError: no such file, not a whole `.keras` file, or a layer that is not allowed.
    """
    if not path.is_file():
        raise InputError(f"{path}: there is no such file.")
    if not zipfile.is_zipfile(path):
        raise InputError(f"{path}: not a whole `.keras` file (it is no zip archive).")
    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except (ValueError, TypeError, KeyError, OSError, RuntimeError, zipfile.BadZipFile) as error:
        reason = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: cannot be loaded as a Keras 2 model: {reason}") from None
