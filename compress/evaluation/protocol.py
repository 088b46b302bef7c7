"""How a model is evaluated: which windows, and what comes of them.

Each labelled record is cut at several seeded random places, never at a fixed or whole-second one:
the published model's picks lean on where P stands in the window, and a fixed place measures that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from rich.progress import Progress

from baseline.contract import SAMPLING_RATE_HZ
from baseline.errors import InputError
from compress.data.records import Category, Record, Source
from compress.data.windows import WINDOW_SAMPLES, cut
from compress.evaluation.metrics import Counts, Truths, count
from compress.evaluation.picker import Thresholds
from export.runtimes import Runner

LEAD_SAMPLES = round(3 * SAMPLING_RATE_HZ)
"""P stands at least 3 s after the window's start, where the record allows."""

TAIL_SAMPLES = round(0.5 * SAMPLING_RATE_HZ)
"""S stands at least 0.5 s, the tolerance of a match, before the window's end, likewise."""

BATCH = 64


class Protocol(BaseModel):
    """Where windows are cut, and when something counts as picked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    placements: int = Field(
        default=2, ge=1, le=100, description="Windows per record, at different random places."
    )
    seed: int = Field(default=0, ge=0, description="Seed of the places.")
    thresholds: Thresholds = Field(
        default=Thresholds(), description="Probabilities from which something is picked."
    )


@dataclass(frozen=True)
class Windows:
    """A batch of normalised windows (n, 6000, 3) and what is known of them."""

    waveforms: NDArray[np.float32]
    truths: Truths


def evaluate(
    runner: Runner,
    source: Source,
    protocol: Protocol,
    progress: Progress,
    what: str = "evaluate",
) -> Counts:
    """Pick every window of the protocol and count, by record.

    The windows are the same for every model: they depend on the records and the protocol alone.

    Raises:
        InputError: no record is labelled, or a record cannot be read.
    """
    all_names = source.names()
    names = [all_names[index] for index in labelled(source)]
    task = progress.add_task(what, total=len(names))

    def batches() -> Iterator[tuple[Truths, NDArray[np.float64]]]:
        for windows in labelled_windows(source, protocol):
            yield (
                windows.truths,
                count(runner(windows.waveforms), windows.truths, protocol.thresholds),
            )
            progress.update(task, completed=int(windows.truths.records.max()) + 1)

    counts = Counts.by_record(names, batches())
    progress.update(task, completed=len(names))
    return counts


def labelled(source: Source) -> list[int]:
    """The indices of the records that accuracy can be measured on.

    Raises:
        InputError: there is none.
    """
    indices = [i for i, c in enumerate(source.categories()) if c is not Category.UNLABELLED]
    if not indices:
        raise InputError(
            f"None of the {len(source)} records has a pick or is marked as noise.",
            "Accuracy needs labelled records: check the pick columns of the metadata.",
        )
    return indices


def labelled_windows(source: Source, protocol: Protocol) -> Iterator[Windows]:
    """All windows of the protocol, in batches; `truths.records` counts labelled records only."""
    cuts: list[NDArray[np.float32]] = []
    truths: list[tuple[float, float, bool, int]] = []

    def batch() -> Windows:
        p, s, noise, records = zip(*truths, strict=True)
        windows = Windows(
            np.stack(cuts),
            Truths(np.array(p), np.array(s), np.array(noise), np.array(records, dtype=np.intp)),
        )
        cuts.clear()
        truths.clear()
        return windows

    for position, index in enumerate(labelled(source)):
        record = source[index]
        for start in seeded_placements(record, position, protocol):
            cuts.append(cut(record.waveform, start))
            truths.append(
                (
                    _inside(record.p_sample, start),
                    _inside(record.s_sample, start),
                    record.category is Category.NOISE,
                    position,
                )
            )
            if len(cuts) == BATCH:
                yield batch()
    if cuts:
        yield batch()


def seeded_placements(record: Record, position: int, protocol: Protocol) -> list[int]:
    """Where the windows of a record start, in order: `position` is its place among the labelled."""
    random = np.random.default_rng([protocol.seed, position])
    return placements(record, protocol.placements, random)


def placements(record: Record, number: int, random: np.random.Generator) -> list[int]:
    """Random starts of windows in a record, all different, at most `number`, in order.

    P stands at least 3 s after the start and S before the end, where the record allows both; where
    it does not, S gives way first. A record no longer than a window has one place.
    """
    first, last = 0, max(len(record.waveform) - WINDOW_SAMPLES, 0)
    onset = record.p_sample if record.p_sample is not None else record.s_sample
    if onset is not None:
        last = min(last, max(int(onset) - LEAD_SAMPLES, 0))
        end = record.s_sample if record.s_sample is not None else onset
        first = min(max(int(np.ceil(end)) + TAIL_SAMPLES - WINDOW_SAMPLES, 0), last)
    choices = last - first + 1
    return sorted(first + random.choice(choices, min(number, choices), replace=False))


def _inside(onset: float | None, start: int) -> float:
    """The onset from the window's start, or NaN where it is not in the window."""
    if onset is None or not start <= onset < start + WINDOW_SAMPLES:
        return float("nan")
    return onset - start
