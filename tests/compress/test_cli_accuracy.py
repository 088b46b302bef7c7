"""Accuracy on the command line: evaluate with figures and tasks, tune-thresholds, agree."""

import json
import shutil

import numpy as np
import onnx
import pandas as pd
import pytest
from hand_made import write_seisbench
from onnx import helper

from baseline.contract import WINDOW_SHAPE
from compress.evaluation import bootstrap
from export.bundle import read_bundle, read_reference, write_bundle
from export.reference import record
from export.runtimes import load_runner


@pytest.fixture
def command(monkeypatch, run_cli):
    """Runs a command in this process: exit code and everything printed, on one line."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 20)

    def run(*arguments):
        code, printed = run_cli(*arguments)
        return code, " ".join(printed.split())

    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four earthquake and two noise records in split dev, as many in test."""
    onsets = [2000.0, 2100.0, 2200.0, 2300.0, np.nan, np.nan]
    names = {f"{s}_{i}": onset for s in ("dev", "test") for i, onset in enumerate(onsets)}
    return write_seisbench(tmp_path_factory.mktemp("data"), names)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """An ONNX model that calls everything loud an earthquake, P and S."""
    shape = [1, *WINDOW_SHAPE]
    tensor = onnx.TensorProto.FLOAT
    nodes = [
        helper.make_node("Abs", ["waveform"], ["loud"]),
        helper.make_node("Sub", ["loud", "level"], ["above"]),
        helper.make_node("Sigmoid", ["above"], ["prediction"]),
    ]
    graph = helper.make_graph(
        nodes,
        "loud",
        [helper.make_tensor_value_info("waveform", tensor, shape)],
        [helper.make_tensor_value_info("prediction", tensor, shape)],
        [helper.make_tensor("level", tensor, [1], [2.0])],
    )
    path = tmp_path_factory.mktemp("model") / "model.onnx"
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), path)
    return path


@pytest.fixture(scope="module")
def exported(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "bundle"
    metadata = {
        "format": "onnx",
        "precision": "float32",
        "thresholds": {"detection": 0.3, "p": 0.1, "s": 0.1},
        "parity": {"maximum_difference": 0.0, "windows": 1.0},
        "metrics": {"p_f1_0.5s": {"point": 0.5}},
        "provenance": {"baseline": "by hand"},
        "licence": "MIT",
        "citation": "nobody",
    }
    reference = record(load_runner(model), np.zeros((1, *WINDOW_SHAPE), np.float32))
    write_bundle(folder, model, metadata, "loud", reference=reference)
    return folder


@pytest.fixture
def bundle(exported, tmp_path):
    """A bundle that a test may change."""
    return shutil.copytree(exported, tmp_path / "bundle")


def test_everything_that_is_measured(command, model, data, tmp_path):
    code, output = command(
        "evaluate", model, "--data", data, "--against", model, "--placements", "2", "--tasks",
        "--json", tmp_path / "out.json", "--plots", tmp_path / "plots",
    )  # fmt: skip
    assert code == 0, output
    ours, theirs = json.loads((tmp_path / "out.json").read_text())["models"]
    assert ours["curves"] == theirs["curves"]
    assert ours["curves"]["p"]["onsets"] == 16
    assert [at["allowed_per_hour"] for at in ours["curves"]["p"]["at_false_alarms"]] == [1, 5, 20]
    assert [group["records"] for group in ours["strata"]["s_minus_p_s"]] == [8]
    assert ours["strata"]["original_sampling_rate_hz"][0]["label"] == "100"
    assert sum(group["windows"] for group in ours["strata"]["snr_db"]) == 16
    assert ours["whole_second_bias"]["records"] == 8
    assert len(ours["whole_second_bias"]["by_offset"]) == 10
    assert ours["residuals"]["p"]["windows"] == 16
    tasks = ours["seisbench_tasks"]
    assert tasks["detection"]["earthquake_windows"] == 8
    assert tasks["onset"]["p"]["windows"] == 8
    assert "p_f1_0.2s" in output
    for output_name, claimed in ours["reliability"].items():
        assert claimed["windows"] == 24, output_name  # eight of noise
        assert sum(each["windows"] for each in claimed["bins"]) == 24
        assert 0 <= claimed["calibration_error"]["point"] <= 1
        assert 0 <= claimed["calibration_error_equal_count"]["point"] <= 1
    assert "detection calibration error" in output
    assert "whole-second bias (8 records)" in output
    assert "task 2: phase MCC" in output
    assert len(list((tmp_path / "plots").glob("*.png"))) == 5


@pytest.mark.parametrize("category", ["noise", "earthquake_local"])
def test_one_kind_of_record_alone(category, command, model, data, tmp_path):
    folder = shutil.copytree(data, tmp_path / "data")
    table = pd.read_csv(folder / "metadata.csv")
    table[table["trace_category"] == category].to_csv(folder / "metadata.csv", index=False)

    code, output = command(
        "evaluate", model, "--data", folder, "--placements", "1", "--tasks",
        "--json", tmp_path / "out.json", "--plots", tmp_path / "plots",
    )  # fmt: skip

    assert code == 0, output
    (found,) = json.loads((tmp_path / "out.json").read_text())["models"]
    assert found["curves"]["p"]["at_false_alarms"] == []
    noise_alone = category == "noise"
    assert (found["curves"]["p"]["average_precision"]["point"] is None) == noise_alone
    assert (found["whole_second_bias"] is None) == noise_alone
    assert bool(found["seisbench_tasks"]["onset"]) != noise_alone
    code, output = command("tune-thresholds", model, "--data", folder)
    assert code == 0, output


def test_figures_need_a_folder(command, model, data, tmp_path):
    (tmp_path / "plots").write_text("a file")
    code, output = command("evaluate", model, "--data", data, "--plots", tmp_path / "plots")
    assert code == 2
    assert "is no folder" in output


def test_tuning_prints_and_writes_nothing_unasked(command, bundle, data):
    before = (bundle / "metadata.json").read_bytes()

    code, output = command("tune-thresholds", bundle, "--data", data)

    assert code == 0, output
    assert "split dev: 4 earthquakes, 2 noise records" in output
    assert (bundle / "metadata.json").read_bytes() == before


def test_tuned_thresholds_are_kept_with_their_origin(command, bundle, data):
    before, _ = read_bundle(bundle)

    code, output = command("tune-thresholds", bundle, "--data", data, "--write")

    assert code == 0, output
    after, model = read_bundle(bundle)
    assert after.sha256 == before.sha256
    assert after.reference_sha256 == before.reference_sha256
    assert read_reference(bundle).predictions.max() == pytest.approx(0.1192, abs=1e-4)
    assert set(after.thresholds) == {"detection", "p", "s"}
    assert after.thresholds != before.thresholds
    assert after.metrics == {}
    origin = after.provenance["thresholds_tuned_on"]
    assert (origin["folders"], origin["split"]) == ([data.name], "dev")
    assert origin["noise"] == 2
    assert str(data) not in (bundle / "metadata.json").read_text()
    assert model.is_file()

    code, output = command("evaluate", bundle, "--data", data, "--split", "dev")
    assert code == 2
    assert "tuned on these records" in output
    code, output = command("evaluate", bundle, "--data", data, "--split", "test")
    assert code == 0, output


def test_thresholds_chosen_by_hand_are_taken_and_said(command, bundle, data):
    chosen = ("--detection", "0.25", "--s", "0.4")
    code, output = command("tune-thresholds", bundle, "--data", data, "--write", *chosen)
    assert code == 0, output
    after, _ = read_bundle(bundle)
    assert (after.thresholds["detection"], after.thresholds["s"]) == (0.25, 0.4)
    assert after.provenance["thresholds_tuned_on"]["chosen_by_hand"] == ["detection", "s"]


def test_what_must_not_be_tuned(command, model, data):
    code, output = command("tune-thresholds", model, "--data", data, "--split", "test")
    assert code == 2
    assert "not tuned on the split 'test'" in output
    code, output = command("tune-thresholds", model, "--data", data, "--write")
    assert code == 2
    assert "is no bundle" in output
    code, output = command("tune-thresholds", model, "--data", data, "--data", data)
    assert code == 2
    assert "share 6 records" in output
    code, output = command("tune-thresholds", model, "--data", data, "--split", "train")
    assert code == 2
    assert "dev, test" in output


def test_agreement(command, model, exported, data, tmp_path):
    code, output = command("agree", exported, model, "--data", data, "--json", tmp_path / "a.json")
    assert code == 0, output
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["data"]["records"] == 12
    assert document["data"]["hours"] == pytest.approx(12 / 60)
    assert document["agreement"]["p_probability_rmse"]["point"] < 1e-5
    assert document["agreement"]["lost_detections_per_hour"]["point"] == 0.0
    assert len(document["counts"]["records"]) == 12
    assert "p_residual_mean_s" in output

    code, output = command("agree", model, model, "--data", tmp_path / "nowhere")
    assert code == 2
    assert "no such folder" in output
