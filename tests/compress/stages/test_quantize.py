"""The quantize stage: an int8 file beside an untouched graph, and what was done to its ranges."""

import json

import numpy as np
import pytest
import small_models

from compress.data.synthetic import SyntheticSource
from compress.evaluation.inspection import inspect
from compress.evaluation.parity import compare_outputs
from compress.stages.base import Context, StageModel
from compress.stages.quantize import Quantize
from export.runtimes import KerasRunner, load_runner


def quantize(model, progress, folder, **options):
    source = SyntheticSource(16, seed=4)
    scratch, products = folder / "scratch", folder / "products"
    for path in (scratch, products):
        path.mkdir()
    context = Context(model, source, source, 0, scratch, products, progress)
    return Quantize(kind="quantize", windows=16, **options).apply(StageModel(model), context)


@pytest.mark.parametrize("ranges", ["extremes", "searched"])
def test_graph_stays_and_an_int8_file_stands_beside_it(ranges, windows, progress, tmp_path):
    model = small_models.brief()
    before = [weight.copy() for weight in model.get_weights()]
    made = quantize(model, progress, tmp_path, ranges=ranges)
    assert made.keras is model
    for was, now in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(was, now)
    found = inspect(made.quantized)
    assert found.computing_in("int8")
    assert not found.computing_in("float32", "hybrid")
    parity = compare_outputs(load_runner(made.quantized), KerasRunner(model), windows)
    assert parity.rms_difference < 0.02
    notes = tmp_path / "products" / "ranges.json"
    assert notes.is_file() == (ranges == "searched")
    if notes.is_file():
        search = json.loads(notes.read_text())
        assert search["error_after"] <= search["error_before"]
        assert search["trials"] > 5


def test_attention_is_int8_and_divides_by_nothing(windows, progress, tmp_path):
    model = small_models.attentive()
    made = quantize(model, progress, tmp_path)
    assert not inspect(made.quantized).computing_in("float32", "hybrid")
    runner = load_runner(made.quantized)
    assert compare_outputs(runner, KerasRunner(model), windows).rms_difference < 0.05
    # Far beyond what was calibrated on, answers are cut off, and are answers all the same.
    for extreme in (50.0 * windows[:8], np.zeros_like(windows[:8])):
        answers = runner(extreme)
        assert answers.min() >= 0.0
        assert answers.max() <= 1.0


def test_the_worst_layers_stay_in_float32_until_picks_agree(windows, progress, tmp_path):
    model = small_models.uneven()
    made = quantize(model, progress, tmp_path, fallback="accuracy-aware", agreement=1.0)
    document = json.loads((tmp_path / "products" / "int8.json").read_text())
    assert set(made.notes) == set(document["float_layers"])
    tried = document["tried"]
    assert tried[0]["float_layers"] == 0
    assert document["agreement"] == max(one["agreement"] for one in tried)
    if document["float_layers"]:
        floats = inspect(made.quantized).computing_in("float32")
        assert floats
    assert (tmp_path / "products" / "int8.png").stat().st_size > 10_000


def test_training_for_int8_brings_it_nearer_to_the_float_model(windows, progress, tmp_path):
    model = small_models.brief()
    before = KerasRunner(model)(windows)
    made = quantize(model, progress, tmp_path, steps=4, records=4, batch=4, learning_rate=1e-3)
    assert made.keras is not model
    moved = np.abs(KerasRunner(made.keras)(windows) - before).max()
    assert 0 < moved < 0.1
    assert not inspect(made.quantized).computing_in("float32", "hybrid")
    history = (tmp_path / "products" / "train-for-int8.history.csv").read_text().splitlines()
    assert history[-1].startswith("4,")
