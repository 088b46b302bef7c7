"""Search files: what they may say, and what is said where they are wrong."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.errors import InputError
from compress.stages.distill import Distill
from compress.students import UNetStudent
from compress.tuning.space import Dimension, load_search, stage_text, stage_with

PIPELINE = """\
version: 1
name: tiny
output: run
data:
  train: [{kind: synthetic, records: 4, seed: 1}]
  calibration: [{kind: synthetic, records: 4, seed: 2}]
  evaluation: [{kind: synthetic, records: 4, seed: 3}]
stages:
  - kind: distill
    student: {kind: unet, channels: [8, 16, 24, 32]}
    steps: 40
"""

SEARCH = """\
version: 1
pipeline: pipeline.yaml
output: out
trials: 3
space:
  learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}
"""


@pytest.fixture
def load(tmp_path):
    """Loads a search file of the text above with more lines in its space, or other lines."""
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)

    def load(*space: str, text: str = SEARCH):
        path = tmp_path / "tune.yaml"
        path.write_text(text + "".join(f"  {line}\n" for line in space))
        return load_search(path)

    return load


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("student.widht: {low: 0.5, high: 1.0}", "no 'widht' in student. Did you mean 'width'?"),
        ("learning_rat: {low: 0.5, high: 1.0}", "Did you mean 'learning_rate'?"),
        ("loss.positive.3: {low: 1.0, high: 2.0}", "no 3 in loss.positive: it holds 0 to 2"),
        ("hard_negatives.share: {low: 0.1, high: 0.2}", "hard_negatives, which is null"),
        ("student.kernel: {low: 3, high: 99}", "99 does not go there: student.kernel"),
        ("student.kernel: {low: 3.0, high: 9.0}", "student.kernel: input should be a valid"),
        ("student.width: {choices: [1.0, wide]}", '"wide" does not go there'),
        ("student.width: {choices: []}", "at least 1 item"),
        ("student.width: {choices: [1.0, 1.0]}", "the same choice stands here twice"),
        ("student.width: {choices: [1.0], low: 1.0}", "not choices and low"),
        ("student.width: {low: 0.5}", "give low and high, or choices"),
        ("student.width: {low: 1.0, high: 0.5}", "low has to be below high"),
        ("student.width: {low: 0.3, high: 1.0, step: 0.2}", "no whole number of steps of 0.2"),
        ("student.width: {low: 0.5, high: 1.0, step: 0.1, log: true}", "either step or log"),
        ("average: {low: 0.0, high: 0.9, log: true}", "low has to be above 0"),
        (
            "student.width: {low: 0.5, high: 1.0, lgo: true}",
            "student.width.lgo: there is no such key",
        ),
        ("student.stem_stride: {choices: [4, 8]}", "8 does not go there: student: a stem"),
        ("on_fail: {choices: [stop, skip]}", "does not change what a student becomes"),
    ],
)
def test_what_is_wrong_in_the_space_is_said_with_its_line(load, line, said):
    with pytest.raises(InputError) as error:
        load(line)
    assert said in str(error.value)
    assert "tune.yaml, line 7" in str(error.value)


def test_a_place_in_a_choice_exists_in_every_choice(load):
    choices = "student: {choices: [{kind: unet}, {kind: unet, stem_stride: 8}]}"
    search = load(choices, "student.channels.2: {low: 8, high: 16, step: 4}")
    assert {stage.student.stem_stride for stage in search.stages()} == {4, 8}
    with pytest.raises(InputError, match=r"line 8: space.student.channels.3: 8 does not go there"):
        load(choices, "student.channels.3: {low: 8, high: 16, step: 4}")


def test_choices_are_checked_in_their_own_line(load):
    with pytest.raises(InputError, match="line 10"):
        load("student.width:", "  choices:", "    - 1.0", "    - 9.0")


def test_the_search_of_the_repository_is_valid():
    search = load_search(Path(__file__).parents[3] / "pipelines" / "tune.yaml")
    assert search.pipeline.name == "default" and search.stage.steps == 1500


def test_steps_stand_in_one_place_only(load):
    assert load(text=SEARCH.replace("trials", "steps: 7\ntrials")).stage.steps == 7
    with pytest.raises(InputError, match="steps: is in the space too"):
        load("steps: {low: 1, high: 9}", text=SEARCH.replace("trials", "steps: 7\ntrials"))


def test_a_pipeline_has_one_student(load, tmp_path):
    (tmp_path / "pipeline.yaml").write_text(
        PIPELINE.partition("stages:")[0] + "stages: [{kind: simplify}]\n"
    )
    with pytest.raises(InputError, match=r"line 2: pipeline: pipeline.yaml has 0 distill stages"):
        load()


def test_a_student_of_the_stage_before_cannot_be_searched(load, tmp_path):
    (tmp_path / "pipeline.yaml").write_text(
        PIPELINE.replace("stages:\n", "stages:\n  - kind: simplify\n")
        + "    teachers: [previous]\n"
    )
    with pytest.raises(InputError, match="which a search does not run"):
        load()


def test_defaults_follow_what_they_depend_on():
    stage = Distill(kind="distill")
    narrow = stage_with(stage, {"student.stem_stride": 8, "student.width": 0.5})
    assert len(narrow.student.channels) == 3
    assert stage_with(stage, {"loss.positive.1": 3.0}).loss.positive == (1.0, 3.0, 1.0)


def test_a_student_is_set_before_what_is_in_it():
    student = UNetStudent(stem_stride=8, kernel=9)
    values = {"student.width": 0.5, "student": student.model_dump(exclude_unset=True)}
    values["student"]["kind"] = "unet"
    assert stage_with(Distill(kind="distill"), values).student == student.model_copy(
        update={"width": 0.5}
    )


def test_the_settings_are_printed_as_a_pipeline_takes_them(load):
    search = load("augmentation.real_noise.probability: {low: 0.0, high: 1.0}")
    values = {"learning_rate": 0.002, "augmentation.real_noise.probability": 0.25}
    printed = yaml.safe_load(stage_text(search, values))
    assert printed == {
        "student": {"kind": "unet", "channels": [8, 16, 24, 32]},
        "learning_rate": 0.002,
        "augmentation": {"real_noise": {"probability": 0.25}},
    }
    printed["kind"] = "distill"
    assert Distill.model_validate(printed).augmentation.real_noise.probability == 0.25


@settings(max_examples=30, deadline=None)
@given(low=st.integers(1, 20), number=st.integers(1, 20), step=st.sampled_from([1, 2, 0.1, 0.25]))
def test_every_suggestion_lies_in_the_range(low, number, step):
    from optuna.samplers import RandomSampler
    from optuna.study import create_study

    dimension = Dimension(low=low, high=round(low + number * step, 2), step=step)
    study = create_study(sampler=RandomSampler(seed=0))
    for _ in range(5):
        value = dimension.value(study.ask({"x": dimension.distribution()}).params["x"])
        assert dimension.low <= value <= dimension.high
        assert isinstance(value, int) == dimension.whole
        steps = (value - low) / step
        assert steps == pytest.approx(round(steps))
