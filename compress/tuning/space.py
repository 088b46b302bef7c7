"""What a search file may say, and how a point of its space becomes a distill stage."""

from __future__ import annotations

import difflib
import itertools
import json
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from baseline.errors import InputError
from compress.config import Pipeline, Sources, load_pipeline
from compress.data.mixture import Share
from compress.data.sources import relative_to_file
from compress.evaluation.metrics import HigherIsBetter
from compress.stages.distill import Distill
from compress.yaml_file import YamlFile, read_yaml, validate

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

NOT_SEARCHED = ("kind", "gates", "on_fail", "distributed")
"""Keys of the stage that do not change what a student becomes."""

GOLDEN = 0.381966
"""Where in a range of fractions a number is tried that is hardly a whole one."""

Number = int | float
Values = Mapping[str, Any]
"""A value by place within the stage, such as `student.width`: one point of the space."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Dimension(_Section):
    """The values that one place may take: from low to high, or one of some choices."""

    low: Number | None = Field(default=None, description="The smallest.")
    high: Number | None = Field(
        default=None,
        description="The largest. Where both are whole numbers, so are all between them.",
    )
    log: bool = Field(default=False, description="Search orders of magnitude alike.")
    step: Number | None = Field(
        default=None, gt=0, description="Take only low, low + step, ... up to high."
    )
    choices: tuple[Any, ...] | None = Field(
        default=None,
        min_length=1,
        description="Instead of a range: values, which may be lists or mappings.",
    )

    @model_validator(mode="after")
    def _range_or_choices(self) -> Self:
        if self.choices is not None:
            others = sorted(self.model_fields_set - {"choices"})
            if others:
                raise ValueError(f"give either choices or a range, not choices and {others[0]}")
            if len(set(map(as_text, self.choices))) < len(self.choices):
                raise ValueError("the same choice stands here twice")
            return self
        if self.low is None or self.high is None:
            raise ValueError("give low and high, or choices")
        if self.low >= self.high:
            raise ValueError(f"low has to be below high, not {self.low:g} and {self.high:g}")
        if self.log and self.low <= 0:
            raise ValueError(f"low has to be above 0 where log is true, not {self.low:g}")
        if self.step is not None:
            if self.log:
                raise ValueError("a step belongs to a linear range: leave out either step or log")
            # As decimals: 0.3 is three steps of 0.1, which floating point denies.
            low, high, step = (Decimal(str(n)) for n in (self.low, self.high, self.step))
            if (high - low) % step:
                raise ValueError(f"from low to high it is no whole number of steps of {step}")
        return self

    @property
    def whole(self) -> bool:
        """Whether the range is one of whole numbers."""
        return all(isinstance(n, int) for n in (self.low, self.high, self.step or 1))

    def examples(self) -> list[Any]:
        """Every choice; or the ends of the range and a number between them."""
        if self.choices is not None:
            return list(self.choices)
        assert self.low is not None and self.high is not None
        if self.step is not None:
            between: Number = self.low + self.step
        elif self.whole:
            between = self.low + 1
        else:
            between = self.low + GOLDEN * (self.high - self.low)
        return [self.low, between, self.high]

    def distribution(self) -> BaseDistribution:
        """For Optuna, which knows choices by their JSON text."""
        from optuna.distributions import (
            CategoricalDistribution,
            FloatDistribution,
            IntDistribution,
        )

        if self.choices is not None:
            return CategoricalDistribution([as_text(choice) for choice in self.choices])
        assert self.low is not None and self.high is not None
        if self.whole:
            step = 1 if self.step is None else int(self.step)
            return IntDistribution(int(self.low), int(self.high), log=self.log, step=step)
        return FloatDistribution(self.low, self.high, log=self.log, step=self.step)

    def value(self, suggested: Any) -> Any:
        """The value that a suggestion of the distribution stands for."""
        return suggested if self.choices is None else json.loads(suggested)


def as_text(choice: Any) -> str:
    """A choice as JSON, the same for the same choice."""
    return json.dumps(choice, sort_keys=True, default=str)


Weight = Annotated[float, Field(gt=0, le=1000)]


class Objective(_Section):
    """What a good student is: accurate, of few multiply-adds."""

    accuracy: dict[HigherIsBetter, Weight] = Field(
        default={
            "p_f1_0.5s": 1.0,
            "p_f1_0.1s": 1.0,
            "s_f1_0.5s": 1.0,
            "s_f1_0.1s": 1.0,
            "detection_f1": 1.0,
        },
        min_length=1,
        description="Weights of the metrics whose mean is the accuracy; those of `compress "
        "evaluate` that lie between 0 and 1. Default: the F1 of P and S at 0.5 s and 0.1 s and of "
        "detections, equally.",
    )
    bytes: bool = Field(
        default=False,
        description="Whether the bytes of the float32 TFLite file count too, as a third objective.",
    )


class TuneConfig(_Section):
    """What to search, from which pipeline on, and for how long."""

    version: Literal[1] = Field(description="Version of this file's format.")
    pipeline: Path = Field(
        description="The pipeline whose distill stage, data, seed and baseline are searched from; "
        "relative to this file."
    )
    output: Path = Field(
        description="Folder for students, results and the state of the search; relative to this "
        "file."
    )
    trials: int = Field(ge=1, le=100_000, description="Students to train, in all runs together.")
    steps: int | None = Field(
        default=None,
        ge=1,
        le=10_000_000,
        description="Training steps of each; null for those of the stage.",
    )
    sampler: Literal["tpe", "nsga2"] = Field(
        default="tpe",
        description="How settings are proposed: tpe for tens of trials, nsga2 for hundreds.",
    )
    validation: Sources | None = Field(
        default=None,
        description="Labelled records to measure accuracy on; null for the pipeline's calibration "
        "set. It must share no record with the pipeline's evaluation set.",
    )
    objective: Objective = Field(default=Objective(), description="What a good student is.")
    maximum_multiply_adds: int | None = Field(
        default=None,
        ge=1,
        description="Students of more are refused before they are trained.",
    )
    space: dict[str, Dimension] = Field(
        min_length=1,
        description="By place within the distill stage, such as student.width or learning_rate: "
        "the values that it may take.",
    )

    _resolve = field_validator("pipeline", "output")(relative_to_file)

    @field_validator("validation")
    @classmethod
    def _no_shares(cls, validation: Sources | None) -> Sources | None:
        if any(source.share != Share() for source in validation or ()):
            raise ValueError("weight and label_weight are for sources of a pipeline's train only")
        return validation

    @model_validator(mode="after")
    def _steps_once(self) -> Self:
        if self.steps is not None and "steps" in self.space:
            raise ValueError("steps: is in the space too; leave out one of both")
        return self


@dataclass(frozen=True)
class Search:
    """A search as its file declares it.

    Attributes:
        name: of the file, without its ending.
        config: what the file says.
        pipeline: what it starts from.
        folder: that of the pipeline file.
        stage: the pipeline's distill stage, with the search's steps.
    """

    name: str
    config: TuneConfig
    pipeline: Pipeline
    folder: Path
    stage: Distill

    def stages(self) -> list[Distill]:
        """The stage with every choice and every end of a range, the other places as they were."""
        return [
            stage_with(self.stage, values)
            for place in self.config.space
            for values in _examples(self.config.space, place)
        ]


def load_search(path: Path) -> Search:
    """The search that a file declares.

    Raises:
        InputError: with file, line and key of what is wrong, and what would be right.
    """
    file = read_yaml(path)
    config = validate(file, TuneConfig)
    pipeline = load_pipeline(config.pipeline)
    found = [stage for stage in pipeline.stages if isinstance(stage, Distill)]
    if len(found) != 1:
        raise InputError(
            f"{path}, line {file.line(('pipeline',))}: pipeline: {config.pipeline.name} has "
            f"{len(found)} distill stages.",
            "Name a pipeline with exactly one: that is where the search starts.",
        )
    stage = found[0]
    # Each process trains a student of its own, whatever the pipeline does.
    fixed: dict[str, Any] = {"distributed": "none"}
    if config.steps is not None:
        fixed["steps"] = config.steps
    stage = stage_with(stage, fixed)
    _check(file, config.space, stage)
    search = Search(path.stem, config, pipeline, config.pipeline.resolve().parent, stage)
    if pipeline.stages[0] is not found[0]:
        _require_no_stage_before(search)
    return search


def _require_no_stage_before(search: Search) -> None:
    for stage in search.stages():
        if any(teacher.model == "previous" for teacher in stage.teachers):
            raise InputError(
                f"{search.config.pipeline}: the student learns from the stage before the distill "
                "stage, which a search does not run.",
                "Name the baseline, a published model or the folder of that stage as its teacher.",
            )


def stage_with(stage: Distill, values: Values) -> Distill:
    """The stage with other values in some places; `student` is set before `student.width`.

    Raises:
        ValueError: no such place, or a value that does not go there; says which.
    """
    data, known = _declared(stage), stage.model_dump(mode="json")
    for place in sorted(values, key=lambda place: place.count(".")):
        if any(_inside(place, outer) for outer in values):
            stage = _valid(data)
            data, known = _declared(stage), stage.model_dump(mode="json")
        _put(data, known, place, values[place])
    return _valid(data)


def stage_text(search: Search, values: Values) -> str:
    """YAML of the student and of all that was searched, to be put into a distill stage."""
    stage = stage_with(search.stage, values)
    declared, known = _declared(stage), stage.model_dump(mode="json")
    keys = dict.fromkeys(["student", *(place.split(".")[0] for place in values)])
    return yaml.safe_dump(
        {key: declared.get(key, known[key]) for key in keys},
        sort_keys=False,
        default_flow_style=None,
        width=1000,
    )


def _declared(stage: Distill) -> dict[str, Any]:
    """Only what was said, so that defaults follow what they depend on (channels the stride)."""
    return stage.model_dump(mode="json", exclude_unset=True)


def _inside(place: str, outer: str) -> bool:
    return place.startswith(f"{outer}.")


def _valid(data: dict[str, Any]) -> Distill:
    try:
        return Distill.model_validate(data)
    except ValidationError as error:
        problem = error.errors()[0]
        message = problem["msg"].removeprefix("Value error, ")
        where = ".".join(map(str, _without_kinds(data, problem["loc"]))) or "the stage"
        raise ValueError(f"{where}: {message[:1].lower()}{message[1:]}") from None


def _without_kinds(data: Any, location: tuple[str | int, ...]) -> list[str | int]:
    """Pydantic's location without the kinds by which it chose among models."""
    place = []
    for part in location:
        if isinstance(data, dict) and part not in data and data.get("kind") == part:
            continue
        known = isinstance(data, dict) and part in data
        data = data[part] if known or isinstance(data, list) else None
        place.append(part)
    return place


def _put(data: Any, known: Any, place: str, value: Any) -> None:
    """Set a value in the data that were declared; `known` are all there are, with defaults."""
    keys: list[str | int] = [int(key) if key.isdigit() else key for key in place.split(".")]
    for depth, key in enumerate(keys):
        reached = ".".join(map(str, keys[:depth])) or "the distill stage"
        _require_key(known, key, reached)
        if depth == len(keys) - 1:
            data[key] = deepcopy(value)
            return
        known = known[key]
        if isinstance(data, dict) and key not in data:
            # A section of a kind stays of that kind; a list has no defaults for its other items.
            kind = {"kind": known["kind"]} if isinstance(known, dict) and "kind" in known else {}
            data[key] = deepcopy(known) if isinstance(known, list) else kind
        data = data[key]


def _require_key(known: Any, key: str | int, reached: str) -> None:
    if isinstance(known, dict) and key not in known:
        close = difflib.get_close_matches(str(key), known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        raise ValueError(f"there is no {key!r} in {reached}.{guess} Known: {', '.join(known)}")
    if isinstance(known, list) and key not in range(len(known)):
        raise ValueError(f"there is no {key!r} in {reached}: it holds 0 to {len(known) - 1}")
    if not isinstance(known, dict | list):
        raise ValueError(f"there is no {key!r} in {reached}, which is {json.dumps(known)}")


def _examples(space: Mapping[str, Dimension], place: str) -> list[dict[str, Any]]:
    """Examples of one place, each with every example of the places it lies in."""
    places = [*(outer for outer in space if _inside(place, outer)), place]
    combinations = itertools.product(*(space[each].examples() for each in places))
    return [dict(zip(places, values, strict=True)) for values in combinations]


def _check(file: YamlFile, space: Mapping[str, Dimension], stage: Distill) -> None:
    """Require that every place exists and takes its values, the others being as they were."""
    for place, dimension in space.items():
        where = f"{file.path}, line {file.line(('space', place))}: space.{place}"
        if place.split(".")[0] in NOT_SEARCHED:
            raise InputError(f"{where}: does not change what a student becomes.")
        for values in _examples(space, place):
            try:
                stage_with(stage, values)
            except ValueError as error:
                line = file.line(_location(dimension, place, values[place]))
                raise InputError(
                    f"{file.path}, line {line}: space.{place}: {as_text(values[place])} does not "
                    f"go there: {error}.",
                    "Values that go together only, such as stride and channels, make one choice: "
                    "a whole mapping, such as `student: {choices: [{kind: unet, ...}, ...]}`.",
                ) from None


def _location(dimension: Dimension, place: str, value: Any) -> tuple[str | int, ...]:
    number = dimension.examples().index(value)
    if dimension.choices is not None:
        return ("space", place, "choices", number)
    return ("space", place, ("low", "low", "high")[number])
