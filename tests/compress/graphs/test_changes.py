"""What became of each layer, told from two graphs."""

import small_models

from baseline.keras import keras
from compress.graphs.changes import layer_changes
from compress.graphs.edit import place, rebuild, remove
from compress.students import UNetStudent, build_student

LAYERS = keras.layers


def chain():
    x = inputs = keras.Input((8, 3), name="in")
    for name in ("first", "second", "third"):
        x = LAYERS.Conv1D(4, 3, padding="same", name=name)(x)
    return keras.Model(inputs, LAYERS.ReLU(name="relu")(x))


def became(model, changed, notes=None):
    changes = layer_changes(model, changed, notes or {})
    return {change.layer: (change.became, change.note) for change in changes}


def test_unchanged_layers_with_weights_are_kept():
    model = chain()
    kept = dict.fromkeys(("first", "second", "third"), ("kept", ""))
    assert became(model, rebuild(model, {})) == kept
    noted = became(model, rebuild(model, {}), {"relu": "does nothing", "second": "is an output"})
    assert noted == kept | {"relu": ("kept", "does nothing"), "second": ("kept", "is an output")}


def test_replaced_removed_and_pruned_layers():
    model = chain()

    def fewer(layer, inputs):
        return place(LAYERS.Conv1D(2, 3, padding="same", name=layer.name), inputs)

    def split(layer, inputs):
        x = LAYERS.SeparableConv1D(4, 3, padding="same", name=f"{layer.name}_a")(inputs)
        return LAYERS.Dense(4, name=f"{layer.name}_b")(x)

    def other(layer, inputs):
        del layer
        return LAYERS.Dense(4, name="second")(inputs)

    pruned = rebuild(
        model, {"first": fewer, "second": lambda old, x: place(LAYERS.Conv1D(
            4, 3, padding="same", name=old.name), x), "third": split, "relu": remove}
    )  # fmt: skip
    assert became(model, pruned, {"relu": "not needed"}) == {
        "first": ("2 channels, from 4", ""),
        "second": ("reads 2 channels, from 4", ""),
        "third": ("replaced by 2 layers: SeparableConv1D, Dense", ""),
        "relu": ("removed", "not needed"),
    }
    assert became(model, rebuild(model, {"second": other}))["second"] == ("replaced by Dense", "")


def test_layers_without_weights_that_follow_others_are_not_told():
    def fewer(layer, inputs):
        return place(LAYERS.Conv1D(2, 3, padding="same", name=layer.name), inputs)

    model = chain()
    pruned = rebuild(model, {"third": fewer})
    assert became(model, pruned) == {
        "first": ("kept", ""),
        "second": ("kept", ""),
        "third": ("2 channels, from 4", ""),
    }


def test_another_kind_of_cell_is_named():
    lstm, gru = (small_models.recurrent(cell) for cell in ("lstm", "gru"))
    changes = became(lstm, gru)
    assert changes["both"] == ("replaced by Bidirectional(GRU)", "")
    assert changes["forward"] == ("replaced by GRU", "")
    assert changes["up"] == ("kept", "")


def test_student_takes_the_place_of_the_whole():
    student = build_student(UNetStudent(channels=(4, 8, 8, 16), dilations=(1,)))
    assert became(chain(), student) == {"all": ("replaced by unet_student", "")}
