"""What a data source hands out: a record of three components, with what is known of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from baseline.contract import COMPONENTS, SAMPLING_RATE_HZ

__all__ = ["COMPONENTS", "SAMPLING_RATE_HZ", "Category", "Record", "Source", "iterate"]


class Category(StrEnum):
    """What a record holds, as far as anybody looked."""

    EARTHQUAKE = "earthquake"
    """An earthquake with at least one picked onset."""
    NOISE = "noise"
    """No earthquake: whatever is picked here is a false alarm."""
    UNLABELLED = "unlabelled"
    """Nobody picked it; usable for teaching, calibration and agreement, not for accuracy."""


@dataclass(frozen=True)
class Record:
    """One stretch of ground motion at one station.

    Attributes:
        name: identity of the record, unique over all sources (data sets are compared by it).
        waveform: float32, shape (samples, 3), components E, N, Z at 100 Hz, neither filtered nor
            normalised; finite everywhere.
        category: what the record holds.
        p_sample: onset of P in samples at 100 Hz from the start of the waveform (may be
            fractional), or None where it is not known.
        s_sample: onset of S, likewise.
        station: "network.station", or "" where it is not known.
        snr_db: signal-to-noise ratio in dB, or NaN where it is not known.
        original_sampling_rate_hz: the rate it was recorded at.
    """

    name: str
    waveform: NDArray[np.float32]
    category: Category
    p_sample: float | None = None
    s_sample: float | None = None
    station: str = ""
    snr_db: float = float("nan")
    original_sampling_rate_hz: float = SAMPLING_RATE_HZ


@runtime_checkable
class Source(Protocol):
    """A sequence of records, each read when it is asked for and not kept."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Record:
        """The record at `index` (0 <= index < len), the same one every time.

        Raises:
            InputError: the record cannot be used; names the file and the record.
        """
        ...

    def names(self) -> list[str]:
        """The names of all records, in order, without reading a waveform."""
        ...

    def categories(self) -> list[Category]:
        """The categories of all records, in order, without reading a waveform."""
        ...

    def fingerprint(self) -> str:
        """A hash that changes when the records change; part of every artifact's content hash."""
        ...


def iterate(source: Source) -> Iterator[Record]:
    """All records of `source`, in order, one at a time."""
    for index in range(len(source)):
        yield source[index]
