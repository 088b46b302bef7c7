"""Teachers of a stage: who answers, from which file, and how often they are asked."""

from dataclasses import replace

import numpy as np
import pytest
from fine_tuned import context
from small_models import student

from baseline.checkpoint import save_keras
from compress.data.teachers import Teacher
from compress.store import KERAS_FILE, TFLITE_FILE, Artifact
from compress.training.teaching import Lesson
from export.convert import Format, convert
from export.runtimes import KerasRunner, ParallelRunner, Runner


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Artifact:
    """A stage as a run leaves it."""
    folder = tmp_path_factory.mktemp("stages")
    save_keras(student(seed=1), folder / KERAS_FILE)
    convert(folder / KERAS_FILE, folder / TFLITE_FILE, Format.TFLITE)
    return Artifact(folder, "of-this-model")


def asked(monkeypatch) -> list[str]:
    """Whom lessons look up from now on, in order."""
    names: list[str] = []
    find = Lesson._runner

    def runner(lesson: Lesson, name: str) -> Runner:
        names.append(name)
        return find(lesson, name)

    monkeypatch.setattr(Lesson, "_runner", runner)
    return names


def test_stages_that_ask_the_same_share_one_file(tmp_path, monkeypatch):
    teacher = student(seed=1)
    one = replace(context(tmp_path / "one", teacher), targets=tmp_path / "targets")
    other = replace(context(tmp_path / "other", teacher), targets=tmp_path / "targets")
    names = asked(monkeypatch)
    first = Lesson(one, teacher).write(4)
    assert names == ["baseline"]
    assert Lesson(other, student(seed=2)).write(4) == first  # the model before is no teacher
    assert names == ["baseline"]
    assert Lesson(replace(other, baseline=student(seed=2)), teacher).write(4) != first
    assert Lesson(other, teacher).write(5) != first
    assert Lesson(other, teacher, shifts=3).write(4) != first
    assert names == ["baseline"] * 4


def test_another_model_before_has_answers_of_its_own(tmp_path):
    teachers = (Teacher(model="previous"),)
    where = replace(context(tmp_path, student(seed=1)), targets=tmp_path / "targets")
    paths = {Lesson(where, student(seed=seed), teachers).write(2) for seed in (2, 2, 3)}
    assert len(paths) == 2


def test_a_finished_stage_answers_through_its_file(tmp_path, finished, windows):
    model = student(seed=1)
    where = replace(context(tmp_path, model), earlier={"baseline": finished, "2-prune": finished})
    alone = Lesson(context(tmp_path, model), model)
    waveforms = list(windows[:3])
    for name in ("baseline", "2-prune"):
        lesson = Lesson(where, model, (Teacher(model=name),))
        assert isinstance(lesson._runner(name), ParallelRunner)
        answers = lesson.ask()(waveforms, np.random.default_rng(0))
        for given, expected in zip(
            answers, alone.ask()(waveforms, np.random.default_rng(0)), strict=True
        ):
            np.testing.assert_allclose(given, expected, atol=1e-4)
    assert isinstance(alone._runner("baseline"), KerasRunner)
