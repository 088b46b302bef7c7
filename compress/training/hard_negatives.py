"""Looks for windows without an earthquake on which the student fires."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baseline.contract import P, S
from compress.data.feeds import Draw, TargetFeed
from compress.data.targets import QUIET
from compress.store import write_json
from compress.training.settings import HardNegatives

BATCH = 64

Predict = Callable[[NDArray[np.float32]], NDArray[np.float32]]


def mine(predict: Predict, feed: TargetFeed, settings: HardNegatives, round_: int) -> list[Draw]:
    """The draws of quiet windows whose P or S probability reaches the threshold.

    A window counts as quiet if what is taught of it is below `QUIET` everywhere: augmentation may
    have put a second earthquake into it.

    Args:
        predict: the student, (batch, 6000, 3) to (batch, 6000, 3).
        feed: the training's.
        settings: how many candidates, and the threshold.
        round_: numbers the searches; each tries other windows.
    """
    draws = feed.quiet_draws(settings.candidates, round_)
    found = []
    for first in range(0, len(draws), BATCH):
        batch = draws[first : first + BATCH]
        windows, targets = feed.windows(batch)
        fired = predict(windows)[..., [P, S]].max(axis=(1, 2)) >= settings.threshold
        quiet = targets.max(axis=(1, 2)) < QUIET
        found += [draw for draw, hard in zip(batch, fired & quiet, strict=True) if hard]
    return found


def kept_or_mined(path: Path, search: Callable[[], list[Draw]]) -> list[Draw]:
    """What an earlier search found and kept in `path`, or what `search` finds now, kept there."""
    if not path.is_file():
        write_json(path, [list(draw) for draw in search()])
    return [Draw(*draw) for draw in json.loads(path.read_text(encoding="utf-8"))]
