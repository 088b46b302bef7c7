"""Synthetic earthquakes and noise: training and test records that need no download.

The recipe is kinematic, not a simulation of wave propagation. An earthquake is P and S, each
band-limited noise under an envelope with an onset and a decay, polarised along a ray; noise is
coloured Gaussian noise with what stands near real stations: microseism, machines, traffic,
footsteps, and faults of the instrument. Every number is drawn per record, so no two records share
a spectrum, a geometry or a noise. `benchmarks/synthetic_realism.py` measures what a picker trained
on real earthquakes makes of them.

The same library versions on the same kind of processor give the same bits; elsewhere the last bits
of a waveform may differ.

Internally waveforms have shape (3, samples), components E, N, Z, and the root mean square of the
ambient noise is one; `digitise` turns that into counts. Times are in seconds.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from baseline.errors import InputError
from compress.data.records import SAMPLING_RATE_HZ, Category, Record

GENERATOR_VERSION = 1
"""Raise it whenever a record of the same seed and index comes out differently."""

HARD_NEGATIVE_FRACTION = 0.4
"""Share of the noise records that hold what a picker may mistake for an earthquake."""

MIN_DURATION_S = 60.0
"""A record holds at least one window."""

S_MINUS_P_S = (0.8, 28.0)
"""S-P time, about 6 to 230 km of distance; log-uniform."""

DOMINANT_FREQUENCY_HZ = (2.0, 18.0)
"""Where the velocity spectrum of P peaks; lower with distance."""

S_TO_P_AMPLITUDE = (1.0, 6.0)
"""Ratio of the direct phases' amplitudes; log-uniform."""

SNR_SIGNAL_S = 3.0
SNR_NOISE_S = 10.0
"""Lengths of the windows after and before P that define the signal-to-noise ratio."""

FloatArray = NDArray[np.float32]


# --- Building blocks -----------------------------------------------------------------------------


@lru_cache(maxsize=8)
def _times(samples: int) -> FloatArray:
    return (np.arange(samples) / SAMPLING_RATE_HZ).astype(np.float32)


@lru_cache(maxsize=8)
def _frequencies(samples: int) -> FloatArray:
    """The frequencies of a real Fourier transform in Hz, with a harmless one in place of zero."""
    frequencies = fft.rfftfreq(samples, 1.0 / SAMPLING_RATE_HZ).astype(np.float32)
    frequencies[0] = frequencies[1]
    return frequencies


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _chance(rng: np.random.Generator, probability: float) -> bool:
    return bool(rng.random() < probability)


def _rms(waveform: FloatArray) -> float:
    return math.sqrt(float(np.mean(np.square(waveform), dtype=np.float64)))


def white_spectrum(rng: np.random.Generator, rows: int, samples: int) -> NDArray[np.complex64]:
    """The Fourier transform of `rows` independent white noises without their means."""
    parts = rng.standard_normal((rows, samples // 2 + 1, 2), dtype=np.float32)
    spectrum = parts.view(np.complex64)[..., 0]
    spectrum[:, 0] = 0.0
    return spectrum


def band_limited_noise(
    rng: np.random.Generator, rows: int, samples: int, amplitude: FloatArray
) -> FloatArray:
    """Stationary Gaussian noise with the given amplitude spectrum.

    Args:
        rng: where chance comes from.
        rows: number of independent noises.
        samples: length of each.
        amplitude: shape (samples // 2 + 1,) or (rows, samples // 2 + 1), any unit.

    Returns:
        Shape (rows, samples); each row has a root mean square of one.
    """
    noise = fft.irfft(white_spectrum(rng, rows, samples) * amplitude, n=samples)
    return noise / np.sqrt(np.mean(np.square(noise), axis=-1, keepdims=True))


def source_spectrum(frequencies: FloatArray, dominant_hz: float, attenuation: float) -> FloatArray:
    """Ground velocity of a Brune source seen through an attenuating path.

    `f / (1 + (f / fc)^2) * exp(-pi f t*)` (Brune 1970; Anderson and Hough 1984), with corner
    frequency and t* chosen so that the spectrum peaks at `dominant_hz`.

    Args:
        frequencies: in Hz, positive.
        dominant_hz: frequency of the peak.
        attenuation: between 0 and 1: how much of the fall beyond the peak is attenuation
            (exponential) rather than the source's own (a power of the frequency).
    """
    relative = frequencies / dominant_hz
    corner_squared = (1.0 + attenuation) / (1.0 - attenuation)
    return relative / (1.0 + relative**2 / corner_squared) * np.exp(-attenuation * relative)


def envelope(
    samples: int, onset_s: float, rise_s: float, decay_s: float, coda_level: float, coda_s: float
) -> FloatArray:
    """Zero before the onset, then a rise, an exponential decay and a longer coda.

    Args:
        samples: length of the result.
        onset_s: anywhere between samples; the envelope itself holds the fraction.
        rise_s: time constant of the rise; small is impulsive, large is emergent.
        decay_s: time constant of the direct phase.
        coda_level: share of the amplitude that decays as coda: inversely with time (scattering)
            and exponentially (absorption).
        coda_s: time constant of both.

    Returns:
        Shape (samples,), at most one.
    """
    result = np.zeros(samples, dtype=np.float32)
    first = max(math.ceil(onset_s * SAMPLING_RATE_HZ), 0)
    lapse = _times(samples)[first:] - np.float32(onset_s)
    direct = (1.0 - coda_level) * np.exp(-lapse / decay_s)
    coda = coda_level * np.exp(-lapse / coda_s) / (1.0 + lapse / coda_s)
    result[first:] = (1.0 - np.exp(-lapse / rise_s)) * (direct + coda)
    return result


def first_motion(samples: int, onset_s: float, frequency_hz: float, decay: float) -> FloatArray:
    """A causal pulse: a sine that starts at the onset and loses 1/e in `decay` cycles."""
    result = np.zeros(samples, dtype=np.float32)
    first = max(math.ceil(onset_s * SAMPLING_RATE_HZ), 0)
    cycles = (_times(samples)[first:] - np.float32(onset_s)) * frequency_hz
    result[first:] = np.sin(2.0 * np.pi * cycles) * np.exp(-cycles / decay)
    return result


def slow_modulation(rng: np.random.Generator, samples: int, depth: float) -> FloatArray:
    """A positive factor that wanders over 6 to 25 s; its logarithm has scale `depth`."""
    knots = max(3, round(samples / SAMPLING_RATE_HZ / rng.uniform(6.0, 25.0)))
    values = np.exp(depth * rng.standard_normal(knots))
    positions = np.linspace(0.0, samples - 1.0, knots)
    return np.interp(np.arange(samples), positions, values).astype(np.float32)


def random_direction(rng: np.random.Generator) -> FloatArray:
    """A unit vector, shape (3, 1), uniform over the sphere."""
    vector = rng.standard_normal((3, 1)).astype(np.float32)
    return vector / np.linalg.norm(vector)


# --- Earthquakes ---------------------------------------------------------------------------------


def ray_directions(incidence: float, azimuth: float) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Unit vectors of P, SV and SH motion, at right angles to each other; shape (3, 1) each.

    Args:
        incidence: angle between ray and vertical at the station, radians.
        azimuth: direction of travel, radians clockwise from north.
    """
    sin_i, cos_i = math.sin(incidence), math.cos(incidence)
    east, north = math.sin(azimuth), math.cos(azimuth)
    p = np.array([[sin_i * east], [sin_i * north], [cos_i]], dtype=np.float32)
    sv = np.array([[cos_i * east], [cos_i * north], [-sin_i]], dtype=np.float32)
    sh = np.array([[north], [-east], [0.0]], dtype=np.float32)
    return p, sv, sh


def _phase_envelopes(
    rng: np.random.Generator, samples: int, onset_s: float, s_minus_p_s: float, rise_s: float
) -> tuple[FloatArray, FloatArray]:
    """The envelopes of a phase's polarised and of its scattered (randomly polarised) motion.

    Later arrivals of the same kind (reflections, other branches) stand inside the polarised one.
    """
    decay_s = rng.uniform(0.25, 0.8) * s_minus_p_s**0.6 + rise_s
    coda_s = rng.uniform(0.5, 1.5) * (2.0 + s_minus_p_s)
    polarised = envelope(samples, onset_s, rise_s, decay_s, rng.uniform(0.1, 0.4), coda_s)
    for _ in range(rng.integers(0, 4)):
        delay = rng.uniform(0.02, 0.25)
        later = envelope(
            samples, onset_s + delay * s_minus_p_s, rise_s + 0.1 * decay_s, decay_s, 0.2, coda_s
        )
        polarised += rng.uniform(0.1, 0.6) * (1.0 - 2.0 * delay) * later
    scattered_rise_s = rise_s + rng.uniform(0.05, 0.4)
    scattered = envelope(
        samples, onset_s, scattered_rise_s, 2.0 * decay_s, rng.uniform(0.3, 0.8), coda_s
    )
    return polarised, rng.uniform(0.25, 0.7) * scattered


def earthquake(
    rng: np.random.Generator, samples: int, p_s: float, s_minus_p_s: float
) -> FloatArray:
    """Ground motion of one local earthquake, without noise.

    Args:
        rng: where chance comes from.
        samples: length of the result.
        p_s: time of the P onset.
        s_minus_p_s: time from P to S; stands for the distance.

    Returns:
        Shape (3, samples); zero before P; the direct P has an amplitude of about one.
    """
    low, high = DOMINANT_FREQUENCY_HZ
    typical_hz = 13.0 * s_minus_p_s**-0.35
    p_hz = min(max(typical_hz * math.exp(0.4 * rng.standard_normal()), low), high)
    s_hz = max(p_hz * rng.uniform(0.45, 0.85), 0.75 * low)
    s_s = p_s + s_minus_p_s
    ratio = _log_uniform(rng, *S_TO_P_AMPLITUDE)
    p_rise_s, s_rise_s = _log_uniform(rng, 0.01, 0.25), _log_uniform(rng, 0.015, 0.25)
    attenuation = rng.uniform(0.1, 0.7)

    p_direction, sv_direction, sh_direction = ray_directions(
        incidence=math.radians(rng.uniform(5.0, 42.0)), azimuth=rng.uniform(0.0, 2.0 * np.pi)
    )
    frequencies = _frequencies(samples)
    p_carriers = band_limited_noise(
        rng, 4, samples, source_spectrum(frequencies, p_hz, attenuation)
    )
    s_carriers = band_limited_noise(
        rng, 5, samples, source_spectrum(frequencies, s_hz, attenuation)
    )

    polarised, scattered = _phase_envelopes(rng, samples, p_s, s_minus_p_s, p_rise_s)
    sign = float(rng.choice([-1.0, 1.0]))
    pulse = sign * rng.uniform(0.5, 1.5) * first_motion(samples, p_s, p_hz, rng.uniform(0.5, 2.0))
    motion = p_direction * (polarised * p_carriers[0] + pulse)
    motion += scattered * p_carriers[1:] * np.array([[0.8], [0.8], [1.0]], dtype=np.float32)

    polarised, scattered = _phase_envelopes(rng, samples, s_s, s_minus_p_s, s_rise_s)
    tilt = rng.uniform(0.0, 2.0 * np.pi)
    s_direction = math.cos(tilt) * sv_direction + math.sin(tilt) * sh_direction
    cross_direction = math.cos(tilt) * sh_direction - math.sin(tilt) * sv_direction
    pulse = rng.uniform(0.5, 1.5) * first_motion(samples, s_s, s_hz, rng.uniform(0.5, 2.0))
    s_motion = s_direction * (polarised * s_carriers[0] + pulse)
    s_motion += rng.uniform(0.2, 0.9) * cross_direction * polarised * s_carriers[1]
    s_motion += scattered * s_carriers[2:] * np.array([[1.0], [1.0], [0.75]], dtype=np.float32)
    motion += ratio * s_motion

    if _chance(rng, 0.25):  # S converted to P below the station: early, and on the vertical
        lead_s = rng.uniform(0.02, 0.12) * s_minus_p_s
        converted = envelope(samples, s_s - lead_s, 0.05, lead_s, 0.1, 1.0 + lead_s)
        motion += rng.uniform(0.05, 0.25) * ratio * p_direction * converted * p_carriers[0]
    return motion


def amplitude_95(waveform: FloatArray) -> float:
    """The 95th percentile of the absolute amplitude over time and components."""
    magnitudes = np.abs(waveform).ravel()
    rank = math.ceil(0.95 * magnitudes.size) - 1
    return float(np.partition(magnitudes, rank)[rank])


def gain_for_snr(
    event: FloatArray, noise: FloatArray, p_s: float, s_s: float, snr_db: float
) -> float:
    """What to multiply `event` by to stand `snr_db` above `noise`.

    This is where the signal-to-noise ratio is defined: 20 log10 of the ratio between the 95th
    percentiles of absolute amplitude, over all components at once and unfiltered, of the signal
    alone in the 3 s after P (or until S) and of the noise alone in the 10 s before P. It differs
    from STEAD's (Mousavi et al. 2019) in looking at P where STEAD looks at S: P is the weaker, so
    a range of this ratio says how well both onsets can be seen. S mostly stands 0 to 16 dB higher.
    """
    p, s = int(p_s * SAMPLING_RATE_HZ), int(s_s * SAMPLING_RATE_HZ)
    signal = amplitude_95(event[:, p : min(p + round(SNR_SIGNAL_S * SAMPLING_RATE_HZ), s)])
    before = amplitude_95(noise[:, max(p - round(SNR_NOISE_S * SAMPLING_RATE_HZ), 0) : p])
    return 10.0 ** (snr_db / 20.0) * before / signal


# --- Ambient noise -------------------------------------------------------------------------------


def ambient_spectrum(rng: np.random.Generator, frequencies: FloatArray) -> FloatArray:
    """Amplitude spectra of ambient noise, shape (3, frequencies).

    A random slope, a microseism, humps of culture and resonance, and a high-pass.
    """
    log_f = np.log(frequencies)
    slopes = rng.uniform(-0.1, 1.1) + 0.15 * rng.standard_normal((3, 1))
    levels = np.exp(0.3 * rng.standard_normal((3, 1)))
    amplitude = levels * np.exp(-slopes * log_f)
    if _chance(rng, 0.7):  # secondary microseism, 3-10 s (Peterson 1993)
        peak, width = math.log(rng.uniform(0.1, 0.35)), rng.uniform(0.2, 0.45)
        amplitude *= 1.0 + _log_uniform(rng, 0.5, 60.0) * np.exp(
            -0.5 * ((log_f - peak) / width) ** 2
        )
    for _ in range(rng.integers(0, 3)):  # cultural noise and site resonance
        peak, width = math.log(_log_uniform(rng, 2.0, 30.0)), rng.uniform(0.15, 0.7)
        strength = _log_uniform(rng, 0.3, 6.0) * np.exp(0.4 * rng.standard_normal((3, 1)))
        amplitude *= 1.0 + strength * np.exp(-0.5 * ((log_f - peak) / width) ** 2)
    corner = _log_uniform(rng, 0.4, 2.5) if _chance(rng, 0.5) else _log_uniform(rng, 0.02, 0.4)
    order = rng.integers(1, 4)
    return (amplitude / np.sqrt(1.0 + np.exp(2 * order * (math.log(corner) - log_f)))).astype(
        np.float32
    )


def spectral_line(rng: np.random.Generator, samples: int, frequency_hz: float) -> FloatArray:
    """A machine: a tone whose frequency drifts a little and whose amplitude breathes.

    Returns:
        Shape (3, samples), polarised, amplitude one.
    """
    drift = 1e-3 * frequency_hz * rng.standard_normal()
    time = _times(samples)
    cycles = rng.random() + frequency_hz * time + drift * np.sin(0.3 * time + 6.0 * rng.random())
    tone = np.sin(2.0 * np.pi * cycles) * slow_modulation(rng, samples, rng.uniform(0.0, 0.4))
    return random_direction(rng) * tone.astype(np.float32)


def line_frequency(rng: np.random.Generator) -> float:
    """Mains and railway currents and their aliases at 100 Hz, or a machine of any speed, in Hz."""
    if _chance(rng, 0.4):
        return float(rng.choice([16.7, 25.0, 30.0, 40.0, 49.9]))
    return _log_uniform(rng, 1.5, 45.0)


def ambient_noise(rng: np.random.Generator, samples: int) -> FloatArray:
    """Stationary or slowly changing background noise.

    Returns:
        Shape (3, samples), components correlated in part, root mean square one over all.
    """
    mixing = np.eye(3) + rng.uniform(0.0, 0.7) * rng.standard_normal((3, 3))
    mixing /= np.linalg.norm(mixing, axis=1, keepdims=True)
    spectrum = mixing.astype(np.complex64) @ white_spectrum(rng, 3, samples)
    noise = fft.irfft(spectrum * ambient_spectrum(rng, _frequencies(samples)), n=samples)
    noise *= slow_modulation(rng, samples, rng.uniform(0.0, 0.12))
    noise /= _rms(noise)
    if _chance(rng, 0.35):
        for _ in range(rng.integers(1, 4)):
            noise += _log_uniform(rng, 0.05, 1.0) * spectral_line(rng, samples, line_frequency(rng))
        noise /= _rms(noise)
    return noise


# --- Disturbances that a picker may mistake for an earthquake -------------------------------------


def _random_time(rng: np.random.Generator, samples: int) -> float:
    return rng.uniform(0.0, samples / SAMPLING_RATE_HZ)


def burst(rng: np.random.Generator, samples: int) -> FloatArray:
    """One to four blows, slams or gusts: one onset each, without a second phase of another kind."""
    frequency = _log_uniform(rng, 2.0, 35.0)
    amplitude = source_spectrum(_frequencies(samples), frequency, rng.uniform(0.05, 0.8))
    carriers = band_limited_noise(rng, 4, samples, amplitude)
    direction, scatter = random_direction(rng), rng.uniform(0.1, 0.8)
    rise_s, decay_s = _log_uniform(rng, 0.01, 2.0), _log_uniform(rng, 0.1, 5.0)
    shape = np.zeros(samples, dtype=np.float32)
    for _ in range(rng.integers(1, 5)):
        coda_s = decay_s * rng.uniform(1.0, 4.0)
        onset_s = _random_time(rng, samples)
        shape += rng.uniform(0.3, 1.0) * envelope(samples, onset_s, rise_s, decay_s, 0.2, coda_s)
    return shape * (direction * carriers[0] + scatter * carriers[1:])


def traffic(rng: np.random.Generator, samples: int) -> FloatArray:
    """A vehicle or train that swells and fades over 5 to 40 s."""
    frequency = _log_uniform(rng, 3.0, 25.0)
    amplitude = source_spectrum(_frequencies(samples), frequency, rng.uniform(0.3, 0.9))
    offset = (_times(samples) - _random_time(rng, samples)) / rng.uniform(1.5, 10.0)
    skew = rng.uniform(0.5, 2.0)  # approaches and leaves at different speeds
    shape = np.exp(-0.5 * np.square(np.where(offset < 0.0, offset * skew, offset)))
    balance = np.exp(0.3 * rng.standard_normal((3, 1))).astype(np.float32)
    return shape * balance * band_limited_noise(rng, 3, samples, amplitude)


def footsteps(rng: np.random.Generator, samples: int) -> FloatArray:
    """Somebody, or a hoofed animal, walks past: short thuds at 1.4 to 2.3 a second."""
    amplitude = source_spectrum(_frequencies(samples), _log_uniform(rng, 8.0, 35.0), 0.3)
    carriers = band_limited_noise(rng, 3, samples, amplitude)
    step_s, decay_s = 1.0 / rng.uniform(1.4, 2.3), rng.uniform(0.03, 0.15)
    nearest_s, passing_s = _random_time(rng, samples), rng.uniform(2.0, 15.0)
    time = _times(samples)
    phase_s = (time + rng.uniform(0.0, step_s)) % step_s
    thuds = (1.0 - np.exp(-phase_s / 0.01)) * np.exp(-phase_s / decay_s)
    return thuds / (1.0 + np.square((time - nearest_s) / passing_s)) ** 2 * carriers


def machine_run(rng: np.random.Generator, samples: int) -> FloatArray:
    """A pump or compressor that starts, runs for a while and stops."""
    start_s, run_s = _random_time(rng, samples), _log_uniform(rng, 2.0, 60.0)
    time, ramp_s = _times(samples), rng.uniform(0.05, 1.0)
    on = np.clip((time - start_s) / ramp_s, 0.0, 1.0) - np.clip(
        (time - start_s - run_s) / ramp_s, 0.0, 1.0
    )
    frequency = _log_uniform(rng, 5.0, 25.0)
    motion = spectral_line(rng, samples, frequency)
    if 2.0 * frequency < 0.45 * SAMPLING_RATE_HZ:
        motion = motion + rng.uniform(0.1, 0.8) * spectral_line(rng, samples, 2.0 * frequency)
    return on.astype(np.float32) * motion


def calibration(rng: np.random.Generator, samples: int) -> FloatArray:
    """Calibration pulses: each a step seen through the free oscillation of a damped pendulum."""
    frequency, damping = _log_uniform(rng, 0.03, 1.0), rng.uniform(0.6, 0.8)
    damped = frequency * math.sqrt(1.0 - damping**2)
    result = np.zeros(samples, dtype=np.float32)
    for sign in (1.0, -1.0)[: rng.integers(1, 3)]:
        lapse = np.maximum(_times(samples) - _random_time(rng, samples), 0.0)
        decay = np.exp(-2.0 * np.pi * frequency * damping * lapse)
        result += sign * decay * np.sin(2.0 * np.pi * damped * lapse)
    return np.exp(0.3 * rng.standard_normal((3, 1))).astype(np.float32) * result


# --- Disturbances that no picker should mistake for an earthquake ---------------------------------


def spikes(rng: np.random.Generator, samples: int) -> FloatArray:
    """One to five single-sample spikes, on one component or on all."""
    result = np.zeros((3, samples), dtype=np.float32)
    count = rng.integers(1, 6)
    heights = rng.choice([-1.0, 1.0], count) * rng.uniform(0.5, 1.0, count)
    components = slice(None) if _chance(rng, 0.5) else rng.integers(0, 3)
    result[components, rng.integers(0, samples, count)] = heights
    return result


def step(rng: np.random.Generator, samples: int) -> FloatArray:
    """A jump of the base line that decays, as of a feedback seismometer: glitch, recentring."""
    lapse = _times(samples) - _random_time(rng, samples)
    decay_s = _log_uniform(rng, 0.5, 100.0)
    shape = np.where(lapse >= 0.0, np.exp(-np.maximum(lapse, 0.0) / decay_s), 0.0)
    return random_direction(rng) * shape.astype(np.float32)


def long_period(rng: np.random.Generator, samples: int) -> FloatArray:
    """Surface waves of a distant earthquake, or tilt: 0.02 to 0.2 Hz, stronger for a while."""
    log_f = np.log(_frequencies(samples))
    peak, width = math.log(_log_uniform(rng, 0.02, 0.2)), rng.uniform(0.2, 0.4)
    amplitude = np.exp(-0.5 * np.square((log_f - peak) / width)).astype(np.float32)
    return band_limited_noise(rng, 3, samples, amplitude) * slow_modulation(rng, samples, 0.5)


Disturbance = Callable[[np.random.Generator, int], FloatArray]

# burst twice: of all these it is the likest to an earthquake
HARD: tuple[Disturbance, ...] = (burst, burst, traffic, footsteps, machine_run, calibration)
MILD: tuple[Disturbance, ...] = (spikes, step, long_period)


def random_disturbance(
    rng: np.random.Generator,
    samples: int,
    kinds: tuple[Disturbance, ...],
    strength: tuple[float, float],
) -> FloatArray:
    """One of `kinds`, times a factor in the range `strength` (log-uniform); shape (3, samples)."""
    disturbance = kinds[rng.integers(len(kinds))]
    return np.float32(_log_uniform(rng, *strength)) * disturbance(rng, samples)


# --- The way to the digitiser --------------------------------------------------------------------


def resonance(
    frequencies: FloatArray, peak_hz: float, quality: float, gain: float
) -> NDArray[np.complex64]:
    """Response of soft ground under the station: the input plus a damped oscillator's motion.

    Causal, so that nothing moves before the onset.
    """
    ratio = frequencies / peak_hz
    oscillator = 1.0 / (1.0 - ratio**2 + 1j * ratio / quality)
    return (1.0 + gain / quality * oscillator).astype(np.complex64)


def geophone(frequencies: FloatArray, corner_hz: float) -> NDArray[np.complex64]:
    """Velocity response of a geophone at 0.7 of critical damping: a causal high-pass."""
    ratio = frequencies / corner_hz
    return (-(ratio**2) / (1.0 - ratio**2 + 1.4j * ratio)).astype(np.complex64)


def site_and_instrument(
    rng: np.random.Generator, frequencies: FloatArray
) -> tuple[NDArray[np.complex64], float]:
    """Ground resonance, a short-period sensor, or a lower sampling rate; often none of them.

    Returns:
        The response, shape (3, frequencies), and the sampling rate in Hz that the station
        recorded at.
    """
    response = np.ones((3, len(frequencies)), dtype=np.complex64)
    sampling_rate_hz = SAMPLING_RATE_HZ
    if _chance(rng, 0.3):
        ground = resonance(
            frequencies, _log_uniform(rng, 1.5, 15.0), rng.uniform(1.5, 5.0), rng.uniform(0.5, 4.0)
        )
        response[:2] *= ground
        response[2] *= 1.0 + rng.uniform(0.0, 0.4) * (ground - 1.0)
    if _chance(rng, 0.2):
        response *= geophone(frequencies, _log_uniform(rng, 0.5, 4.5))
    if _chance(rng, 0.1):
        sampling_rate_hz = float(rng.choice([40.0, 50.0]))
        response /= np.sqrt(1.0 + (frequencies / (0.42 * sampling_rate_hz)) ** 16)
    return response, sampling_rate_hz


def record_through(response: NDArray[np.complex64], motion: FloatArray) -> FloatArray:
    """The motion, shape (3, samples), as the station records it."""
    if np.all(response == 1.0):
        return motion
    return fft.irfft(fft.rfft(motion) * response, n=motion.shape[1])


def digitise(rng: np.random.Generator, motion: FloatArray) -> FloatArray:
    """Counts: gain over several orders of magnitude, clipping, offset, drift, whole numbers.

    Real archives hold whole counts nine times in ten; in quiet places they are few.
    """
    counts_per_unit = _log_uniform(rng, 1.5, 3e4)
    counts = motion * np.float32(counts_per_unit)
    if _chance(rng, 0.03):
        limit = rng.uniform(0.4, 0.9) * float(np.abs(counts).max())
        np.clip(counts, -limit, limit, out=counts)
    counts += counts_per_unit * rng.choice([0.0, 1.0, 30.0]) * rng.standard_normal((3, 1))
    if _chance(rng, 0.2):
        drift = np.linspace(-1.0, 1.0, counts.shape[1])
        counts += counts_per_unit * rng.standard_normal((3, 1)) * drift
    return (np.round(counts) if _chance(rng, 0.9) else counts).astype(np.float32, copy=False)


def lose_telemetry(rng: np.random.Generator, counts: FloatArray) -> None:
    """Put a gap of 0.5 to 20 s in: the last value, or zero, on all components or on one."""
    length = round(_log_uniform(rng, 0.5, 20.0) * SAMPLING_RATE_HZ)
    first = int(rng.integers(1, counts.shape[1] - length))
    components = [0, 1, 2] if _chance(rng, 0.6) else [int(rng.integers(3))]
    held = counts[components, first - 1 : first] if _chance(rng, 0.6) else np.float32(0.0)
    counts[components, first : first + length] = held


# --- The source ----------------------------------------------------------------------------------


def _hash_to_unit(seed: int, indices: NDArray[np.uint64]) -> NDArray[np.float64]:
    """One number in [0, 1) per index: SplitMix64 (Steele, Lea and Flood 2014).

    Quicker by three orders of magnitude than a random generator per record, which is what lets a
    source say the categories of all its records at once.
    """
    offset = int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:8], "little")
    state = indices * np.uint64(0x9E3779B97F4A7C15) + np.uint64(offset)
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return (state >> np.uint64(11)).astype(np.float64) * 2.0**-53


@dataclass(frozen=True)
class SyntheticSource:
    """Synthetic records, made when they are asked for.

    Record i depends on the seed, i and the other settings but not on `records`: a longer source
    begins with the records of a shorter one. Each record holds at most one earthquake.

    P stands where a 60-s window can be cut with P at least 3 s after its start, at a time that is
    tied neither to whole seconds nor to whole samples.

    Args:
        records: how many.
        seed: not negative. Give training and evaluation different ones.
        noise_fraction: probability that a record holds noise only; some of that noise is hard
            to tell from an earthquake (`is_hard_negative`).
        duration_s: length of each record, at least 60 s.
        snr_db: range of the signal-to-noise ratio, uniform; defined by `gain_for_snr`.

    Raises:
        InputError: a setting is out of range.
    """

    records: int
    seed: int
    noise_fraction: float = 0.25
    duration_s: float = 90.0
    snr_db: tuple[float, float] = (3, 35)

    def __post_init__(self) -> None:
        checks = [
            ("records", self.records >= 0, "not negative"),
            ("seed", self.seed >= 0, "not negative"),
            ("noise_fraction", 0.0 <= self.noise_fraction <= 1.0, "between 0 and 1"),
            ("duration_s", MIN_DURATION_S <= self.duration_s < math.inf, "at least 60"),
            (
                "snr_db",
                len(self.snr_db) == 2 and -math.inf < self.snr_db[0] <= self.snr_db[1] < math.inf,
                "two finite numbers, the lower first",
            ),
        ]
        for name, valid, rule in checks:
            if not valid:
                raise InputError(
                    f"synthetic source: {name} is {getattr(self, name)!r}.", f"It must be {rule}."
                )

    def __len__(self) -> int:
        return self.records

    def names(self) -> list[str]:
        """`synthetic:SEED:INDEX` of every record."""
        return [self._name(index) for index in range(self.records)]

    def categories(self) -> list[Category]:
        """Earthquake or noise, for every record, without making a waveform."""
        draws = _hash_to_unit(self.seed, np.arange(self.records, dtype=np.uint64))
        return [
            Category.NOISE if noise else Category.EARTHQUAKE
            for noise in draws < self.noise_fraction
        ]

    def is_hard_negative(self, index: int) -> bool:
        """Whether the record is noise with a burst, a calibration pulse or a gap in it."""
        return self._draw(index) < HARD_NEGATIVE_FRACTION * self.noise_fraction

    def fingerprint(self) -> str:
        """SHA-256 over the settings and the version of the generator."""
        settings = {
            "source": "synthetic",
            "version": GENERATOR_VERSION,
            "records": self.records,
            "seed": self.seed,
            "noise_fraction": float(self.noise_fraction),
            "duration_s": float(self.duration_s),
            "snr_db": [float(bound) for bound in self.snr_db],
        }
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()

    def __getitem__(self, index: int) -> Record:
        """The record at `index`; float32, shape (duration_s * 100, 3)."""
        if not 0 <= index < self.records:
            raise IndexError(f"record {index} of a synthetic source of {self.records}")
        rng = np.random.default_rng([self.seed, index])
        if self._draw(index) < self.noise_fraction:
            return self._noise(index, rng)
        return self._earthquake(index, rng)

    def _name(self, index: int) -> str:
        return f"synthetic:{self.seed}:{index}"

    def _draw(self, index: int) -> float:
        return float(_hash_to_unit(self.seed, np.array([index], dtype=np.uint64))[0])

    def _samples(self) -> int:
        return round(self.duration_s * SAMPLING_RATE_HZ)

    def _earthquake(self, index: int, rng: np.random.Generator) -> Record:
        samples = self._samples()
        s_minus_p_s = _log_uniform(rng, *S_MINUS_P_S)
        # 1.5 S-P times after P, the coda of S still lies within the record
        latest_s = min(0.6 * self.duration_s, 0.9 * self.duration_s - 1.5 * s_minus_p_s)
        p_s = rng.uniform(0.1 * self.duration_s, latest_s)
        s_s = p_s + s_minus_p_s
        snr_db = rng.uniform(*self.snr_db)

        response, sampling_rate_hz = site_and_instrument(rng, _frequencies(samples))
        noise = record_through(response, ambient_noise(rng, samples))
        noise /= _rms(noise)
        event = record_through(response, earthquake(rng, samples, p_s, s_minus_p_s))
        motion = noise + np.float32(gain_for_snr(event, noise, p_s, s_s, snr_db)) * event
        if _chance(rng, 0.1):
            disturbance = random_disturbance(rng, samples, MILD, strength=(0.5, 3.0))
            motion += record_through(response, disturbance)
        counts = digitise(rng, motion)
        return Record(
            name=self._name(index),
            waveform=np.ascontiguousarray(counts.T),
            category=Category.EARTHQUAKE,
            p_sample=p_s * SAMPLING_RATE_HZ,
            s_sample=s_s * SAMPLING_RATE_HZ,
            snr_db=snr_db,
            original_sampling_rate_hz=sampling_rate_hz,
        )

    def _noise(self, index: int, rng: np.random.Generator) -> Record:
        samples = self._samples()
        response, sampling_rate_hz = site_and_instrument(rng, _frequencies(samples))
        noise = record_through(response, ambient_noise(rng, samples))
        noise /= _rms(noise)
        disturbances = np.zeros_like(noise)
        hard = self.is_hard_negative(index)
        gap = hard and _chance(rng, 0.1)
        if hard and not gap:
            for _ in range(rng.integers(1, 3)):
                disturbances += random_disturbance(rng, samples, HARD, strength=(1.5, 30.0))
        if _chance(rng, 0.35):
            disturbances += random_disturbance(rng, samples, MILD, strength=(2.0, 50.0))
        counts = digitise(rng, noise + record_through(response, disturbances))
        if gap:
            lose_telemetry(rng, counts)
        return Record(
            name=self._name(index),
            waveform=np.ascontiguousarray(counts.T),
            category=Category.NOISE,
            original_sampling_rate_hz=sampling_rate_hz,
        )
