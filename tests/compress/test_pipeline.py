"""A whole pipeline on the published weights: killed twice, finished, gated, and not run again."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from compress.evaluation.metrics import Counts
from compress.models import find, open_model
from export.bundle import read_bundle
from export.verify import Outcome, verify

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = """\
version: 1
name: tiny
output: run
baseline: eqt-original
data:
  train: [{kind: synthetic, records: 16, seed: 1}]
  calibration: [{kind: synthetic, records: 32, seed: 2}]
  evaluation: [{kind: synthetic, records: 24, seed: 3}]
evaluation: {placements: 1, latency_pairs: 30}
stages:
  - kind: simplify
    windows: 16
  - kind: distill
    student: {kind: unet, channels: [4, 8, 8, 16], kernel: 3, dilations: [1]}
    records: 8
    shifts: 2
    steps: 700
    batch: 2
    gates:
      cost: [{measure: multiply_adds, maximum_ratio: 0.1}]
  - kind: quantize
    windows: 16
gates:
  parity: {maximum_difference: 0.5}
export:
  - {format: tflite, precision: int8}
  - {format: onnx, precision: float32}
"""

pytestmark = [pytest.mark.published, pytest.mark.timeout(2400)]


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, "-m", "compress.cli", "run", "pipeline.yaml", *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        # Whatever was started in the background by a shell ignores Ctrl-C, and so would the run.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def finish(folder, *arguments):
    process = start(folder, *arguments)
    output, _ = process.communicate(timeout=900)
    return process.returncode, output


def kill_once(folder, pattern, with_signal):
    """Start a run and end it as soon as something matches the pattern."""
    process = start(folder)
    deadline = time.monotonic() + 900
    while not list(folder.glob(pattern)):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(with_signal)
    process.communicate(timeout=60)
    return process.returncode


@pytest.fixture(scope="module")
def folder(published, tmp_path_factory):
    """A run that was killed in the middle of a stage and interrupted in the next."""
    published("eqt-original")
    folder = tmp_path_factory.mktemp("tiny")
    (folder / "pipeline.yaml").write_text(PIPELINE)
    # The last file of a checkpoint to be written: it names the checkpoint to go on from.
    training = "run/stages/2-distill-*.partial/scratch/checkpoints/checkpoint"
    assert kill_once(folder, training, signal.SIGKILL) == -signal.SIGKILL
    (baseline,) = folder.glob("run/stages/0-baseline-*")
    made = (baseline / "manifest.json").stat().st_mtime_ns
    assert not list(folder.glob("run/results.json"))
    assert kill_once(folder, "run/stages/3-quantize-*.partial", signal.SIGINT) == 130
    code, output = finish(folder)
    assert code == 0, output
    assert (baseline / "manifest.json").stat().st_mtime_ns == made, "the baseline was made again"
    (folder / "output.txt").write_text(output)
    return folder


@pytest.fixture(scope="module")
def results(folder):
    return json.loads((folder / "run/results.json").read_text())


def test_training_went_on_from_its_checkpoint(folder):
    (history,) = folder.glob("run/stages/2-distill-*/distill.history.csv")
    steps = [int(line.split(",")[0]) for line in history.read_text().splitlines()[1:]]
    assert steps[-1] == 700
    assert steps.count(25) == 1, "training started again from nothing"


def test_every_stage_is_a_row_with_its_numbers(results):
    labels = [row["label"] for row in results["models"]]
    assert labels == [
        "0-baseline",
        "1-simplify",
        "2-distill",
        "3-quantize",
        "export tflite-int8",
        "export onnx-float32",
    ]
    baseline, simplified, distilled, quantized, tflite, onnx = results["models"]
    assert baseline["cost"]["parameters"] == 373_495
    assert baseline["cost"]["multiply_adds"] == pytest.approx(128.5e6, rel=0.01)
    assert baseline["parity"]["maximum_difference"] < 1e-4
    assert baseline["metrics"]["p_recall_0.5s"]["point"] > 0.8
    assert simplified["cost"]["multiply_adds"] < baseline["cost"]["multiply_adds"] / 1.35
    assert simplified["cost"]["bytes"] < baseline["cost"]["bytes"]
    assert simplified["counts"] == baseline["counts"], "an exact stage should pick the same"
    assert distilled["cost"]["multiply_adds"] < 0.1 * baseline["cost"]["multiply_adds"]
    assert (distilled["precision"], quantized["precision"]) == ("float32", "int8")
    assert quantized["parity"]["rms_difference"] > 10 * distilled["parity"]["rms_difference"]
    assert distilled["latency"]["ratio"] < 0.5
    assert tflite["counts"] == quantized["counts"]
    assert onnx["counts"] == distilled["counts"], "float32 exports should pick the same"
    for row in results["models"][1:]:
        assert {verdict["outcome"] for verdict in row["verdicts"]} == {"pass"}
        assert row["operators"]
        Counts.from_json(json.dumps(row["counts"]))


def test_table_and_report_are_written(folder, results):
    output = (folder / "output.txt").read_text()
    report = (folder / "run/report.md").read_text()
    for row in results["models"]:
        assert row["label"] in output
        assert f"## {row['label']}" in report
    assert "Traceback" not in output
    assert "# Pipeline tiny: pass" in report


def test_report_says_what_became_of_each_layer(folder, results):
    _, simplified, distilled, *_ = results["models"]
    became = {layer["layer"]: (layer["became"], layer["note"]) for layer in simplified["layers"]}
    assert became["p_decoder_6_conv"][0] == "16 channels, from 8"
    assert became["residual_0b_norm"] == ("removed", "folded into residual_0a_conv")
    assert became["encoder_0_conv"] == ("kept", "")
    assert distilled["layers"] == [
        {"layer": "all", "became": "replaced by unet_student", "note": ""}
    ]
    report = (folder / "run/report.md").read_text()
    assert "| residual_0b_norm | removed | folded into residual_0a_conv |" in report
    assert "Kept: encoder_0_conv, encoder_1_conv" in report


def test_bundles_run_and_say_where_they_come_from(folder, windows):
    for name in ("tiny-tflite-int8", "tiny-onnx-float32"):
        metadata, model = read_bundle(folder / "run/exports" / name)
        assert metadata.provenance["baseline"] == "eqt-original"
        assert metadata.parity["windows"] == 64
        found, runner = open_model(str(folder / "run/exports" / name))
        assert found.path == model
        assert np.isfinite(runner(windows[:2])).all()
        assert verify(folder / "run/exports" / name).outcome is Outcome.PASS
    stage = next(folder.glob("run/stages/3-quantize-*"))
    assert find(str(stage)).path == stage / "model.tflite"


def test_export_by_hand_finds_what_the_run_made(folder, run_cli):
    code, output = run_cli("export", folder / "run", "--format", "tflite", "--format", "c")
    assert code == 0, output
    by_hand = folder / "run/exports-by-hand"
    metadata, model = read_bundle(by_hand / "tiny-3-quantize-tflite-int8")
    own, exported = read_bundle(folder / "run/exports/tiny-tflite-int8")
    assert model.read_bytes() == exported.read_bytes()
    assert (metadata.metrics, metadata.thresholds) == (own.metrics, own.thresholds)
    assert metadata.provenance == own.provenance
    assert (by_hand / "tiny-3-quantize-c-int8/model.c").is_file()


def test_finished_run_is_not_run_again(folder, results):
    started = time.monotonic()
    code, output = finish(folder, "--dry-run")
    assert code == 0
    assert output.count("finished") == 4
    assert "to be run" in output
    before = {p: p.stat().st_mtime_ns for p in folder.glob("run/stages/*/model.*")}
    code, output = finish(folder, "--set", "export=[]")
    assert code == 0
    assert {p: p.stat().st_mtime_ns for p in folder.glob("run/stages/*/model.*")} == before
    assert time.monotonic() - started < 120


def test_failed_gate_stops_the_run_with_exit_code_3(folder):
    code, output = finish(
        folder, "--set", "stages.1.gates={cost: [{measure: bytes, maximum: 1000}]}"
    )
    assert code == 3
    assert "2-distill: fail" in output
    assert "1,000 are allowed" in output
    assert "3-quantize" not in output


def test_undecided_gate_is_no_silent_pass(folder):
    gates = "gates={accuracy: [{metric: false_p_per_hour, margin: 1, minimum_records: 1000}]}"
    code, output = finish(folder, "--set", gates)
    assert code == 3
    assert "1-simplify: inconclusive: " in output
    assert "2-distill" not in output
    code, output = finish(
        folder, "--set", "export=[]", "--set", gates, "--set", "inconclusive=warn"
    )
    assert code == 0
    assert "3-quantize: inconclusive: " in output


def test_second_run_on_the_same_folder_is_refused(folder):
    from filelock import FileLock

    with FileLock(folder / "run/run.lock"):
        code, output = finish(folder)
    assert code == 2
    assert "another run is using this folder" in output
