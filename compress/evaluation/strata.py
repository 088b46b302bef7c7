"""Where a model is good and where it is not: its scores by what the windows are like.

Signal-to-noise ratio
    In dB, of the record's metadata; where they have none, of the waveform at the labelled P (see
    `compress.data.snr`).
S minus P
    Time between the labelled onsets: the distance of the earthquake, about 8 km for each second.
Original sampling rate
    Of the record before it was brought to 100 Hz.
Position of P
    Where in the window the labelled P stands.

Beside them stands the whole-second bias. STEAD, which the published model was trained on, has P on
a whole second of its windows, 4 to 10 s after their start, and the model's P picks lean towards
those places. The same records are cut with P on a whole second from 4 to 9 s and between them; the
difference in P within 0.1 s would be zero for a picker that does not know where its window begins.
(Further into the window the published model does not lean: with P after 11 s the difference is
nothing, and places drawn from all over the window would dilute it.)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from compress.data.records import SAMPLING_RATE_HZ, Category, Source
from compress.data.snr import snr_db
from compress.data.windows import WINDOW_SAMPLES, cut
from compress.evaluation.metrics import COLUMNS, Counts, Truths, count
from compress.evaluation.picker import Thresholds
from compress.evaluation.protocol import BATCH, TAIL_SAMPLES, labelled
from compress.evaluation.window_scores import WindowScores
from export.runtimes import Runner

EDGES: dict[str, tuple[float, ...]] = {
    "snr_db": (-np.inf, 10.0, 20.0, 30.0, 40.0, np.inf),
    "s_minus_p_s": (0.0, 2.0, 5.0, 10.0, 20.0, np.inf),
    "p_position_s": (0.0, 10.0, 20.0, 30.0, 60.0),
}
"""Bounds of the strata, lower inclusive. Sampling rates are strata by themselves."""

SECOND_SAMPLES = round(SAMPLING_RATE_HZ)
OFFSETS = tuple(range(0, SECOND_SAMPLES, SECOND_SAMPLES // 10))
"""Offsets of P from a whole second of the window at which it is put, in samples."""

SECONDS = tuple(range(4, 10))
"""Whole seconds of the window at and after which P is put: where STEAD has it."""

SECONDS_PER_RECORD = 3
"""How many of them per record, drawn at random; P is put at every offset from each."""

MOST_RECORDS = 100
"""More are not needed to see the bias; each costs 30 windows."""


@dataclass(frozen=True)
class Stratum:
    """Some windows that have something in common.

    Attributes:
        label: what they have in common.
        windows: how many there are.
        counts: of the records that they come from.
    """

    label: str
    windows: int
    counts: Counts


@dataclass(frozen=True)
class WholeSecond:
    """The same records with P on and off whole seconds.

    Attributes:
        on: counts of the windows with P on a whole second.
        off: counts of all others.
        by_offset: counts by offset of P from the whole second before it, in samples.
    """

    on: Counts
    off: Counts
    by_offset: dict[int, Counts]


@dataclass(frozen=True, eq=False)
class Properties:
    """What the labelled records are like; NaN where it is not known, and for noise.

    Attributes:
        snr_db: of P against the noise before it, shape (records,).
        s_minus_p_s: time from P to S, likewise.
        original_sampling_rate_hz: of the recording, likewise.
    """

    snr_db: NDArray[np.float64]
    s_minus_p_s: NDArray[np.float64]
    original_sampling_rate_hz: NDArray[np.float64]


def read_properties(source: Source) -> Properties:
    """The properties of all labelled records, which are read for it, in order.

    Raises:
        InputError: no record is labelled, or a record cannot be read.
    """
    indices = labelled(source)
    snr, s_minus_p, rate = np.full((3, len(indices)), np.nan)
    for position, index in enumerate(indices):
        record = source[index]
        if record.category is Category.EARTHQUAKE:
            rate[position] = record.original_sampling_rate_hz
            snr[position] = record.snr_db
            if np.isnan(record.snr_db) and record.p_sample is not None:
                snr[position] = snr_db(record.waveform, record.p_sample)
            if record.p_sample is not None and record.s_sample is not None:
                s_minus_p[position] = (record.s_sample - record.p_sample) / SAMPLING_RATE_HZ
    return Properties(snr, s_minus_p, rate)


def strata(scores: WindowScores, properties: Properties) -> dict[str, list[Stratum]]:
    """The windows with a labelled onset by what they are like; strata without a window left out.

    A window of which a property is not known (no S for S minus P, say) is in none of its strata.

    Args:
        scores: of a model.
        properties: of the records that were scored.
    """
    truths = scores.truths
    earthquake = ~(np.isnan(truths.p_samples) & np.isnan(truths.s_samples))
    values = {
        "snr_db": properties.snr_db[truths.records],
        "s_minus_p_s": properties.s_minus_p_s[truths.records],
        "p_position_s": truths.p_samples / SAMPLING_RATE_HZ,
    }
    result = {}
    for name, value in values.items():
        groups = (
            (_between(lower, upper), (value >= lower) & (value < upper))
            for lower, upper in zip(EDGES[name][:-1], EDGES[name][1:], strict=True)
        )
        result[name] = [_stratum(scores, label, earthquake & mask) for label, mask in groups]
    rates = properties.original_sampling_rate_hz[truths.records]
    result["original_sampling_rate_hz"] = [
        _stratum(scores, f"{value:g}", earthquake & (rates == value))
        for value in np.unique(rates[~np.isnan(rates)])
    ]
    return {name: [s for s in group if s.windows] for name, group in result.items()}


def _stratum(scores: WindowScores, label: str, windows: NDArray[np.bool_]) -> Stratum:
    return Stratum(label, int(windows.sum()), scores.counts(windows))


def _between(lower: float, upper: float) -> str:
    if np.isinf(lower):
        return f"< {upper:g}"
    return f"≥ {lower:g}" if np.isinf(upper) else f"{lower:g}–{upper:g}"


def whole_second_bias(
    runner: Runner, source: Source, seed: int, progress: Progress, what: str = "whole seconds"
) -> WholeSecond | None:
    """Pick the same records with P on whole seconds of the window and between them.

    Every earthquake record (at most 100, drawn at random) that can be moved so, with S in the
    window, is cut with P at `100 k + offset` samples for up to three random k from 4 to 9 and the
    offsets 0, 10, ... 90.

    Returns:
        None where no record can be moved.

    Raises:
        InputError: no record is labelled, a record cannot be read, or an output is not finite.
    """
    names = source.names()
    categories = source.categories()
    random = np.random.default_rng(seed)
    earthquakes = random.permutation(
        [i for i in labelled(source) if categories[i] is Category.EARTHQUAKE]
    ).tolist()
    windows: list[tuple[int, NDArray[np.float32], float, float, int]] = []
    used: list[str] = []
    sums: dict[int, NDArray[np.float64]] = {
        offset: np.zeros((MOST_RECORDS, len(COLUMNS))) for offset in OFFSETS
    }

    def score() -> None:
        offsets, cuts, p, s, records = zip(*windows, strict=True)
        truths = Truths(
            np.array(p),
            np.array(s),
            np.zeros(len(p), dtype=bool),
            np.arange(len(p)),
        )
        # What counts is the highest peak, which no threshold changes.
        rows = count(runner(np.stack(cuts)), truths, Thresholds())
        for offset, record, row in zip(offsets, records, rows, strict=True):
            sums[offset][record] += row
        windows.clear()

    task = progress.add_task(what, total=len(earthquakes))
    for index in earthquakes:
        record = source[index]
        p = math.nan if record.p_sample is None else record.p_sample
        s = math.nan if record.s_sample is None else record.s_sample
        places = list(_on_and_off_seconds(p, s, len(record.waveform), random))
        for offset, start in places:
            window = cut(record.waveform, start)
            windows.append((offset, window, p - start, s - start, len(used)))
            if len(windows) == BATCH:
                score()
        if places:
            used.append(names[index])
        progress.update(task, advance=1)
        if len(used) == MOST_RECORDS:
            break
    if windows:
        score()
    if not used:
        return None

    def counts(*offsets: int) -> Counts:
        values = np.sum([sums[offset][: len(used)] for offset in offsets], axis=0)
        return Counts(tuple(used), values)

    return WholeSecond(
        counts(0), counts(*OFFSETS[1:]), {offset: counts(offset) for offset in OFFSETS}
    )


def _on_and_off_seconds(
    p_sample: float, s_sample: float, samples: int, random: np.random.Generator
) -> Iterator[tuple[int, int]]:
    """Offset of P from a whole second, and start of the window that puts it there."""
    if math.isnan(p_sample):
        return
    p = round(p_sample)
    s = p if math.isnan(s_sample) else math.ceil(s_sample)
    earliest = p - max(samples - WINDOW_SAMPLES, 0)
    latest = min(p, WINDOW_SAMPLES - TAIL_SAMPLES - (s - p))
    seconds = [
        second * SECOND_SAMPLES
        for second in SECONDS
        if earliest <= second * SECOND_SAMPLES and second * SECOND_SAMPLES + OFFSETS[-1] <= latest
    ]
    for second in random.choice(seconds, min(SECONDS_PER_RECORD, len(seconds)), replace=False):
        for offset in OFFSETS:
            yield offset, p - (int(second) + offset)
