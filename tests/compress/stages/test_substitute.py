"""Recurrent layers get other cells, and nothing else changes."""

from dataclasses import replace
from functools import partial

import fine_tuned
import numpy as np
import original_code
import pytest
import small_models
from pydantic import ValidationError
from rich.progress import Progress

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.contract import WINDOW_SHAPE
from baseline.errors import InputError
from baseline.keras import keras
from baseline.weights import load_eqtransformer
from compress.evaluation.cost import keras_multiply_adds
from compress.graphs.edit import place, rebuild
from compress.stages.base import StageModel
from compress.stages.substitute import Substitute, replaceable_layers, shared_layers

ENCODER = ["recurrent_0_both"]
DECODERS = ["p_recurrent", "s_recurrent"]
PLACES = {"encoder": ENCODER, "decoders": DECODERS, "all": ENCODER + DECODERS}


@pytest.fixture(scope="module")
def eqt():
    """What EQTransformer is to this stage: an encoder and three decoders, of few layers each."""
    keras.utils.set_random_seed(0)
    waveform = x = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Conv1D(8, 25, strides=25, activation="relu", name="encoder_0_conv")(x)
    x = keras.layers.MaxPooling1D(5, name="encoder_0_pool")(x)
    # As the published model's gates: with sigmoids Keras traces every layer twice over.
    lstm = partial(keras.layers.LSTM, 4, recurrent_activation="hard_sigmoid", return_sequences=True)
    x = keras.layers.Bidirectional(lstm(), name="recurrent_0_both")(x)
    x = keras.layers.Conv1D(4, 1, name="recurrent_0_conv")(x)
    shared = keras.layers.LayerNormalization(name="transformer_0_norm")(x)
    heads = []
    for output in ("detection", "p", "s"):
        x = shared
        if output != "detection":
            x = lstm(name=f"{output}_recurrent")(x)
        x = keras.layers.UpSampling1D(125, name=f"{output}_decoder_0_upsample")(x)
        x = keras.layers.Conv1D(1, 3, padding="same", activation="sigmoid", name=f"{output}_head")(
            x
        )
        heads.append(x)
    prediction = keras.layers.Concatenate(name="prediction")(heads)
    return small_models.settled(keras.Model(waveform, prediction))


@pytest.fixture(scope="module")
def whole():
    """An EQTransformer with all its parts and few channels."""
    keras.utils.set_random_seed(0)
    config = EqtConfig(
        encoder_filters=(2, 2, 3, 3, 4, 4, 8),
        residual_kernels=(3,),
        recurrent_blocks=1,
        recurrent_units=4,
        attention_units=3,
        feed_forward_units=4,
    )
    return small_models.settled(build_eqtransformer(config))


def substituted(model, folder, **options):
    """The model after the stage, and the stage's notes."""
    options = {"windows": 64, "fit_steps": 2, "steps": 0} | options
    stage = Substitute(kind="substitute", **options)
    context = fine_tuned.context(folder, model)
    made = stage.apply(StageModel(model), context)
    return made.keras, made.notes


def layer_types(model, prefix):
    return [type(layer).__name__ for layer in model.layers if layer.name.startswith(prefix)]


EXPECTED = {
    "gru": (["Bidirectional"], ["GRU"]),
    "cnn-bilstm": (["Conv1D", "Bidirectional", "Conv1D"],) * 2,
    "conv": (["Conv1D", *["SeparableConv1D", "Add"] * 5, "Conv1D"],) * 2,
}


@pytest.mark.parametrize("where", PLACES)
@pytest.mark.parametrize("cell", EXPECTED)
def test_cells_take_their_place_and_all_else_stays(cell, where, eqt, tmp_path):
    made, notes = substituted(eqt, tmp_path, cell=cell, place=where)
    assert set(notes) == set(PLACES[where])
    for name in PLACES["all"]:
        one_way = name in DECODERS
        old = ["LSTM"] if one_way else ["Bidirectional"]
        assert layer_types(made, name) == (EXPECTED[cell][one_way] if name in notes else old)
    for layer in eqt.layers:
        if layer.name not in notes:
            same = made.get_layer(layer.name)
            for before, after in zip(layer.get_weights(), same.get_weights(), strict=True):
                np.testing.assert_array_equal(before, after)
    assert made.output_shape == eqt.output_shape
    assert keras_multiply_adds(made) > 0


def test_fitted_cells_leave_the_whole_nearly_as_it_was(whole, windows, tmp_path):
    def error(steps):
        folder = tmp_path / str(steps)
        made, notes = substituted(
            whole, folder, cell="conv", windows=256, fit_steps=steps, width=12, kernel=5
        )
        return float(np.square(made(windows[:8]) - whole(windows[:8])).mean()), notes

    (unfitted, _), (fitted, notes) = error(0), error(150)
    assert fitted < 0.2 * unfitted
    for note in notes.values():
        share = int(note.removeprefix("fitted: ").removesuffix("% of its predecessor's variance"))
        assert 20 < share <= 100


@pytest.fixture(scope="module")
def twice(eqt, tmp_path_factory):
    """CNN-BiLSTMs in the decoders, then a GRU in the encoder."""
    folder = tmp_path_factory.mktemp("twice")
    first, _ = substituted(eqt, folder / "1", cell="cnn-bilstm", place="decoders")
    return substituted(first, folder / "2", cell="gru", place="encoder")[0]


def test_what_was_substituted_can_be_substituted_again(twice, tmp_path):
    assert layer_types(twice, "recurrent_0_both") == ["Bidirectional"]
    assert isinstance(twice.get_layer("recurrent_0_both").forward_layer, keras.layers.GRU)
    cells = ["p_recurrent_cell", "s_recurrent_cell"]
    # The decoders' BiLSTMs read in both directions, and still belong to the decoders.
    assert replaceable_layers(twice, "gru", "all") == cells
    assert replaceable_layers(twice, "gru", "encoder") == []
    assert replaceable_layers(twice, "cnn-bilstm", "all") == ENCODER
    assert replaceable_layers(twice, "conv", "decoders") == cells
    made, _ = substituted(twice, tmp_path, cell="conv")
    assert replaceable_layers(made, "conv", "all") == []
    assert not [x for x in layer_types(made, "") if x in ("Bidirectional", "LSTM", "GRU")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"cell": "gru", "place": "encoder"}, "no recurrent layer in its encoder that gru"),
        ({"cell": "cnn-bilstm", "place": "decoders"}, "in its decoders that cnn-bilstm"),
    ],
)
def test_nothing_to_replace_is_said(options, said, twice, tmp_path):
    with pytest.raises(InputError, match=said) as caught:
        substituted(twice, tmp_path, **options)
    assert "Leave the stage out" in caught.value.hint


def test_no_recurrent_layer_at_all_is_said(tmp_path):
    with pytest.raises(InputError, match="no recurrent layer that conv could replace"):
        substituted(small_models.student(), tmp_path, cell="conv")


@pytest.mark.parametrize("option", [{"width": 8}, {"kernel": 5}])
def test_gru_takes_no_options_of_convolutions(option):
    with pytest.raises(ValidationError, match="gru keeps its predecessor's units"):
        Substitute(kind="substitute", cell="gru", **option)
    stage = Substitute(kind="substitute", cell="conv", **option)
    assert Substitute.model_validate(stage.model_dump()) == stage


def test_encoder_is_what_all_heads_share(whole):
    shared = shared_layers(whole)
    assert {"encoder_0_conv", "recurrent_0_both", "transformer_1_norm_1"} <= shared
    assert not shared & {"p_recurrent", "s_attention", "detection_decoder_0_conv", "prediction"}


def test_changed_graph_is_substituted_too(eqt, tmp_path):
    """Convolution and reshape in place of an upsampling, as the simplified graph has it."""

    def phases(layer, inputs):
        steps, channels = inputs.shape[1:]
        y = place(keras.layers.Conv1D(layer.size * channels, 1, name="first_conv"), inputs)
        shape = (layer.size * steps, channels)
        return place(keras.layers.Reshape(shape, name="first_phases"), y)

    changed = rebuild(eqt, {"p_decoder_0_upsample": phases})
    made, _ = substituted(changed, tmp_path, cell="conv", place="decoders")
    assert layer_types(made, "p_recurrent") == EXPECTED["conv"][1]
    np.testing.assert_array_equal(
        made.get_layer("first_conv").get_weights()[0],
        changed.get_layer("first_conv").get_weights()[0],
    )


class Interrupted(Progress):
    """Progress that is interrupted at the third step of fine-tuning."""

    def update(self, task_id, **values):
        if self.tasks[task_id].description == "fine-tune" and values.get("completed") == 3:
            raise KeyboardInterrupt
        super().update(task_id, **values)


def test_interrupted_stage_goes_on_to_the_same_model(eqt, tmp_path, monkeypatch):
    monkeypatch.setattr("compress.training.loop.CHECKPOINT_STEPS", 2)
    stage = Substitute(
        kind="substitute", cell="conv", place="decoders", windows=64, fit_steps=3, records=4,
        steps=5, batch=2,
    )  # fmt: skip
    whole = stage.apply(StageModel(eqt), fine_tuned.context(tmp_path / "whole", eqt))
    context = fine_tuned.context(tmp_path / "halved", eqt)
    with pytest.raises(KeyboardInterrupt):
        stage.apply(StageModel(eqt), replace(context, progress=Interrupted(disable=True)))
    resumed = stage.apply(StageModel(eqt), context)
    assert resumed.notes == whole.notes
    for one, other in zip(resumed.keras.get_weights(), whole.keras.get_weights(), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)
    steps = [
        line.split(",")[0]
        for line in (tmp_path / "halved/products/fine-tune.history.csv").read_text().splitlines()
    ]
    assert steps == ["step", "2", "4", "5"]


@pytest.mark.published
def test_users_model_of_other_widths(published, tmp_path):
    config = original_code.model_config(published("eqt-original"))
    stored = original_code.from_config(original_code.narrowed(config, (2, 3, 4, 6)))
    original_code.save(stored, tmp_path / "narrow.h5")
    model = load_eqtransformer(tmp_path / "narrow.h5")
    made, notes = substituted(model, tmp_path, cell="cnn-bilstm", fit_steps=1)
    assert list(notes) == ["recurrent_0_both", "recurrent_1_both", *DECODERS]
    assert made.get_layer("recurrent_0_both_conv").input_shape[-1] == 6
    assert made.get_layer("recurrent_1_both_project").output_shape == (None, 47, 32)
