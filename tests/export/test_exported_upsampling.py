"""An exported UpSampling1D is the one that Keras has, however it is computed here."""

import numpy as np
import pytest

from baseline.keras import keras
from compress.evaluation.cost import operators
from export.runtimes import load_runner
from export.writers.onnx import write_onnx
from export.writers.tflite import write_tflite


@pytest.fixture(scope="module")
def model():
    """Means of 60 samples, repeated again."""
    waveform = keras.Input((6000, 3), name="waveform")
    x = keras.layers.AveragePooling1D(60, name="down")(waveform)
    return keras.Model(waveform, keras.layers.UpSampling1D(60, name="up")(x))


@pytest.mark.parametrize(("write", "split"), [(write_tflite, "SPLIT"), (write_onnx, "Split")])
def test_it_splits_and_joins(write, split, model, windows, tmp_path):
    path = tmp_path / f"model.{'tflite' if write is write_tflite else 'onnx'}"
    path.write_bytes(write(model))
    assert operators(path)[split] == 1
    expected = model(windows[:2]).numpy()
    np.testing.assert_allclose(load_runner(path)(windows[:2]), expected, atol=1e-6)
