"""Structured pruning: whole channels leave the graph, in rounds with fine-tuning in between."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, field_serializer, field_validator

from baseline.errors import InputError
from compress.data.feeds import random_windows
from compress.data.sources import relative_to_file
from compress.store import file_hash, write_json

if TYPE_CHECKING:
    from baseline.keras import keras
    from compress.graphs.channels import Channels
    from compress.pruning.sensitivity import Losses
    from compress.stages.base import Context, StageModel
    from compress.stages.fine_tuning import FineTunedStage

TAYLOR_BATCH = 8
"""Windows over which activation times gradient is added up before it is squared."""

SENSITIVITY_FILE = "sensitivity.json"

RATES = (0.25, 0.5, 0.75, 0.9)
"""Shares of a layer's channels that `sensitivity: measure` leaves out."""


class Target(BaseModel):
    """How much of the model is to be left."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    measure: Literal["multiply_adds", "parameters"] = Field(
        default="multiply_adds", description="What is counted."
    )
    ratio: float = Field(
        default=0.5, gt=0, lt=1, description="Share of it that is left, of the model before."
    )


class StructuredPruning(BaseModel):
    """Remove whole channels, so that every runtime has less to compute.

    Channels that are tied by residual sums, reshapes or recurrences go together. In each round
    those go that cost least per multiply-add (or parameter) they save, and the model is fine-tuned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["structured"]
    importance: Literal["taylor", "norm_scale", "l1"] = Field(
        default="taylor",
        description="What ranks the channels of a layer: the first-order Taylor score on training "
        "windows, the scale of batch normalizations (where a layer has none behind it: l1), or the "
        "mean absolute weight.",
    )
    importance_windows: int = Field(
        default=256, ge=16, le=100_000, description="Training windows for the Taylor score."
    )
    target: Target = Field(default=Target(), description="How much is to be left.")
    rounds: int = Field(
        default=3,
        ge=1,
        le=100,
        description="Rounds of removal and fine-tuning; they share the steps, the last has twice "
        "as many as the others.",
    )
    minimum_channels: int = Field(
        default=2, ge=1, le=1024, description="Channels that every layer keeps at least."
    )
    multiple_of: int = Field(
        default=1, ge=1, le=64, description="Channels are removed down to multiples of this."
    )
    maximum_rate: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.9, description="Share of its channels that a layer loses at most."
    )
    sensitivity: Literal["measure", "none"] | Path = Field(
        default="measure",
        description="What the layers are weighed against each other by: `measure` prunes each "
        "alone and sees how far the loss rises; a file holds what `compress sensitivity --json` "
        "wrote; `none` compares the importance of channels over all layers as it is.",
    )
    sensitivity_windows: int = Field(
        default=32, ge=1, le=10_000, description="Training windows for `sensitivity: measure`."
    )

    @field_validator("sensitivity")
    @classmethod
    def _resolve(cls, value: Any, info: Any) -> Any:
        return relative_to_file(value, info) if isinstance(value, Path) else value

    @field_serializer("sensitivity", when_used="json")
    def _with_content(self, value: Any) -> str:
        """A file stands for what is in it: with other content, this is another stage."""
        if not isinstance(value, Path):
            return str(value)
        return f"{value.name} {file_hash(value) if value.is_file() else '(missing)'}"

    def prune(self, stage: FineTunedStage, model: StageModel, context: Context) -> StageModel:
        """The model with fewer channels.

        Raises:
            InputError: a layer that channels cannot be followed through, or a target that the
                limits do not allow.
        """
        from compress.graphs.channels import trace
        from compress.pruning.budget import count
        from compress.stages.base import StageModel

        first = trace(model.keras)
        floors = {d.name: self._floor(len(d.groups)) for d in first.dimensions if not d.fixed}
        goal = self.target.ratio * count(model.keras, self.target.measure)
        self._require_reachable(model.keras, first, floors, goal)
        pruned = model.keras
        for number in range(1, self.rounds + 1):
            goal_of_round = goal * self.target.ratio ** (number / self.rounds - 1.0)
            narrower = _kept_in(
                context.scratch / f"round-{number}-cut.keras",
                partial(self._cut, stage, pruned, first, floors, goal_of_round, context),
            )

            def tuned(model: keras.Model = narrower, number: int = number) -> keras.Model:
                steps, what = self._steps(stage.steps, number), f"round {number} of {self.rounds}"
                stage.fine_tune(model, context, steps=steps, what=what)
                return model

            pruned = _kept_in(context.scratch / f"round-{number}.keras", tuned)
        return StageModel(pruned, notes=self._notes(model.keras, first, trace(pruned), floors))

    def _cut(
        self,
        stage: FineTunedStage,
        model: keras.Model,
        first: Channels,
        floors: Mapping[str, int],
        goal: float,
        context: Context,
    ) -> keras.Model:
        """The model with as many channels less as `goal` needs, not fine-tuned.

        Args:
            stage: that this is the method of.
            model: as the round before left it.
            first: channels of the model that the stage got.
            floors: by dimension, how many channels have to be left.
            goal: multiply-adds or parameters that may be left.
            context: that of the stage.
        """
        from compress.graphs.channels import trace, without
        from compress.pruning.budget import Budget, count
        from compress.pruning.schedule import choose, prices

        channels = trace(model)
        scores = self._scores(stage, model, channels, context)
        rises = self._rises(model, channels, scores, context)
        largest = max(rise for own in rises.values() for rise in own.values()) if rises else 0.0
        at_first = {d.name: len(d.groups) for d in first.dimensions}
        price_lists = {
            d.name: prices(d, scores, rises[d.name], at_first[d.name], largest)
            if rises
            else np.sort(scores[list(d.groups)])
            for d in channels.dimensions
            if not d.fixed
        }
        budget = Budget(model, channels, self.target.measure)
        aim, narrower = goal, model
        while (left := count(narrower, self.target.measure)) > goal:
            # The budget is exact but for attention: what it was off by is aimed lower.
            aim -= (left - goal) if narrower is not model else 0.0
            removed = choose(channels, budget, price_lists, scores, floors, aim, self.multiple_of)
            narrower = without(model, channels, removed)
        return narrower

    def _scores(
        self, stage: FineTunedStage, model: keras.Model, channels: Channels, context: Context
    ) -> NDArray[np.float64]:
        from compress.pruning import importance

        match self.importance:
            case "taylor":
                feed = replace(stage.target_feed(context), batch=TAYLOR_BATCH)
                batches = feed.batches(0, self.importance_windows // TAYLOR_BATCH)
                return importance.taylor(model, channels, batches)
            case "norm_scale":
                return importance.norm_scale(model, channels)
            case "l1":
                return importance.l1(model, channels)

    def _rises(
        self,
        model: keras.Model,
        channels: Channels,
        scores: NDArray[np.float64],
        context: Context,
    ) -> Losses:
        """How far the loss rises with each dimension, measured once, in the first round."""
        from compress.pruning.sensitivity import loss_rises, read_losses

        if self.sensitivity == "none":
            return {}
        if isinstance(self.sensitivity, Path):
            return read_losses(self.sensitivity, channels)
        kept = context.scratch / SENSITIVITY_FILE
        if not kept.is_file():
            windows = random_windows(context.train, self.sensitivity_windows, context.seed)
            rises = loss_rises(model, channels, scores, RATES, windows, context.progress)
            write_json(kept, {name: list(own.items()) for name, own in rises.items()})
        stored = json.loads(kept.read_text(encoding="utf-8"))
        return {name: dict(own) for name, own in stored.items()}

    def _steps(self, steps: int, number: int) -> int:
        """Fine-tuning steps of a round, counted from 1."""
        share = steps // (self.rounds + 1)
        return share if number < self.rounds else steps - share * (self.rounds - 1)

    def _floor(self, channels: int) -> int:
        """How many of a dimension's channels have to be left."""
        least = max(self.minimum_channels, math.ceil((1.0 - self.maximum_rate) * channels - 1e-9))
        return min(math.ceil(least / self.multiple_of) * self.multiple_of, channels)

    def _require_reachable(
        self, model: keras.Model, channels: Channels, floors: Mapping[str, int], goal: float
    ) -> None:
        from compress.graphs.channels import without
        from compress.pruning.budget import count

        all_that_may_go = [
            group
            for d in channels.dimensions
            if not d.fixed
            for group in d.groups[floors[d.name] :]
        ]
        smallest = count(without(model, channels, all_that_may_go), self.target.measure)
        if smallest > goal:
            whole = count(model, self.target.measure)
            raise InputError(
                f"prune: the target of {self.target.ratio:g} of the "
                f"{self.target.measure.replace('_', '-')} cannot be reached: with every layer at "
                f"its limit, {smallest / whole:.3f} are left ({smallest:,} of {whole:,}).",
                "Raise target.ratio or maximum_rate, or lower minimum_channels or multiple_of.",
            )

    def _notes(
        self, model: keras.Model, first: Channels, last: Channels, floors: Mapping[str, int]
    ) -> dict[str, str]:
        """Why layers were left alone, and which could not give more."""
        from compress.pruning.importance import without_norm

        notes: dict[str, str] = {}
        left = {d.name: len(d.groups) for d in last.dimensions}
        for dimension in first.dimensions:
            number = len(dimension.groups)
            if dimension.name in model.input_names:
                continue
            if dimension.fixed:
                text = f"channels not pruned: {dimension.fixed}"
            elif floors[dimension.name] == number:
                text = f"channels not pruned: {number} are the least it may have"
            elif left[dimension.name] == floors[dimension.name]:
                text = f"at its limit of {floors[dimension.name]} channels"
            else:
                continue
            notes |= dict.fromkeys(dimension.layers, text)
        if self.importance == "norm_scale":
            for dimension in without_norm(model, first):
                for name in dimension.layers:
                    if not dimension.fixed:
                        scored = "channels scored by their weights: no normalization behind them"
                        notes[name] = "; ".join(filter(None, (notes.get(name), scored)))
        return notes


def _kept_in(path: Path, make: Callable[[], keras.Model]) -> keras.Model:
    """The model in this file, which is made and kept there if it is not there yet.

    What an interrupted run had finished is so taken up as it was.
    """
    from baseline.checkpoint import load_keras, save_keras

    if not path.is_file():
        save_keras(make(), path)
    return load_keras(path)
