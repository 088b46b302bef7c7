"""What int8 costs each layer: the one that was made bad is found, and left out it costs nothing."""

import numpy as np
import pytest
import small_models

from baseline.checkpoint import save_keras
from compress.evaluation.inspection import inspect
from export.convert import Int8, Ranges
from export.runtimes import KerasRunner, load_runner
from export.study import BINS, _numbers, study


@pytest.fixture(scope="module")
def model():
    return small_models.uneven()


@pytest.fixture(scope="module")
def studied(model, windows, tmp_path_factory):
    folder = tmp_path_factory.mktemp("study")
    save_keras(model, folder / "model.keras")
    return study(folder / "model.keras", windows, Int8(), folder)


def test_the_bad_layer_and_what_reads_it_cost_most(studied):
    assert {one["layer"] for one in studied.layers[:2]} == {"wide", "last"}
    costs = [one["alone"] for one in studied.layers]
    assert costs == sorted(costs, reverse=True)
    assert costs[1] > 3 * costs[2]
    assert studied.error > 3 * costs[2]


def test_signal_to_noise_and_histograms_of_each_layer(studied):
    by_layer = {one["layer"]: one for one in studied.layers}
    assert set(by_layer) == {"first", "wide", "last", "sigmoid"}
    first = by_layer["first"]
    assert sum(first["float_histogram"]) == 64 * 300 * 8
    assert sum(first["int8_histogram"]) == 64 * 300 * 8
    assert len(first["float_histogram"]) == BINS
    # 256 steps over a range: 6 dB for each of 8 bits, less what the range has to spare.
    assert 15 < first["sqnr_db"] < 50
    assert by_layer["wide"]["range"][1] > 900


def test_candidates_keep_the_worst_in_float(studied, windows, model):
    expected = KerasRunner(model)(windows)
    errors = []
    for candidate in studied.candidates:
        kept = candidate.float_layers
        assert kept == tuple(one["layer"] for one in studied.layers[: len(kept)])
        floats = [o for o in inspect(candidate.file).operators if o.kind == "CONV_2D"]
        number = sum(o.precision == "float32" for o in floats)
        assert number == len(set(kept) & {"first", "wide", "last"})
        errors.append(np.abs(load_runner(candidate.file)(windows) - expected).mean())
    assert len(studied.candidates[0].float_layers) == 0
    assert errors[2] < 0.5 * errors[0], "neither makes or reads int8 at the bad place any more"


def test_searched_ranges_are_told_of(model, windows, tmp_path):
    save_keras(model, tmp_path / "model.keras")
    found = study(tmp_path / "model.keras", windows[:16], Int8(Ranges.SEARCHED), tmp_path, most=0)
    assert found.search["error_after"] <= found.search["error_before"]
    assert [candidate.float_layers for candidate in found.candidates] == [()]
    assert not list(tmp_path.glob(".study-*"))


@pytest.mark.parametrize(
    ("most", "expected"), [(0, [0]), (2, [0, 1, 2]), (9, [0, 1, 2, 3, 4, 6, 8])]
)
def test_numbers_of_layers(most, expected):
    assert _numbers(most) == expected
