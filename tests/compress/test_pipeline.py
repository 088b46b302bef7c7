"""A whole pipeline on a trained model: killed twice, finished, gated, and not run again."""

import json
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from forked import Forked

from baseline.checkpoint import save_keras
from benchmarks.determinism import student
from compress.evaluation.examples import read_examples
from compress.evaluation.metrics import Counts
from compress.models import find, open_model
from export.bundle import read_bundle
from export.verify import Outcome, verify

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = """\
version: 1
name: tiny
output: run
baseline: trained.keras
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
    steps: 500
    batch: 2
    gates:
      cost: [{measure: multiply_adds, maximum_ratio: 0.2}]
  - kind: quantize
    windows: 16
gates:
  parity: {maximum_difference: 0.5}
export:
  - {format: tflite, precision: int8}
  - {format: onnx, precision: float32}
"""

pytestmark = pytest.mark.timeout(900)


def start(folder, *arguments):
    return Forked("compress.cli", "run", "pipeline.yaml", *arguments, folder=folder)


def finish(folder, *arguments):
    process = start(folder, *arguments)
    return process.wait(900), process.output


def kill_once(folder, pattern, with_signal):
    """Start a run and end it as soon as something matches the pattern."""
    process = start(folder)
    deadline = time.monotonic() + 900
    while not list(folder.glob(pattern)):
        assert process.code is None, process.output
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send(with_signal)
    return process.wait(60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A run that was killed in the middle of a stage and interrupted in the next."""
    folder = tmp_path_factory.mktemp("tiny")
    save_keras(student(), folder / "trained.keras")
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
    assert steps[-1] == 500
    assert steps.count(25) == 1, "training started again from nothing"
    assert not (folder / "run/targets").exists(), "what teachers answered was left behind"


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
    norm = 4 * 32
    assert baseline["cost"]["parameters"] == simplified["cost"]["parameters"] + norm
    assert baseline["parity"]["maximum_difference"] < 1e-4
    assert baseline["metrics"]["p_recall_0.5s"]["point"] > 0.8
    assert simplified["cost"]["multiply_adds"] == baseline["cost"]["multiply_adds"]
    assert simplified["counts"] == baseline["counts"], "an exact stage should pick the same"
    assert distilled["cost"]["multiply_adds"] < 0.2 * baseline["cost"]["multiply_adds"]
    assert (distilled["precision"], quantized["precision"]) == ("float32", "int8")
    assert quantized["parity"]["rms_difference"] > 10 * distilled["parity"]["rms_difference"]
    assert distilled["latency"]["ratio"] < 0.9
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


def test_a_page_shows_windows_of_the_last_stage(folder, results):
    examples = read_examples(folder / "run/examples.npz")
    assert examples.models == ("0-baseline", "3-quantize")
    assert {"best", "typical"} <= set(examples.kinds)
    text = (folder / "run/report.html").read_text()
    assert all(f"example_{kind}_1" in text for kind in set(examples.kinds))
    assert "Run the pipeline again" not in text
    for row in results["models"]:
        assert row["curves"] and row["strata"] and row["residuals"] and row["sha256"]
    assert len(list(folder.glob("run/stages/*/windows.npz"))) == 4


def test_report_says_what_became_of_each_layer(folder, results):
    _, simplified, distilled, *_ = results["models"]
    became = {layer["layer"]: (layer["became"], layer["note"]) for layer in simplified["layers"]}
    assert became["stem_norm"] == ("removed", "folded into stem_conv")
    assert became["head_conv"] == ("kept", "")
    became = {layer["layer"]: layer["became"] for layer in distilled["layers"]}
    assert became["stem_conv"] == "4 channels, from 32"
    assert became["context_2_conv"] == "removed"
    report = (folder / "run/report.md").read_text()
    assert "| stem_norm | removed | folded into stem_conv |" in report
    assert "Kept: stem_conv, " in report


def test_bundles_run_and_say_where_they_come_from(folder, windows):
    for name in ("tiny-tflite-int8", "tiny-onnx-float32"):
        metadata, model = read_bundle(folder / "run/exports" / name)
        assert metadata.provenance["baseline"] == "trained.keras"
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
    kept = [*folder.glob("run/stages/*/*.*"), folder / "run/examples.npz"]
    before = {path: path.stat().st_mtime_ns for path in kept}
    code, output = finish(folder, "--set", "export=[]")
    assert code == 0
    assert {path: path.stat().st_mtime_ns for path in kept} == before
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
