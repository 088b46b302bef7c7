"""Scaling: fewer channels, residual blocks and recurrent blocks than the trained model has."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from baseline.errors import InputError
from compress.stages.base import Context, Phase, StageModel
from compress.stages.fine_tuning import FineTunedStage
from compress.store import write_json

if TYPE_CHECKING:
    from baseline.keras import keras
    from compress.scaling.blocks import Batches, Kind

WINDOWS_PER_BATCH = 8
"""Windows over which the Taylor score of a channel is added up before it is squared."""

SCALED_FILE = "scaled.keras"
NOTES_FILE = "notes.json"


class Scale(FineTunedStage):
    """Make the model smaller by fixed proportions, starting from its most important parts.

    Blocks go first, those without which the loss rises least; then every layer is narrowed to the
    channels and recurrent units that matter most; then the whole is fine-tuned. Unlike pruning,
    which spends a budget where it hurts least, this gives all layers the same width.
    """

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "scale", "width": 0.5, "residual_blocks": 4, "recurrent_blocks": 1}
            ]
        }
    )

    phase: ClassVar[Phase] = Phase.STRUCTURE

    kind: Literal["scale"]
    width: float = Field(
        default=1.0,
        gt=0,
        le=1,
        description="Share of the channels and recurrent units of every layer that stays.",
    )
    residual_blocks: int | None = Field(
        default=None, ge=0, le=64, description="Residual blocks that stay; all if not given."
    )
    recurrent_blocks: int | None = Field(
        default=None,
        ge=0,
        le=64,
        description="Recurrent blocks that stay; all if not given. One that changes the number of "
        "channels, as EQTransformer's first does, cannot go.",
    )
    windows: int = Field(
        default=256,
        ge=WINDOWS_PER_BATCH,
        le=10_000,
        description="Training windows on which the importance of blocks and channels is measured.",
    )
    steps: int = Field(default=600, ge=0, le=1_000_000, description="Fine-tuning steps.")

    @model_validator(mode="after")
    def _changes_something(self) -> Scale:
        if self.width == 1.0 and self.residual_blocks is None and self.recurrent_blocks is None:
            raise ValueError(
                "nothing to scale: set width below 1, or residual_blocks or recurrent_blocks"
            )
        return self

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """The smaller model, fine-tuned.

        Raises:
            InputError: more blocks are asked for than there are, fewer than have to stay, or the
                model is that small already; or a layer that channels cannot be followed through.
        """
        from baseline.checkpoint import load_keras, save_keras

        removals = self._numbers_to_remove(model.keras)
        kept, notes = context.scratch / SCALED_FILE, context.scratch / NOTES_FILE
        if not kept.is_file():
            scaled, said = self._scaled(model.keras, removals, context)
            write_json(notes, said)
            save_keras(scaled, kept)
        scaled = load_keras(kept)
        self.fine_tune(scaled, context)
        return StageModel(scaled, notes=json.loads(notes.read_text(encoding="utf-8")))

    def _numbers_to_remove(self, model: keras.Model) -> dict[Kind, int]:
        """How many blocks of each kind have to go."""
        from compress.scaling.blocks import find_blocks

        asked: dict[Kind, int | None] = {
            "residual": self.residual_blocks,
            "recurrent": self.recurrent_blocks,
        }
        removals: dict[Kind, int] = {}
        for kind, number in asked.items():
            blocks = find_blocks(model, kind)
            if number is None or number == len(blocks):
                continue
            names = ", ".join(block.name for block in blocks) or "none"
            if number > len(blocks):
                raise InputError(
                    f"scale: {kind}_blocks: {number} shall stay, but the model has "
                    f"{len(blocks)} ({names}).",
                    f"Ask for at most {len(blocks)}; blocks can only be taken out.",
                )
            staying = [block for block in blocks if block.stays]
            if number < len(staying):
                reasons = "; ".join(f"{block.name}: {block.stays}" for block in staying)
                raise InputError(
                    f"scale: {kind}_blocks: {number} shall stay, but {len(staying)} of {names} "
                    f"cannot be taken out ({reasons}).",
                    f"Ask for at least {len(staying)}.",
                )
            removals[kind] = len(blocks) - number
        if not removals and self.width == 1.0:
            raise InputError(
                "scale: nothing to do: the width is 1 and the model has no more blocks than asked "
                "for.",
                "Lower width, residual_blocks or recurrent_blocks, or leave the stage out.",
            )
        return removals

    def _scaled(
        self, model: keras.Model, removals: dict[Kind, int], context: Context
    ) -> tuple[keras.Model, dict[str, str]]:
        """The smaller model before fine-tuning, and what there is to say of its layers."""
        from compress.pruning.importance import taylor
        from compress.scaling.blocks import find_blocks, remove_least_needed
        from compress.scaling.widths import narrowed, scalable_channels

        feed = replace(self.target_feed(context), batch=WINDOWS_PER_BATCH)
        batches: Batches = list(feed.batches(0, self.windows // WINDOWS_PER_BATCH))
        notes: dict[str, str] = {}
        for kind, number in removals.items():
            for block in find_blocks(model, kind):
                if block.stays:
                    notes[block.layers[-1]] = f"{block.name} cannot be taken out: {block.stays}"
            model, removed = remove_least_needed(model, kind, number, batches, context.progress)
            for order, removal in enumerate(removed, start=1):
                notes[removal.block.layers[-1]] = (
                    f"{removal.block.name} was the {kind} block least needed (number {order} to "
                    f"go): without it the loss went from {removal.before:.4g} to "
                    f"{removal.after:.4g}"
                )
        if self.width < 1.0:
            channels = scalable_channels(model)
            for dimension in channels.dimensions:
                if dimension.fixed and dimension.name not in model.input_names:
                    reason = f"width kept: {dimension.fixed}"
                    notes |= dict.fromkeys(dimension.layers, reason)
            model = narrowed(model, channels, taylor(model, channels, batches), self.width)
        return model, notes
