"""Ranges of tensors: the extremes that a model has on the windows, written where they are read."""

import numpy as np
import pytest
import small_models
from ai_edge_litert import schema_py_generated as schema

from baseline.keras import keras
from export.convert import Int8, Precision
from export.writers.calibration import calibrate, computed_values
from export.writers.tflite import Quantizable, _converter


@pytest.fixture(scope="module")
def model():
    return small_models.brief()


@pytest.fixture(scope="module")
def plain(model):
    return _converter(model, Precision.FLOAT32, None).convert()


def ranges(flatbuffer):
    graph = schema.ModelT.InitFromPackedBuf(flatbuffer, 0).subgraphs[0]
    return {
        tensor.name.decode(): (float(tensor.quantization.min[0]), float(tensor.quantization.max[0]))
        for tensor in graph.tensors
        if tensor.quantization is not None and tensor.quantization.min is not None
    }


def test_ranges_are_the_extremes_of_what_each_layer_makes(model, plain, windows):
    found = ranges(calibrate(plain, windows[:12]))
    entrance = next(name for name in found if "waveform" in name)
    assert found[entrance] == pytest.approx((windows[:12].min(), windows[:12].max()))
    first = keras.Model(model.input, model.get_layer("first").output)(windows[:12]).numpy()
    own = next(value for name, value in found.items() if "first/Relu" in name)
    assert own == pytest.approx((first.min(), first.max()), rel=1e-5)


def test_what_is_not_wanted_has_no_range(plain, windows):
    found = ranges(calibrate(plain, windows[:2], lambda name: "first" not in name))
    assert found
    assert not any("first" in name for name in found)


def test_values_are_those_of_each_window_in_turn(plain, windows):
    graph = schema.ModelT.InitFromPackedBuf(plain, 0).subgraphs[0]
    entrance = int(graph.inputs[0])
    seen = [values[entrance] for values in computed_values(plain, windows[:3])]
    np.testing.assert_array_equal(np.concatenate(seen), windows[:3])


def test_recurrences_have_no_ranges_and_what_reads_them_has(windows):
    model = small_models.recurrent("gru")
    quantizable = Quantizable(model, windows[:4], Int8())
    steps = [name for name in ranges(quantizable.calibrated) if "/forward/" in name]
    # The products of the inputs, and nothing of the 24 steps themselves.
    assert 0 < len(steps) < 10
