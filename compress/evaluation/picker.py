"""From probabilities to picks: EQTransformer's picking rules, and the scores that need no rule.

The rules are those of Mousavi et al. (2020), "Earthquake transformer: an attentive deep-learning
model for simultaneous earthquake detection and phase picking", Nature Communications 11, 3952,
re-implemented. An earthquake is a run of samples whose detection probability reaches a threshold;
P and S are peaks of their own probabilities that go with that run. The paper leaves corners open
that the published program settles in passing; here they are settled as follows.

Detections
    A run starts at the first sample whose probability is at or above the threshold, ends before
    the first one below it (on and off at the same level, no hysteresis) and counts if it is at
    least 10 samples long. A run may begin or end with the trace. Its probability is the mean over
    the run, as the program reports it. (The program asks for probabilities *above* the threshold
    and counts 11 samples; neither can be told apart on real output.)

Peaks
    A local maximum, at or above its phase's threshold, that falls on both sides. A plateau counts
    once, at its middle sample (the earlier of two). A maximum on the first or the last sample, or
    on a plateau that touches them, is not a peak, because its other side is not known. The program
    sets a least distance of one sample between peaks, which is none; since an event takes one peak
    per phase, of close peaks the higher is kept without a distance, and a peak that an event may
    not take cannot hide a lower one beside it that it may.

Events
    Each detection is an event. It takes the most probable S peak inside it (start <= S < end, no
    tolerance), then the most probable P peak from 1 s before its start to its end that lies at
    least 0.1 s before that S. Of equal peaks it takes the earliest, and if others follow within
    0.2 s the middle of them all: they are ripples on the top of one onset, and an int8 model has
    too few values to tell them apart. The tolerance of 1 s does not reach back into the detection
    before, so no peak serves two events. An event without peaks is still an event: it has
    detected, and picked nothing. Peaks outside all events are no picks.
    (The program takes the *first* S peak inside the detection: a ripple at P then displaces a
    clear S, and P with it. Taking the most probable one treats S as it treats P.)

Probabilities are compared with thresholds in the precision of the prediction, so a float32 output
of 0.7 reaches a threshold of 0.7.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from baseline.contract import DETECTION, P, S
from baseline.errors import InputError
from compress.data.records import SAMPLING_RATE_HZ

"""Columns of a prediction."""

SHORTEST_DETECTION_SAMPLES = 10
P_BEFORE_DETECTION_SAMPLES = round(1.0 * SAMPLING_RATE_HZ)
SHORTEST_S_MINUS_P_SAMPLES = round(0.1 * SAMPLING_RATE_HZ)
ONE_ONSET_SAMPLES = round(0.2 * SAMPLING_RATE_HZ)
"""How far apart equally probable samples may be and still mean one onset."""


class Thresholds(BaseModel):
    """Probabilities from which on something counts. They belong to a model, not to the picker."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    detection: float = Field(
        default=0.3, gt=0.0, le=1.0, description="Least detection probability of an event."
    )
    p: float = Field(default=0.1, gt=0.0, le=1.0, description="Least probability of a P pick.")
    s: float = Field(default=0.1, gt=0.0, le=1.0, description="Least probability of an S pick.")


@dataclass(frozen=True)
class Pick:
    """One onset: its sample within the trace and its probability."""

    sample: float
    probability: float


@dataclass(frozen=True)
class Event:
    """One detection, samples `start` to `end` (exclusive), with the onsets that go with it."""

    start: int
    end: int
    probability: float
    p: Pick | None
    s: Pick | None


@dataclass(frozen=True)
class WindowPicks:
    """What was found in one trace: events in order of time."""

    events: tuple[Event, ...]

    @property
    def p_picks(self) -> tuple[Pick, ...]:
        """The P picks of all events, in order of time."""
        return tuple(event.p for event in self.events if event.p is not None)

    @property
    def s_picks(self) -> tuple[Pick, ...]:
        """The S picks of all events, in order of time."""
        return tuple(event.s for event in self.events if event.s is not None)


@dataclass(frozen=True)
class HighestPeaks:
    """Per window, where P and S are most probable and how probable. Every array has shape (n,)."""

    p_sample: NDArray[np.intp]
    p_probability: NDArray[np.floating]
    s_sample: NDArray[np.intp]
    s_probability: NDArray[np.floating]
    detection: NDArray[np.floating]
    """Greatest detection probability of the window."""


def pick(prediction: NDArray[np.floating], thresholds: Thresholds) -> WindowPicks:
    """Events and picks of one prediction, by the rules in the module's description.

    Args:
        prediction: shape (samples, 3): detection, P and S probabilities at 100 Hz; a window has
            6000 samples.
        thresholds: from which probability on something counts.

    Raises:
        ValueError: the shape is another.
        InputError: a probability is NaN or infinite.
    """
    if prediction.ndim != 2 or prediction.shape[1] != 3:
        raise ValueError(f"a prediction has shape (samples, 3), not {prediction.shape}")
    _require_finite(prediction)
    starts, ends = _detections(prediction[:, DETECTION], thresholds.detection)
    if not len(starts):
        return WindowPicks(())

    p_peaks = _peaks(prediction[:, P], thresholds.p)
    s_peaks = _peaks(prediction[:, S], thresholds.s)
    events = []
    previous_end = 0
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        s = _most_probable(prediction[:, S], s_peaks, start, end)
        p_from = max(start - P_BEFORE_DETECTION_SAMPLES, previous_end)
        p_until = end if s is None else int(s.sample) - SHORTEST_S_MINUS_P_SAMPLES + 1
        p = _most_probable(prediction[:, P], p_peaks, p_from, p_until)
        probability = float(prediction[start:end, DETECTION].mean(dtype=np.float64))
        events.append(Event(start, end, probability, p, s))
        previous_end = end
    return WindowPicks(tuple(events))


def highest_peaks(predictions: NDArray[np.floating]) -> HighestPeaks:
    """The most probable P and S of each window, whatever their probability.

    Of equals the earliest counts, or the middle of it and those within 0.2 s after it, as in a
    pick. Unlike there, the greatest value may stand at an edge of the window.

    Args:
        predictions: shape (n, samples, 3).

    Raises:
        ValueError: the shape is another.
        InputError: a probability is NaN or infinite.
    """
    if predictions.ndim != 3 or predictions.shape[2] != 3:
        raise ValueError(f"predictions have shape (n, samples, 3), not {predictions.shape}")
    _require_finite(predictions)
    highest = predictions.max(axis=1)
    p_sample, s_sample = (
        np.array(
            [
                _middle_of_first(np.flatnonzero(window[:, phase] == top[phase]))
                for window, top in zip(predictions, highest, strict=True)
            ],
            dtype=np.intp,
        )
        for phase in (P, S)
    )
    return HighestPeaks(
        p_sample=p_sample,
        p_probability=highest[:, P],
        s_sample=s_sample,
        s_probability=highest[:, S],
        detection=highest[:, DETECTION],
    )


def _require_finite(prediction: NDArray[np.floating]) -> None:
    finite = np.isfinite(prediction)
    if not finite.all():
        raise InputError(
            f"The model's output is not finite: {int((~finite).sum())} of {prediction.size} "
            "probabilities are NaN or infinite.",
            "Its training diverged or its conversion overflowed; it cannot be evaluated.",
        )


def _detections(
    probability: NDArray[np.floating], threshold: float
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """First samples and ends (exclusive) of the runs that are long enough."""
    above = np.zeros(len(probability) + 2, dtype=bool)
    np.greater_equal(probability, threshold, out=above[1:-1])
    edges = np.flatnonzero(above[1:] != above[:-1])
    starts, ends = edges[0::2], edges[1::2]
    long_enough = ends - starts >= SHORTEST_DETECTION_SAMPLES
    return starts[long_enough], ends[long_enough]


def _peaks(probability: NDArray[np.floating], threshold: float) -> NDArray[np.intp]:
    """Samples of the local maxima that reach `threshold`, in order of time."""
    from scipy.signal import find_peaks  # a second to import, which gates on stored counts spare

    maxima = find_peaks(probability)[0]
    return maxima[probability[maxima] >= threshold]


def _most_probable(
    probability: NDArray[np.floating], peaks: NDArray[np.intp], first: int, end: int
) -> Pick | None:
    """The greatest of `peaks` in [first, end), see the module's description, or None."""
    candidates = peaks[np.searchsorted(peaks, first) : np.searchsorted(peaks, end)]
    if not len(candidates):
        return None
    highest = probability[candidates].max()
    sample = _middle_of_first(candidates[probability[candidates] == highest])
    return Pick(float(sample), float(highest))


def _middle_of_first(equals: NDArray[np.intp]) -> int:
    """Where the onset is, if all these samples, in order of time, are equally probable.

    The middle of the first one and those that belong to it, the earlier of two.
    """
    last = equals[np.searchsorted(equals, equals[0] + ONE_ONSET_SAMPLES, side="right") - 1]
    return int(equals[0] + last) // 2
