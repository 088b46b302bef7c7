"""Multiply-adds: three graphs of the same model, one number."""

import gzip

import pytest
import small_models

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.checkpoint import save_keras
from baseline.keras import keras
from compress.evaluation.cost import (
    Cost,
    file_bytes,
    keras_multiply_adds,
    layer_multiply_adds,
    onnx_multiply_adds,
    operators,
    tflite_multiply_adds,
)
from export.convert import Format, convert


def test_published_architecture_costs_what_is_known():
    layers = layer_multiply_adds(build_eqtransformer(EqtConfig()))
    assert sum(layers.values()) == pytest.approx(128.5e6, rel=0.01)
    decoders = sum(n for name, n in layers.items() if "decoder" in name or "head" in name)
    assert decoders == pytest.approx(103.9e6, rel=0.01)
    encoder = sum(n for name, n in layers.items() if name.startswith("encoder"))
    assert encoder == pytest.approx(15.4e6, rel=0.01)
    residual = sum(n for name, n in layers.items() if name.startswith("residual"))
    assert residual == pytest.approx(7.3e6, rel=0.01)


FIRST_STEPS = 6 * 6 + 3 * 3 + 3 * 3
"""Products of one gate with the zero state that the cells of `small_models.recurrent` start from:
a loop computes them and an unrolled graph leaves them out."""


@pytest.mark.parametrize(
    ("build", "left_out"),
    [
        (small_models.student, 0),
        (lambda: small_models.recurrent("lstm", attention=True), 0),
        (lambda: small_models.recurrent("lstm", gate="hard_sigmoid"), 4 * FIRST_STEPS),
        (lambda: small_models.recurrent("gru"), 3 * FIRST_STEPS),
    ],
    ids=["student", "lstm and attention", "unrolled lstm", "unrolled gru"],
)
def test_three_graphs_of_one_model_agree(build, left_out, tmp_path):
    model = build()
    save_keras(model, tmp_path / "model.keras")
    for format in Format:
        convert(tmp_path / "model.keras", tmp_path / f"model.{format.value}", format)
    expected = keras_multiply_adds(model)
    assert expected > 0
    assert tflite_multiply_adds(tmp_path / "model.tflite") == expected - left_out
    assert onnx_multiply_adds(tmp_path / "model.onnx") == expected
    assert operators(tmp_path / "model.onnx")["Conv"] >= 1


def test_layer_that_is_not_known_is_not_counted_as_free():
    x = keras.Input((10, 4))
    model = keras.Model(x, keras.layers.LocallyConnected1D(3, 2, name="strange")(x))
    with pytest.raises(ValueError, match="strange"):
        keras_multiply_adds(model)


def test_bytes_raw_and_compressed(tmp_path):
    path = tmp_path / "zeros"
    path.write_bytes(bytes(10_000))
    raw, compressed = file_bytes(path)
    assert raw == 10_000
    assert compressed == len(gzip.compress(bytes(10_000), 9, mtime=0)) < 100


def test_unknown_parameters_are_left_out():
    assert "parameters" not in Cost(float("nan"), 1, 2, 3).to_dict()
