"""Augmentation: the target stays true, chance stays reproducible, and nothing breaks."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from compress.data.augmentation import (
    DETECTION,
    EAST,
    FREQUENCIES_HZ,
    GROUPS,
    NORTH,
    VERTICAL,
    Augmentation,
    P,
    S,
    coloured_noise,
    draw_window,
    high_pass,
    loudness,
    low_pass,
    onsets,
    rotate,
)

NAMES = list(Augmentation.model_fields)
NONE = Augmentation.none()


def triangle(samples, onset):
    return np.maximum(1.0 - np.abs(np.arange(samples) - onset) / 20, 0.0).astype(np.float32)


def earthquake(samples=9000, p=4000, s=4600, seed=0):
    """Noise of one unit about an offset, P ten times and S thirty times as loud, and the target."""
    random = np.random.default_rng(seed)
    ground = random.normal(size=(samples, 3))
    ground[p:s] *= 10.0
    ground[s:] *= 30.0 * np.exp(-np.arange(samples - s) / 500)[:, None]
    target = np.zeros((samples, 3), dtype=np.float32)
    target[p : s + (s - p) // 2, DETECTION] = 1.0
    target[:, P], target[:, S] = triangle(samples, p), triangle(samples, s)
    return (ground + np.array([5.0, -3.0, 40.0])).astype(np.float32), target


def quiet(samples=9000, seed=1):
    ground = np.random.default_rng(seed).normal(size=(samples, 3)).astype(np.float32)
    return ground, np.zeros((samples, 3), dtype=np.float32)


class Donors:
    def __init__(self, event=None, noise=None):
        self.event, self.noise_ = event, noise

    def earthquake(self, random):
        return self.event

    def noise(self, random):
        return self.noise_


NOBODY = Donors()
SOMEBODY = Donors(earthquake(8000, 3000, 3300, seed=5), quiet(seed=6)[0])


def one(name, **settings_):
    """Only the named augmentation, always, with these settings."""
    return Augmentation.none().model_copy(
        update={
            name: type(getattr(NONE, name)).model_validate({"probability": 1.0, **settings_}),
        }
    )


def draw(record, config, seed=0, donors=SOMEBODY):
    return draw_window(*record, np.random.default_rng(seed), config, donors)


# --- Whatever is drawn ---------------------------------------------------------------------------


@pytest.mark.parametrize("config", [Augmentation(), *map(NONE.only, NAMES)])
@pytest.mark.parametrize("samples", [1, 30, 2500, 5999, 6000, 6001, 9000])
@pytest.mark.parametrize("constant", [False, True])
def test_any_record_gives_a_finite_window(config, samples, constant):
    waveform, target = earthquake(max(samples, 5000))
    waveform, target = waveform[-samples:], target[-samples:]
    if constant:
        waveform = np.full_like(waveform, 7.0)
    before = waveform.copy(), target.copy()
    for seed in range(3):
        window, truth = draw((waveform, target), config, seed)
        for drawn in (window, truth):
            assert drawn.shape == (6000, 3)
            assert drawn.dtype == np.float32
            assert np.isfinite(drawn).all()
        assert truth.min() >= 0.0
        assert truth.max() <= 1.0
    np.testing.assert_array_equal(waveform, before[0])
    np.testing.assert_array_equal(target, before[1])


@pytest.mark.parametrize("donor", [1, 50, 3000, 6000])
@pytest.mark.parametrize("config", [one("second_event"), one("real_noise")])
def test_short_and_dead_donors_do_no_harm(donor, config):
    waveform, target = earthquake(5000)
    start = 4000 - donor // 2
    event = waveform[start : start + donor], target[start : start + donor]
    for changed in (event, (np.zeros_like(event[0]), event[1])):
        for seed in range(4):
            window, _ = draw(earthquake(), config, seed, Donors(changed, changed[0]))
            assert np.isfinite(window).all()


@settings(deadline=None, derandomize=True, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_same_state_gives_the_same_window(seed):
    first, second = (draw(earthquake(), Augmentation(), seed) for _ in range(2))
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


def test_hdf5_gives_what_arrays_give(tmp_path):
    waveform, target = earthquake()
    with h5py.File(tmp_path / "records.h5", "w") as file:
        file["waveform"], file["target"] = waveform, target.astype(np.float16)
        for seed in range(5):
            stored = draw((file["waveform"], file["target"]), Augmentation(), seed)
            held = draw((waveform, target.astype(np.float16)), Augmentation(), seed)
            np.testing.assert_array_equal(stored[0], held[0])
            np.testing.assert_array_equal(stored[1], held[1])


@pytest.mark.parametrize("name", NAMES)
def test_what_never_happens_leaves_no_trace(name):
    """With probability 0 its other settings do not matter."""
    base = Augmentation()
    other = {
        "stretch": {"factor": (1.5, 1.6)},
        "rotation": {"degrees": (10, 20)},
        "gain": {"spread": 2.0},
        "second_event": {"ratio": (100, 200)},
        "real_noise": {"level": (0.9, 1.0)},
        "coloured_noise": {"level": (0.9, 1.0)},
        "filter": {"kinds": ("low_pass",)},
        "clip": {"fraction": (0.01, 0.02)},
        "gap": {"seconds": (30, 40)},
    }.get(name, {})
    off = [
        base.model_copy(
            update={name: getattr(base, name).model_copy(update={"probability": 0.0, **changes})}
        )
        for changes in ({}, other)
    ]
    for seed in range(5):
        first, second = (draw(earthquake(), config, seed) for config in off)
        np.testing.assert_array_equal(first[0], second[0])
        np.testing.assert_array_equal(first[1], second[1])


# --- Where windows begin -------------------------------------------------------------------------


def test_none_crops_exactly():
    waveform, target = earthquake()
    for seed in range(10):
        window, truth = draw((waveform, target), NONE, seed)
        start = np.flatnonzero((waveform[:3001] == window[0]).all(axis=1))[0]
        np.testing.assert_array_equal(window, waveform[start : start + 6000])
        np.testing.assert_array_equal(truth, target[start : start + 6000])


def test_starts_are_uniform_and_know_no_whole_seconds():
    samples = np.repeat(np.arange(6500.0, dtype=np.float32)[:, None], 3, axis=1)
    random = np.random.default_rng(2)
    starts = np.array(
        [
            draw_window(samples, np.zeros_like(samples), random, NONE, NOBODY)[0][0, 0]
            for _ in range(5000)
        ]
    )
    assert starts.min() < 5
    assert starts.max() > 495
    for counts in (np.bincount(starts.astype(int) % 100), np.histogram(starts, bins=20)[0]):
        expected = counts.mean()
        chi_squared = ((counts - expected) ** 2 / expected).sum()
        assert chi_squared < len(counts) + 4 * np.sqrt(2 * len(counts))


def test_a_short_record_stands_anywhere_among_its_mean():
    waveform, target = earthquake(5000, 2000, 2400)
    places = []
    for seed in range(40):
        window, truth = draw((waveform, target), NONE, seed)
        place = int(truth[:, P].argmax()) - 2000
        np.testing.assert_array_equal(window[place : place + 5000], waveform)
        outside = np.delete(np.arange(6000), np.arange(place, place + 5000))
        np.testing.assert_allclose(
            window[outside],
            np.broadcast_to(waveform.mean(axis=0, dtype=np.float64), (1000, 3)),
            rtol=1e-6,
        )
        assert not truth[outside].any()
        places.append(place)
    assert min(places) < 100
    assert max(places) > 900


# --- Stretch -------------------------------------------------------------------------------------


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), onset=st.integers(3200, 5800))
def test_stretching_moves_the_target_with_the_waveform(seed, onset):
    waveform = np.zeros((9000, 3), dtype=np.float32)
    waveform[onset] = 1.0
    target = np.zeros_like(waveform)
    target[:, P] = triangle(9000, onset)
    window, truth = draw((waveform, target), one("stretch"), seed)
    assert abs(int(np.abs(window[:, VERTICAL]).argmax()) - int(truth[:, P].argmax())) <= 1
    assert truth[:, P].max() > 0.95


@pytest.mark.parametrize("factor", [0.85, 1.0, 1.15])
def test_stretching_scales_times_and_periods(factor):
    time = np.arange(12000)
    waveform = np.repeat(np.sin(2 * np.pi * time / 20)[:, None], 3, axis=1).astype(np.float32)
    target = np.zeros_like(waveform)
    target[:, P], target[:, S] = triangle(12000, 5500), triangle(12000, 6500)
    window, truth = draw((waveform, target), one("stretch", factor=(factor, factor)))
    apart = int(truth[:, S].argmax()) - int(truth[:, P].argmax())
    assert apart == pytest.approx(1000 * factor, rel=0.006)
    peak = np.abs(np.fft.rfft(window[:, 0] * np.hanning(6000))).argmax() / 60
    assert peak == pytest.approx(5 / factor, abs=0.05)
    np.testing.assert_allclose(np.abs(window[:, 0]).max(), 1.0, atol=0.02)  # its ends too


def test_a_record_of_one_window_is_not_shrunk_into_a_part_of_it():
    waveform, target = quiet(6000)
    for seed in range(20):
        window, _ = draw((waveform, target), one("stretch"), seed)
        still = (np.diff(window, axis=0) == 0).all(axis=1)
        assert still.sum() <= 32


# --- Geometry ------------------------------------------------------------------------------------


@settings(deadline=None, derandomize=True, max_examples=30)
@given(angle=st.floats(0, 2 * np.pi))
def test_rotation_keeps_the_vertical_and_the_energy_of_the_horizontals(angle):
    ground = np.ascontiguousarray(earthquake()[0].T)
    turned = rotate(ground, angle)
    np.testing.assert_array_equal(turned[VERTICAL], ground[VERTICAL])
    np.testing.assert_allclose(
        np.hypot(turned[EAST], turned[NORTH]), np.hypot(ground[EAST], ground[NORTH]), rtol=1e-4
    )
    np.testing.assert_allclose(rotate(turned, -angle), ground, atol=2e-3)


def test_signs_and_gains_scale_components_by_themselves():
    waveform, _ = record = earthquake(6000)
    reversed_, _ = draw(record, one("sign"))
    np.testing.assert_array_equal(reversed_, -waveform)
    scaled, _ = draw(record, one("gain", spread=0.5))
    factors = scaled / waveform
    np.testing.assert_allclose(factors, np.broadcast_to(factors[0], (6000, 3)), rtol=1e-5)
    assert (factors > 0).all()
    assert np.ptp(factors[0]) > 0.01


# --- Superposition -------------------------------------------------------------------------------


def test_a_second_event_brings_its_target():
    for seed in range(20):
        window, truth = draw(quiet(), one("second_event"), seed)
        (p,) = onsets(truth[:, P])
        assert truth[p[2], P] == 1.0
        before = window[max(p[2] - 200, 0) : p[2]].T
        if 200 < p[2] < 5800:
            assert loudness(window[p[2] : p[2] + 100].T) > 1.2 * loudness(before)
            assert truth[p[2] : p[2] + 100, DETECTION].all()


def test_a_second_event_is_as_loud_as_asked_for():
    found = []
    for seed in range(20):
        window, truth = draw(quiet(), one("second_event", ratio=(20, 20)), seed)
        p = int(truth[:, P].argmax())
        if p < 5700:
            found.append(loudness(window[p : p + 100].T))
    # Added to a background of one; a loud enough event is nearly all of the sum.
    np.testing.assert_allclose(found, 20, rtol=0.15)


def test_targets_are_joined_by_the_larger():
    first = earthquake(6000, 1500, 2000)
    for seed in range(40):
        _, truth = draw(first, one("second_event", ratio=(1, 1)), seed)
        assert truth[1500, P] == 1.0  # an event that is as loud as what it arrives in
        for row in (P, S):
            assert len(onsets(truth[:, row])) in (1, 2)


def test_what_is_drowned_is_not_asked_for():
    faint = earthquake(6000, 3000, 3500)
    lost = 0
    for seed in range(40):
        _, truth = draw(faint, one("second_event", ratio=(1000, 1000)), seed)
        p = [onset[2] for onset in onsets(truth[:, P])]
        if 2000 < min(p) < 2700:  # the second event came first, and is louder by far
            assert 3000 not in p
            assert 3500 not in [onset[2] for onset in onsets(truth[:, S])]
            lost += 1
    assert lost


def test_a_burst_in_the_noise_may_drown_the_only_earthquake():
    record = earthquake(6000, 3000, 3500)
    noise = np.random.default_rng(3).normal(size=(6000, 3)).astype(np.float32)
    noise[3000:3100] *= 1000.0
    noise[3500:3600] *= 1000.0
    _, truth = draw(record, one("real_noise", level=(1, 1)), 0, Donors(noise=noise))
    assert not truth.any()


@pytest.mark.parametrize("name", ["real_noise", "coloured_noise"])
def test_noise_stays_below_the_quietest_onset_and_leaves_the_target(name):
    waveform, target = earthquake(6000)
    weakest = loudness(waveform[4000:4100].T)
    for seed in range(10):
        window, truth = draw((waveform, target), one(name, level=(0.5, 0.5)), seed)
        np.testing.assert_array_equal(truth, target)
        added = loudness(np.ascontiguousarray((window - waveform).T))
        assert added == pytest.approx(0.5 * weakest, rel=0.02)


def test_without_donors_nothing_is_added():
    record = earthquake(6000)
    for name in ("second_event", "real_noise"):
        window, truth = draw(record, one(name), donors=NOBODY)
        np.testing.assert_array_equal(window, record[0])
        np.testing.assert_array_equal(truth, record[1])


def test_coloured_noise_falls_as_asked_for():
    for slope in (0.0, 1.0):
        noise = coloured_noise(np.random.default_rng(3), slope)
        np.testing.assert_allclose(noise.std(axis=1), 1.0, rtol=1e-3)
        amplitude = np.abs(np.fft.rfft(noise, axis=1))
        low, high = (amplitude[:, band].mean() for band in (slice(60, 180), slice(600, 1800)))
        assert low / high == pytest.approx(10**slope, rel=0.15)


# --- Filters and faults --------------------------------------------------------------------------


def test_butterworth_corners():
    for response, passed, stopped in ((low_pass(15), 60, 2700), (high_pass(2), 2400, 12)):
        assert abs(response[passed]) == pytest.approx(1, abs=0.02)
        assert abs(response[stopped]) < 0.12
    assert abs(low_pass(15)[900]) == pytest.approx(2**-0.5, rel=1e-3)
    assert abs(high_pass(2)[120]) == pytest.approx(2**-0.5, rel=1e-3)


@pytest.mark.parametrize("corner_hz", [12.0, 20.0, 45.0])
def test_a_low_pass_delays_nothing(corner_hz):
    phase = np.unwrap(np.angle(low_pass(corner_hz)[1:240]))  # up to 4 Hz
    delay_s = -np.diff(phase) / (2 * np.pi * np.diff(FREQUENCIES_HZ[1:240]))
    assert np.abs(delay_s).max() < 2.5e-3  # a quarter of a sample


@pytest.mark.parametrize("kind", ["high_pass", "low_pass", "band_pass", "geophone"])
def test_causal_filters_do_not_move_before_the_onset(kind):
    waveform = np.zeros((6000, 3), dtype=np.float32)
    waveform[3000] = 1.0
    window, truth = draw((waveform, waveform), one("filter", kinds=(kind,)))
    before = np.abs(window[2000:2995]).max()
    assert np.abs(window).max() > 0.1
    assert before < 0.02 * np.abs(window).max()
    assert abs(int(np.abs(window[:, 0]).argmax()) - 3000) <= 2
    np.testing.assert_array_equal(truth, waveform)


def test_the_predictor_takes_offset_and_microseism_out():
    waveform, target = earthquake(6000)
    slow = 100 * np.sin(2 * np.pi * np.arange(6000) / 600)[:, None]
    window, _ = draw(
        ((waveform + slow).astype(np.float32), target), one("filter", kinds=("predictor",))
    )
    clean, _ = draw((waveform, target), one("filter", kinds=("predictor",)))
    assert np.abs(window - clean)[500:-500].max() < 0.1
    assert np.abs(clean.mean(axis=0)).max() < 0.01


def test_clipping_cuts_at_a_fraction_of_the_largest():
    waveform, target = earthquake(6000)
    window, truth = draw((waveform, target), one("clip", fraction=(0.25, 0.25)))
    centre = waveform.mean(axis=0)
    limit = 0.25 * np.abs(waveform - centre).max()
    np.testing.assert_allclose(window, np.clip(waveform, centre - limit, centre + limit), atol=1e-4)
    np.testing.assert_array_equal(truth, target)


def test_a_gap_swallows_onsets_and_nothing_else():
    record = earthquake(6000, 2500, 3500)
    outcomes = set()
    for seed in range(60):
        window, truth = draw(record, one("gap", seconds=(5, 10)), seed)
        still = np.flatnonzero((np.diff(window, axis=0) == 0).all(axis=1))
        first, end = still[0] + 1, still[-1] + 2
        assert 490 <= end - first <= 1010
        assert not truth[first:end, P:].any()
        lost = tuple(first - 20 <= onset < end for onset in (2500, 3500))
        for row, onset, gone in ((P, 2500, lost[0]), (S, 3500, lost[1])):
            assert truth[onset, row] == (0.0 if gone else 1.0)
            assert truth[:, row].any() != gone
        if lost[0]:
            assert not truth[:end, DETECTION].any()
        else:
            np.testing.assert_array_equal(truth[:, DETECTION], record[1][:, DETECTION])
        outcomes.add(lost)
    assert {(True, False), (False, True), (False, False)} <= outcomes


def test_dropped_components_are_zero():
    dead = set()
    for seed in range(40):
        window, truth = draw(earthquake(6000), one("drop"), seed)
        dead.add(tuple(np.flatnonzero(~window.any(axis=0)).tolist()))
        assert truth[4000, P] == 1.0
    assert dead == {(EAST,), (NORTH,), (VERTICAL,), (EAST, NORTH)}


# --- What a pipeline may say ---------------------------------------------------------------------


def test_groups_hold_every_augmentation_once_and_can_be_left_out():
    assert sorted(name for group in GROUPS.values() for name in group) == sorted(NAMES)
    for group, names in GROUPS.items():
        left = Augmentation().without(group)
        for name in NAMES:
            assert (getattr(left, name).probability == 0.0) == (name in names)
    with pytest.raises(KeyError):
        Augmentation().without("colour")


def test_only_one_happens():
    for name in NAMES:
        alone = Augmentation().only(name)
        assert {n: getattr(alone, n).probability for n in NAMES} == {n: n == name for n in NAMES}


@pytest.mark.parametrize(
    "settings_",
    [
        {"stretch": {"factor": [1.1, 0.9]}},
        {"stretch": {"factor": [0.1, 1.0]}},
        {"gap": {"probability": 1.5}},
        {"gap": {"seconds": [0, 3]}},
        {"filter": {"kinds": []}},
        {"filter": {"kinds": ["notch"]}},
        {"noise": {}},
        {"drop": {"components": 1}},
    ],
)
def test_impossible_settings_are_refused(settings_):
    with pytest.raises(ValidationError):
        Augmentation.model_validate(settings_)


def test_settings_survive_yaml_and_json():
    changed = {"filter": {"kinds": ["low_pass", "high_pass"]}, "stretch": {"factor": [0.9, 1.1]}}
    config = Augmentation.model_validate(changed)
    assert config.filter.kinds == ("low_pass", "high_pass")
    assert Augmentation.model_validate_json(config.model_dump_json()) == config
