"""Scaling: widths as asked for, blocks that do nothing go first, answers of the right shape."""

import numpy as np
import pytest
from fine_tuned import context
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from small_models import settled, student

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.contract import PREDICTION_SHAPE
from baseline.errors import InputError
from baseline.keras import keras, tf
from compress.graphs.channels import trace
from compress.scaling.blocks import find_blocks, remove_least_needed, without_blocks
from compress.scaling.widths import narrowed, scalable_channels
from compress.stages.base import StageModel
from compress.stages.scale import Scale

SMALL = EqtConfig(
    encoder_filters=(3, 4, 4, 6, 8),
    encoder_kernels=(3, 3, 3, 3, 3),
    residual_kernels=(3, 2, 3),
    recurrent_blocks=3,
    recurrent_units=4,
    attention_units=5,
    feed_forward_units=10,
)


def eqtransformer(**changed):
    """A narrow EQTransformer whose statistics and biases are not those it begins with."""
    keras.utils.set_random_seed(0)
    return settled(build_eqtransformer(SMALL.model_copy(update=changed)))


@pytest.fixture(scope="module")
def model():
    return eqtransformer()


def make_idle(model, name):
    """Let a residual block add nothing: its last convolution answers zero."""
    layer = model.get_layer(f"{name}b_conv")
    layer.set_weights([np.zeros_like(weight) for weight in layer.get_weights()])


def loss(model, windows, targets):
    """Mean cross-entropy, times 100, with detection, P and S weighted as in training."""
    p = np.clip(model(windows).numpy().astype(float), 1e-6, 1 - 1e-6)
    each = -(targets * np.log(p) + (1 - targets) * np.log(1 - p)).mean(axis=(0, 1))
    return 100 * (0.05 * each[0] + 0.40 * each[1] + 0.55 * each[2])


def test_that_blocks_are_found_by_name(model):
    residual, recurrent = find_blocks(model, "residual"), find_blocks(model, "recurrent")
    assert [block.name for block in residual] == ["residual_0", "residual_1", "residual_2"]
    assert residual[1].layers == tuple(
        f"residual_1{part}"
        for part in ("a_norm", "a_relu", "a_conv", "b_norm", "b_relu", "b_conv", "_add")
    )
    assert [block.stays for block in residual] == ["", "", ""]
    assert [block.stays for block in recurrent] == [
        "it turns 188 steps of 8 channels into 188 steps of 4 channels",
        "",
        "",
    ]
    assert find_blocks(student(), "residual") == []


def test_that_taking_out_an_idle_block_changes_nothing(windows):
    model = eqtransformer(recurrent_blocks=0)
    make_idle(model, "residual_1")
    blocks = find_blocks(model, "residual")
    before = model(windows[:2]).numpy()
    shorter = without_blocks(model, blocks[1:2])
    np.testing.assert_array_equal(shorter(windows[:2]).numpy(), before)
    assert [block.name for block in find_blocks(shorter, "residual")] == [
        "residual_0",
        "residual_2",
    ]
    assert np.abs(without_blocks(model, blocks[:1])(windows[:2]).numpy() - before).max() > 1e-3


def test_that_blocks_go_in_the_order_of_what_they_cost(windows, progress):
    model = eqtransformer(recurrent_blocks=0)
    make_idle(model, "residual_1")
    targets = model(windows[:4]).numpy()
    shorter, removals = remove_least_needed(
        model, "residual", 2, [(windows[:4], targets)], progress
    )
    # Without the idle block nothing changes, and a model's own answers are the best for it.
    first, second = removals
    assert first.block.name == "residual_1"
    assert first.before == pytest.approx(loss(model, windows[:4], targets), rel=1e-4)
    assert first.after == first.before < second.after
    residual = find_blocks(model, "residual")
    costs = {
        block.name: loss(without_blocks(model, [residual[1], block]), windows[:4], targets)
        for block in (residual[0], residual[2])
    }
    assert second.block.name == min(costs, key=costs.get)
    assert second.after == pytest.approx(min(costs.values()), rel=1e-4)
    np.testing.assert_array_equal(
        shorter(windows[:2]).numpy(),
        without_blocks(model, [first.block, second.block])(windows[:2]).numpy(),
    )


@settings(max_examples=2, deadline=None)
@given(
    width=st.floats(0.05, 0.95),
    cell=st.sampled_from(["lstm", "gru"]),
    seed=st.integers(0, 1000),
)
def test_that_every_dimension_gets_its_share(width, cell, seed, windows):
    model = eqtransformer(cell=cell)
    before = scalable_channels(model)
    scores = np.random.default_rng(seed).random(before.number)
    narrow = narrowed(model, before, scores, width)
    after = {d.layers: len(d.groups) for d in trace(narrow).dimensions}
    for dimension in before.dimensions:
        number = len(dimension.groups)
        expected = number if dimension.fixed else max(round(width * number), 1)
        assert after[dimension.layers] == expected
    answers = narrow(windows[:2]).numpy()
    assert answers.shape == (2, *PREDICTION_SHAPE)
    assert np.isfinite(answers).all()


def test_that_the_channels_with_the_highest_scores_keep_their_weights(model):
    channels = scalable_channels(model)
    scores = np.arange(channels.number, dtype=float)
    narrow = narrowed(model, channels, scores, 0.5)
    old, new = model.get_layer("encoder_2_conv"), narrow.get_layer("encoder_2_conv")
    np.testing.assert_array_equal(new.get_weights()[0], old.get_weights()[0][:, 2:, 2:])
    np.testing.assert_array_equal(new.get_weights()[1], old.get_weights()[1][2:])


def test_that_normalized_channels_may_go_but_inputs_and_outputs_stay(model):
    fixed = {name for d in scalable_channels(model).dimensions if d.fixed for name in d.layers}
    assert fixed == {"waveform", "detection_head", "p_head", "s_head"}


STAGE = Scale(
    kind="scale",
    width=0.5,
    recurrent_blocks=2,
    records=4,
    windows=8,
    steps=0,
    batch=4,
    learning_rate=3e-3,
)


@pytest.fixture(scope="module")
def scaled(model, tmp_path_factory):
    """What the stage makes of the model without fine-tuning, and where it did."""
    here = context(tmp_path_factory.mktemp("scaled"), model)
    return STAGE.apply(StageModel(model), here), here


def test_that_the_stage_takes_out_blocks_and_halves_widths(model, scaled):
    after, _ = scaled
    assert len(find_blocks(after.keras, "residual")) == 3
    recurrent = [block.name for block in find_blocks(after.keras, "recurrent")]
    assert len(recurrent) == 2
    assert recurrent[0] == "recurrent_0"
    assert after.keras.get_layer("encoder_4_conv").filters == 4
    assert after.keras.get_layer("recurrent_0_both").forward_layer.units == 2
    assert after.keras.get_layer("p_attention").units == 2  # of 5: round(2.5) is 2
    assert after.keras.get_layer("transformer_0_norm_0").weights[0].shape == (2,)
    assert after.keras.count_params() < 0.45 * model.count_params()
    assert after.notes["recurrent_0_norm"].startswith("recurrent_0 cannot be taken out: it turns")
    assert after.notes["p_head"] == "width kept: an output of the model"
    gone = {note.split()[0] for note in after.notes.values() if "block least needed" in note}
    assert gone == {block.name for block in find_blocks(model, "recurrent")} - set(recurrent)


def test_that_fine_tuning_goes_on_from_what_was_chosen_and_lowers_the_loss(model, scaled):
    untuned, here = scaled
    stage = STAGE.model_copy(update={"steps": 20})
    tuned = stage.apply(StageModel(model), here)
    assert tuned.notes == untuned.notes
    assert [layer.name for layer in tuned.keras.layers] == [x.name for x in untuned.keras.layers]
    windows, targets = next(stage.target_feed(here).batches(100, 101))
    least = loss(lambda _: tf.constant(targets), windows, targets)
    before, after = (loss(stage.keras, windows, targets) - least for stage in (untuned, tuned))
    assert 0 < after < 0.97 * before


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"residual_blocks": 4},
            r"4 shall stay, but the model has 3 \(residual_0",
        ),
        ({"recurrent_blocks": 0}, "1 of recurrent_0, recurrent_1, recurrent_2 cannot be taken out"),
        ({"residual_blocks": 3, "recurrent_blocks": 3}, "nothing to do"),
    ],
)
def test_what_cannot_be_scaled_is_said(asked, message, model, tmp_path):
    with pytest.raises(InputError, match=message):
        Scale(kind="scale", **asked).apply(StageModel(model), context(tmp_path, model))


def test_that_a_model_without_blocks_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"the model has 0 \(none\)"):
        Scale(kind="scale", residual_blocks=1).apply(
            StageModel(student()), context(tmp_path, student())
        )


def test_that_a_stage_that_changes_nothing_is_refused():
    with pytest.raises(ValidationError, match="nothing to scale"):
        Scale(kind="scale")
