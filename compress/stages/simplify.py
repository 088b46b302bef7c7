"""Exact simplification: the same answers from a cheaper graph."""

from __future__ import annotations

from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, Field

from baseline.contract import WINDOW_SHAPE
from baseline.errors import InputError
from compress.data.feeds import random_windows
from compress.data.windows import normalise
from compress.stages.base import Context, Phase, Stage, StageModel

TOLERANCE = 1e-4
"""Most that any probability may change: rounding makes a tenth of it."""


class Simplify(Stage):
    """Rewrite the graph into a cheaper one that answers the same; nothing is trained.

    Layers that do nothing are left out, batch normalizations are folded into the convolutions
    before them, convolutions behind an upsampling are computed before it, and attention over a few
    neighbours is computed for these alone. Every rewrite is checked on calibration windows and on
    extreme ones; one that is not exact on this model is left out, and the report says so.
    """

    model_config = ConfigDict(json_schema_extra={"examples": [{"kind": "simplify"}]})

    phase: ClassVar[Phase] = Phase.STRUCTURE

    kind: Literal["simplify"]
    windows: int = Field(
        default=256, ge=16, le=10_000, description="Windows on which the rewrites are checked."
    )

    def apply(self, model: StageModel, context: Context) -> StageModel:
        """The simplified model."""
        from compress.rewrites.attention import band_attention
        from compress.rewrites.batch_norm import fold_batch_norms
        from compress.rewrites.no_ops import drop_no_ops
        from compress.rewrites.upsampling import fold_upsampling
        from export.runtimes import KerasRunner

        windows = np.concatenate(
            [extreme_windows(), random_windows(context.calibration, self.windows, context.seed)]
        )
        rewrites = (drop_no_ops, fold_batch_norms, fold_upsampling, band_attention)
        task = context.progress.add_task("simplify", total=len(rewrites) + 1)
        expected = KerasRunner(model.keras)(windows)
        graph, notes, changed = model.keras, dict[str, str](), False
        for rewrite in rewrites:
            context.progress.update(task, advance=1)
            rewritten = rewrite(graph)
            notes |= rewritten.notes
            if not rewritten.changed:
                continue
            difference = np.abs(KerasRunner(rewritten.model)(windows) - expected).max()
            if difference < TOLERANCE:
                graph, changed = rewritten.model, True
            else:
                reason = f"kept: {rewritten.what} would move a probability by {difference:.1g}"
                notes |= dict.fromkeys(rewritten.changed, reason)
        context.progress.update(task, advance=1)
        if not changed:
            raise InputError(
                "simplify: there is nothing to simplify in this model.", "Leave the stage out."
            )
        return StageModel(graph, notes=notes)


def extreme_windows() -> NDArray[np.float32]:
    """Windows (n, 6000, 3) at the edge of what a picker meets, normalised as it gets them.

    All zero, constant, a single spike in the middle or at either end, on one component or on all, a
    step, a ramp, and noise that is silent in its second half, at amplitudes of up to a million.
    """
    windows = np.zeros((9, *WINDOW_SHAPE), np.float32)
    windows[1] = 1e6
    windows[2, 3000] = 1e6
    windows[3, 0] = 1e6
    windows[4, -1] = -1.0
    windows[5, 3000, 2] = 1e6
    windows[6, 3000:] = 1.0
    windows[7] = np.linspace(0.0, 1e6, WINDOW_SHAPE[0])[:, None]
    windows[8, :3000] = 1e6 * np.random.default_rng(0).standard_normal((3000, WINDOW_SHAPE[1]))
    return normalise(windows)
