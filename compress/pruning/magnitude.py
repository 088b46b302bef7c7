"""Magnitude pruning: the smallest weights of each layer become zero while the model trains.

The zeros are scattered, so no runtime computes faster with them: what falls is the file's size
once it is compressed (gzip).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from baseline.errors import InputError

if TYPE_CHECKING:
    from baseline.keras import keras
    from compress.stages.base import Context, StageModel
    from compress.stages.fine_tuning import FineTunedStage


class MagnitudePruning(BaseModel):
    """Zero the smallest weights, more and more of them over the fine-tuning.

    The share of zeros rises as a cubic: fast at first and slowly towards its end (Zhu and Gupta
    2017, "To prune, or not to prune", https://arxiv.org/abs/1710.01878).
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["magnitude"]
    sparsity: float = Field(
        default=0.5, gt=0, lt=1, description="Share of each layer's weights that end as zero."
    )
    initial_sparsity: float = Field(
        default=0.0, ge=0, lt=1, description="Share that is zeroed at the first step of pruning."
    )
    begin: int = Field(
        default=1, ge=1, le=1_000_000, description="Fine-tuning step at which pruning begins."
    )
    frequency: int = Field(
        default=10, ge=1, le=100_000, description="Steps from one update of the masks to the next."
    )
    settle: float = Field(
        default=0.25,
        ge=0,
        lt=1,
        description="Share of the fine-tuning steps that follow the last update of the masks.",
    )
    exclude: tuple[str, ...] = Field(
        default=(), description="Layers to leave alone, as patterns of names: `*_head`."
    )
    smallest: int = Field(
        default=256, ge=1, description="Layers with fewer weights than this are left alone."
    )

    @model_validator(mode="after")
    def _sparsity_rises(self) -> MagnitudePruning:
        if self.initial_sparsity > self.sparsity:
            raise ValueError(
                f"initial_sparsity ({self.initial_sparsity:g}) is above sparsity "
                f"({self.sparsity:g}), which pruning ends with"
            )
        return self

    def prune(self, stage: FineTunedStage, model: StageModel, context: Context) -> StageModel:
        """The model with `sparsity` of the weights of each layer that can be pruned at zero.

        Raises:
            InputError: no layer to prune, a pattern that fits none, or too few steps for pruning.
            RuntimeError: a layer did not become as sparse as it should.
        """
        from tensorflow_model_optimization.sparsity.keras import PolynomialDecay

        from compress.pruning import masks
        from compress.stages.base import StageModel

        end = self._end(stage.steps)
        schedule = PolynomialDecay(
            self.initial_sparsity, self.sparsity, self.begin, end, frequency=self.frequency
        )
        names, notes = masks.layers_to_prune(model.keras, self.exclude, self.smallest)
        masked = masks.with_masks(model.keras, names, schedule)
        stage.fine_tune(masked, context, after_step=masks.update_masks)
        pruned = masks.stripped(masked)
        for name in names:
            zeros = self._verified_share(pruned.get_layer(name))
            notes[name] = f"{100 * zeros:.0f} % of its weights are zero"
        return StageModel(pruned, notes=notes)

    def _end(self, steps: int) -> int:
        """The step of the last update, which has to be a whole number of `frequency` after begin.

        Otherwise the update that reaches the final sparsity would never come.
        """
        updates = (round(steps * (1 - self.settle)) - self.begin) // self.frequency
        if updates < 1:
            raise InputError(
                f"prune: {steps} fine-tuning steps are too few: pruning begins at step "
                f"{self.begin}, updates its masks every {self.frequency} steps, and leaves the "
                f"last {100 * self.settle:g} % of the steps without an update.",
                "Raise steps, or lower begin, frequency or settle.",
            )
        return self.begin + updates * self.frequency

    def _verified_share(self, layer: keras.layers.Layer) -> float:
        """The share of zeros in a layer's kernels, each of which has as many as asked for."""
        from compress.pruning.masks import kernels

        zeros = size = 0
        for kernel in kernels(layer):
            own = int((kernel == 0).sum())
            # As tfmot rounds: it keeps a whole number of weights, and one at least.
            expected = kernel.size - max(round(kernel.size * (1 - self.sparsity)), 1)
            if own < expected - 1:
                raise RuntimeError(
                    f"prune: {own} of the {kernel.size} weights of {layer.name} became zero, "
                    f"{expected} should have"
                )
            zeros, size = zeros + own, size + kernel.size
        return zeros / size
