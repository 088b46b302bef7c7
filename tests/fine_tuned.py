"""A stage that does nothing but lend its fine-tuning, and a context to run stages in."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from rich.progress import Progress

from baseline.keras import keras
from compress.data.synthetic import SyntheticSource
from compress.stages.base import Context, Phase, StageModel
from compress.stages.fine_tuning import FineTunedStage


class Tuned(FineTunedStage):
    """Fine-tunes what other code changed."""

    phase = Phase.STRUCTURE
    kind: Literal["tuned"] = "tuned"

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """Train it as it is."""
        self.fine_tune(model.keras, context)
        return model


def context(folder: Path, baseline: keras.Model, records: int = 8) -> Context:
    """A context of synthetic records with its folders in `folder`; made again it finds them."""
    scratch, products = folder / "scratch", folder / "products"
    for path in (scratch, products):
        path.mkdir(parents=True, exist_ok=True)
    source = SyntheticSource(records, seed=5)
    return Context(baseline, source, source, 3, scratch, products, Progress(disable=True))
