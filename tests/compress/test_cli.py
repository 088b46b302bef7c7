"""The command line as a new user meets it: help at once, and errors as one paragraph."""

import json
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest
import small_models

from baseline.checkpoint import save_keras
from compress.evaluation import standalone

ROOT = Path(__file__).resolve().parents[2]


def seisbench(folder, waveforms, components="ENZ", rate=100.0, **columns):
    """A SeisBench data set of (n, samples, channels) waveforms."""
    folder.mkdir()
    names = [f"trace_{i}" for i in range(len(waveforms))]
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        file["data_format/dimension_order"] = "WC"
        file["data_format/component_order"] = components
        file.create_group("data")
        for name, waveform in zip(names, waveforms, strict=True):
            file[f"data/{name}"] = waveform
    table = pd.DataFrame({"trace_name": names, "trace_sampling_rate_hz": rate})
    table["trace_category"] = "earthquake_local"
    table["trace_p_arrival_sample"] = 1000.0
    table["trace_s_arrival_sample"] = 1500.0
    for name, values in columns.items():
        table[name] = values
    table.to_csv(folder / "metadata.csv", index=False)
    return folder


def noise(channels=3, samples=9000):
    return np.random.default_rng(0).normal(size=(2, samples, channels)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.keras"
    save_keras(small_models.student(), path)
    return path


def is_one_paragraph(code, output, *expected):
    assert code == 2, output
    assert "Traceback" not in output
    assert output.strip().startswith("Error:")
    assert "\n\n" not in output.strip()
    flat = " ".join(output.split())
    for text in expected:
        assert text in flat


def with_nan(folder):
    waveforms = noise()
    waveforms[1, 4000, 1] = np.nan
    return seisbench(folder, waveforms)


BAD_DATA = {
    "NaN in a waveform": (with_nan, ["trace_1", "finite"]),
    "two components": (lambda f: seisbench(f, noise(2), "NZ"), ["three", "N"]),
    "20 Hz": (lambda f: seisbench(f, noise(), rate=20.0), ["20", "40"]),
    "an empty set": (lambda f: seisbench(f, noise()[:0]), ["metadata.csv"]),
    "no labels": (
        lambda f: seisbench(
            f, noise(), trace_p_arrival_sample=np.nan, trace_s_arrival_sample=np.nan
        ),
        ["has a pick"],
    ),
    "a pick after the end": (
        lambda f: seisbench(f, noise(), trace_s_arrival_sample=9500.0),
        ["trace_0", "9500"],
    ),
    "no such folder": (lambda f: f, ["no such folder"]),
}


@pytest.mark.parametrize("what", BAD_DATA)
def test_bad_data_are_one_paragraph(what, run_cli, model, tmp_path):
    make, expected = BAD_DATA[what]
    folder = make(tmp_path / "data")
    is_one_paragraph(*run_cli("evaluate", model, "--data", folder), *expected)


def test_good_data_are_evaluated(run_cli, model, tmp_path, monkeypatch):
    monkeypatch.setattr(standalone, "LATENCY_SECONDS", 1.0)  # enough for the fewest rounds
    folder = seisbench(tmp_path / "data", noise(), rate=50.0)
    code, output = run_cli(
        "evaluate", model, "--data", folder, "--against", model, "--json", tmp_path / "out.json",
        "--placements", "2",
    )  # fmt: skip
    assert code == 0
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["data"]["records"] == 2
    assert document["models"][0]["counts"] == document["models"][1]["counts"]
    assert document["differences"]["p_recall_0.5s"]["point"] == 0.0
    assert document["models"][0]["latency"]["pairs"] >= 6
    assert "p_f1_0.5s" in output


BAD_MODELS = {
    "nothing there": (None, ["no file or folder", "eqt-conservative"]),
    "model.h5": (b"\x89HDF\r\n\x1a\n cut short", ["model.h5", "cut short"]),
    "model.tflite": (b"TFL3 no", ["model.tflite"]),
    "model.pt": (b"x", [".tflite, .onnx"]),
}


@pytest.mark.parametrize("name", BAD_MODELS)
def test_bad_models_are_one_paragraph(name, run_cli, tmp_path):
    content, expected = BAD_MODELS[name]
    if content:
        (tmp_path / name).write_bytes(content)
    is_one_paragraph(*run_cli("evaluate", tmp_path / name), *expected)


def test_bad_pipeline_is_one_paragraph(run_cli, tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text((ROOT / "pipeline.yaml").read_text().replace("  seed: 7", "  sede: 7"))
    path.write_text("stges: []\n" + path.read_text())
    is_one_paragraph(*run_cli("run", path), "line 1", "stges", "Did you mean 'stages'?")
    is_one_paragraph(*run_cli("run", tmp_path / "nothing.yaml"), "nothing.yaml", "cannot be read")


def test_baseline_that_is_nothing_is_said(run_cli, tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text((ROOT / "pipeline.yaml").read_text())
    is_one_paragraph(*run_cli("run", path, "--set", "baseline=mine.h5"), "mine.h5", "neither")


def test_sets_that_share_records_are_refused(run_cli, tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text((ROOT / "pipeline.yaml").read_text().replace("seed: 3", "seed: 1"))
    is_one_paragraph(*run_cli("run", path), "'train' and 'evaluation' share 800 records")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--format", "tensorrt"), "tflite, onnx"),
        (("--precision", "int4"), "float32, float16, dynamic, int16x8, int8"),
    ],
)
def test_unknown_export_is_refused(arguments, expected, run_cli, model, tmp_path):
    code, output = run_cli("export", model, "--output", tmp_path / "out", *arguments)
    is_one_paragraph(code, output, expected)


def test_export_writes_a_bundle_that_evaluates(run_cli, model, tmp_path):
    code, output = run_cli("export", model, "--format", "onnx", "--output", tmp_path / "bundle")
    assert code == 0, output
    assert "64 windows in sequence" in " ".join(output.split())
    code, output = run_cli("verify", tmp_path / "bundle")
    assert (code, output.count("not checked")) == (0, 1), output  # it holds no counts
    folder = seisbench(tmp_path / "data", noise())
    code, output = run_cli("evaluate", tmp_path / "bundle", "--data", folder)
    assert code == 0, output
    is_one_paragraph(
        *run_cli("export", tmp_path / "bundle", "--output", tmp_path / "again"),
        "cannot be exported again",
    )


def test_schema_is_json(run_cli):
    code, output = run_cli("schema")
    assert code == 0
    assert json.loads(output)["title"] == "Pipeline"


def test_published_models_are_listed(run_cli):
    code, output = run_cli("baseline", "list")
    assert code == 0
    assert "eqt-conservative" in output
    assert "378,311" in output


def test_schema_needs_no_tensorflow():
    program = (
        "import sys; sys.argv = ['compress', 'schema']\n"
        "from compress import cli\n"
        "try:\n    cli.main()\n"
        "finally:\n"
        "    assert 'tensorflow' not in sys.modules and 'tf_keras' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
