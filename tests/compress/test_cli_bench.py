"""`compress bench` as a user meets it: a table, a JSON file, and errors as one paragraph."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from compress.evaluation import footprint


@pytest.fixture
def command(monkeypatch, run_cli):
    """Runs a command in this process: exit code, and everything printed on one line."""
    monkeypatch.setattr(footprint, "STARTS", 1)

    def run(*arguments):
        code, printed = run_cli(*arguments)
        return code, " ".join(printed.split())

    return run


def sigmoids(path, number):
    """An ONNX model that takes `number` sigmoids in a row."""
    names = ["waveform", *(f"x{i}" for i in range(1, number)), "prediction"]
    nodes = [helper.make_node("Sigmoid", [names[i]], [names[i + 1]]) for i in range(number)]
    ends = [
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 6000, 3))]
        for name in (names[0], names[-1])
    ]
    graph = helper.make_graph(nodes, "sigmoids", *ends)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=onnx.IR_VERSION_2023_5_5
    )
    onnx.save(model, path)
    return path


@pytest.fixture
def fast(tmp_path):
    return sigmoids(tmp_path / "fast.onnx", 1)


@pytest.fixture
def slow(tmp_path):
    return sigmoids(tmp_path / "slow.onnx", 60)


def test_the_slower_model_is_found_slower(command, fast, slow, tmp_path):
    out = tmp_path / "out.json"
    code, printed = command("bench", fast, slow, "--pairs", 30, "--json", out)
    assert code == 0, printed
    document = json.loads(out.read_text())
    assert document["command"].startswith("compress bench ")
    assert document["protocol"] == {"threads": 1, "batch": 1, "pairs": 30, "seconds": 30.0}
    (row,) = document["models"]
    assert row["latency"]["ratio"] > 2.0
    assert np.isfinite(row["footprint"]["peak_bytes"])
    for text in ("x slower", "A/A floor", "peak memory", "start-up here", "reference", "30 rounds"):
        assert text in printed
    assert "one after the other" not in printed


def test_a_batch_is_explained(command, fast):
    code, printed = command("bench", fast, "--batch", 4, "--pairs", 6, "--threads", 2)
    assert code == 0, printed
    for text in ("4 windows per call", "2 threads", "one after the other"):
        assert text in printed


def test_errors_are_one_paragraph(command, fast, tmp_path):
    (tmp_path / "broken.tflite").write_bytes(b"TFL3 no")
    for arguments, expected in (
        ((fast, tmp_path / "nothing"), "no file or folder"),
        ((fast, tmp_path / "broken.tflite"), "broken.tflite"),
        ((fast, "--json", tmp_path / "no" / "out.json"), "there is no folder"),
    ):
        code, printed = command("bench", *arguments)
        assert code == 2, printed
        assert expected in printed
        assert "Error:" in printed
        assert "Traceback" not in printed


@pytest.mark.parametrize("option", [("--pairs", 5), ("--threads", 0), ("--batch", 0)])
def test_impossible_settings_are_refused(option, command, fast):
    code, printed = command("bench", fast, *option)
    assert code == 2
    assert option[0] in printed
