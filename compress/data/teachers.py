"""Who teaches: one model or several, each hearing the record as it likes best."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Annotated

import numpy as np
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from baseline.contract import SAMPLING_RATE_HZ
from baseline.published import PUBLISHED
from compress.data.band_pass import band_pass
from compress.data.targets import FloatArray, Target, consensus, sharpened
from export.runtimes import Runner

OWN_MODELS = ("baseline", "previous")
"""Names of models that a pipeline has itself."""

Weight = Annotated[float, Field(ge=0, le=1000)]
FrequencyHz = Annotated[float, Field(gt=0, lt=SAMPLING_RATE_HZ / 2)]


class Teacher(BaseModel):
    """One model that teaches, alone or among others."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(
        default="baseline",
        description="baseline: the model the pipeline started from; previous: the one the stage "
        "before left; the label of an earlier stage, such as 3-prune; a published model; or the "
        "path of a .h5, .keras, .tflite or .onnx file or a bundle, relative to this file's folder "
        "or to where the command runs.",
    )
    weights: tuple[Weight, Weight, Weight] = Field(
        default=(1.0, 1.0, 1.0),
        description="How much its detection, P and S count among the teachers.",
    )
    band_pass_hz: tuple[FrequencyHz, FrequencyHz] | None = Field(
        default=None,
        description="The band in which it hears the records, such as [1, 45], in which the "
        "original predictor does; null for records as they are.",
    )

    @model_validator(mode="before")
    @classmethod
    def _by_name_alone(cls, value: object) -> object:
        return {"model": value} if isinstance(value, str) else value

    @field_validator("model")
    @classmethod
    def _beside_the_file(cls, model: str, info: ValidationInfo) -> str:
        folder = (info.context or {}).get("folder")
        if folder is None or model in (*OWN_MODELS, *PUBLISHED):
            return model
        beside = Path(folder) / model
        # As seen from here: what is made of it is told in bundles, which tell no folders.
        return os.path.relpath(beside) if beside.exists() else model

    @model_validator(mode="after")
    def _rising(self) -> Teacher:
        if self.band_pass_hz and self.band_pass_hz[0] >= self.band_pass_hz[1]:
            raise ValueError("band_pass_hz: the lower frequency comes first")
        return self


def ensemble(
    teachers: Sequence[Teacher], find: Callable[[str], Runner], shifts: int, sharpen: bool = False
) -> Target:
    """What asks the teachers about waveforms: their mean, each over shifts of its window.

    Several threads may ask; each has to wait for the other, since runners take one call at a time.

    Args:
        teachers: who is asked, and how much each counts.
        find: a runner of the model that a teacher names; called when it is first asked.
        shifts: see `consensus`; all teachers hear the same windows.
        sharpen: see `compress.data.targets.sharpened`.
    """
    runner = cache(find)
    weights = np.array([teacher.weights for teacher in teachers])
    weights = weights / weights.sum(axis=0)
    one_at_a_time = Lock()

    def ask(waveforms: Sequence[FloatArray], random: np.random.Generator) -> list[FloatArray]:
        chance = int(random.integers(2**62))
        totals = [np.zeros_like(waveform) for waveform in waveforms]
        for teacher, weight in zip(teachers, weights, strict=True):
            heard = [band_pass(w, teacher.band_pass_hz) for w in waveforms]
            with one_at_a_time:
                answers = consensus(
                    runner(teacher.model), heard, shifts, np.random.default_rng(chance)
                )
            for total, answer in zip(totals, answers, strict=True):
                total += (weight * answer).astype(np.float32)
        return [sharpened(total) for total in totals] if sharpen else totals

    return ask
