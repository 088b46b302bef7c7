"""What a run does about its rules: stop, skip, compare with the stage before. Trains nothing."""

import json

import pytest
import stored_models as made
from rich.progress import Progress

from compress import pipeline as module
from compress import stage_export
from compress.config import Pipeline
from compress.gates import Measured
from compress.measurements import read_stored
from compress.report.contents import contents
from compress.report.markdown import report
from compress.results import to_document
from compress.runs import find_stage
from compress.store import KERAS_FILE, TFLITE_FILE
from export.bundle import read_bundle

INTERVAL = {"point": 0.6, "lower": 0.5, "upper": 0.7}
RELIABILITY = {
    "windows": 70,
    "calibration_error": INTERVAL,
    "bins": [
        {"lower": 0.5, "upper": 0.6, "windows": 70, "records": 70, "probability": 0.55}
        | {"right": INTERVAL}
    ],
}
STRICT = {"cost": [{"measure": "bytes", "maximum": 50_000}]}


def declared(folder, **stages):
    """A pipeline of distill and quantize with these keys."""
    return Pipeline.model_validate(
        {
            "version": 1,
            "name": "tiny",
            "output": folder / "run",
            "data": {
                name: [{"kind": "synthetic", "records": 70, "seed": seed}]
                for seed, name in enumerate(("train", "calibration", "evaluation"))
            },
            "stages": [{"kind": kind, **stages.get(kind, {})} for kind in ("distill", "quantize")],
            "export": [{"format": "tflite", "precision": "int8"}],
        }
    )


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a pipeline whose models are files of text and whose measurements are made up."""
    misses = {"0-baseline": 0, "1-distill": 10, "2-quantize": 14}

    def fake_stage(runner, stage, label, parent, baseline):
        key = module.stage_key(parent.key, stage, runner.pipeline, runner.data, {})
        return fake_artifact(runner, label, key, f"{parent.tflite.read_text()} > {label}")

    def fake_artifact(runner, label, key, text):
        with runner.store.unfinished(label, key, {"weights_sha256": "0" * 64}) as folder:
            for file in (TFLITE_FILE, KERAS_FILE):
                (folder / file).write_text(text)
        return runner.store.get(label, key)

    def measure(runner, path, precision, artifact, baseline, label):
        lost = misses.get(label, 0)
        parity = {"windows": 64, "maximum_difference": 0.0, "rms_difference": 0.0}
        document = to_document(Measured(made.counts(misses=lost), made.COST), parity)
        document["reliability"] = dict.fromkeys(("detection", "p", "s"), RELIABILITY)
        return document, made.facts()

    monkeypatch.setattr(module, "resolve_baseline", lambda *_: (tmp_path / "x.h5", "0"))
    monkeypatch.setattr(module, "random_windows", lambda *_: None)
    monkeypatch.setattr(module, "load_runner", lambda *_: None)
    monkeypatch.setattr(module, "record", lambda *_: None)
    monkeypatch.setattr(stage_export, "convert", lambda source, target, *_: target.write_text(
        f"int8 of {source.read_text()}"))  # fmt: skip
    monkeypatch.setattr(
        module._Runner, "_baseline", lambda r: fake_artifact(r, "0-baseline", "b" * 64, "baseline")
    )
    monkeypatch.setattr(module._Runner, "_stage", fake_stage)
    monkeypatch.setattr(module._Runner, "_measure_file", measure)
    monkeypatch.setattr(module._Runner, "_examples", lambda *_: None)
    # Pictures take a second each, and are drawn when they are asked for.
    monkeypatch.setattr(module, "write_run_report", lambda folder, results, examples: (
        folder / "report.md").write_text(report(contents(results, examples))))  # fmt: skip

    def run_pipeline(**stages):
        pipeline = declared(tmp_path, **stages)
        return module.run(pipeline, tmp_path, Progress(disable=True)).results

    return run_pipeline


def labels(results):
    return [row["label"] for row in results["models"]]


def exported(tmp_path):
    return (tmp_path / "run/exports/tiny-tflite-int8/model.tflite").read_text()


def test_failed_stage_stops_the_run(run):
    results = run(distill={"gates": STRICT})
    assert results["outcome"] == "fail"
    assert labels(results) == ["0-baseline", "1-distill"]
    assert not results["models"][1]["skipped"]


def test_skipped_stage_leaves_the_model_before_it(run, tmp_path):
    results = run(distill={"gates": STRICT, "on_fail": "skip"})
    assert results["outcome"] == "pass"
    assert [row["skipped"] for row in results["models"]] == [False, True, False, False]
    assert exported(tmp_path) == "baseline > 2-quantize"
    report = (tmp_path / "run/report.md").read_text()
    assert "**Skipped**" in report
    assert "skipped: fail (1 of 1)" in report


def test_skipped_last_stage_is_not_exported(run, tmp_path):
    results = run(quantize={"gates": STRICT, "on_fail": "skip"})
    assert results["outcome"] == "pass"
    assert exported(tmp_path) == "int8 of baseline > 1-distill"
    metadata, _ = read_bundle(tmp_path / "run/exports/tiny-tflite-int8")
    assert [stage["kind"] for stage in metadata.provenance["stages"]] == ["distill"]


def test_stage_that_keeps_its_rules_is_not_skipped(run, tmp_path):
    results = run(distill={"on_fail": "skip"}, quantize={"on_fail": "skip"})
    assert not any(row["skipped"] for row in results["models"])
    assert exported(tmp_path) == "baseline > 1-distill > 2-quantize"


def previous(margin, against):
    return {"accuracy": [{"metric": "p_f1_0.5s", "margin": margin, "against": against}]}


@pytest.mark.parametrize(("against", "passes"), [("previous", True), ("baseline", False)])
def test_margin_against_the_stage_before(against, passes, run):
    # Against the baseline 14 of 100 records are lost, against the stage before 4.
    results = run(quantize={"gates": previous(0.06, against)})
    assert (results["outcome"] == "pass") == passes
    if passes:
        rule = results["models"][2]["verdicts"][0]
        assert "worse than the previous model's by" in rule["rule"]
        assert "the previous model has" in rule["reason"]


def test_the_model_before_a_skipped_stage_is_the_previous_one(run):
    results = run(
        distill={"gates": STRICT, "on_fail": "skip"}, quantize={"gates": previous(0.04, "previous")}
    )
    verdict = results["models"][2]["verdicts"][0]
    assert verdict["measured"] == pytest.approx(-0.0753, abs=0.001)  # 14 records, not 4


def test_bundles_carry_what_was_measured(run, tmp_path):
    run()
    stored = read_stored(str(tmp_path / "run/exports/tiny-tflite-int8"))
    last = read_stored(str(tmp_path / "run"))
    assert stored.name == last.name == "tiny export tflite-int8"
    assert (stored.measured.counts.values == last.measured.counts.values).all()
    assert (stored.fingerprint, stored.protocol) == (last.fingerprint, last.protocol)


def test_stages_of_the_run_are_found_by_its_folder(run, tmp_path):
    run(distill={"gates": STRICT, "on_fail": "skip"})
    last, skipped = (find_stage(f"{tmp_path / 'run'}{label}") for label in ("", "#1-distill"))
    assert (last.title, skipped.title) == ("tiny-2-quantize", "tiny-1-distill")
    assert [stage.kind for stage in last.stages] == ["quantize"]
    assert [stage.kind for stage in skipped.stages] == ["distill"]
    assert (last.folder / "model.keras").read_text() == "baseline > 2-quantize"
    assert last.metrics["p_recall_0.5s"]["point"] == pytest.approx(0.86)


def test_rules_are_no_part_of_what_is_made(tmp_path):
    with_rules = declared(tmp_path, distill={"gates": STRICT, "on_fail": "skip"})
    data = module.open_data(with_rules)
    assert module.stage_keys(with_rules, "0", data) == module.stage_keys(
        declared(tmp_path), "0", data
    )
    assert json.dumps(with_rules.model_dump(mode="json"))
