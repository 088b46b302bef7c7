"""The simplify stage on small, published and users' models."""

from pathlib import Path

import numpy as np
import original_code
import pytest
import small_models

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.checkpoint import save_keras
from baseline.errors import InputError
from baseline.keras import keras
from baseline.weights import load_eqtransformer
from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from compress.evaluation.cost import keras_multiply_adds, operators, tflite_multiply_adds
from compress.stages.base import Context, StageModel
from compress.stages.simplify import TOLERANCE, Simplify, extreme_windows
from export.convert import Format, convert
from export.runtimes import KerasRunner, load_runner

UPSAMPLING = keras.layers.UpSampling1D
STEPS = 47
"""Of the sequence between encoder and decoders."""


def simplify(model, progress, tmp_path, **options):
    source = SyntheticSource(16, seed=4)
    context = Context(model, source, source, 0, tmp_path, tmp_path, progress)
    return Simplify(kind="simplify", windows=16, **options).apply(StageModel(model), context)


def kinds(model):
    return {type(layer).__name__ for layer in model.layers}


@pytest.fixture(scope="module")
def tiny():
    """An EQTransformer with all levels, few channels, and statistics as training leaves them."""
    keras.utils.set_random_seed(5)
    config = EqtConfig(
        encoder_filters=(2, 2, 3, 3, 4, 4, 4),
        residual_kernels=(3, 2),
        recurrent_blocks=1,
        recurrent_units=3,
        recurrent_activation="sigmoid",
    )
    return small_models.settled(build_eqtransformer(config))


@pytest.fixture(scope="module")
def simple(tiny, tmp_path_factory):
    from rich.progress import Progress

    return simplify(tiny, Progress(disable=True), tmp_path_factory.mktemp("simple"))


def test_graph_is_cheaper_and_answers_the_same(tiny, simple, windows):
    assert "UpSampling1D" not in kinds(simple.keras)
    assert "BandedSelfAttention" in kinds(simple.keras)
    assert keras_multiply_adds(simple.keras) < keras_multiply_adds(tiny) / 1.35
    every = np.concatenate([extreme_windows(), windows[:16]])
    apart = np.abs(KerasRunner(simple.keras)(every) - KerasRunner(tiny)(every)).max()
    assert 0 < apart < TOLERANCE
    norms = {layer.name for layer in simple.keras.layers if "norm" in layer.name}
    assert "residual_0b_norm" not in norms
    assert "recurrent_0_norm" not in norms
    assert "residual_0a_norm" in norms, "nothing linear stands before it"
    assert simple.notes["residual_0b_norm"] == "folded into residual_0a_conv"
    assert "no convolution" in simple.notes["residual_0a_norm"]


@pytest.mark.parametrize("format", list(Format))
def test_exports_hold_no_split_or_join_of_samples(simple, format, windows, tmp_path):
    save_keras(simple.keras, tmp_path / "model.keras")
    target = tmp_path / f"model.{format.value}"
    convert(tmp_path / "model.keras", target, format)
    used = operators(target)
    assert not {"SPLIT", "SPLIT_V", "Split", "TILE", "Tile"} & set(used)
    # Four where the model joins, one in each attention to put its first and last steps to the rest.
    assert used.get("CONCATENATION", 0) + used.get("Concat", 0) <= 6
    apart = np.abs(load_runner(target)(windows[:8]) - KerasRunner(simple.keras)(windows[:8])).max()
    assert apart < 1e-5
    if format is Format.TFLITE:
        # The banded attention's weighted mean is a sum of products there, not a matrix product.
        layers = [simple.keras.get_layer(f"{p}_attention") for p in "ps"]
        means = [layer.neighbours(STEPS) * layer.input_shape[-1] for layer in layers]
        expected = keras_multiply_adds(simple.keras) - sum(means)
        assert tflite_multiply_adds(target) == expected


def test_model_with_nothing_to_simplify_is_refused(simple, progress, tmp_path):
    with pytest.raises(InputError, match="nothing to simplify"):
        simplify(simple.keras, progress, tmp_path)


def test_rewrite_that_would_change_the_answers_is_left_out(tiny, progress, tmp_path):
    """Attention whose scores beyond its band are larger by far: its constant counts."""
    model = keras.models.clone_model(tiny)
    model.set_weights(tiny.get_weights())
    for phase in "ps":
        layer = model.get_layer(f"{phase}_attention")
        weights = [30.0 * w for w in layer.get_weights()]
        layer.set_weights(weights)
    result = simplify(model, progress, tmp_path)
    assert type(result.keras.get_layer("p_attention")).__name__ == "AdditiveSelfAttention"
    assert "kept: attention over its band alone would move" in result.notes["p_attention"]
    assert not any(isinstance(layer, UPSAMPLING) for layer in result.keras.layers)


@pytest.mark.published
@pytest.mark.parametrize("name", ["eqt-conservative", "eqt-original"])
def test_published_models_answer_the_same(name, published, progress, tmp_path):
    model = load_eqtransformer(published(name))
    result = simplify(model, progress, tmp_path)
    assert keras_multiply_adds(result.keras) < keras_multiply_adds(model) / 1.35
    # Not normalised, as no picker hands them over: a constant, a spike and noise of a million.
    raw = np.zeros((3, 6000, 3), np.float32)
    raw[0], raw[1, 3000] = 1e6, 1e6
    raw[2] = 1e6 * np.random.default_rng(0).standard_normal((6000, 3))
    records = random_windows(SyntheticSource(128, seed=21), 256, seed=1)
    windows = np.concatenate([extreme_windows(), raw, records])
    apart = np.abs(KerasRunner(result.keras)(windows) - KerasRunner(model)(windows)).max()
    assert apart < TOLERANCE
    assert "UpSampling1D" not in kinds(result.keras)


@pytest.mark.published
def test_users_model_with_other_filters(published, progress, tmp_path):
    config = original_code.model_config(published("eqt-original"))
    path: Path = tmp_path / "mine.h5"
    original_code.save(
        original_code.from_config(original_code.narrowed(config, (3, 5, 6, 10))), path
    )
    model = small_models.settled(load_eqtransformer(path))
    result = simplify(model, progress, tmp_path)
    assert keras_multiply_adds(result.keras) < keras_multiply_adds(model) / 1.35
    assert {layer.output_shape[-1] for layer in result.keras.layers} >= {3, 5, 6, 10}
