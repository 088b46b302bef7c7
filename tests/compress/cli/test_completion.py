"""What the shell is told when Tab is pressed, by the protocol that the installed script speaks."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from compress.cli.completion import (
    complete_format,
    complete_inconclusive,
    complete_model,
    complete_precision,
    complete_published,
    complete_ranges,
    complete_run,
    complete_stack,
)
from compress.exporting import Product


def bash(line, folder):
    """What bash offers after a line."""
    words = line.split(" ")
    environment = {
        "_COMPRESS_COMPLETE": "complete_bash",
        "COMP_WORDS": "\n".join(words),
        "COMP_CWORD": str(len(words) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-m", "compress.cli"], capture_output=True, text=True, cwd=folder,
        env=os.environ | environment, check=True,
    )  # fmt: skip
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("compress eval", ["evaluate"]),
        ("compress baseline f", ["fetch"]),
        ("compress evaluate eqt-o", ["eqt-original"]),
        ("compress export x --format o", ["onnx"]),
        ("compress export x --precision int", ["int16x8", "int8"]),
        ("compress bench x --thr", ["--threads"]),
        ("compress evaluate art", []),  # bash goes on with files
    ],
)
def test_bash_is_offered(line, offered, tmp_path):
    assert bash(line, tmp_path) == offered


def test_the_script_for_bash_is_shown():
    done = subprocess.run(
        [sys.executable, "-m", "compress.cli", "--show-completion", "bash"],
        capture_output=True, text=True, check=False,
        env=os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "_COMPRESS_COMPLETE=complete_bash" in done.stdout


def test_values_of_options():
    assert complete_format("t") == ["tflite"]
    assert complete_format("") == list(Product)
    assert complete_precision("float") == ["float32", "float16"]
    assert complete_ranges("e") == ["extremes", "entropy"]
    assert complete_stack("m") == ["max", "mean"]
    assert complete_inconclusive("") == ["fail", "warn"]
    assert complete_published("eqt-") == ["eqt-conservative", "eqt-original"]


def test_names_stand_beside_files_that_begin_alike(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "eqt-mine.h5").touch()
    (tmp_path / "other.h5").touch()
    assert complete_model("eqt-") == ["eqt-conservative", "eqt-original", "eqt-mine.h5"]
    assert complete_model("oth") == []


def test_stages_of_a_run(tmp_path):
    rows = [{"label": "0-baseline"}, {"label": "1-simplify"}, {"label": "1b-other"}]
    (tmp_path / "results.json").write_text(json.dumps({"models": rows}))
    assert complete_run(f"{tmp_path}#1") == [f"{tmp_path}#1-simplify", f"{tmp_path}#1b-other"]
    assert complete_model(f"{tmp_path}/results.json#0") == [f"{tmp_path}/results.json#0-baseline"]
    assert complete_run(f"{tmp_path}") == []
    assert complete_run("nothing#1") == []
    (tmp_path / "results.json").write_text("[]")
    assert complete_run(f"{tmp_path}#1") == []
