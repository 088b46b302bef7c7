"""The project's own gate: what this code makes of a small fixed model is as good as it was.

If a change is meant to alter the numbers, accept new references (docs/ci.md).
"""

import json
import sys

import numpy as np
import pytest
from reference.measure import FOLDER, MODEL, converted, measured

from baseline.checkpoint import load_keras, save_keras
from compress import cli


@pytest.fixture(scope="module")
def float32(tmp_path_factory):
    """The small model as a float32 TFLite file."""
    return converted("float32", tmp_path_factory.mktemp("float32"))


@pytest.fixture
def gate(tmp_path, monkeypatch):
    """Exit code and document of `compress gate` against the reference of a precision."""

    def run(candidate, precision="float32"):
        path, result = tmp_path / "candidate.json", tmp_path / "gate.json"
        path.write_text(candidate.to_json())
        arguments = [
            "gate", path, "--against", FOLDER / f"{precision}.json",
            "--config", FOLDER / "gates.yaml", "--json", result,
        ]  # fmt: skip
        monkeypatch.setattr(sys, "argv", ["compress", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        return ended.value.code or 0, json.loads(result.read_text())

    return run


def failed(document):
    """What failed, by the first word of the rule."""
    return {v["rule"].split()[0] for v in document["verdicts"] if v["outcome"] == "fail"}


def test_float32_is_as_good_as_the_reference(gate, float32):
    code, document = gate(measured(float32))
    assert code == 0, document["verdicts"]


def test_int8_is_as_good_as_the_reference(gate, tmp_path):
    code, document = gate(measured(converted("int8", tmp_path)), "int8")
    assert code == 0, document["verdicts"]


def test_shifted_picks_turn_it_red(gate, float32):
    def later(predictions):
        shifted = predictions.copy()
        shifted[:, 30:, 1] = predictions[:, :-30, 1]
        return shifted

    code, document = gate(measured(float32, later))
    assert code == 3
    assert {"p_f1_0.1s", "p_residual_mae_s"} <= failed(document)
    assert not {"s_f1_0.1s", "bytes"} & failed(document)


def test_worse_weights_turn_it_red(gate, tmp_path):
    model = load_keras(MODEL)
    random = np.random.default_rng(0)
    for layer in model.layers:
        layer.set_weights([w * random.normal(1, 0.3, w.shape) for w in layer.get_weights()])
    save_keras(model, tmp_path / "worse.keras")
    code, document = gate(measured(converted("float32", tmp_path, tmp_path / "worse.keras")))
    assert code == 3
    assert {"p_f1_0.5s", "s_f1_0.5s"} & failed(document)


def test_a_larger_file_turns_it_red(gate, float32, tmp_path):
    padded = tmp_path / "padded.tflite"
    content = float32.read_bytes()
    padded.write_bytes(content + bytes(len(content) // 20))
    code, document = gate(measured(padded))
    assert code == 3
    assert failed(document) == {"bytes"}


def test_references_are_small_enough_to_be_committed():
    for name in ("model.keras", "float32.json", "int8.json"):
        assert (FOLDER / name).stat().st_size < 100_000
