"""What a stage of any kind leaves can be stored as `.keras` and loaded again, and answers the same.

Stages hand their models on through files: a layer that does not come back, or comes back with
other settings, would change every stage after it.
"""

from typing import get_args

import numpy as np
import pytest
import small_models
from fine_tuned import context
from pydantic import TypeAdapter

from baseline.checkpoint import load_keras, save_keras
from compress.stages import AnyStage
from compress.stages.base import StageModel

TRAINING = {"records": 4, "batch": 2, "steps": 2}
FITTING = {"windows": 64, "fit_steps": 2, "steps": 0}
STUDENT = {"kind": "unet", "channels": [4, 4, 4, 4], "kernel": 3, "dilations": [1]}
STAGES = {
    "simplify": ("student", {"windows": 16}),
    "substitute by GRU": ("recurrent", {"cell": "gru", **FITTING}),
    "substitute by convolutions": ("recurrent", {"cell": "conv", **FITTING}),
    "scale": ("student", {"width": 0.5, "steps": 0}),
    "prune channels": (
        "student",
        {"method": {"kind": "structured", "importance": "l1", "rounds": 1, "sensitivity": "none"}}
        | {"steps": 0},
    ),
    "prune weights": (
        "recurrent",
        {"method": {"kind": "magnitude", "smallest": 1, "frequency": 1}, **TRAINING, "steps": 4},
    ),
    "prune two of four": ("student", {"method": {"kind": "2:4", "smallest": 1}, **TRAINING}),
    "distill": ("brief", {"student": STUDENT, "shifts": 1, **TRAINING}),
    "quantize": ("brief", {"windows": 16, **TRAINING}),
}
"""By what is done: the model it is done to, and the settings of the stage."""


@pytest.fixture(scope="module")
def models():
    """Small ones with what stages change: batch normalizations, LSTMs, attention."""
    return {
        "student": small_models.student(),
        "recurrent": small_models.recurrent("lstm", attention=True),
        "brief": small_models.brief(),
    }


def test_every_kind_of_stage_is_here():
    kinds = {stage.model_fields["kind"].annotation for stage in get_args(get_args(AnyStage)[0])}
    assert {get_args(kind)[0] for kind in kinds} == {what.split()[0] for what in STAGES}


@pytest.mark.parametrize("what", STAGES)
def test_saved_model_comes_back_and_answers_the_same(what, models, windows, tmp_path):
    name, settings = STAGES[what]
    stage = TypeAdapter(AnyStage).validate_python({"kind": what.split()[0], **settings})
    before = models[name]
    after = stage.apply(StageModel(before), context(tmp_path, before)).keras
    save_keras(after, tmp_path / "model.keras")
    back = load_keras(tmp_path / "model.keras")
    assert [layer.get_config() for layer in back.layers] == [
        layer.get_config() for layer in after.layers
    ]
    np.testing.assert_array_equal(back(windows[:2]).numpy(), after(windows[:2]).numpy())
