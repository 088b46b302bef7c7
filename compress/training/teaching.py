"""Keras models as teachers."""

from __future__ import annotations

from baseline.keras import keras
from compress.data.targets import Target
from compress.data.teachers import Teacher, ensemble
from export.runtimes import KerasRunner


def own_answers(model: keras.Model, shifts: int) -> Target:
    """What asks a model alone, hearing records as they are; see `compress.data.teachers`."""
    return ensemble([Teacher()], lambda _: KerasRunner(model), shifts)
