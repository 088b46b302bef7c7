"""What a stage asks its teachers: the models of the run and others, about training records."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from baseline.checkpoint import weights_hash
from baseline.keras import keras, tf
from compress.data.targets import FILE_FORMAT, Target, write_targets
from compress.data.teachers import Teacher, ensemble
from compress.models import find, open_model
from compress.store import content_key, file_hash
from export.runtimes import KerasRunner, Runner, load_parallel_runner, load_runner

if TYPE_CHECKING:
    from compress.stages.base import Context


def own_answers(model: keras.Model, shifts: int) -> Target:
    """What asks a model alone, hearing records as they are; see `compress.data.teachers`."""
    return ensemble([Teacher()], lambda _: KerasRunner(model), shifts)


@dataclass(frozen=True)
class Lesson:
    """Teachers, and how they are asked about the training records of a stage.

    Attributes:
        context: that of the stage.
        previous: the model that the stage is applied to.
        teachers: who is asked.
        shifts: places of the window that are averaged.
        sharpen: see `compress.data.targets.sharpened`.
    """

    context: Context
    previous: keras.Model
    teachers: tuple[Teacher, ...] = (Teacher(),)
    shifts: int = 2
    sharpen: bool = False

    def ask(self) -> Target:
        """What asks them about waveforms.

        Raises:
            InputError: when it first asks one that is nowhere to be found.
        """
        return ensemble(self.teachers, self._runner, self.shifts, self.sharpen)

    def write(self, records: int, *, asked: bool = True) -> Path:
        """The file of up to so many training records with their answers, made if it is not there.

        Args:
            records: how many.
            asked: False to keep the records alone, for teachers that are asked later.
        """
        context = self.context
        key = content_key(
            FILE_FORMAT,
            [teacher.model_dump() for teacher in self.teachers],
            [self._identity(teacher.model) for teacher in self.teachers],
            [self.shifts, self.sharpen, asked, records],
            [context.seed, context.train.fingerprint()],
        )
        path = (context.targets or context.scratch) / f"targets-{key[:12]}.h5"
        context.workers.from_first(
            lambda: write_targets(
                path,
                self.ask() if asked else None,
                context.train,
                number=records,
                seed=context.seed,
                progress=context.progress,
            )
        )
        return path

    @property
    def _own(self) -> Mapping[str, keras.Model]:
        return {"baseline": self.context.baseline, "previous": self.previous}

    def _identity(self, name: str) -> str:
        """What changes whenever the model that a teacher names does."""
        if name in self._own:
            return weights_hash(self._own[name])
        if name in self.context.earlier:
            return self.context.earlier[name].key
        return file_hash(find(name).path)

    def _runner(self, name: str) -> Runner:
        """The model that a teacher names.

        Of what is on disk the TFLite file answers, several windows at once: on a processor in half
        the time that Keras takes for it or less.
        """
        stored = self.context.earlier.get(name)
        if stored and not tf.config.get_visible_devices("GPU"):
            return load_parallel_runner(stored.tflite)
        if name in self._own:
            return KerasRunner(self._own[name])
        return load_runner(stored.keras) if stored else open_model(name, parallel=True)[1]
