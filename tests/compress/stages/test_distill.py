"""The distill stage: what its settings may say, and what comes of the less usual ones."""

import json

import numpy as np
import pytest
from fine_tuned import context
from pydantic import ValidationError
from scipy.special import expit, logit
from small_models import student

from baseline.architecture import EqtConfig, build_eqtransformer
from compress.stages.base import StageModel
from compress.stages.distill import Distill
from compress.students import EqtStudent, UNetStudent
from export.runtimes import KerasRunner

TINY = UNetStudent(channels=(4, 4, 4, 4), kernel=3, dilations=(1,))
NARROW = EqtStudent(kind="eqt", width=0.25, residual_blocks=1, recurrence="none", attention=False)


def stage(**settings) -> Distill:
    declared = {
        "kind": "distill",
        "student": TINY,
        "records": 6,
        "shifts": 2,
        "steps": 2,
        "batch": 2,
    }
    return Distill(**{**declared, **settings})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"teachers": [{"model": "baseline", "weights": [1, 0, 1]}]}, "above zero for P"),
        ({"matching": {"features": 1.0}}, "kind unet has no layers that correspond"),
        ({"student": NARROW, "matching": {}}, "both zero"),
        ({"hard_negatives": {"every": 1}}, "every"),
        ({"shifts": 0}, "shifts"),
    ],
)
def test_what_cannot_be_used_is_said(settings, said):
    with pytest.raises(ValidationError, match=said):
        stage(**settings)


def test_matching_trains_a_narrow_eqtransformer_and_leaves_its_projections_behind(tmp_path):
    teacher = build_eqtransformer(EqtConfig(residual_kernels=(3, 2), recurrent_blocks=0))
    declared = stage(student=NARROW, matching={"features": 1.0, "attention": 1.0})
    after = declared.apply(StageModel(teacher), context(tmp_path, teacher)).keras
    assert not [layer for layer in after.layers if layer.name.startswith("match_")]
    alone = stage(student=NARROW).apply(StageModel(teacher), context(tmp_path / "alone", teacher))
    assert any(
        not np.array_equal(a, b)
        for a, b in zip(after.get_weights(), alone.keras.get_weights(), strict=True)
    )


@pytest.mark.parametrize("targets", ["cached", "on-the-fly"])
def test_teachers_of_two_kinds_teach_together(tmp_path, targets):
    teacher = student(seed=1)
    teacher.save(tmp_path / "other.keras")
    others = ["baseline", {"model": str(tmp_path / "other.keras"), "band_pass_hz": [1, 45]}]
    declared = stage(teachers=others, targets=targets)
    assert declared.named_models() == (str(tmp_path / "other.keras"),)
    after = declared.apply(StageModel(teacher), context(tmp_path, teacher)).keras
    assert after.count_params() < teacher.count_params()


def test_calibrating_picks_scales_logits_as_it_tells(tmp_path):
    teacher = student(seed=1)
    probabilities = {}
    windows = np.random.default_rng(0).normal(size=(2, 6000, 3)).astype(np.float32)
    for calibrate in ("none", "picks"):
        where = tmp_path / calibrate
        made = stage(calibrate=calibrate).apply(StageModel(teacher), context(where, teacher, 24))
        probabilities[calibrate] = KerasRunner(made.keras)(windows)
    told = json.loads((tmp_path / "picks/products/calibration.json").read_text())
    for output, name in enumerate(("detection", "p", "s")):
        assert told[name]["scale"] > 0.0
        scaled = told[name]["scale"] * logit(probabilities["none"][..., output].astype(np.float64))
        after = probabilities["picks"][..., output]
        assert np.abs(after - expit(scaled + told[name]["offset"])).mean() < 1e-3


def test_weighted_up_onsets_come_out_as_probable_as_they_are(tmp_path):
    """The weight raises probabilities in training, and the bias takes it out again."""
    teacher = student(seed=1)
    plain, weighted = (
        stage(loss={"positive": [w, w, w]}, steps=40, learning_rate=1e-2, average=0.5).apply(
            StageModel(teacher), context(tmp_path / str(w), teacher)
        )
        for w in (1.0, 8.0)
    )
    windows = np.random.default_rng(0).normal(size=(4, 6000, 3)).astype(np.float32)
    means = [KerasRunner(made.keras)(windows).mean() for made in (plain, weighted)]
    assert means[1] < 3.0 * means[0]
