"""From what was recorded to what a model is shown: 100 Hz, three components, band-passed.

A stretch is prepared in blocks at fixed places counted from its start, each with what stands 30 s
before and after it. How much is read at once therefore changes nothing: neither the resampling nor
the filter sees where a read ended.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, lcm

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from compress.data.archive import NS, Archive, Channel, filled, read_values
from compress.data.band_pass import band_pass
from compress.data.records import COMPONENTS, SAMPLING_RATE_HZ
from compress.data.resampling import resample
from compress.picking.recordings import Stretch

BLOCK_SAMPLES = 60_000
"""Ten minutes, or a little more where the sampling rate needs it."""

MARGIN_SAMPLES = 3_000
"""30 s, over which what the filter still knows has died away by a factor of e to the 130."""

TAPER_SHARE, TAPER_MOST_S = 0.001, 2.0
"""Of each end of a stretch, as EQTransformer's own predictor tapers."""

BAND_HZ = (1.0, 45.0)
"""Likewise."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Preparation:
    """What is done to a recording.

    Attributes:
        band_hz: the corners of the band-pass; None leaves the recording as it is.
        taper: whether the ends of a stretch are tapered.

    Raises:
        InputError: such a band-pass cannot be.
    """

    band_hz: tuple[float, float] | None = BAND_HZ
    taper: bool = True

    def __post_init__(self) -> None:
        if self.band_hz and not 0.0 < self.band_hz[0] < self.band_hz[1] < SAMPLING_RATE_HZ / 2:
            raise InputError(
                f"a band-pass from {self.band_hz[0]:g} to {self.band_hz[1]:g} Hz cannot be.",
                f"Its corners lie between 0 and {SAMPLING_RATE_HZ / 2:g} Hz, the lower first.",
            )


def length(stretch: Stretch) -> int:
    """Samples of a stretch at 100 Hz."""
    return min(
        floor(_recorded(stretch, channel) * channel.ratio)
        for channel in stretch.instrument.present()
    )


def time_ns(stretch: Stretch, sample: float) -> int:
    """Time of a sample at 100 Hz of a stretch, ns since 1970.

    Counted in samples of its vertical component, whose rate need not be a round number.
    """
    channel = stretch.instrument.channels[-1]
    assert channel is not None
    return stretch.start + round(sample / channel.ratio * NS / channel.rate_hz)


def prepared(
    archive: Archive, stretch: Stretch, preparation: Preparation, blocks_at_once: int = 6
) -> Iterator[FloatArray]:
    """A stretch in order of time, in parts, each of shape (samples, 3): E, N, Z at 100 Hz.

    Args:
        archive: where it is from.
        stretch: the stretch.
        preparation: what is done to it.
        blocks_at_once: how many blocks are read at once; changes nothing but time and memory.

    Raises:
        InputError: a file cannot be read.
    """
    total = length(stretch)
    channels = stretch.instrument.channels
    grain = lcm(*(channel.ratio.numerator for channel in channels if channel))
    block, margin = (ceil(n / grain) * grain for n in (BLOCK_SAMPLES, MARGIN_SAMPLES))
    for first in range(0, total, block * blocks_at_once):
        end = min(first + block * blocks_at_once, total)
        reads = [
            channel and _Read(archive, stretch, channel, first - margin, end + margin)
            for channel in channels
        ]
        for start in range(first, end, block):
            stop = min(start + block, total)
            before, after = max(start - margin, 0), min(stop + margin, total)
            part = np.zeros((after - before, len(COMPONENTS)))
            for component, read in enumerate(reads):
                if read:
                    part[:, component] = read.at_100_hz(before, after)
            heard = band_pass(part, preparation.band_hz)[start - before : stop - before]
            if preparation.taper:
                heard = heard * _taper(start, stop, total)[:, np.newaxis]
            yield heard


def _taper(start: int, stop: int, total: int) -> FloatArray:
    """A cosine over the ends of a stretch of `total` samples, from `start` to `stop`."""
    ends = min(TAPER_SHARE * total, TAPER_MOST_S * SAMPLING_RATE_HZ)
    samples = np.arange(start, stop)
    from_end = np.minimum(samples, total - 1 - samples)
    cosine = 0.5 - 0.5 * np.cos(np.pi * np.minimum(from_end / max(ends, 1.0), 1.0))
    return cosine.astype(np.float32)


def _recorded(stretch: Stretch, channel: Channel) -> int:
    """Samples of a channel in a stretch, at its own rate."""
    return round((stretch.end - stretch.start) * channel.rate_hz / NS)


class _Read:
    """Some of a channel at its own rate, with NaN in gaps; parts of it at 100 Hz."""

    def __init__(
        self, archive: Archive, stretch: Stretch, channel: Channel, first: int, end: int
    ) -> None:
        recorded = _recorded(stretch, channel)
        self._ratio = channel.ratio
        self._first = max(int(first / channel.ratio), 0)
        last = min(ceil(end / channel.ratio), recorded)
        self._values = read_values(archive, channel, stretch.start, self._first, last - self._first)

    def at_100_hz(self, first: int, end: int) -> FloatArray:
        """Samples of the stretch at 100 Hz; `first` is a multiple of the ratio's numerator."""
        start = int(first / self._ratio) - self._first
        stop = ceil(end / self._ratio) - self._first
        values = filled(self._values[start:stop])
        return resample(values[:, np.newaxis], self._ratio)[: end - first, 0]
