"""Each kind of cell alone: what it is made of, what it costs, and what it can learn."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseline.keras import keras
from compress.cells import CellOptions, find_cell
from compress.cells.cnn_bilstm import is_cnn_bilstm
from compress.cells.conv import dilations
from compress.cells.fitting import fit
from compress.evaluation.cost import layer_multiply_adds

STEPS = 12
KINDS = ("gru", "cnn-bilstm", "conv")


def cell_model(kind, both_ways=True, channels=6, **options):
    keras.utils.set_random_seed(0)
    x = keras.Input((STEPS, 5), name="x")
    return keras.Model(
        x, find_cell(kind)(x, channels, "block_both", CellOptions(both_ways, **options))
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("both_ways", [True, False])
def test_cell_has_the_predecessors_width_and_name(kind, both_ways):
    model = cell_model(kind, both_ways)
    assert model.output_shape == (None, STEPS, 6)
    layers = model.layers[1:]
    assert all(layer.name.startswith("block_both") for layer in layers)
    with_weights = {layer.name for layer in layers if layer.weights}
    assert set(layer_multiply_adds(model)) == with_weights, "layers of unknown cost"


def test_gru_keeps_units_and_directions():
    both, one = cell_model("gru").layers[1], cell_model("gru", both_ways=False).layers[1]
    assert isinstance(both, keras.layers.Bidirectional)
    assert (both.name, both.forward_layer.units, both.backward_layer.units) == ("block_both", 3, 3)
    assert (type(one), one.name, one.units) == (keras.layers.GRU, "block_both", 6)
    for layer in (both.forward_layer, both.backward_layer, one):
        assert layer.reset_after and layer.get_config()["recurrent_activation"] == "sigmoid"


def test_cnn_bilstm_is_a_convolution_before_a_narrower_bilstm():
    convolution, bilstm, projection = cell_model("cnn-bilstm", channels=16, kernel=5).layers[1:]
    assert (convolution.kernel_size, convolution.filters) == ((5,), 16)
    assert bilstm.forward_layer.units == 6, "not three quarters of 8"
    assert bilstm.forward_layer.get_config()["recurrent_activation"] == "sigmoid"
    assert (projection.kernel_size, projection.filters) == ((1,), 16)
    assert is_cnn_bilstm(bilstm) and not is_cnn_bilstm(projection)
    assert cell_model("cnn-bilstm", width=2).layers[2].forward_layer.units == 2


def test_bilstm_behind_a_pointwise_convolution_is_no_cnn_bilstm():
    x = keras.Input((STEPS, 5))
    y = keras.layers.Conv1D(4, 1)(x)
    bilstm = keras.layers.Bidirectional(keras.layers.LSTM(2, return_sequences=True))
    assert bilstm(y) is not None and not is_cnn_bilstm(bilstm)


def test_conv_has_no_recurrence_and_the_width_asked_for():
    model = cell_model("conv", width=9, kernel=4)
    kinds = {type(layer) for layer in model.layers[1:]}
    assert kinds == {keras.layers.Conv1D, keras.layers.SeparableConv1D, keras.layers.Add}
    separable = [y for y in model.layers if isinstance(y, keras.layers.SeparableConv1D)]
    assert [y.dilation_rate[0] for y in separable] == dilations(STEPS, 4) == [1, 2, 4]
    assert {y.filters for y in separable} == {9}


def test_middle_of_conv_sees_both_ends():
    model = cell_model("conv")
    quiet = np.zeros((1, STEPS, 5), np.float32)
    for place in (0, STEPS - 1):
        moved = quiet.copy()
        moved[0, place] = 10.0
        # Depthwise kernels of both signs and ReLUs may hide one channel, not all of them.
        assert np.abs(model(moved) - model(quiet))[0, STEPS // 2].max() > 1e-6


@given(steps=st.integers(1, 500), kernel=st.integers(2, 31))
def test_dilations_are_the_fewest_that_cover_the_sequence(steps, kernel):
    found = dilations(steps, kernel)
    assert found == [2**i for i in range(len(found))]
    assert 1 + (kernel - 1) * sum(found) >= steps
    assert len(found) == 1 or 1 + (kernel - 1) * sum(found[:-1]) < steps


@pytest.fixture(scope="module")
def predecessor():
    """What an untrained LSTM made of slow random inputs: 320 windows."""
    keras.utils.set_random_seed(1)
    noise = np.random.default_rng(0).normal(size=(320, STEPS + 7, 5))
    inputs = sum(noise[:, i : i + STEPS] for i in range(8)).astype(np.float32) / 4
    layer = keras.layers.Bidirectional(keras.layers.LSTM(3, return_sequences=True))
    return inputs, layer(inputs).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_fitting_explains_what_the_predecessor_did(kind, predecessor, progress):
    model = cell_model(kind, width=None if kind == "gru" else 12)

    def explained(steps):
        return fit(model, *predecessor, steps=steps, seed=0, progress=progress, what="fit")

    assert explained(0) < 0.2
    share = explained(200)
    assert share > 0.5
    # The figure is that of the windows held out, against each channel's own mean.
    inputs, outputs = (values[:32] for values in predecessor)
    error = np.square(model(inputs) - outputs).sum()
    spread = np.square(outputs - outputs.mean(axis=(0, 1))).sum()
    assert share == pytest.approx(1 - error / spread, abs=1e-3)


def test_windows_held_out_are_not_trained_on(progress):
    inputs = np.random.default_rng(0).normal(size=(64, STEPS, 5)).astype(np.float32)
    inputs[:6] = np.nan  # would turn every weight into NaN
    outputs = np.zeros((64, STEPS, 6), np.float32)
    model = cell_model("conv", width=2)
    fit(model, inputs, outputs, steps=5, seed=0, progress=progress, what="fit")
    assert all(np.isfinite(weight).all() for weight in model.get_weights())
