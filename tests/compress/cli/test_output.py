"""Where things are printed: tables, documents, errors, colours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import recorded
import stored_models

from compress import pipeline
from compress.cli import main

ROOT = Path(__file__).parents[3]

HEADING = ["format", "command", "date", "versions"]


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs a command in this process: exit code, standard output, standard error."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["compress", *map(str, arguments)])
        code = 0
        try:
            main()
        except SystemExit as ended:
            code = ended.code or 0
        return code, *capsys.readouterr()

    return run


@pytest.fixture
def measured(tmp_path):
    return stored_models.reference_file(tmp_path / "measured.json")


def process(*arguments, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR")}
    return subprocess.run(
        [sys.executable, "-m", "compress.cli", *map(str, arguments)],
        capture_output=True,
        text=True,
        env=kept | environment,
        check=False,
    )


RESULTS = {
    "verify": ("verify {bundle}", "bundles", "answers"),
    "inspect": ("inspect {bundle}", "operators", "No loops."),
    "gate": ("gate {measured} --against {measured}", "verdicts", "pass"),
    "baseline list": ("baseline list", "models", "eqt-original"),
}


@pytest.mark.parametrize("what", RESULTS)
def test_a_document_has_standard_output_to_itself(what, command, measured, tmp_path):
    words, key, printed = RESULTS[what]
    words = words.format(bundle=recorded.STUDENT, measured=measured).split()
    code, out, err = command(*words, "--json", "-")
    assert code == 0, err
    document = json.loads(out)
    assert list(document)[:4] == HEADING
    assert document["command"].startswith(f"compress {what}")
    assert document[key]
    assert printed in err
    code, out, err = command(*words, "--json", tmp_path / "out.json")
    assert (code, err) == (0, "")
    assert printed in out
    assert json.loads((tmp_path / "out.json").read_text())[key] == document[key]


def test_quiet_leaves_the_document_alone(command):
    assert command("--quiet", "verify", recorded.STUDENT) == (0, "", "")
    code, out, err = command("--quiet", "verify", recorded.STUDENT, "--json", "-")
    assert (code, err) == (0, "")
    assert json.loads(out)["bundles"][0]["outcome"] == "pass"
    code, out, _ = command("verify", recorded.STUDENT)  # the next command is not quiet
    assert (code, "answers" in out) == (0, True)


def test_quiet_still_tells_what_is_wrong(command):
    code, out, err = command("--quiet", "verify", "nothing")
    assert (code, out) == (2, "")
    assert err.startswith("Error: nothing")


def test_a_gate_that_fails_writes_its_document(command, measured, tmp_path):
    worse = stored_models.reference_file(tmp_path / "worse.json", misses=40)
    code, out, _ = command("gate", worse, "--against", measured, "--json", "-")
    assert code == 3
    assert json.loads(out)["outcome"] == "fail"


@pytest.mark.parametrize(("misses", "expected"), [(0, 0), (40, 3)])
def test_a_run_as_a_document(misses, expected, command, tmp_path, monkeypatch):
    """Of results that were stored: nothing is trained here."""
    folder = stored_models.run_folder(tmp_path / "run", {"0-baseline": 0, "1-prune": misses})
    results = json.loads((folder / "results.json").read_text())
    results["outcome"] = "fail" if expected else "pass"
    monkeypatch.setattr("compress.pipeline.run", lambda *_: pipeline.Run(folder, results))
    code, out, err = command("run", ROOT / "pipeline.yaml", "--json", "-")
    assert code == expected
    document = json.loads(out)
    assert list(document)[:4] == HEADING
    assert {name: document[name] for name in results} == results
    assert "1-prune" in err


def test_a_plan_as_a_document(command, published):
    published("eqt-conservative")
    code, out, err = command("run", ROOT / "pipeline.yaml", "--dry-run", "--json", "-")
    assert code == 0, err
    plan = json.loads(out)
    assert list(plan)[:4] == HEADING
    assert [step["label"] for step in plan["steps"]][:2] == ["0-baseline", "1-simplify"]
    assert plan["records"]["evaluation"] == 800
    assert "1-simplify" in err


def test_picks_as_a_document(command, tmp_path):
    recorded.write(tmp_path / "event.mseed", recorded.stream(recorded.continuous(2)[0]))
    code, out, err = command("pick", recorded.STUDENT, tmp_path / "event.mseed", "--json", "-")
    assert code == 0, err
    document = json.loads(out)
    assert document["thresholds"].keys() == {"detection", "p", "s"}
    first = document["detections"][0]
    assert first["start"] < first["p"]["time"] < first["s"]["time"] < first["end"]
    assert 0 < first["p"]["probability"] <= 1


def test_version(command):
    code, out, err = command("--version")
    assert (code, err) == (0, "")
    assert out.startswith("eqt-compress")


def test_colour_only_where_it_is_wanted():
    assert "\x1b[" not in process("nosuch").stderr
    assert "\x1b[1;31m" in process("nosuch", FORCE_COLOR="1").stderr
    assert "31m" not in process("nosuch", FORCE_COLOR="1", NO_COLOR="1").stderr


def test_an_interrupt_is_said(command, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("compress.models.find", interrupted)
    code, out, err = command("inspect", "model.tflite")
    assert (code, out) == (130, "")
    assert err.startswith("Interrupted.")


def test_native_code_that_crashes_is_heard():
    program = (
        "import ctypes, os\n"
        "from baseline.native import quiet_stderr\n"
        "with quiet_stderr():\n    os.write(2, b'a notice')\n"
        "with quiet_stderr():\n    ctypes.string_at(0)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONFAULTHANDLER"}, check=False,
    )  # fmt: skip
    assert done.returncode < 0
    assert "a notice" not in done.stderr
    assert "Segmentation fault" in done.stderr
