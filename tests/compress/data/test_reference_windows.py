"""The windows that bundles carry: two earthquakes and noise, the same every time."""

import numpy as np

from baseline.contract import P, S
from compress.data.reference import P_SAMPLE, reference_windows
from compress.models import open_model

STUDENT = "artifacts/released/student-tflite-float32"


def test_they_are_normalised_and_always_the_same():
    windows = reference_windows()
    assert (windows.dtype, windows.shape) == (np.float32, (3, 6000, 3))
    np.testing.assert_allclose(windows.mean(axis=1), 0.0, atol=1e-5)
    np.testing.assert_allclose(windows.std(axis=1), 1.0, atol=1e-5)
    np.testing.assert_array_equal(windows, reference_windows())


def test_a_picker_finds_the_earthquakes_and_nothing_in_the_noise():
    _, runner = open_model(STUDENT)
    clear, weak, noise = runner(reference_windows())
    for earthquake in (clear, weak):
        assert earthquake[:, (P, S)].max(axis=0).min() > 0.9
        assert abs(earthquake[:, P].argmax() - P_SAMPLE) < 10
    assert noise.max() < 0.05


def test_the_clear_earthquake_stands_out_more():
    clear, weak, _ = reference_windows()

    def quiet(window):
        """Amplitude before P, of a window whose standard deviation is one."""
        return window[: P_SAMPLE - 50].std()

    assert quiet(clear) < 0.5 * quiet(weak)
