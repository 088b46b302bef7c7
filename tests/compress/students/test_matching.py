"""Matching a student's features with its teacher's: which layers, and what the loss does."""

import numpy as np
import pytest
import small_models

from baseline.architecture import EqtConfig, build_eqtransformer
from baseline.errors import InputError
from baseline.keras import keras, tf
from baseline.weights import load_eqtransformer
from compress.rewrites.attention import band_attention
from compress.rewrites.batch_norm import fold_batch_norms
from compress.rewrites.upsampling import fold_upsampling
from compress.scaling.blocks import find_blocks, without_blocks
from compress.students import EqtStudent, build_student
from compress.students.matching import Matching, matching_layers

DECODERS = ("detection", "p", "s")


def eqt_student(**options):
    keras.utils.set_random_seed(4)
    return build_student(EqtStudent(kind="eqt", width=0.1, **options))


@pytest.fixture(scope="module")
def teacher():
    keras.utils.set_random_seed(3)
    config = EqtConfig(encoder_filters=(4, 4, 4, 4, 6, 6, 6), recurrent_blocks=3, recurrent_units=4)
    return small_models.settled(build_eqtransformer(config))


@pytest.fixture(scope="module")
def student():
    return eqt_student(residual_blocks=3, recurrent_blocks=1)


def chain(*blocks, channels=3, seed=0):
    """A small model of 24 steps with a layer for each name, and a way back to 6000 samples."""
    keras.utils.set_random_seed(seed)
    x = waveform = keras.Input((6000, 3), name="waveform")
    x = keras.layers.Conv1D(channels, 250, strides=250, name="down")(x)
    for name in blocks:
        x = keras.layers.Conv1D(channels, 3, padding="same", activation="tanh", name=name)(x)
        x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
    x = keras.layers.Dense(750, activation="sigmoid", name="up")(x)
    return keras.Model(waveform, keras.layers.Reshape((6000, 3), name="prediction")(x))


@pytest.fixture
def pair():
    """A student and a teacher with three and four blocks, and two and three channels."""
    names = ("encoder_0", "residual_0", "residual_1", "p_attention")
    return chain(*names[:3], channels=2), chain(*names, seed=1)


def test_every_place_is_matched_with_its_own(student, teacher):
    pairs = dict(matching_layers(student, teacher))
    for level in range(7):
        assert pairs[f"encoder_{level}_pool"] == f"encoder_{level}_pool"
        for decoder in DECODERS:
            (ours,) = [name for name in pairs if name.startswith(f"{decoder}_decoder_{level}_")]
            assert pairs[ours] == f"{decoder}_decoder_{level}_conv"
    assert pairs["transformer_1_norm_1"] == "transformer_1_norm_1"
    assert pairs["p_attention"] == "p_attention"
    for ours, theirs in pairs.items():
        assert student.get_layer(ours).output_shape[1] == teacher.get_layer(theirs).output_shape[1]


def test_last_block_is_matched_with_the_last(student, teacher):
    pairs = dict(matching_layers(student, teacher))
    assert pairs["recurrent_0_norm"] == "recurrent_2_norm"
    residual = [pairs[f"residual_{block}_add"] for block in range(3)]
    assert residual == ["residual_2_add", "residual_4_add", "residual_6_add"]


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [(3, 2, (0, 1, 1)), (2, 3, (1, 2)), (1, 12, (11,)), (12, 12, range(12))],
)
def test_blocks_are_matched_at_the_same_share_of_the_way(ours, theirs, expected):
    student, teacher = (chain(*(f"recurrent_{k}" for k in range(n))) for n in (ours, theirs))
    assert matching_layers(student, teacher) == [
        (f"recurrent_{place}_norm", f"recurrent_{other}_norm")
        for place, other in enumerate(expected)
    ]


def test_other_numbers_of_steps_do_not_match():
    x = waveform = keras.Input((6000, 3))
    x = keras.layers.AveragePooling1D(2, name="encoder_0_pool")(x)
    assert matching_layers(keras.Model(waveform, x), chain("encoder_0")) == []


def test_a_simplified_and_scaled_teacher_has_the_same_places(student, teacher):
    changed = teacher
    for rewrite in (fold_batch_norms, fold_upsampling, band_attention):
        changed = rewrite(changed).model
    changed = without_blocks(changed, find_blocks(changed, "recurrent")[1:2])
    before, after = matching_layers(student, teacher), matching_layers(student, changed)
    assert [ours for ours, _ in after] == [ours for ours, _ in before]
    names = dict(after)
    assert names["recurrent_0_norm"] == "recurrent_2_conv", "not where the folded model ends it"
    cropped = [theirs for theirs in names.values() if theirs.startswith("p_decoder_3")]
    assert cropped == ["p_decoder_3_activation"], "not behind the correction of its edges"


def test_student_without_attention_and_recurrence_matches_the_rest(teacher):
    bare = eqt_student(recurrence="none", attention=False)
    matched = {ours for ours, _ in matching_layers(bare, teacher)}
    assert {"encoder_6_pool", "residual_4_add", "p_recurrent"} <= matched
    assert not any(name.startswith(("recurrent_", "transformer_")) for name in matched)


def test_unet_has_nothing_to_match(teacher):
    unet = small_models.student()
    assert matching_layers(unet, teacher) == []
    with pytest.raises(InputError, match=r"no layers that correspond.*kind eqt"):
        Matching(unet, teacher, features=1.0, attention=1.0)


def test_both_weights_zero_are_refused(pair):
    with pytest.raises(InputError, match="both zero"):
        Matching(*pair, features=0.0, attention=0.0)


def test_a_model_is_no_distance_from_itself(pair, windows):
    model, _ = pair
    prediction, loss = Matching(model, model, features=0.0, attention=1.0).loss(
        windows[:2], training=False
    )
    np.testing.assert_allclose(prediction, model(windows[:2], training=False), atol=1e-6)
    assert abs(float(loss)) < 1e-6


def test_training_brings_features_and_attention_closer(pair, windows):
    student, teacher = pair
    before = [w.copy() for w in teacher.get_weights()]
    statistics = student.get_layer("residual_0_norm").moving_mean.numpy().copy()
    batch = tf.constant(windows[:8])
    matcher = Matching(student, teacher, features=1.0, attention=1.0)
    assert [layer.filters for layer in matcher.projections] == [3, 3, 3]
    variables = student.trainable_variables + matcher.trainable_variables
    optimizer = keras.optimizers.Adam(2e-2)
    optimizer.build(variables)
    moved = set()

    @tf.function
    def step():
        with tf.GradientTape() as tape:
            prediction, loss = matcher.loss(batch)
        gradients = tape.gradient(loss, variables)
        reached = [(g, v) for g, v in zip(gradients, variables, strict=True) if g is not None]
        optimizer.apply_gradients(reached)
        moved.update(v.name for _, v in reached)
        return prediction, loss

    losses = []
    for _ in range(80):
        prediction, loss = step()
        losses.append(float(loss))
    assert prediction.shape == (8, 6000, 3)
    assert losses[-1] < 0.5 * losses[0], losses
    assert {v.name for v in variables} - moved == {"up/kernel:0", "up/bias:0"}
    now = student.get_layer("residual_0_norm").moving_mean.numpy()
    assert not np.array_equal(statistics, now), "not in training mode"
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_attention_alone_has_no_parameters(pair, windows):
    losses = []
    for weight in (1.0, 2.0):
        matcher = Matching(*pair, features=0.0, attention=weight)
        assert matcher.trainable_variables == []
        losses.append(float(matcher.loss(windows[:2], training=False)[1]))
    assert 0.0 < losses[0] < 2.0
    assert losses[1] == pytest.approx(2.0 * losses[0], rel=1e-5)


def test_distances_do_not_depend_on_the_teachers_scale(pair, windows):
    student, teacher = pair
    matcher = Matching(student, teacher, features=0.0, attention=1.0)
    _, before = matcher.loss(windows[:2], training=False)
    louder = keras.models.clone_model(teacher)
    louder.set_weights(teacher.get_weights())
    for name in ("encoder_0", "residual_0", "residual_1"):
        norm = louder.get_layer(f"{name}_norm")
        gamma, beta, *rest = norm.get_weights()
        norm.set_weights([7.0 * gamma, 7.0 * beta, *rest])
    last = dict(matching_layers(student, louder))
    assert set(last.values()) == {"encoder_0_norm", "residual_0_norm", "residual_1_norm"}
    for reader in ("residual_0", "residual_1", "p_attention"):
        layer = louder.get_layer(reader)
        kernel, bias = layer.get_weights()
        layer.set_weights([kernel / 7.0, bias])
    _, after = Matching(student, louder, features=0.0, attention=1.0).loss(
        windows[:2], training=False
    )
    assert float(after) == pytest.approx(float(before), rel=1e-4)


def test_silent_windows_have_a_finite_loss_and_gradient(student, teacher):
    matcher = Matching(student, teacher, features=1.0, attention=1.0)
    assert len(matcher.projections) == len(matching_layers(student, teacher))
    with tf.GradientTape() as tape:
        _, loss = matcher.loss(tf.zeros((1, 6000, 3)), training=False)
    gradients = [g for g in tape.gradient(loss, student.trainable_variables) if g is not None]
    assert np.isfinite(float(loss))
    assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.published
@pytest.mark.parametrize("name", ["eqt-conservative", "eqt-original"])
def test_published_models_have_every_place(published, name, student):
    teacher = load_eqtransformer(published(name))
    places = {ours.split("_")[0] for ours, _ in matching_layers(student, teacher)}
    assert places == {"encoder", "residual", "recurrent", "transformer", *DECODERS}
