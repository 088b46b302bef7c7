"""2:4 sparsity: two zeros in each four inputs, the smaller two, and still so after training."""

import numpy as np
import pytest
from fine_tuned import Tuned, context
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from small_models import recurrent

from baseline.contract import WINDOW_SHAPE
from baseline.errors import InputError
from baseline.keras import keras
from compress.pruning.masks import kernels
from compress.pruning.two_four import TwoFourPruning, has_two_four, two_four_mask
from compress.stages.base import StageModel

PRUNING = TwoFourPruning(kind="2:4", smallest=1)


def test_that_the_smaller_two_of_each_four_inputs_go():
    kernel = np.array([[1, -4], [-3, 3], [2, -2], [0, 1], [5, 0], [6, 0], [7, 8], [8, 0]], float)
    expected = [[0, 1], [1, 1], [1, 0], [0, 0], [0, 0], [0, 0], [1, 1], [1, 0]]
    mask = two_four_mask(kernel)
    assert (mask.sum(axis=0) == 4).all()
    np.testing.assert_array_equal((mask * kernel != 0), np.array(expected, bool))
    # A convolution's taps are groups of their own.
    taps = two_four_mask(np.stack([kernel, -kernel[::-1]]))
    np.testing.assert_array_equal(taps[0], mask)
    assert taps[1].sum(axis=0).tolist() == [4, 4]


@settings(max_examples=50)
@given(arrays(np.float32, (2, 8, 3), elements=st.floats(-10, 10, width=32)))
def test_that_any_masked_kernel_has_the_pattern(kernel):
    mask = two_four_mask(kernel)
    assert set(np.unique(mask)) == {0, 1}
    assert mask.mean() == 0.5
    assert has_two_four(kernel * mask)
    sizes = np.abs(kernel).astype(float)
    assert (sizes * mask).sum() >= (1 - 1e-9) * sizes.sum() / 2  # the larger ones stay


def test_that_a_full_group_is_noticed():
    kernel = np.zeros((4, 2))
    kernel[:3, 1] = 1
    assert not has_two_four(kernel)


def test_that_layers_with_whole_groups_keep_the_pattern_through_training(tmp_path):
    keras.utils.set_random_seed(0)
    waveform = keras.Input(WINDOW_SHAPE)
    x = keras.layers.Conv1D(8, 250, strides=250, activation="relu", name="down")(waveform)
    x = keras.layers.LSTM(4, return_sequences=True, name="forward")(x)
    x = keras.layers.Conv1D(8, 3, padding="same", name="middle")(x)
    x = keras.layers.Dense(750, activation="sigmoid", name="up")(x)
    model = keras.Model(waveform, keras.layers.Reshape(WINDOW_SHAPE)(x))
    stage = Tuned(records=4, steps=6, batch=2, learning_rate=1e-2)
    after = PRUNING.prune(stage, StageModel(model), context(tmp_path, model))
    for name in ("forward", "middle", "up"):
        for kernel in kernels(after.keras.get_layer(name)):
            assert has_two_four(kernel)
            assert (kernel == 0).mean() == 0.5
        assert after.notes[name] == "two in each four of its weights are zero"
        trained = kernels(after.keras.get_layer(name))[0]
        assert np.isin(trained[trained != 0], kernels(model.get_layer(name))[0]).mean() < 0.1
    assert after.notes["down"] == "no 2:4 pattern: 3 input channels are not groups of four"
    assert (kernels(after.keras.get_layer("down"))[0] != 0).all()


def test_a_model_without_groups_of_four_is_refused(tmp_path):
    model = recurrent("lstm")  # its layers read 3, 4 and 6, and 6 channels
    with pytest.raises(InputError, match="no layer has input channels in groups of four"):
        PRUNING.prune(Tuned(steps=0), StageModel(model), context(tmp_path, model))
