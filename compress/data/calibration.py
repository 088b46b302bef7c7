"""Windows to find the ranges of int8 activations on: what a picker will meet, evenly.

Records drawn as they come are mostly of one kind, and onsets in the middle of records stand in the
middle of windows. Ranges found there are too narrow for what is rare: loud events, and windows
that begin in the coda of one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from baseline.contract import SAMPLING_RATE_HZ, WINDOW_SAMPLES
from compress.data.feeds import even_draw, random_cut
from compress.data.records import Record, Source
from compress.data.snr import snr_db
from compress.data.windows import cut

POOL = 4
"""Among so many records per window is chosen."""

POOL_MOST = 4000

LOUDNESS = 4
"""Parts that labelled earthquakes are divided into by signal-to-noise ratio, used evenly."""

FIRST_P_S, LAST_P_S = -20.0, 60.0
"""Where P is put in windows, from the first sample on: before it, the window holds S and coda."""


def calibration_windows(source: Source, number: int, seed: int) -> NDArray[np.float32]:
    """Normalised windows (number, 6000, 3), stratified by loudness and by the position of P.

    Labelled earthquakes are ranked by signal-to-noise ratio, and each quarter of the ranks is used
    as often; their P stands evenly from 20 s before a window to its end, as far as the records
    reach. Noise and records without labels keep their share and are cut at random places.

    Args:
        source: the records.
        number: of windows.
        seed: of everything random.
    """
    random = np.random.default_rng(seed)
    size = min(POOL * number, POOL_MOST, max(len(source), number))
    labelled: list[tuple[float, int, float]] = []
    others: list[int] = []
    for index in even_draw(len(source), size, random):
        record = source[index]
        if record.p_sample is None:
            others.append(index)
        else:
            labelled.append((_loudness(record), index, record.p_sample))
    labelled.sort()
    share = round(number * len(labelled) / size)
    windows = [
        _with_p_at(source[index].waveform, p, place)
        for (_, index, p), place in zip(
            _evenly(labelled, share, random), _places(share, random), strict=True
        )
    ]
    windows += [random_cut(source[index].waveform, random) for index in others[: number - share]]
    return np.stack([windows[i] for i in random.permutation(len(windows))])


def _loudness(record: Record) -> float:
    """The record's signal-to-noise ratio in dB; the faintest where it cannot be told."""
    assert record.p_sample is not None
    ratio = record.snr_db
    if np.isnan(ratio):
        ratio = snr_db(record.waveform, record.p_sample)
    return float(np.nan_to_num(ratio, nan=-np.inf, neginf=-np.inf))


def _evenly(
    ranked: list[tuple[float, int, float]], number: int, random: np.random.Generator
) -> list[tuple[float, int, float]]:
    """So many of them, as many from each part of the ranks; again where there are too few."""
    parts = [part for part in np.array_split(np.arange(len(ranked)), LOUDNESS) if len(part)]
    chosen = []
    for k in range(number):
        part = parts[k % len(parts)]
        chosen.append(ranked[int(part[int(random.integers(len(part)))])])
    return chosen


def _places(number: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Where P is put, in samples of the window: one place in each of as many equal stretches."""
    stretch = (LAST_P_S - FIRST_P_S) * SAMPLING_RATE_HZ / max(number, 1)
    places = FIRST_P_S * SAMPLING_RATE_HZ + stretch * (np.arange(number) + random.random(number))
    return random.permutation(places)


def _with_p_at(waveform: NDArray[np.float32], p: float, place: float) -> NDArray[np.float32]:
    """The window in which P stands nearest to that place."""
    last = max(len(waveform) - WINDOW_SAMPLES, 0)
    return cut(waveform, int(np.clip(round(p - place), 0, last)))
