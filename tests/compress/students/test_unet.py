"""The U-Net student: shapes, sizes, what a step sees, int8."""

from pathlib import Path

import numpy as np
import pytest
import small_models
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from baseline.checkpoint import load_keras, save_keras
from baseline.keras import keras, tf
from compress.config import load_pipeline
from compress.evaluation.cost import keras_multiply_adds, operators
from compress.evaluation.parity import compare_outputs
from compress.students import UNetStudent, build_student
from export.convert import Format, Precision, convert
from export.runtimes import KerasRunner, load_runner

ROOT = Path(__file__).resolve().parents[3]
STANDARD, SMALL, FAST = (
    load_pipeline(ROOT / "pipelines" / f"{name}.yaml").stages[0].student
    for name in ("student", "student-small", "student-fast")
)
TINY = {4: (4, 4, 8, 8), 8: (4, 8, 8), 16: (4, 8)}
CONTEXTS = ("dilation", "attention", "none")


def tiny(stride=4, **options):
    return UNetStudent(stem_stride=stride, channels=TINY[stride], **options)


def built(config):
    keras.utils.set_random_seed(0)
    return small_models.settled(build_student(config))


def seen_by_first(model):
    """For each input sample, how much the first sample of the prediction depends on it."""
    windows = tf.random.stateless_normal((1, 6000, 3), seed=(1, 2))
    with tf.GradientTape() as tape:
        tape.watch(windows)
        first = tf.reduce_sum(model(windows, training=False)[:, 0])
    return np.abs(tape.gradient(first, windows)[0].numpy()).sum(axis=-1)


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize("context", CONTEXTS)
def test_gives_three_probabilities_of_every_sample(stride, context, windows):
    model = built(tiny(stride, context=context, refine=stride == 4))
    answers = model(windows[:2], training=False).numpy()
    assert answers.shape == (2, 6000, 3)
    assert answers.min() > 0.0
    assert answers.max() < 1.0
    kinds = {type(layer) for layer in model.layers}
    assert not kinds & {keras.layers.UpSampling1D, keras.layers.Conv1DTranspose}


@pytest.mark.parametrize(
    "config",
    [
        UNetStudent(),
        STANDARD,
        SMALL,
        FAST,
        tiny(16, stem="blocks"),
        tiny(4, context="attention"),
        tiny(8, context="attention"),
    ],
    ids=["default", "standard", "small", "fast", "16", "attention-4", "attention-8"],
)
def test_the_first_sample_sees_the_whole_minute(config):
    seen = seen_by_first(built(config)).reshape(125, -1).max(axis=1)
    assert (seen > 0.0).all(), f"nothing of step {np.argmin(seen)} of 125"


@pytest.mark.parametrize("stride", [4, 8, 16])
def test_without_context_it_does_not(stride):
    seen = seen_by_first(built(tiny(stride, context="none")))
    assert seen[0] > 0.0 and not seen[3000:].any()


@pytest.mark.parametrize(
    ("config", "parameters", "multiply_adds"),
    [(STANDARD, 65e3, 10e6), (SMALL, 20e3, 2.5e6), (FAST, 20e3, 3e6)],
)
def test_students_keep_to_their_budgets(config, parameters, multiply_adds):
    model = build_student(config)
    assert model.count_params() <= parameters
    assert 0.95 * multiply_adds < keras_multiply_adds(model) <= multiply_adds


@settings(max_examples=5, deadline=None)
@given(
    stride=st.sampled_from([4, 8, 16]),
    context=st.sampled_from(CONTEXTS),
    width=st.floats(0.3, 1.0),
    factor=st.floats(1.5, 2.5),
)
def test_wider_is_larger(stride, context, width, factor):
    narrow, wide = (
        build_student(UNetStudent(stem_stride=stride, context=context, width=w))
        for w in (width, width * factor)
    )
    assert narrow.count_params() < wide.count_params()
    assert keras_multiply_adds(narrow) < keras_multiply_adds(wide)


def test_width_gives_multiples_of_four():
    assert UNetStudent(width=0.55).scaled_channels() == (8, 16, 28, 36)
    assert UNetStudent(width=0.1).scaled_channels() == (4, 4, 4, 8)
    assert UNetStudent().scaled_channels() == UNetStudent().channels == (16, 32, 48, 64)
    assert UNetStudent(stem_stride=8).channels == (32, 48, 64)
    assert UNetStudent(stem_stride=16).channels == (48, 64)


def test_options_change_what_is_built():
    options = (
        {}, {"refine": False}, {"head_kernel": 3}, {"kernel": 5}, {"dilations": (1,)},
        {"stem": "blocks"}, {"stem": "blocks", "stem_kernel": 3},
        {"stem": "blocks", "stem_kernel": 5}, {"context_kernel": 9}, {"separable": "context"},
    )  # fmt: skip
    sizes = {build_student(tiny(**chosen)).count_params() for chosen in options}
    assert len(sizes) == len(options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.0}, "greater than or equal to 0.1"),
        ({"width": 9.0}, "less than or equal to 4"),
        ({"width": "wide"}, "valid number"),
        ({"stem_stride": 6}, "4, 8 or 16"),
        ({"stem_stride": 6, "channels": [8, 8, 8]}, "4, 8 or 16"),
        ({"stem_stride": 16, "channels": [8, 8, 8]}, "channels takes 2 numbers, not 3"),
        ({"stem": "strided"}, "'overlapping' or 'blocks'"),
        ({"stem_kernel": 3}, "stem_kernel counts blocks"),
        ({"stem": "blocks", "stem_kernel": 2}, "1, 3 or 5"),
        ({"separable": "none"}, "'all' or 'context'"),
        ({"context": "none", "context_kernel": 9}, "context_kernel needs a context"),
        ({"stem_stride": 8, "channels": [8, 8, 8, 8]}, "channels takes 3 numbers, not 4"),
        ({"channels": [8, 8, 8]}, "channels takes 4 numbers, not 3"),
        ({"channels": [8, 8, 8, 10]}, "multiple of 4"),
        ({"context": "none", "dilations": [1, 2]}, "dilations belong to context: dilation"),
        ({"context": "recurrent"}, "'dilation', 'attention' or 'none'"),
        ({"depth": 3}, "Extra inputs"),
    ],
)
def test_unusable_settings_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        UNetStudent.model_validate({"kind": "unet", **options})


def test_int8_with_attention_computes_what_keras_does(windows, tmp_path):
    model = built(tiny(8, context="attention", kernel=3, refine=False, head_kernel=1))
    save_keras(model, tmp_path / "model.keras")
    output = tmp_path / "model.tflite"
    convert(tmp_path / "model.keras", output, Format.TFLITE, Precision.INT8, windows[:32])
    counts = operators(output)
    assert counts["SOFTMAX"] == 2 and not {"WHILE", "CUSTOM", "SPLIT", "DIV"} & set(counts)
    parity = compare_outputs(load_runner(output), KerasRunner(model), windows)
    assert 1e-6 < parity.rms_difference < 0.02


@pytest.mark.parametrize("stride", [4, 8, 16])
@pytest.mark.parametrize("blocks", [None, 1, 3, 5])
def test_a_stem_of_blocks_hears_each_sample_at_as_many_steps(stride, blocks, windows):
    model = built(tiny(stride, stem="blocks", stem_kernel=blocks))
    first_layer = keras.Model(model.input, model.get_layer("stem_conv").output)
    changed = windows[:1].copy()
    changed[0, 1000] += 1.0
    difference = (first_layer(changed) - first_layer(windows[:1])).numpy()[0].any(axis=-1)
    step, beside = 1000 // stride, (blocks or 1) // 2
    assert list(np.flatnonzero(difference)) == list(range(step - beside, step + beside + 1))


def test_full_convolutions_stand_at_all_levels_but_the_context():
    model = build_student(tiny(4, separable="context", refine=True))
    separable = {
        layer.name
        for layer in model.layers
        if isinstance(layer, keras.layers.SeparableConv1D)
    }  # fmt: skip
    assert separable == {f"context_{index}_conv" for index in range(4)}


@pytest.mark.parametrize(
    "options", [{"head_kernel": 1}, {"stem_kernel": 3, "separable": "context", "saturation": 20}]
)
def test_int8_with_a_stem_of_blocks_computes_what_keras_does(options, windows, tmp_path):
    model = built(tiny(16, stem="blocks", kernel=3, refine=False, **options))
    save_keras(model, tmp_path / "model.keras")
    for format in Format:
        output = tmp_path / f"model.{format.value}"
        convert(tmp_path / "model.keras", output, format, Precision.INT8, windows[:32])
        parity = compare_outputs(load_runner(output), KerasRunner(model), windows)
        assert 1e-6 < parity.rms_difference < 0.02


# --- Saturation ----------------------------------------------------------------------------------


def test_beyond_its_saturation_a_student_hears_no_difference(windows):
    model = built(tiny(8, saturation=2.0))
    bounded = np.clip(windows[:4], -2.0, 2.0)
    assert np.abs(windows[:4]).max() > 3.0
    np.testing.assert_array_equal(model(windows[:4]), model(bounded))
    assert np.abs(model(windows[:4]) - model(0.5 * bounded)).max() > 1e-4


def test_a_saturated_student_comes_back_from_its_file(windows, tmp_path):
    model = built(tiny(4, saturation=8.0))
    save_keras(model, tmp_path / "model.keras")
    again = load_keras(tmp_path / "model.keras")
    assert again.get_layer("saturation").limit == 8.0
    np.testing.assert_array_equal(again(windows[:2]), model(windows[:2]))
    assert keras_multiply_adds(model) == keras_multiply_adds(built(tiny(4)))


def test_int8_needs_no_operator_to_saturate(windows, tmp_path):
    model = built(tiny(8, saturation=2.0))
    save_keras(model, tmp_path / "model.keras")
    exact, int8 = tmp_path / "exact.tflite", tmp_path / "int8.tflite"
    convert(tmp_path / "model.keras", exact, Format.TFLITE)
    convert(tmp_path / "model.keras", int8, Format.TFLITE, Precision.INT8, windows)
    assert {"MINIMUM", "MAXIMUM"} <= set(operators(exact))
    assert not {"MINIMUM", "MAXIMUM"} & set(operators(int8))
    quantized, origin = load_runner(int8), KerasRunner(model)
    assert compare_outputs(load_runner(exact), origin, windows).maximum_difference < 1e-5
    assert compare_outputs(quantized, origin, windows).rms_difference < 0.02
    loud = 5.0 * windows[:4]
    np.testing.assert_array_equal(quantized(loud), quantized(np.clip(loud, -3.0, 3.0)))
