"""Exact rewrites of a graph: fewer operations, the same answers up to rounding.

Each is a file with a function from a model to a `Rewritten`. None needs data or training.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baseline.keras import keras


@dataclass(frozen=True)
class Rewritten:
    """What a rewrite makes.

    Attributes:
        what: the rewrite in a few words, for messages.
        model: a new model; the old one is left as it was.
        changed: names of the layers it replaced or took out; none where it found nothing.
        notes: what happened to single layers, or why not, by name.
    """

    what: str
    model: keras.Model
    changed: tuple[str, ...]
    notes: Mapping[str, str]
