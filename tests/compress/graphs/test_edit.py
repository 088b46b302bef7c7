"""Rebuilding graphs: everything stays but what is changed."""

import numpy as np
import pytest
import small_models

from baseline.keras import keras
from compress.graphs.edit import children, copy, is_output, parents, place, rebuild, remove

LAYERS = keras.layers


@pytest.mark.parametrize(
    "build",
    [small_models.student, lambda: small_models.recurrent("lstm", attention=True)],
    ids=["student", "recurrent"],
)
def test_rebuilt_without_changes_is_the_same_model(build, windows):
    model = build()
    before = [w.copy() for w in model.get_weights()]
    rebuilt = rebuild(model, {})
    assert [layer.name for layer in rebuilt.layers] == [layer.name for layer in model.layers]
    assert rebuilt.name == model.name
    np.testing.assert_array_equal(rebuilt(windows[:2]), model(windows[:2]))
    for layer in rebuilt.layers:
        layer.set_weights([0 * w for w in layer.get_weights()])
    for weight, kept in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, kept)


def branched():
    inputs = keras.Input((8, 3), name="in")
    x = LAYERS.Conv1D(4, 3, padding="same", name="conv")(inputs)
    y = LAYERS.ReLU(name="relu")(x)
    return keras.Model(inputs, LAYERS.Add(name="sum")([x, y]))


def test_layers_know_their_neighbours():
    model = branched()
    assert [layer.name for layer in parents(model.get_layer("sum"))] == ["conv", "relu"]
    assert [layer.name for layer in children(model)["conv"]] == ["relu", "sum"]
    assert is_output(model, model.get_layer("sum"))
    assert not is_output(model, model.get_layer("relu"))


def test_layers_are_removed_and_replaced():
    model = branched()

    def doubled(layer, inputs):
        kernel, bias = layer.get_weights()
        wider = LAYERS.Conv1D(4, 3, padding="same", name=layer.name)
        return place(wider, copy(LAYERS.Rescaling(1.0), inputs), [2 * kernel, 2 * bias])

    changed = rebuild(model, {"relu": remove, "conv": doubled})
    x = np.random.default_rng(0).standard_normal((1, 8, 3)).astype(np.float32)
    conv = keras.Model(model.input, model.get_layer("conv").output)
    np.testing.assert_allclose(changed(x), 4 * conv(x).numpy(), rtol=1e-5)


def test_unknown_names_and_shared_layers_are_refused():
    with pytest.raises(ValueError, match="no layers nothing"):
        rebuild(branched(), {"nothing": remove})
    inputs = keras.Input((8, 3))
    twice = LAYERS.Dense(3, name="twice")
    with pytest.raises(ValueError, match="twice is called 2 times"):
        rebuild(keras.Model(inputs, twice(twice(inputs))), {})
