"""SyntheticSource: determinism, metadata, and the physics that a picker relies on."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.errors import InputError
from compress.data import synthetic
from compress.data.records import SAMPLING_RATE_HZ, Category, Record, Source, iterate
from compress.data.synthetic import SyntheticSource
from compress.data.windows import WINDOW_SAMPLES, cut

SEEDS = st.integers(0, 2**64)
INDICES = st.integers(0, 10**6 - 1)
PROPERTY = settings(deadline=None, derandomize=True, max_examples=25)


@pytest.fixture(scope="module")
def earthquakes() -> list[Record]:
    return list(iterate(SyntheticSource(200, 3, noise_fraction=0.0)))


@pytest.fixture(scope="module")
def noises() -> list[Record]:
    return list(iterate(SyntheticSource(100, 3, noise_fraction=1.0)))


def onsets(record: Record) -> tuple[float, float]:
    assert record.p_sample is not None and record.s_sample is not None
    return record.p_sample, record.s_sample


def same(one: Record, other: Record) -> bool:
    fields = ("name", "category", "p_sample", "s_sample", "original_sampling_rate_hz")
    return np.array_equal(one.waveform, other.waveform) and all(
        getattr(one, field) == getattr(other, field) for field in fields
    )


def test_is_a_source() -> None:
    assert isinstance(SyntheticSource(1, 0), Source)


@PROPERTY
@given(seed=SEEDS, index=INDICES, noise_fraction=st.floats(0.0, 1.0))
def test_record_depends_on_seed_and_index_alone(
    seed: int, index: int, noise_fraction: float
) -> None:
    record = SyntheticSource(10**6, seed, noise_fraction)[index]
    shorter = SyntheticSource(index + 1, seed, noise_fraction)
    if index > 0:
        shorter[0]
    assert same(record, shorter[index])


def test_order_of_access_does_not_matter() -> None:
    source = SyntheticSource(12, 5, noise_fraction=0.5)
    forwards = list(iterate(source))
    backwards = [source[index] for index in reversed(range(12))][::-1]
    assert all(map(same, forwards, backwards))


def test_survives_pickling() -> None:
    source = SyntheticSource(8, 5, noise_fraction=0.5, duration_s=75.0, snr_db=(0, 10))
    copy = pickle.loads(pickle.dumps(source))
    assert copy == source
    assert copy.fingerprint() == source.fingerprint()
    assert all(map(same, iterate(source), iterate(copy)))


def test_another_process_makes_the_same_record() -> None:
    code = (
        "from compress.data.synthetic import SyntheticSource as S;"
        "print(float(abs(S(9, 21)[8].waveform).sum(dtype='f8')))"
    )
    root = Path(synthetic.__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    here = SyntheticSource(9, 21)[8].waveform
    assert float(done.stdout) == float(abs(here).sum(dtype="f8"))


def test_seeds_and_indices_give_different_waveforms() -> None:
    one, other = SyntheticSource(2, 1), SyntheticSource(2, 2)
    waveforms = [one[0].waveform, one[1].waveform, other[0].waveform, other[1].waveform]
    for i, first in enumerate(waveforms):
        for second in waveforms[i + 1 :]:
            correlation = np.corrcoef(cut(first, 0).ravel(), cut(second, 0).ravel())[0, 1]
            assert abs(correlation) < 0.3


@PROPERTY
@given(seed=SEEDS, noise_fraction=st.floats(0.0, 1.0))
def test_names_and_categories_agree_with_records(seed: int, noise_fraction: float) -> None:
    source = SyntheticSource(6, seed, noise_fraction)
    records = list(iterate(source))
    assert source.names() == [record.name for record in records]
    assert source.names()[4] == f"synthetic:{seed}:4"
    assert source.categories() == [record.category for record in records]


def test_names_are_unique_and_categories_follow_the_fraction() -> None:
    source = SyntheticSource(20_000, 11, noise_fraction=0.3)
    assert len(set(source.names())) == len(source)
    noise = np.array([category is Category.NOISE for category in source.categories()])
    assert noise.mean() == pytest.approx(0.3, abs=0.015)
    for stride in (2, 3, 8, 32):  # no batch or split size may see another mixture
        assert noise[::stride].mean() == pytest.approx(0.3, abs=0.05)


def test_hard_negatives_are_noise() -> None:
    source = SyntheticSource(4000, 11, noise_fraction=0.5)
    categories = source.categories()
    hard = [index for index in range(len(source)) if source.is_hard_negative(index)]
    assert all(categories[index] is Category.NOISE for index in hard)
    expected = 0.5 * synthetic.HARD_NEGATIVE_FRACTION
    assert len(hard) / len(source) == pytest.approx(expected, abs=0.03)


@PROPERTY
@given(
    seed=SEEDS,
    index=INDICES,
    duration_s=st.floats(60.0, 150.0),
    low_db=st.floats(-20.0, 60.0),
    span_db=st.floats(0.0, 60.0),
)
def test_record_is_sound_for_any_setting(
    seed: int, index: int, duration_s: float, low_db: float, span_db: float
) -> None:
    snr_db = (low_db, low_db + span_db)
    record = SyntheticSource(10**6, seed, 0.5, duration_s, snr_db)[index]
    samples = round(duration_s * SAMPLING_RATE_HZ)
    assert record.waveform.shape == (samples, 3)
    assert record.waveform.dtype == np.float32
    assert record.waveform.flags.c_contiguous
    assert np.isfinite(record.waveform).all()
    assert record.waveform.std() > 0.0
    if record.category is Category.NOISE:
        assert record.p_sample is None and record.s_sample is None
        assert math.isnan(record.snr_db)
        return
    p, s = onsets(record)
    assert 300.0 < p < s < samples
    assert snr_db[0] <= record.snr_db <= snr_db[1]
    latest = min(math.floor(p) - 300, samples - WINDOW_SAMPLES)
    earliest = max(math.ceil(s) - WINDOW_SAMPLES, 0)
    assert earliest <= latest, "some window holds S, and P at least 3 s after its start"


def test_default_length() -> None:
    assert SyntheticSource(1, 0)[0].waveform.shape == (9000, 3)


def test_s_minus_p_spans_its_range(earthquakes: list[Record]) -> None:
    picks = np.array([onsets(record) for record in earthquakes])
    delays_s = (picks[:, 1] - picks[:, 0]) / SAMPLING_RATE_HZ
    low, high = synthetic.S_MINUS_P_S
    assert low <= delays_s.min() < 1.2
    assert 20.0 < delays_s.max() <= high
    assert np.median(delays_s) == pytest.approx(math.sqrt(low * high), rel=0.35)


@pytest.mark.parametrize("phase", ["p_sample", "s_sample"])
@pytest.mark.parametrize("unit", [1.0, SAMPLING_RATE_HZ], ids=["sample", "second"])
def test_onsets_are_not_tied_to_a_grid(earthquakes: list[Record], phase: str, unit: float) -> None:
    fractions = np.array([getattr(record, phase) / unit % 1.0 for record in earthquakes])
    counts, _ = np.histogram(fractions, bins=8, range=(0.0, 1.0))
    expected = len(fractions) / 8
    chi_squared = ((counts - expected) ** 2 / expected).sum()
    assert chi_squared < 24.3  # 99.9 % quantile with 7 degrees of freedom


def rms(waveform: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(waveform - waveform.mean(axis=0), dtype=np.float64))))


@pytest.mark.parametrize(("snr_db", "least"), [(3.0, 1.1), (15.0, 2.0), (35.0, 15.0)])
def test_energy_rises_at_p(snr_db: float, least: float) -> None:
    source = SyntheticSource(60, 17, noise_fraction=0.0, snr_db=(snr_db, snr_db))
    ratios = []
    for record in iterate(source):
        p, s = map(math.ceil, onsets(record))
        signal = record.waveform[p : min(p + 300, s)]
        ratios.append(rms(signal) / rms(record.waveform[p - 300 : p]))
    assert np.median(ratios) > least


def test_energy_rises_at_s_on_the_horizontals(earthquakes: list[Record]) -> None:
    ratios = []
    for record in earthquakes:
        s = math.ceil(onsets(record)[1])
        horizontals = record.waveform[:, :2]
        ratios.append(rms(horizontals[s : s + 100]) / rms(horizontals[s - 70 : s]))
    assert np.median(ratios) > 2.0
    assert np.mean(np.array(ratios) > 1.0) > 0.97


def test_nothing_of_the_earthquake_comes_before_p() -> None:
    event = synthetic.earthquake(np.random.default_rng(1), 6000, p_s=20.0034, s_minus_p_s=5.0)
    assert np.all(event[:, :2001] == 0.0)
    assert np.abs(event[:, 2001:2100]).max() > 0.1


def test_snr_is_what_was_asked_for() -> None:
    rng = np.random.default_rng(2)
    noise = synthetic.ambient_noise(rng, 6000)
    event = synthetic.earthquake(rng, 6000, p_s=20.0, s_minus_p_s=6.0)
    gain = synthetic.gain_for_snr(event, noise, 20.0, 26.0, snr_db=20.0)
    signal = np.quantile(np.abs(gain * event[:, 2000:2300]), 0.95)
    before = np.quantile(np.abs(noise[:, 1000:2000]), 0.95)
    assert 20.0 * np.log10(signal / before) == pytest.approx(20.0, abs=0.1)


@given(incidence=st.floats(0.0, math.pi / 2), azimuth=st.floats(0.0, 2 * math.pi))
@settings(deadline=None, derandomize=True)
def test_p_sv_and_sh_are_at_right_angles(incidence: float, azimuth: float) -> None:
    axes = np.hstack(synthetic.ray_directions(incidence, azimuth))
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)


@given(dominant_hz=st.floats(1.0, 30.0), attenuation=st.floats(0.05, 0.9))
@settings(deadline=None, derandomize=True)
def test_source_spectrum_peaks_at_the_dominant_frequency(
    dominant_hz: float, attenuation: float
) -> None:
    frequencies = np.linspace(0.01, 50.0, 20_000, dtype=np.float32)
    spectrum = synthetic.source_spectrum(frequencies, dominant_hz, attenuation)
    assert frequencies[spectrum.argmax()] == pytest.approx(dominant_hz, rel=0.03)


def test_noise_has_no_picks(noises: list[Record]) -> None:
    assert {record.category for record in noises} == {Category.NOISE}
    assert {(record.p_sample, record.s_sample) for record in noises} == {(None, None)}


@pytest.mark.parametrize("disturbance", sorted({*synthetic.HARD, *synthetic.MILD}, key=str))
def test_every_disturbance_is_finite(disturbance: synthetic.Disturbance) -> None:
    for seed in range(20):
        motion = disturbance(np.random.default_rng(seed), 6000)
        assert motion.shape == (3, 6000)
        assert np.isfinite(motion).all()
        assert 0.0 < np.abs(motion).max() < 50.0


def test_fingerprint_follows_every_setting_and_the_version(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sources = [
        SyntheticSource(10, 1),
        SyntheticSource(11, 1),
        SyntheticSource(10, 2),
        SyntheticSource(10, 1, noise_fraction=0.3),
        SyntheticSource(10, 1, duration_s=91.0),
        SyntheticSource(10, 1, snr_db=(3, 36)),
    ]
    fingerprints = {source.fingerprint() for source in sources}
    assert len(fingerprints) == len(sources)
    assert SyntheticSource(10, 1, snr_db=(3.0, 35.0)).fingerprint() == sources[0].fingerprint()
    monkeypatch.setattr(synthetic, "GENERATOR_VERSION", synthetic.GENERATOR_VERSION + 1)
    assert sources[0].fingerprint() not in fingerprints


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("records", -1),
        ("seed", -1),
        ("noise_fraction", 1.1),
        ("noise_fraction", math.nan),
        ("duration_s", 59.0),
        ("duration_s", math.inf),
        ("snr_db", (5.0, 3.0)),
        ("snr_db", (math.nan, 3.0)),
    ],
)
def test_bad_setting_is_named(setting: str, value: object) -> None:
    with pytest.raises(InputError, match=setting):
        SyntheticSource(**{"records": 1, "seed": 0, setting: value})  # type: ignore[arg-type]


@pytest.mark.parametrize("index", [-1, 3])
def test_index_outside_raises(index: int) -> None:
    with pytest.raises(IndexError, match="of 3"):
        SyntheticSource(3, 0)[index]
