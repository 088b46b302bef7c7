"""The trial of model files: what becomes of its process, and that a content is tried once."""

import shutil
import sys
from pathlib import Path

import pytest

from baseline.errors import InputError
from export import trial

MODEL = Path(__file__).parents[2] / "artifacts/released/student-small-tflite-int8/model.tflite"


@pytest.fixture
def model(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("EQT_COMPRESS_CACHE", str(tmp_path / "cache"))
    return Path(shutil.copy(MODEL, tmp_path / "model.tflite"))


@pytest.fixture
def worker(tmp_path, monkeypatch):
    """Puts a shell script in the worker's place."""

    def put(script: str) -> None:
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(path))

    return put


def test_a_content_is_tried_once(model, worker, tmp_path):
    trial.require_runnable(model)
    worker("kill -SEGV $$")
    trial.require_runnable(model)
    trial.require_runnable(model.rename(tmp_path / "other.tflite"))
    (tmp_path / "other.tflite").write_bytes(MODEL.read_bytes() + b"\0")
    with pytest.raises(InputError, match="crashes"):
        trial.require_runnable(tmp_path / "other.tflite")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("kill -SEGV $$", r"model\.tflite: crashes what runs it \(SIGSEGV\)"),
        ("kill -ABRT $$", r"model\.tflite: crashes what runs it \(SIGABRT\)"),
        ("kill -XCPU $$", r"model\.tflite: .* more than 5 s"),
        (
            "echo first >&2; echo 'its input is odd.' >&2; exit 2",
            r"model\.tflite: its input is odd",
        ),
        ("sleep 30", r"model\.tflite: was not opened and run once within 1 s"),
    ],
)
def test_what_becomes_of_it_is_said(script, said, model, worker, monkeypatch):
    monkeypatch.setattr(trial, "TIME_LIMIT_S", 1.0)
    worker(script.replace("sleep", "exec sleep"))
    for _ in range(2):  # what failed is not remembered
        with pytest.raises(InputError, match=said):
            trial.require_runnable(model)


def test_a_trial_that_could_not_be_made_is_no_error_of_the_file(model, worker):
    worker("echo 'No module named export' >&2; exit 1")
    with pytest.raises(RuntimeError, match="No module named export"):
        trial.require_runnable(model)


def test_what_is_no_model_is_left_to_others(tmp_path, worker):
    worker("kill -SEGV $$")
    (tmp_path / "model.pt").write_bytes(b"")
    trial.require_runnable(tmp_path / "model.pt")


def test_a_cache_that_cannot_be_written_does_no_harm(model, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("EQT_COMPRESS_CACHE", str(tmp_path / "file"))
    trial.require_runnable(model)
