"""The examples of docs/deploy.md, run where there is a runtime, NumPy, and nothing else."""

import re
from pathlib import Path

import pytest
from environments import importable, run_in, site_packages

ROOT = Path(__file__).parents[1]
RELEASED = ROOT / "artifacts" / "released"
EXAMPLES = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "deploy.md").read_text(), re.S)
LONGEST_EXAMPLE_LINES = 25
NOT_THERE = {
    "tensorflow",
    "tf_keras",
    "compress",
    "export",
    "baseline",
    "scipy",
    "obspy",
    "pydantic",
}
ONSETS = {(0, "P"): 12.34, (0, "S"): 28.49, (1, "P"): 12.34, (1, "S"): 20.57}
"""Seconds, by window and phase, as docs/deploy.md says; window 2 is noise."""

TFLITE, ONNX = 0, 1


@pytest.fixture(scope="module")
def sites(tmp_path_factory):
    """For each example, an environment that has what it imports."""
    folder = tmp_path_factory.mktemp("sites")
    return (
        site_packages(folder / "tflite", ["ai-edge-litert", "numpy"]),
        site_packages(folder / "onnx", ["onnxruntime", "numpy"]),
    )


def test_each_environment_has_its_runtime_and_nothing_of_this_project(sites):
    runtimes = {"ai_edge_litert", "onnxruntime"}
    for site, runtime in zip(sites, ("ai_edge_litert", "onnxruntime"), strict=True):
        assert importable(site, {"numpy", *runtimes, *NOT_THERE}) == {"numpy", runtime}


def test_examples_are_short():
    assert len(EXAMPLES) == 2
    for example in EXAMPLES:
        lines = [line for line in example.splitlines() if line.strip()]
        assert len(lines) <= LONGEST_EXAMPLE_LINES


@pytest.mark.parametrize(
    ("which", "bundle"),
    [
        (TFLITE, "student-tflite-float32"),
        (TFLITE, "student-tflite-int8"),
        (ONNX, "student-onnx-float32"),
        (ONNX, "student-onnx-int8"),
    ],
)
def test_an_example_picks_what_is_there(which, bundle, sites):
    done = run_in(sites[which], EXAMPLES[which], RELEASED / bundle)
    assert done.returncode == 0, done.stderr
    found = {
        (int(number), phase): float(seconds)
        for number, phase, seconds in re.findall(r"window (\d+): ([PS]) at (\S+) s", done.stdout)
    }
    assert found == pytest.approx(ONSETS, abs=0.1)
