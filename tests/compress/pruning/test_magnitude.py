"""Magnitude pruning: as many zeros as asked for, through averaging and interruptions."""

import numpy as np
import pytest
from fine_tuned import Tuned, context
from pydantic import ValidationError
from small_models import recurrent, student

from baseline.errors import InputError
from compress.pruning import masks
from compress.pruning.magnitude import MagnitudePruning
from compress.pruning.masks import kernels
from compress.stages.base import StageModel
from compress.training import loop

STAGE = Tuned(records=4, steps=12, batch=2, learning_rate=1e-2)


def pruning(**settings):
    return MagnitudePruning(kind="magnitude", frequency=3, smallest=1, **settings)


def shares(model, names):
    """Of zeros in each kernel of these layers."""
    return [float((k == 0).mean()) for name in names for k in kernels(model.get_layer(name))]


@pytest.fixture(scope="module")
def pruned(tmp_path_factory):
    """A recurrent model before, and what pruning to three quarters makes of it."""
    model = recurrent("lstm", attention=True)
    here = context(tmp_path_factory.mktemp("pruned"), model)
    return model, pruning(sparsity=0.75).prune(STAGE, StageModel(model), here)


def test_that_the_asked_share_is_zero_in_each_kernel(pruned):
    _, after = pruned
    assert shares(after.keras, ["down", "forward", "up"]) == pytest.approx([0.75] * 4, abs=0.01)
    assert after.notes["forward"] == "75 % of its weights are zero"


def test_that_the_wrappers_are_gone_and_the_rest_was_trained(pruned, windows):
    before, after = pruned
    assert [layer.name for layer in after.keras.layers] == [layer.name for layer in before.layers]
    for old, new in zip(before.layers, after.keras.layers, strict=True):
        assert type(old) is type(new)
        for was, is_now in zip(old.get_weights(), new.get_weights(), strict=True):
            assert was.shape == is_now.shape
    assert not np.allclose(
        before.get_layer("forward").get_weights()[2],
        after.keras.get_layer("forward").get_weights()[2],
    )
    assert np.isfinite(after.keras(windows[:2])).all()


def test_that_layers_are_left_alone_with_a_reason(pruned):
    _, after = pruned
    assert (
        after.notes["both"] == "tensorflow-model-optimization does not prune Bidirectional layers"
    )
    assert "AdditiveSelfAttention" in after.notes["attention"]
    assert "layer_norm" not in after.notes  # it has no kernel
    assert all((w != 0).all() for w in after.keras.get_layer("both").get_weights())
    assert set(after.notes) == {
        "down", "forward", "both", "attention", "local_attention", "up"
    }  # fmt: skip


def test_that_an_interruption_changes_nothing(pruned, tmp_path, monkeypatch):
    model, undisturbed = pruned
    monkeypatch.setattr(loop, "CHECKPOINT_STEPS", 4)
    update = masks.update_masks

    def killed(twin, step):
        if step == 11:
            raise KeyboardInterrupt
        update(twin, step)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(masks, "update_masks", killed)
        pruning(sparsity=0.75).prune(STAGE, StageModel(model), context(tmp_path, model))
    # Went on from step 8: the last update of the masks, at step 7, is not made again.
    resumed = pruning(sparsity=0.75).prune(STAGE, StageModel(model), context(tmp_path, model))
    for one, other in zip(
        undisturbed.keras.get_weights(), resumed.keras.get_weights(), strict=True
    ):
        np.testing.assert_array_equal(one == 0, other == 0)
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_that_excluded_and_small_layers_stay_whole(tmp_path):
    model = recurrent("gru")
    settings = pruning(exclude=("u*",)).model_copy(update={"smallest": 250})
    after = settings.prune(STAGE, StageModel(model), context(tmp_path, model))
    assert after.notes["up"] == "left out of pruning by the settings"
    assert after.notes["forward"] == "left out of pruning: only 180 weights"
    assert shares(after.keras, ["down", "forward", "up"]) == pytest.approx([0.5, 0, 0, 0], abs=0.01)


def test_a_student_whose_depthwise_layers_cannot_be_pruned(tmp_path):
    model = student()
    after = pruning().prune(STAGE, StageModel(model), context(tmp_path, model))
    reasons = [note for note in after.notes.values() if "does not prune" in note]
    zeros = [name for name, note in after.notes.items() if note == "50 % of its weights are zero"]
    assert "head_conv" in zeros
    assert shares(after.keras, zeros) == pytest.approx([0.5] * len(zeros), abs=0.02)
    assert len(reasons) + len(zeros) == len(after.notes)


@pytest.mark.parametrize(
    ("settings", "steps", "message"),
    [
        ({"exclude": ("nowhere_*",)}, 12, "'nowhere_*' fits no layer.*down, forward, both, up"),
        ({"exclude": ("*",)}, 12, "no layer left to prune"),
        ({}, 4, "4 fine-tuning steps are too few"),
        ({}, 0, "0 fine-tuning steps are too few"),
    ],
)
def test_what_cannot_be_pruned_is_said(settings, steps, message, tmp_path):
    model = recurrent("lstm")
    stage = STAGE.model_copy(update={"steps": steps})
    with pytest.raises(InputError, match=message.replace("*'", r"\*'").replace("'*", r"'\*")):
        pruning(**settings).prune(stage, StageModel(model), context(tmp_path, model))


def test_that_sparsity_cannot_fall():
    with pytest.raises(ValidationError, match="initial_sparsity"):
        pruning(sparsity=0.5, initial_sparsity=0.6)
