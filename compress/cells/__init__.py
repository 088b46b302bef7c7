"""What can take the place of a recurrent layer: one file per kind of cell.

A cell is a function that puts its layers behind a symbolic tensor. The same function makes the
small model that is fitted alone and what is then put into the whole graph; layers are named alike
in both, so weights are carried over by name. All names start with that of the layer replaced.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

CellKind = Literal["gru", "cnn-bilstm", "conv"]

KERNEL = 3


@dataclass(frozen=True)
class CellOptions:
    """What a cell may be told.

    Attributes:
        both_ways: whether the layer replaced reads its sequence in both directions.
        width: units per direction, or channels of the stack; None for the cell's own choice.
        kernel: steps that a convolution sees at once.
    """

    both_ways: bool
    width: int | None = None
    kernel: int = KERNEL


Cell = Callable[[Any, int, str, CellOptions], Any]
"""From (batch, steps, any), the channels wanted, the replaced layer's name and the options to
(batch, steps, channels)."""


def find_cell(kind: CellKind) -> Cell:
    """The function that makes cells of this kind."""
    from compress.cells.cnn_bilstm import cnn_bilstm
    from compress.cells.conv import conv
    from compress.cells.gru import gru

    cells: dict[CellKind, Cell] = {"gru": gru, "cnn-bilstm": cnn_bilstm, "conv": conv}
    return cells[kind]
