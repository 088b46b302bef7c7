"""The narrowed EQTransformer: shapes, sizes, names, what a step sees, int8."""

import numpy as np
import pytest
import small_models
from pydantic import TypeAdapter, ValidationError

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.checkpoint import save_keras
from baseline.keras import keras, tf
from baseline.layers import AdditiveSelfAttention, EdgeCorrection1D
from compress.evaluation.cost import keras_multiply_adds, operators
from compress.evaluation.parity import compare_outputs
from compress.students import EqtStudent, StudentConfig, UNetStudent, build_student
from export.convert import Format, Precision, convert
from export.runtimes import KerasRunner, load_runner

LAYERS = keras.layers
RECURRENCES = ("gru", "conv", "none")
VARIANTS = [*((recurrence, True) for recurrence in RECURRENCES), ("conv", False)]
"""Recurrence, and whether there is attention."""


def built(**options):
    keras.utils.set_random_seed(0)
    return small_models.settled(build_student(EqtStudent(kind="eqt", **options)))


@pytest.fixture(scope="module")
def variants():
    """One tiny student of each kind; the one without attention has two blocks of each."""
    return {
        (recurrence, attention): built(
            width=0.1,
            residual_blocks=1 if attention else 2,
            recurrence=recurrence,
            attention=attention,
            **({} if attention else {"recurrent_blocks": 2}),
        )
        for recurrence, attention in VARIANTS
    }


def kinds(model):
    return {type(layer) for layer in model.layers}


@pytest.mark.parametrize("variant", VARIANTS)
def test_gives_three_probabilities_without_what_int8_lacks(variant, variants, windows):
    model = variants[variant]
    answers = model(windows[:2], training=False).numpy()
    assert answers.shape == (2, 6000, 3)
    assert answers.min() > 0.0
    assert answers.max() < 1.0
    unwanted = {LAYERS.UpSampling1D, LAYERS.LayerNormalization, LAYERS.LSTM}
    assert not kinds(model) & (unwanted | {AdditiveSelfAttention, EdgeCorrection1D})


@pytest.mark.parametrize("variant", VARIANTS)
def test_is_made_of_what_was_asked_for(variant, variants):
    recurrence, attention = variant
    model = variants[variant]
    assert (LAYERS.GRU in kinds(model)) == (recurrence == "gru")
    assert (LAYERS.Bidirectional in kinds(model)) == (recurrence == "gru")
    names = [layer.name for layer in model.layers]
    assert ("p_recurrent_0_conv" in names) == (recurrence == "conv")
    assert ("recurrent_0_norm" in names) == (recurrence != "none")
    assert (LAYERS.Attention in kinds(model)) == attention
    assert any(name.startswith("transformer_") for name in names) == attention
    assert ("s_attention" in names) == attention


def test_layers_are_called_as_in_the_published_model(variants):
    names = {layer.name for layer in build_eqtransformer(EqtConfig()).layers}
    ours = {layer.name for layer in variants["gru", True].layers}
    added = ("_phases", "_trim", "_pad", "_crop", "_query", "_key", "_value", "_dot", "_out")
    assert {name for name in ours - names if not name.endswith(added)} == set()
    assert {f"{phase}_decoder_{level}_conv" for phase in "ps" for level in range(7)} <= ours


@pytest.mark.parametrize("recurrence", RECURRENCES)
def test_first_sample_sees_the_last_where_there_is_attention(recurrence, variants):
    windows = tf.random.stateless_normal((1, 6000, 3), seed=(1, 2))
    with tf.GradientTape() as tape:
        tape.watch(windows)
        first = tf.reduce_sum(variants[recurrence, True](windows, training=False)[:, 0])
    seen = np.abs(tape.gradient(first, windows)[0].numpy()).reshape(50, -1).max(axis=1)
    assert (seen > 0.0).all()


def test_wider_is_larger(variants):
    narrow = variants["none", True]
    wide = built(width=0.2, residual_blocks=1, recurrence="none")
    assert narrow.count_params() < wide.count_params()
    assert keras_multiply_adds(narrow) < keras_multiply_adds(wide)


def test_blocks_are_counted(variants):
    one, two = ({layer.name for layer in variants["conv", a].layers} for a in (True, False))
    assert {"residual_1_add", "recurrent_1_norm"} <= two
    assert not {"residual_1_add", "recurrent_1_norm"} & one
    assert not {"residual_2_add", "recurrent_2_norm"} & two


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0.05}, "greater than or equal to 0.1"),
        ({"width": 1.5}, "less than or equal to 1"),
        ({"recurrence": "lstm"}, "'gru', 'conv' or 'none'"),
        ({"recurrence": "none", "recurrent_blocks": 1}, "recurrent_blocks need a recurrence"),
        ({"channels": [8, 8, 8]}, "Extra inputs"),
    ],
)
def test_unusable_settings_are_refused(options, message):
    with pytest.raises(ValidationError, match=message):
        EqtStudent.model_validate({"kind": "eqt", **options})


def test_a_student_is_found_by_its_kind():
    any_student = TypeAdapter(StudentConfig)
    assert isinstance(any_student.validate_python({"kind": "unet"}), UNetStudent)
    assert isinstance(any_student.validate_python({"kind": "eqt"}), EqtStudent)
    with pytest.raises(ValidationError, match="'unet', 'eqt'"):
        any_student.validate_python({"kind": "phasenet"})


@pytest.mark.parametrize("variant", [("gru", True), ("conv", True)], ids=lambda v: v[0])
def test_int8_computes_what_keras_does(variant, variants, windows, tmp_path):
    model = variants[variant]
    save_keras(model, tmp_path / "model.keras")
    output = tmp_path / "model.tflite"
    convert(tmp_path / "model.keras", output, Format.TFLITE, Precision.INT8, windows[:24])
    counts = operators(output)
    assert counts["SOFTMAX"] == 2 and not {"WHILE", "CUSTOM", "DIV", "EXP"} & set(counts)
    parity = compare_outputs(load_runner(output), KerasRunner(model), windows)
    assert 1e-6 < parity.rms_difference < 0.02
