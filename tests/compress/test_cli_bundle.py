"""`compress verify` as a user meets it: tables, exit codes, JSON, and errors as one paragraph."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from export.bundle import read_bundle, read_reference, write_bundle

RELEASED = Path(__file__).parents[2] / "artifacts" / "released"


@pytest.fixture
def verify(run_cli):
    """Runs `compress verify`: exit code and everything printed, on one line."""

    def run(*arguments):
        code, printed = run_cli("verify", *arguments)
        return code, " ".join(printed.split())

    return run


@pytest.fixture
def intact(tmp_path):
    return shutil.copytree(RELEASED / "student-tflite-int8", tmp_path / "intact")


@pytest.fixture
def altered(tmp_path):
    """A bundle whose recorded answers are another model's."""
    folder = shutil.copytree(RELEASED / "student-onnx-float32", tmp_path / "altered")
    metadata, model = read_bundle(folder)
    reference = read_reference(folder)
    lower = replace(reference, predictions=reference.predictions * 0.99)
    write_bundle(folder, model, metadata.given(), metadata.name, reference=lower)
    return folder


@pytest.fixture
def damaged(tmp_path):
    folder = shutil.copytree(RELEASED / "student-small-tflite-int8", tmp_path / "damaged")
    (folder / "model.tflite").write_bytes(b"cut short")
    return folder


def test_a_bundle_is_shown_and_passes(verify, intact):
    code, printed = verify(intact)
    assert code == 0, printed
    for text in (
        "tflite", "int8", "62,784 bytes", "detection 0.05, p 0.3, s 0.3", "E, N, Z at 100 Hz",
        "divided by the standard deviation", "(detection, p, s)", "MIT", "Mousavi",
        "eqt-conservative > distill > quantize", "over 3 windows in sequence",
    ):  # fmt: skip
        assert text in printed
    assert printed.count("pass") == 4
    assert "fail" not in printed


def test_altered_answers_are_a_failed_gate(verify, altered, tmp_path):
    code, printed = verify(altered, "--json", tmp_path / "out.json")
    assert code == 3, printed
    assert "fail" in printed
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["command"].startswith("compress verify")
    (row,) = document["bundles"]
    assert row["outcome"] == "fail"
    assert row["difference"]["maximum"] == pytest.approx(0.01, abs=1e-3)
    assert row["metadata"]["precision"] == "float32"
    assert row["checks"][-1]["what"] == "answers"


def test_every_bundle_is_looked_at_and_damage_counts_most(
    verify, intact, altered, damaged, tmp_path
):
    code, printed = verify(damaged, altered, intact, "--json", tmp_path / "out.json")
    assert code == 2
    assert f"Error: {damaged / 'model.tflite'}: its SHA-256 is not the one" in printed
    for outcome, folder in (("damaged", damaged), ("fail", altered), ("pass", intact)):
        assert f"{outcome}: {folder}" in printed
    rows = json.loads((tmp_path / "out.json").read_text())["bundles"]
    assert [row["outcome"] for row in rows] == ["damaged", "fail", "pass"]
    assert "SHA-256" in rows[0]["reason"]


def test_a_bundle_without_reference_windows_is_not_said_to_pass(verify, intact):
    metadata, model = read_bundle(intact)
    write_bundle(intact, model, metadata.given(), metadata.name)
    code, printed = verify(intact, intact)
    assert code == 0, printed
    assert f"not checked: {intact}" in printed
    assert f"pass: {intact}" not in printed
    assert "nobody knows whether the model still answers the same" in printed


def test_recording_makes_what_is_not_checked_pass(verify, intact):
    before, model = read_bundle(intact)
    content = model.read_bytes()
    write_bundle(intact, model, before.given(), before.name)

    code, printed = verify(intact, "--record")

    assert code == 0, printed
    assert "over 3 windows in sequence" in printed
    assert model.read_bytes() == content
    after, _ = read_bundle(intact)
    assert after == before.model_copy(update={"reference_sha256": after.reference_sha256})


def test_recording_does_not_mend_what_is_damaged(verify, damaged):
    code, printed = verify(damaged, "--record")
    assert code == 2
    assert "SHA-256" in printed


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "not a bundle"),
        ([RELEASED / "student-tflite-int8", "--json", "no/where.json"], "there is no folder"),
        ([], "Missing argument"),
    ],
)
def test_what_cannot_be_verified_is_said(arguments, said, verify, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, printed = verify(*arguments)
    assert code == 2
    assert said in printed
    assert "Traceback" not in printed
    assert not list(tmp_path.iterdir())
