"""The picker of `compress.evaluation.picker` on probabilities that come in parts.

Parts are held until a place comes where the stream can be cut without a pick knowing: nothing is
above a threshold there, and no detection begins within the second in which P may stand before it.
The picks are those of the whole stream at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from baseline.contract import DETECTION, OUTPUTS, P, S
from compress.evaluation.picker import (
    P_BEFORE_DETECTION_SAMPLES,
    Event,
    Pick,
    Thresholds,
    pick,
)

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Onset:
    """A pick with the run of samples around it that reach the threshold, `start` to `end`."""

    phase: str
    pick: Pick
    start: int
    end: int


@dataclass(frozen=True)
class Found:
    """An event with its onsets, P before S; samples count from the start of the stretch."""

    event: Event
    onsets: tuple[Onset, ...]


class StreamPicker:
    """Events of a stream whose probabilities are given part by part.

    Args:
        thresholds: of the model.
        least: samples to wait for before the stream is looked at again, which takes longer the
            less often it can be cut; 0 for as soon as can be.
    """

    def __init__(self, thresholds: Thresholds, least: int = 60_000) -> None:
        self._thresholds = thresholds
        self._least = least
        self._held: list[FloatArray] = []
        self._new = 0
        self._first = 0

    def add(self, part: FloatArray) -> Iterator[Found]:
        """The events that are complete with this part, (samples, 3), in order of time."""
        self._held.append(part)
        self._new += len(part)
        if self._new < self._least:
            return
        self._new = 0
        whole = self._whole()
        place = self._place_to_cut(whole)
        if place:
            yield from self._events(whole[:place])
            self._held = [whole[place:]]
            self._first += place

    def finish(self) -> Iterator[Found]:
        """The events of what is left, where the stream ends."""
        whole = self._whole()
        yield from self._events(whole)
        self._held, self._first = [], self._first + len(whole)

    def _whole(self) -> FloatArray:
        if len(self._held) > 1:
            self._held = [np.concatenate(self._held)]
        return self._held[0] if self._held else np.zeros((0, len(OUTPUTS)), np.float32)

    def _place_to_cut(self, whole: FloatArray) -> int:
        """The last sample before which the stream can be cut, or 0."""
        levels = np.array([getattr(self._thresholds, name) for name in OUTPUTS], whole.dtype)
        below = whole < levels
        calm, quiet = below[:, DETECTION], below[:, DETECTION] & below[:, P] & below[:, S]
        # Calm from the sample before the cut until a detection after it can no longer reach back.
        reach = P_BEFORE_DETECTION_SAMPLES + 2
        if len(whole) < reach:
            return 0
        steps = np.concatenate([[0], np.cumsum(~calm)])
        unbroken = steps[reach:] == steps[:-reach]
        places = np.arange(1, len(unbroken))
        usable = places[unbroken[:-1] & quiet[places - 1] & quiet[places]]
        return int(usable[-1]) if len(usable) else 0

    def _events(self, probabilities: FloatArray) -> Iterator[Found]:
        for event in pick(probabilities, self._thresholds).events:
            onsets = tuple(
                self._onset(probabilities[:, column], OUTPUTS[column], found)
                for column, found in ((P, event.p), (S, event.s))
                if found is not None
            )
            yield Found(
                replace(
                    event,
                    start=event.start + self._first,
                    end=event.end + self._first,
                    p=self._later(event.p),
                    s=self._later(event.s),
                ),
                onsets,
            )

    def _onset(self, probability: FloatArray, phase: str, found: Pick) -> Onset:
        threshold = probability.dtype.type(getattr(self._thresholds, phase))
        below = np.flatnonzero(probability < threshold)
        place = int(np.searchsorted(below, found.sample))
        start = int(below[place - 1]) + 1 if place else 0
        end = int(below[place]) if place < len(below) else len(probability)
        moved = self._later(found)
        assert moved is not None
        return Onset(phase, moved, start + self._first, end + self._first)

    def _later(self, found: Pick | None) -> Pick | None:
        return found and replace(found, sample=found.sample + self._first)
