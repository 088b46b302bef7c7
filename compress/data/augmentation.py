"""Windows for training, cut at random and changed as another day or station might have had them.

`draw_window` does it all; `Augmentation` says how often and how much. The target (detection, P and
S of each sample) changes with the waveform and stays true: what nobody could see any more is taken
out of it. Three rules say what can be seen:

- Where two things are added up (a second earthquake, noise), an onset is drowned when in the second
  after it its own side is less than `DROWNED` (-3 dB) times as loud as the other. It loses its
  target; an earthquake without an onset left loses its detection. Otherwise the larger target
  counts, output by output.
- Added noise is at most half as loud (-6 dB) as the quietest onset of the window by default.
- An onset that a gap swallowed has no target. The detection of an earthquake that began in a gap
  begins after it.

Loudness is what varies within a second (`loudness`): offset, drift and most of the microseism,
which no picker minds, do not count.

The order is physical: the ground (stretch, geometry, a second earthquake, noise), then the
station's response (filter), then its faults (clip, gap, drop). Superposition follows Zhu, Mousavi
and Beroza (2020), "Seismic signal augmentation to improve generalization of deep neural networks",
and Mousavi et al. (2020), whose training of EQTransformer adds second earthquakes, noise and gaps.

Inside, windows and targets have shape (3, samples), float32.
"""

from __future__ import annotations

import math
from fractions import Fraction
from functools import lru_cache
from typing import Annotated, Any, Literal, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from scipy import fft
from scipy.signal import butter, sosfreqz

from baseline.contract import DETECTION, SAMPLING_RATE_HZ, WINDOW_SAMPLES, P, S
from compress.data.resampling import resample
from compress.data.synthetic import band_limited_noise, geophone
from compress.data.targets import FLANK, ONSET_PROBABILITY

EAST, NORTH, VERTICAL = 0, 1, 2

DROWNED = 10 ** (-3 / 20)
"""An onset less than so many times as loud as what is added to it cannot be asked for."""

STRETCH_STEPS = 200
"""Windows are stretched by ratios with this numerator: half a percent apart."""

STRETCH_MARGIN = 16
"""Samples that are read beyond both ends of a window to be stretched, for the filter to run in."""

FADE_SAMPLES = 300
"""Longest fade of a superposed record that begins or ends inside the window."""

SIGHT_SAMPLES = 20
"""Samples of an onset that must be left before a gap for it to be seen."""

FREQUENCIES_HZ = np.maximum(
    fft.rfftfreq(WINDOW_SAMPLES, 1.0 / SAMPLING_RATE_HZ), SAMPLING_RATE_HZ / WINDOW_SAMPLES
).astype(np.float32)
"""Of a window's Fourier transform, with a harmless one in place of zero."""

_TANGENTS = np.tan(np.pi * FREQUENCIES_HZ.astype(np.float64) / SAMPLING_RATE_HZ)
_SECOND = round(SAMPLING_RATE_HZ)
_COLOUR_FROM_HZ = 0.1  # below it coloured noise is flat: it would be nothing but drift

FloatArray = NDArray[np.float32]

GROUPS: dict[str, tuple[str, ...]] = {
    "stretch": ("stretch",),
    "geometry": ("rotation", "sign", "gain"),
    "superposition": ("second_event",),
    "noise": ("real_noise", "coloured_noise"),
    "filtering": ("filter",),
    "faults": ("clip", "gap", "drop"),
}
"""Augmentations that belong together, for ablations; each stands in exactly one group."""


# --- What a pipeline may say ---------------------------------------------------------------------

Probability = Annotated[float, Field(ge=0, le=1)]

Bounded = TypeVar("Bounded")


def _lower_first(bounds: tuple[Any, Any]) -> tuple[Any, Any]:
    if bounds[0] > bounds[1]:
        raise ValueError(f"the lower number comes first, not {list(bounds)}")
    return bounds


Range = Annotated[tuple[Bounded, Bounded], AfterValidator(_lower_first)]


class _Step(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    probability: Probability


class Stretch(_Step):
    """The time axis is scaled: another distance, another sampling rate."""

    probability: Probability = Field(default=0.3, description="Share of windows.")
    factor: Range[Annotated[float, Field(ge=0.5, le=2)]] = Field(
        default=(0.85, 1.15),
        description="The factor, uniform. A record too short to be shrunk is only spread.",
    )


class Rotation(_Step):
    """The horizontals are turned about the vertical: another azimuth, another installation."""

    probability: Probability = Field(default=1.0, description="Share of windows.")
    degrees: Range[Annotated[float, Field(ge=0, le=360)]] = Field(
        default=(0.0, 360.0), description="The angle, uniform."
    )


class Sign(_Step):
    """Components are reversed: another mechanism, a wrongly wired sensor."""

    probability: Probability = Field(
        default=0.5, description="Share of windows, for each component by itself."
    )


class Gain(_Step):
    """Each component is scaled by itself; matters to what is added to it afterwards."""

    probability: Probability = Field(default=1.0, description="Share of windows.")
    spread: float = Field(
        default=0.3, gt=0, le=2, description="Standard deviation of the logarithm of the factor."
    )


class SecondEvent(_Step):
    """The earthquake of another record arrives in the same window."""

    probability: Probability = Field(default=0.15, description="Share of windows.")
    ratio: Range[Annotated[float, Field(ge=0.5, le=1000)]] = Field(
        default=(1.0, 30.0),
        description="How loud its first second of P is, relative to what it arrives in; "
        "log-uniform.",
    )


class _Noise(_Step):
    level: Range[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=(0.03, 0.5),
        description="How loud it is, relative to the window's quietest onset, or to the whole "
        "window where there is none; log-uniform.",
    )


class RealNoise(_Noise):
    """The noise of another record is added."""

    probability: Probability = Field(default=0.35, description="Share of windows.")


class ColouredNoise(_Noise):
    """Gaussian noise is added whose amplitude falls as a power of the frequency."""

    probability: Probability = Field(default=0.3, description="Share of windows.")
    slope: Range[Annotated[float, Field(ge=-1, le=3)]] = Field(
        default=(0.0, 1.0), description="The power, uniform; 0 is white."
    )


FilterKind = Literal["high_pass", "low_pass", "band_pass", "predictor", "geophone"]


class Filter(_Step):
    """The window is filtered, as sensors and other people's processing do.

    All are of second order. High-passes and geophones are causal; a low-pass has its delay taken
    out, as recorders do; `predictor` is EQTransformer's own band-pass, forwards and backwards.
    """

    probability: Probability = Field(default=0.4, description="Share of windows.")
    kinds: tuple[FilterKind, ...] = Field(
        default=("high_pass", "low_pass", "band_pass", "predictor", "geophone"),
        min_length=1,
        description="Which, equally often: `high_pass`, `low_pass`, both (`band_pass`), 1-45 Hz as "
        "EQTransformer's `predictor`, or a `geophone`.",
    )
    high_pass_hz: Range[Annotated[float, Field(gt=0, le=10)]] = Field(
        default=(0.1, 2.0), description="Corner of high_pass and band_pass; log-uniform."
    )
    low_pass_hz: Range[Annotated[float, Field(ge=10, le=50)]] = Field(
        default=(12.0, 45.0), description="Corner of low_pass and band_pass; log-uniform."
    )
    geophone_hz: Range[Annotated[float, Field(gt=0, le=20)]] = Field(
        default=(2.0, 10.0), description="Natural frequency of the geophone; log-uniform."
    )


class Clip(_Step):
    """The digitiser's range ends below the largest amplitude."""

    probability: Probability = Field(default=0.02, description="Share of windows.")
    fraction: Range[Annotated[float, Field(gt=0, le=1)]] = Field(
        default=(0.1, 0.8),
        description="Where it ends, as a fraction of the largest amplitude; log-uniform.",
    )


class Gap(_Step):
    """All components are lost for a while: the last value is held, or the mean filled in."""

    probability: Probability = Field(default=0.05, description="Share of windows.")
    seconds: Range[Annotated[float, Field(ge=0.01, le=50)]] = Field(
        default=(0.2, 10.0), description="Length of the gap, s; log-uniform."
    )


class Drop(_Step):
    """East, north, vertical, or both horizontals are dead: zero."""

    probability: Probability = Field(default=0.08, description="Share of windows.")


class Augmentation(BaseModel):
    """How training windows are changed, each change with its probability and its ranges."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stretch: Stretch = Field(default=Stretch(), description="Resampling jitter.")
    rotation: Rotation = Field(default=Rotation(), description="Rotation of the horizontals.")
    sign: Sign = Field(default=Sign(), description="Reversed components.")
    gain: Gain = Field(default=Gain(), description="Components scaled by themselves.")
    second_event: SecondEvent = Field(
        default=SecondEvent(), description="A superposed second earthquake."
    )
    real_noise: RealNoise = Field(default=RealNoise(), description="Noise of other records.")
    coloured_noise: ColouredNoise = Field(default=ColouredNoise(), description="Gaussian noise.")
    filter: Filter = Field(default=Filter(), description="Filters and sensors.")
    clip: Clip = Field(default=Clip(), description="Clipped amplitudes.")
    gap: Gap = Field(default=Gap(), description="Lost data.")
    drop: Drop = Field(default=Drop(), description="Dead components.")

    @classmethod
    def none(cls) -> Augmentation:
        """Nothing but a random place."""
        return cls()._with_probability(tuple(cls.model_fields), 0.0)

    def without(self, group: str) -> Augmentation:
        """The same with one of `GROUPS` switched off; raises KeyError for another name."""
        return self._with_probability(GROUPS[group], 0.0)

    def only(self, name: str) -> Augmentation:
        """One augmentation, always, and none of the others."""
        alone = self._with_probability(tuple(type(self).model_fields), 0.0)
        return alone._with_probability((name,), 1.0)

    def _with_probability(self, names: tuple[str, ...], probability: float) -> Augmentation:
        changed = {
            name: getattr(self, name).model_copy(update={"probability": probability})
            for name in names
        }
        return self.model_copy(update=changed)


class Donors(Protocol):
    """Where superposed earthquakes and noises come from."""

    def earthquake(
        self, random: np.random.Generator
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]] | None:
        """Waveform and target of a record with an earthquake, (samples, 3) each, or None."""
        ...

    def noise(self, random: np.random.Generator) -> NDArray[np.float32] | None:
        """The waveform of a record without an earthquake, (samples, 3), or None."""
        ...


# --- A window ------------------------------------------------------------------------------------


def draw_window(
    waveform: Any,
    target: Any,
    random: np.random.Generator,
    config: Augmentation,
    donors: Donors,
) -> tuple[FloatArray, FloatArray]:
    """A window at a random place of a record, changed at random, with its target.

    Every sample is as likely to be the first, so that onsets are not tied to whole seconds. A
    record shorter than the window stands at a random place in it, surrounded by the mean of each
    component. The arguments are not changed.

    Args:
        waveform: shape (samples, 3), components E, N, Z in counts; an array, or an HDF5 data set
            of which only the window is read.
        target: probabilities of detection, P and S, same shape, likewise.
        random: draws everything; the same state gives the same window.
        config: what is done how often.
        donors: asked for records to superpose, with `random`.

    Returns:
        Window, not normalised, and target; float32, shape (6000, 3) each.
    """
    return window_at(random.random(), waveform, target, random, config, donors)


def window_at(
    where: float,
    waveform: Any,
    target: Any,
    random: np.random.Generator,
    config: Augmentation,
    donors: Donors,
) -> tuple[FloatArray, FloatArray]:
    """A window as `draw_window` makes it, at a given place.

    `where` goes from 0, the start of the record, to just below 1, its end.
    """
    if _happens(random, config.stretch):
        factor = _draw_factor(random, config.stretch, waveform.shape[0])
        window, truth = _cut_stretched(waveform, target, where, factor)
    else:
        window, truth = _cut(waveform, target, where, WINDOW_SAMPLES)
    window = _reorient(window, random, config)
    if _happens(random, config.gain):
        factors = np.exp(config.gain.spread * random.standard_normal((3, 1)))
        window = window * factors.astype(np.float32)
    if _happens(random, config.second_event):
        window, truth = _add_event(window, truth, random, config, donors)
    if _happens(random, config.real_noise):
        window, truth = _add_real_noise(window, truth, random, config, donors)
    if _happens(random, config.coloured_noise):
        slope = random.uniform(*config.coloured_noise.slope)
        noise = coloured_noise(random, slope)
        window, truth = _add_noise(window, truth, noise, random, config.coloured_noise)
    if _happens(random, config.filter):
        window = _through(_draw_response(random, config.filter), window)
    if _happens(random, config.clip):
        window = _clip(window, _log_uniform(random, config.clip.fraction))
    if _happens(random, config.gap):
        _lose(window, truth, random, config.gap)
    if _happens(random, config.drop):
        dead = ([EAST], [NORTH], [VERTICAL], [EAST, NORTH])[random.integers(4)]
        window[dead] = 0.0
    return np.ascontiguousarray(window.T), np.ascontiguousarray(truth.T)


def _happens(random: np.random.Generator, step: _Step) -> bool:
    return bool(random.random() < step.probability)


def _log_uniform(random: np.random.Generator, bounds: tuple[float, float]) -> float:
    return math.exp(random.uniform(math.log(bounds[0]), math.log(bounds[1])))


def loudness(waveform: FloatArray) -> float:
    """Root mean square over components of what varies within each second.

    Args:
        waveform: shape (3, samples); less than a second counts as one.
    """
    seconds = max(waveform.shape[1] // _SECOND, 1)
    length = min(waveform.shape[1], _SECOND)
    blocks = waveform[:, : seconds * length].reshape(3, seconds, length)
    return math.sqrt(float(blocks.var(axis=-1).mean()))


# --- Cutting and stretching ----------------------------------------------------------------------


def _cut(waveform: Any, target: Any, where: float, length: int) -> tuple[FloatArray, FloatArray]:
    """`length` samples of a record, shape (3, length) each, new arrays."""
    start = _start(waveform.shape[0], length, where)
    return _read_waveform(waveform, start, length), _read_target(target, start, length)


def _start(samples: int, length: int, where: float) -> int:
    """First sample of a window, each as likely as the others if `where` is uniform in [0, 1).

    Negative where the record is shorter: how far before it the window begins.
    """
    first, last = sorted((0, samples - length))
    return first + int(where * (last - first + 1))


def _read_waveform(waveform: Any, start: int, length: int) -> FloatArray:
    """Beyond the record stands the mean of what is read of each component."""
    read = np.empty((3, length), dtype=np.float32)
    place, inside = _overlap(waveform.shape[0], start, length)
    read[:, inside] = waveform[place].T
    if inside.stop - inside.start < length:
        mean = read[:, inside].mean(axis=1, dtype=np.float64)[:, np.newaxis]
        read[:, : inside.start] = mean
        read[:, inside.stop :] = mean
    return read


def _read_target(target: Any, start: int, length: int) -> FloatArray:
    """Beyond the record stands zero."""
    read = np.zeros((3, length), dtype=np.float32)
    place, inside = _overlap(target.shape[0], start, length)
    read[:, inside] = target[place].T
    return read


def _overlap(samples: int, start: int, length: int) -> tuple[slice, slice]:
    """What the record and the window share, as a slice of each."""
    first, last = max(start, 0), min(start + length, samples)
    return slice(first, last), slice(first - start, last - start)


def _draw_factor(random: np.random.Generator, stretch: Stretch, samples: int) -> Fraction:
    """By how much to stretch, so that a record of `samples` still fills the window if it can."""
    low, high = stretch.factor
    low = min(max(low, min(1.0, WINDOW_SAMPLES / samples)), high)
    return Fraction(STRETCH_STEPS, round(STRETCH_STEPS / random.uniform(low, high)))


def _cut_stretched(
    waveform: Any, target: Any, where: float, factor: Fraction
) -> tuple[FloatArray, FloatArray]:
    """A window whose time axis is `factor` times as long as the record's.

    The bumps of the target become wider or narrower by the same factor.
    """
    length = math.ceil(WINDOW_SAMPLES / factor) + 2 * STRETCH_MARGIN
    window, truth = _cut(waveform, target, where, length)
    # Sample i of the stretched window was at i / factor.
    first = math.ceil(STRETCH_MARGIN * factor)
    stretched = resample(window.T, factor).T[:, first : first + WINDOW_SAMPLES]
    places = np.arange(first, first + WINDOW_SAMPLES) / float(factor)
    moved = np.stack([np.interp(places, np.arange(length), row) for row in truth])
    return np.ascontiguousarray(stretched), moved.astype(np.float32)


# --- Geometry ------------------------------------------------------------------------------------


def _reorient(window: FloatArray, random: np.random.Generator, config: Augmentation) -> FloatArray:
    """The window as an otherwise installed sensor, or another azimuth, would have it."""
    if _happens(random, config.rotation):
        angle = math.radians(random.uniform(*config.rotation.degrees))
        window = rotate(window, angle)
    signs = np.where(random.random((3, 1)) < config.sign.probability, -1.0, 1.0)
    return window * signs.astype(np.float32)


def rotate(window: FloatArray, angle: float) -> FloatArray:
    """The same motion, shape (3, samples), with the horizontals turned by `angle` (radians)."""
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([[cosine, -sine, 0], [sine, cosine, 0], [0, 0, 1]], dtype=np.float32)
    return turn @ window


# --- Superposition -------------------------------------------------------------------------------


def onsets(probability: FloatArray) -> list[tuple[int, int, int]]:
    """Where a target has onsets.

    Args:
        probability: of P or S, shape (samples,).

    Returns:
        First sample, end and highest sample of each bump that reaches `ONSET_PROBABILITY`.
    """
    above = np.flatnonzero(probability > FLANK)
    if not len(above):
        return []
    bumps = np.split(above, np.flatnonzero(np.diff(above) > 1) + 1)
    found = [
        (
            int(bump[0]),
            int(bump[-1]) + 1,
            int(bump[0] + probability[bump[0] : bump[-1] + 1].argmax()),
        )
        for bump in bumps
    ]
    return [onset for onset in found if probability[onset[2]] >= ONSET_PROBABILITY]


def _second_from(sample: int) -> slice:
    """The second after `sample`, or the window's last where it has no more."""
    first = min(sample, WINDOW_SAMPLES - _SECOND)
    return slice(first, first + _SECOND)


def _superpose(
    window: FloatArray, truth: FloatArray, other: FloatArray, other_truth: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The sum of two windows, with the target of what can still be seen."""
    seen = np.maximum(_not_drowned(truth, window, other), _not_drowned(other_truth, other, window))
    return window + other, seen


def _not_drowned(truth: FloatArray, own: FloatArray, other: FloatArray) -> FloatArray:
    """The target of `own` without the onsets that `other` drowns."""
    found = [(row, onset) for row in (P, S) for onset in onsets(truth[row])]
    drowned = [
        (row, first, end)
        for row, (first, end, peak) in found
        if loudness(own[:, _second_from(peak)]) < DROWNED * loudness(other[:, _second_from(peak)])
    ]
    if not drowned:
        return truth
    left = truth.copy()
    for row, first, end in drowned:
        left[row, first:end] = 0.0
    if len(drowned) == len(found):
        left[DETECTION] = 0.0
    return left


def _add_event(
    window: FloatArray,
    truth: FloatArray,
    random: np.random.Generator,
    config: Augmentation,
    donors: Donors,
) -> tuple[FloatArray, FloatArray]:
    """Another record's earthquake, with its P at a random sample of the window."""
    donated = donors.earthquake(random)
    if donated is None:
        return window, truth
    waveform, target = donated
    onset = int(np.argmax(target[:, P]))
    place = int(random.integers(WINDOW_SAMPLES))
    ratio = _log_uniform(random, config.second_event.ratio)
    if target[onset, P] < ONSET_PROBABILITY:
        return window, truth
    loud = loudness(waveform[onset : onset + _SECOND].T)
    if loud == 0.0:
        return window, truth
    background = loudness(window[:, _second_from(place)]) or loudness(window) or loud
    event = _read_waveform(waveform, onset - place, WINDOW_SAMPLES)
    event = _faded(event, place - onset, waveform.shape[0], full_by=place)
    event = _reorient(event, random, config)
    event *= np.float32(ratio * background / loud)
    event_truth = _read_target(target, onset - place, WINDOW_SAMPLES)
    return _superpose(window, truth, event, event_truth)


def _faded(
    window: FloatArray, first: int, samples: int, full_by: int = WINDOW_SAMPLES
) -> FloatArray:
    """A demeaned copy in which a record that begins or ends in the window fades in and out.

    Args:
        window: as `_read_waveform` gives it.
        first: where in the window the record begins; may lie outside.
        samples: length of the record.
        full_by: where in the window it must have faded in.
    """
    end = first + samples
    centred = window - window[:, max(first, 0) : end].mean(axis=1, dtype=np.float64, keepdims=True)
    faded = centred.astype(np.float32)
    length = min(FADE_SAMPLES, samples // 4)
    if first > 0:
        rising = faded[:, first : first + min(length, full_by - first)]
        rising *= _ramp(min(length, full_by - first))[: rising.shape[1]]
    if end < WINDOW_SAMPLES:
        falling = faded[:, max(end - length, 0) : end]
        falling *= _ramp(length)[: falling.shape[1]][::-1]
    return faded


def _ramp(length: int) -> FloatArray:
    """From near zero to near one, as half a cosine."""
    return (0.5 - 0.5 * np.cos(np.pi * (np.arange(length) + 0.5) / length)).astype(np.float32)


def _add_real_noise(
    window: FloatArray,
    truth: FloatArray,
    random: np.random.Generator,
    config: Augmentation,
    donors: Donors,
) -> tuple[FloatArray, FloatArray]:
    """A random stretch of a record without an earthquake."""
    waveform = donors.noise(random)
    if waveform is None:
        return window, truth
    start = _start(waveform.shape[0], WINDOW_SAMPLES, random.random())
    noise = _read_waveform(waveform, start, WINDOW_SAMPLES)
    noise = _reorient(_faded(noise, -start, waveform.shape[0]), random, config)
    return _add_noise(window, truth, noise, random, config.real_noise)


def _add_noise(
    window: FloatArray,
    truth: FloatArray,
    noise: FloatArray,
    random: np.random.Generator,
    config: _Noise,
) -> tuple[FloatArray, FloatArray]:
    """Noise at a random level below the quietest onset; a burst in it may still drown one."""
    level = _log_uniform(random, config.level)
    own = loudness(noise)
    if own == 0.0:
        return window, truth
    quietest = min(
        (
            loudness(window[:, _second_from(peak)])
            for row in (P, S)
            for _, _, peak in onsets(truth[row])
        ),
        default=loudness(window),
    )
    noise = noise * np.float32(level * quietest / own)
    return _superpose(window, truth, noise, np.zeros_like(truth))


def coloured_noise(random: np.random.Generator, slope: float) -> FloatArray:
    """Gaussian noise of unit variance, shape (3, 6000), its amplitude falling as f^-slope."""
    amplitude = np.maximum(FREQUENCIES_HZ, np.float32(_COLOUR_FROM_HZ)) ** np.float32(-slope)
    return band_limited_noise(random, 3, WINDOW_SAMPLES, amplitude)


# --- Filters -------------------------------------------------------------------------------------


def _draw_response(random: np.random.Generator, config: Filter) -> NDArray[np.complex64]:
    kind = config.kinds[random.integers(len(config.kinds))]
    if kind == "predictor":
        return _predictor_response()
    if kind == "geophone":
        return geophone(FREQUENCIES_HZ, _log_uniform(random, config.geophone_hz))
    response = np.ones_like(FREQUENCIES_HZ, dtype=np.complex64)
    if kind != "low_pass":
        response *= high_pass(_log_uniform(random, config.high_pass_hz))
    if kind != "high_pass":
        response *= low_pass(_log_uniform(random, config.low_pass_hz))
    return response


def low_pass(corner_hz: float) -> NDArray[np.complex64]:
    """Response of a digital Butterworth low-pass of second order, its delay taken out.

    1 / (s^2 + sqrt(2) s + 1) through the bilinear transform, moved forward by the time by which it
    delays what is slow, as recorders do with their filters: onsets stay where the target has them.
    """
    tangent = math.tan(math.pi * corner_hz / SAMPLING_RATE_HZ)
    s = 1j * _TANGENTS / tangent
    delay_s = 1.0 / (math.sqrt(2.0) * SAMPLING_RATE_HZ * tangent)
    moved = np.exp(2j * np.pi * FREQUENCIES_HZ * delay_s)
    return (moved / (s**2 + math.sqrt(2.0) * s + 1.0)).astype(np.complex64)


def high_pass(corner_hz: float) -> NDArray[np.complex64]:
    """Response of a causal digital Butterworth high-pass of second order."""
    s = 1j * _TANGENTS / math.tan(math.pi * corner_hz / SAMPLING_RATE_HZ)
    return (s**2 / (s**2 + math.sqrt(2.0) * s + 1.0)).astype(np.complex64)


@lru_cache(maxsize=1)
def _predictor_response() -> NDArray[np.complex64]:
    """EQTransformer's predictor: ObsPy's band-pass of 1-45 Hz, 2 corners, forth and back."""
    sections = butter(2, (1.0, 45.0), btype="bandpass", fs=SAMPLING_RATE_HZ, output="sos")
    _, response = sosfreqz(sections, worN=FREQUENCIES_HZ, fs=SAMPLING_RATE_HZ)
    return (np.abs(response) ** 2).astype(np.complex64)


def _through(response: NDArray[np.complex64], window: FloatArray) -> FloatArray:
    """The window after a filter, without the line from its first sample to its last.

    A Fourier transform takes the window for periodic: the jump from its end to its beginning would
    ring like an onset.
    """
    ramp = np.linspace(0.0, 1.0, WINDOW_SAMPLES, dtype=np.float32)
    first, last = window[:, :1], window[:, -1:]
    return fft.irfft(fft.rfft(window - first - (last - first) * ramp) * response, n=WINDOW_SAMPLES)


# --- Faults --------------------------------------------------------------------------------------


def _clip(window: FloatArray, fraction: float) -> FloatArray:
    """Amplitudes about the mean, cut at a fraction of the largest over all components."""
    mean = window.mean(axis=1, dtype=np.float64, keepdims=True).astype(np.float32)
    limit = np.float32(fraction) * np.abs(window - mean).max()
    return np.clip(window, mean - limit, mean + limit)


def _lose(window: FloatArray, truth: FloatArray, random: np.random.Generator, config: Gap) -> None:
    """Put a gap into the window, and take out of the target what it swallowed."""
    length = max(round(_log_uniform(random, config.seconds) * SAMPLING_RATE_HZ), 1)
    first = int(random.integers(1, WINDOW_SAMPLES - length))
    end = first + length
    held = random.random() < 0.5
    window[:, first:end] = (
        window[:, first - 1 : first] if held else window.mean(axis=1, dtype=np.float64)[:, None]
    )
    for row in (P, S):
        for bump, bump_end, peak in onsets(truth[row]):
            if first - SIGHT_SAMPLES <= peak < end:
                truth[row, bump:bump_end] = 0.0
                if row == P:
                    truth[DETECTION, bump:end] = 0.0
        truth[row, first:end] = 0.0
