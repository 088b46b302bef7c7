"""The GitHub action: its script runs here as it would there, and the workflow uses it rightly."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import stored_models as made
import yaml

ROOT = Path(__file__).resolve().parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text())
STEPS = ACTION["runs"]["steps"]


@pytest.fixture
def run_gate(tmp_path):
    """Runs the last step of the action: exit code, its outputs, the page of the job."""
    command = tmp_path / "compress"
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m compress.cli "$@"\n')
    command.chmod(0o755)
    outputs, page = tmp_path / "outputs", tmp_path / "page.md"

    def run(candidate, reference, config="", inconclusive="fail"):
        done = subprocess.run(
            ["bash", "-e", "-c", STEPS[-1]["run"]],
            env={
                **os.environ,
                "COMPRESS": str(command),
                "RESULTS": str(tmp_path / "results"),
                "CANDIDATE": str(candidate),
                "REFERENCE": str(reference),
                "CONFIG": str(config),
                "INCONCLUSIVE": inconclusive,
                "GITHUB_OUTPUT": str(outputs),
                "GITHUB_STEP_SUMMARY": str(page),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        pairs = dict(line.split("=", 1) for line in outputs.read_text().splitlines())
        return done.returncode, pairs, page.read_text() if page.exists() else ""

    return run


def test_passing_gate(run_gate, tmp_path):
    reference = made.reference_file(tmp_path / "a reference.json")
    code, outputs, page = run_gate(reference, reference)
    assert code == 0
    assert outputs["outcome"] == "pass"
    assert Path(outputs["junit"]).is_file()
    assert Path(outputs["json"]).is_file()
    assert "Gate: pass" in page


def test_failing_gate_fails_the_job(run_gate, tmp_path):
    candidate = made.reference_file(tmp_path / "candidate.json", misses=1)
    reference = made.reference_file(tmp_path / "reference.json")
    config = tmp_path / "gates.yaml"
    config.write_text("cost:\n  - {measure: bytes, maximum: 5}\n")
    code, outputs, page = run_gate(candidate, reference, config)
    assert code == 3
    assert outputs["outcome"] == "fail"
    assert "Gate: fail" in page


def test_warning_is_passed_on(run_gate, tmp_path):
    candidate = made.reference_file(tmp_path / "candidate.json", misses=1)
    reference = made.reference_file(tmp_path / "reference.json")
    assert run_gate(candidate, reference, inconclusive="warn")[0] == 0


def test_inputs_reach_the_shell_as_variables():
    scripts = "".join(step.get("run", "") for step in STEPS)
    assert "${{" not in scripts
    assert "--require-hashes" in scripts
    used = {v for step in STEPS for v in step.get("env", {}).values()}
    assert {f"${{{{ inputs.{name} }}}}" for name in ACTION["inputs"]} <= used


def test_workflow_gates_what_is_there():
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    gates = [s["with"] for s in workflow["jobs"]["gate"]["steps"] if s.get("uses") == "./"]
    assert len(gates) == 2
    for inputs in gates:
        assert set(inputs) <= set(ACTION["inputs"])
        assert (ROOT / inputs["reference"]).is_file()
        assert (ROOT / inputs["config"]).is_file()
