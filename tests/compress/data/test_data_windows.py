"""Windows: normalisation, and cuts inside and across the ends of a record."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.windows import WINDOW_SAMPLES, cut, normalise

SETTINGS = settings(deadline=None, derandomize=True, max_examples=40)


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((samples, 3)).astype(np.float32)


def test_normalised_components_have_no_mean_and_unit_deviation():
    window = normalise(noise(6000) * [1.0, 1e6, 1e-9] + [5.0, -1e7, 0.0])
    assert window.dtype == np.float32
    assert window.shape == (6000, 3)
    np.testing.assert_allclose(window.mean(axis=0), 0.0, atol=1e-5)
    np.testing.assert_allclose(window.std(axis=0), 1.0, atol=1e-5)


@SETTINGS
@given(
    seed=st.integers(0, 2**32 - 1),
    scale=st.floats(1e-6, 1e6),
    shift=st.floats(-100.0, 100.0),
)
def test_normalising_undoes_scale_and_shift(seed, scale, shift):
    window = noise(500, seed).astype(np.float64)
    np.testing.assert_allclose(normalise((window + shift) * scale), normalise(window), atol=1e-5)


@SETTINGS
@given(seed=st.integers(0, 2**32 - 1))
def test_normalising_twice_changes_nothing(seed):
    once = normalise(noise(500, seed))
    np.testing.assert_allclose(normalise(once), once, atol=1e-5)


@pytest.mark.parametrize("level", [0.0, 7.0, -1e6])
def test_dead_component_becomes_zero_and_stays_finite(level):
    window = noise(600)
    window[:, 1] = level
    normalised = normalise(window)
    assert np.all(normalised[:, 1] == 0.0)
    np.testing.assert_allclose(normalised[:, 0].std(), 1.0, atol=1e-5)


def test_batch_is_normalised_window_by_window():
    batch = np.stack([noise(600, 1), 100 * noise(600, 2)])
    np.testing.assert_array_equal(normalise(batch), [normalise(window) for window in batch])


def test_integer_counts_are_not_changed_in_place():
    window = np.arange(18.0).reshape(6, 3)
    before = window.copy()
    normalise(window)
    np.testing.assert_array_equal(window, before)


@pytest.mark.parametrize("start", [0, 1, 1234, 3000])
def test_inner_cut_is_the_normalised_part(start):
    waveform = noise(9000)
    np.testing.assert_array_equal(
        cut(waveform, start), normalise(waveform[start : start + WINDOW_SAMPLES])
    )


@pytest.mark.parametrize(
    ("samples", "start", "inside"),
    [
        (9000, 4000, slice(0, 5000)),
        (9000, -1500, slice(1500, 6000)),
        (2000, -1000, slice(1000, 3000)),
        (1, 0, slice(0, 1)),
        (9000, 8999, slice(0, 1)),
        (9000, -5999, slice(5999, 6000)),
    ],
)
def test_cut_across_an_end_holds_the_mean_outside(samples, start, inside):
    waveform = noise(samples) + np.float32(50.0)
    window = cut(waveform, start)
    assert window.shape == (WINDOW_SAMPLES, 3)
    assert window.dtype == np.float32
    outside = np.ones(WINDOW_SAMPLES, dtype=bool)
    outside[inside] = False
    np.testing.assert_allclose(window[outside], 0.0, atol=1e-4)
    part = waveform[start + inside.start : start + inside.stop].astype(np.float64)
    if len(part) > 1:
        for component in range(3):
            assert np.corrcoef(part[:, component], window[inside, component])[0, 1] > 0.999999


@pytest.mark.parametrize("start", [-6000, -7000, 9000, 20000])
def test_cut_that_misses_the_record_is_refused(start):
    with pytest.raises(ValueError, match="does not touch"):
        cut(noise(9000), start)
