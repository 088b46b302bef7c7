import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.augmentation import VERTICAL, augment, coloured_noise, rotate


def waveform(seed=0):
    random = np.random.default_rng(seed)
    ground = random.normal(size=(2000, 3)).astype(np.float32)
    ground[1234:] *= 20.0
    return ground


@settings(deadline=None, derandomize=True)
@given(angle=st.floats(0, 2 * np.pi))
def test_rotation_keeps_the_vertical_and_the_length_of_the_horizontal(angle):
    ground = waveform()
    turned = rotate(ground, angle)
    np.testing.assert_array_equal(turned[:, VERTICAL], ground[:, VERTICAL])
    np.testing.assert_allclose(
        np.hypot(turned[:, 0], turned[:, 1]), np.hypot(ground[:, 0], ground[:, 1]), rtol=1e-5
    )
    np.testing.assert_allclose(rotate(turned, -angle), ground, atol=1e-4)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1))
def test_augmentation_leaves_the_onset_and_the_original(seed):
    ground = waveform()
    before = ground.copy()
    changed = augment(ground, np.random.default_rng(seed))
    np.testing.assert_array_equal(ground, before)
    assert changed.shape == ground.shape
    assert changed.dtype == np.float32
    assert np.isfinite(changed).all()
    energy = (changed.astype(np.float64) ** 2).sum(axis=1)
    assert energy[1234:].mean() > 10 * energy[:1234].mean()
    np.testing.assert_array_equal(changed, augment(ground, np.random.default_rng(seed)))


def test_coloured_noise_has_unit_variance_and_falls_with_frequency():
    noise = coloured_noise(6000, np.random.default_rng(3))
    np.testing.assert_allclose(noise.std(axis=0), 1.0)
    power = np.abs(np.fft.rfft(noise, axis=0)) ** 2
    assert power[10:100].mean() > power[-1000:].mean()
