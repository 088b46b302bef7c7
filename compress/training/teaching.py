"""Keras models as teachers."""

from __future__ import annotations

from baseline.keras import keras
from compress.data.targets import Target
from compress.data.teachers import Teacher, ensemble
from compress.training.twin import quick_twin
from export.runtimes import KerasRunner


def quick_runner(model: keras.Model) -> KerasRunner:
    """A runner of a Keras model's quick twin."""
    return KerasRunner(quick_twin(model))


def own_answers(model: keras.Model, shifts: int) -> Target:
    """What asks a model alone, hearing records as they are; see `compress.data.teachers`."""
    return ensemble([Teacher()], lambda _: quick_runner(model), shifts)
