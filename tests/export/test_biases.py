"""Biases that make up for what rounding shifts."""

import numpy as np
import pytest
import small_models

from baseline.checkpoint import save_keras
from baseline.errors import InputError
from compress.evaluation.inspection import inspect
from export.convert import Format, Int8, Precision, convert
from export.runtimes import load_runner
from export.writers.biases import _biased, _with_shift, correct_biases
from export.writers.ranges import answers, relative_error
from export.writers.tflite import Quantizable


@pytest.fixture(scope="module")
def quantizable(windows):
    return Quantizable(small_models.student(), windows[:32], Int8())


@pytest.fixture(scope="module")
def quantized(quantizable):
    return quantizable.quantize(quantizable.calibrated)


def test_what_shifted_is_put_back(quantizable, quantized, windows):
    names = list(_biased(quantized))
    assert len(names) >= 8
    shifted = quantized
    for name in names[-3:-1]:
        shifted = _with_shift(shifted, name, np.full(1, 0.5))
    found, correction = correct_biases(quantizable.calibrated, shifted, windows[:32])
    expected = answers(quantizable.calibrated, windows[32:])
    before, worse, after = (
        relative_error(answers(file, windows[32:]), expected)
        for file in (quantized, shifted, found)
    )
    assert worse > 5 * before
    assert after < 1.2 * before
    assert set(names[-3:-1]) <= {*correction.corrected}
    assert correction.trials == len(names)
    assert correction.error_after < correction.error_before


def test_a_shift_moves_one_operator_by_so_much(quantized, windows):
    name = list(_biased(quantized))[-1]
    plain = answers(quantized, windows[:2])
    assert np.array_equal(answers(_with_shift(quantized, name, np.zeros(1)), windows[:2]), plain)
    moved = answers(_with_shift(quantized, name, np.full(1, 3.0)), windows[:2])
    assert (moved >= plain).all()
    assert moved.mean() > plain.mean() + 0.1


def test_conversion_tells_what_was_corrected(windows, tmp_path):
    save_keras(small_models.brief(), tmp_path / "model.keras")
    files = []
    for ends in (False, True):
        path = tmp_path / f"{ends}.tflite"
        found = convert(
            tmp_path / "model.keras", path, Format.TFLITE, Precision.INT8, windows[:32],
            Int8(correct_biases=True, integer_ends=ends),
        )  # fmt: skip
        assert found is not None
        assert found["biases"]["trials"] == 2
        assert found["biases"]["error_after"] <= found["biases"]["error_before"]
        assert not inspect(path).computing_in("float32", "hybrid")
        files.append(load_runner(path)(windows[:4]))
    assert np.array_equal(*files)


def test_it_is_for_tflite_in_int8(tmp_path):
    for format, precision in (
        (Format.ONNX, Precision.INT8), (Format.TFLITE, Precision.FLOAT32)
    ):  # fmt: skip
        with pytest.raises(InputError, match="corrected biases"):
            convert(
                tmp_path / "model.keras", tmp_path / "out", format, precision, None,
                Int8(correct_biases=True),
            )  # fmt: skip
