"""Picking as data come: the last 60 s of every instrument, again at every hop.

A window ends with the newest sample that all components of an instrument have; one that stays
behind by more than a minute is taken for missing and becomes zeros. The last `delay_s` seconds of a
window do not count yet: what a model says of an onset settles as it sees what follows. What windows
say of a sample is averaged over all that have held it so far. An onset is reported once, as soon as
it is a peak that the picker takes; the earthquake need not be over. After a gap longer than
`maximum_gap_s` an instrument begins anew.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from baseline.contract import OUTPUTS, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from compress.data.archive import HALF_A_SAMPLE, NS, ORIENTATIONS, filled, ratio_of
from compress.data.band_pass import band_pass
from compress.data.records import COMPONENTS
from compress.data.resampling import resample
from compress.data.windows import cut
from compress.evaluation.picker import Thresholds, pick
from compress.picking.preparation import Preparation
from export.runtimes import Runner

if TYPE_CHECKING:
    from obspy import Trace

SAMPLE_NS = round(NS / SAMPLING_RATE_HZ)

KEPT_SAMPLES = WINDOW_SAMPLES + 500
"""A window and what the filter needs before it to have settled."""

LAG_S = 60.0
"""How far a component may stay behind the others: records of 4096 bytes hold half a minute."""

START_S = 10.0
"""From the first piece of an instrument to its first window, for other components to come."""

SAME_ONSET_S = 1.0
"""A peak this near to one that was reported is the same onset."""

COMPONENT_OF = {
    letter: place for letters in ORIENTATIONS for place, letter in enumerate(letters)
}  # fmt: skip
VERTICAL = COMPONENTS.index("Z")


@dataclass(frozen=True)
class LiveSettings:
    """How live data are picked.

    Attributes:
        thresholds: of the model.
        preparation: its band-pass; nothing is tapered, since nothing ends.
        hop_s: from one window to the next.
        delay_s: how old a sample has to be to count.
        edge_s: how much of the start of a window does not count.
        maximum_gap_s: gaps up to this are filled by a straight line.
    """

    thresholds: Thresholds
    preparation: Preparation = field(default_factory=Preparation)
    hop_s: float = 1.0
    delay_s: float = 2.0
    edge_s: float = 3.0
    maximum_gap_s: float = 1.0


@dataclass(frozen=True)
class LivePick:
    """An onset that was found as data came.

    Attributes:
        instrument: network, station, location, band and instrument code, joined by dots.
        phase: P or S.
        time: of its peak, ns since 1970.
        probability: there, as far as it is known by now.
        waited_s: from the onset to the end of the window in which it showed.
    """

    instrument: str
    phase: str
    time: int
    probability: float
    waited_s: float


class LivePicker:
    """Takes pieces of channels as they come, of any number of stations, and gives onsets.

    Args:
        runner: the model.
        settings: how.
    """

    def __init__(self, runner: Runner, settings: LiveSettings) -> None:
        self._runner = runner
        self._settings = settings
        self._instruments: dict[str, _Instrument] = {}

    def add(self, trace: Trace) -> Iterator[LivePick]:
        """The onsets that show with a piece of one channel; its pieces come in order of time.

        What is no waveform, or no component E, N, Z, 1 or 2, is passed over.
        """
        ratio = ratio_of(trace)
        place = COMPONENT_OF.get(trace.stats.channel[-1:])
        if ratio is None or place is None:
            return
        name = trace.id[:-1]
        if name not in self._instruments:
            self._instruments[name] = _Instrument(name, self._settings)
        instrument = self._instruments[name]
        instrument.take(place, trace, ratio)
        yield from instrument.picks(self._runner)


@dataclass
class _Channel:
    """The newest samples of one component at its own rate."""

    ratio: Fraction
    rate_hz: float
    start: int
    values: NDArray[np.float64]

    @property
    def end(self) -> int:
        """Time one sample after the last, ns."""
        return self.start + round(len(self.values) * NS / self.rate_hz)

    def append(self, start: int, values: NDArray[np.float64]) -> None:
        """Put samples behind, with a straight line over a gap; those already there stay."""
        missing = round((start - self.end) * self.rate_hz / NS)
        gap = np.full(max(missing, 0), np.nan)
        self.values = filled(np.concatenate([self.values, gap, values[max(-missing, 0) :]]))

    def before(self, end: int) -> NDArray[np.float32]:
        """What is kept of it before a time (ns), at 100 Hz; less where it began later."""
        last = round((end - self.start) * self.rate_hz / NS)
        # In whole periods of the ratio, so that the last sample at 100 Hz stands at `end`.
        number = ceil(KEPT_SAMPLES / self.ratio / self.ratio.denominator) * self.ratio.denominator
        if number > last:
            number = last // self.ratio.denominator * self.ratio.denominator
        values = self.values[last - number : last, np.newaxis]
        if not number:
            return np.zeros(0, np.float32)
        return resample(values, self.ratio)[-KEPT_SAMPLES:, 0]

    def forget(self) -> None:
        """Drop what no window will need any more."""
        spare = len(self.values) - ceil((KEPT_SAMPLES + 200 + LAG_S * 100) / self.ratio)
        if spare > len(self.values) // 2:
            self.start += round(spare * NS / self.rate_hz)
            self.values = self.values[spare:]


class _Instrument:
    """One instrument: its newest samples, and what windows have said of them."""

    def __init__(self, name: str, settings: LiveSettings) -> None:
        self._name = name
        self._settings = settings
        self._hop = max(round(settings.hop_s * SAMPLING_RATE_HZ), 1)
        self._reported: dict[str, list[int]] = {"p": [], "s": []}
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._channels: dict[int, _Channel] = {}
        self._next_end: int | None = None  # of a window, in samples at 100 Hz since 1970
        self._first = 0  # sample of the first of the sums, likewise
        self._sums = np.zeros((0, len(OUTPUTS)), np.float32)
        self._counts = np.zeros((0, 1), np.float32)

    def take(self, place: int, trace: Trace, ratio: Fraction) -> None:
        """Keep a piece of one component."""
        start = trace.stats.starttime.ns
        channel = self._channels.get(place)
        if channel is not None:
            allowed = (self._settings.maximum_gap_s + HALF_A_SAMPLE / channel.rate_hz) * NS
            if channel.ratio != ratio or start - channel.end > allowed:
                self._begin_anew()
                channel = None
        values = np.asarray(trace.data, np.float64)
        if channel is None:
            rate_hz = trace.stats.sampling_rate
            self._channels[place] = _Channel(ratio, rate_hz, start, filled(values))
        else:
            channel.append(start, values)

    def picks(self, runner: Runner) -> Iterator[LivePick]:
        """The onsets that the windows show which have become complete."""
        if VERTICAL not in self._channels:
            return
        newest = max(channel.end for channel in self._channels.values())
        present = {
            place: channel
            for place, channel in self._channels.items()
            if newest - channel.end <= LAG_S * NS
        }
        end = min(channel.end for channel in present.values()) // SAMPLE_NS
        if self._next_end is None:
            self._next_end = end + round(START_S * SAMPLING_RATE_HZ)
        while VERTICAL in present and self._next_end <= end:
            self._answer(present, self._next_end, runner)
            yield from self._new_onsets(self._next_end)
            self._next_end += self._hop
        for channel in self._channels.values():
            channel.forget()

    def _answer(self, present: dict[int, _Channel], end: int, runner: Runner) -> None:
        """Ask the model about the window that ends before sample `end`, and add what it says."""
        recorded = {place: one.before(end * SAMPLE_NS) for place, one in present.items()}
        length = min(map(len, recorded.values()))
        if length < SAMPLING_RATE_HZ:
            return
        waveform = np.zeros((length, len(COMPONENTS)))
        for place, values in recorded.items():
            waveform[:, place] = values[len(values) - length :]
        heard = band_pass(waveform, self._settings.preparation.band_hz)
        window = cut(heard, length - WINDOW_SAMPLES)
        answer = runner(window[np.newaxis])[0]
        edge, delay = (
            round(s * SAMPLING_RATE_HZ) for s in (self._settings.edge_s, self._settings.delay_s)
        )
        begun = max(WINDOW_SAMPLES - length, 0)
        self._add(end - WINDOW_SAMPLES, answer, begun or edge, WINDOW_SAMPLES - delay)

    def _add(self, start: int, answer: NDArray[np.float32], first: int, last: int) -> None:
        if last <= first:
            return
        if not len(self._sums):
            self._first = start + first
        size = start + last - self._first
        missing = max(size - len(self._sums), 0)
        self._sums = np.concatenate([self._sums, np.zeros((missing, len(OUTPUTS)), np.float32)])
        self._counts = np.concatenate([self._counts, np.zeros((missing, 1), np.float32)])
        first = max(first, self._first - start)
        place = slice(start + first - self._first, size)
        self._sums[place] += answer[first:last]
        self._counts[place] += 1
        spare = max(len(self._sums) - WINDOW_SAMPLES, 0)
        self._sums, self._counts = self._sums[spare:], self._counts[spare:]
        self._first += spare

    def _new_onsets(self, end: int) -> Iterator[LivePick]:
        probabilities = self._sums / np.maximum(self._counts, 1)
        for event in pick(probabilities, self._settings.thresholds).events:
            for phase, onset in (("p", event.p), ("s", event.s)):
                if onset is None:
                    continue
                sample = self._first + int(onset.sample)
                known = self._reported[phase]
                if any(abs(sample - one) <= SAME_ONSET_S * SAMPLING_RATE_HZ for one in known):
                    continue
                known.append(sample)
                del known[:-100]
                waited = (end - sample) / SAMPLING_RATE_HZ
                yield LivePick(
                    self._name, phase.upper(), sample * SAMPLE_NS, onset.probability, waited
                )
