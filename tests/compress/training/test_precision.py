"""Training in 16 bits gives a float32 model, and happens where there is a GPU and it is wanted."""

import numpy as np
import pytest
import small_models
import training_worker

from baseline.keras import keras, tf
from compress.data.feeds import TargetFeed
from compress.data.synthetic import SyntheticSource
from compress.data.targets import write_targets
from compress.students import EqtStudent, build_student
from compress.training import loop
from compress.training.twin import twin_of

STEPS = 10


@pytest.mark.parametrize("precision", ["auto", "float32"])
def test_without_a_gpu_everything_is_float32(precision, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [])
    assert loop.compute_policy(precision) == "float32"


@pytest.mark.parametrize(
    ("precision", "policy"), [("auto", "mixed_float16"), ("float32", "float32")]
)
def test_with_a_gpu_it_is_16_bits_unless_float32_is_wanted(precision, policy, monkeypatch):
    monkeypatch.setattr(tf.config, "get_visible_devices", lambda kind: [kind])
    assert loop.compute_policy(precision) == policy


@pytest.mark.parametrize(
    "model",
    [
        small_models.student,
        lambda: small_models.recurrent("gru", attention=True),
        lambda: build_student(EqtStudent(kind="eqt", width=0.2, residual_blocks=1)),
    ],
    ids=["unet", "recurrent", "eqt"],
)
def test_twin_in_16_bits_answers_nearly_the_same_in_float32(model, windows):
    model = model()
    twin = twin_of(model, "mixed_bfloat16")
    assert "bfloat16" in {layer.compute_dtype for layer in twin.layers}
    assert {variable.dtype for variable in twin.variables} == {tf.float32}
    answer = twin(windows[:2], training=False)
    assert answer.dtype == tf.float32
    np.testing.assert_allclose(answer, model(windows[:2], training=False), atol=0.05)


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    """Batches of windows, each with a probability everywhere."""
    from rich.progress import Progress

    path = tmp_path_factory.mktemp("feed") / "targets.h5"
    write_targets(
        path,
        lambda waveforms, _: [np.clip(np.abs(w) / 10, 0, 0.4) for w in waveforms],
        SyntheticSource(4, seed=5),
        number=4,
        seed=0,
        progress=Progress(disable=True),
    )
    return TargetFeed(path, 4, seed=3)


def trained(policy, feed, folder, progress, monkeypatch):
    """Losses and model after a few steps by a policy."""
    monkeypatch.setattr(loop, "compute_policy", lambda _: policy)
    monkeypatch.setattr(loop, "HISTORY_STEPS", 1)
    model = training_worker.student(0)
    folder.mkdir(exist_ok=True)
    loop.train(
        model,
        feed,
        loop.Plan(STEPS, 5e-3, 2, 0.5, frozen_statistics=False, precision="auto"),
        scratch=folder,
        products=folder,
        progress=progress,
        what="train",
    )
    losses = np.loadtxt(folder / "train.history.csv", delimiter=",", skiprows=1)[:, 1]
    return losses, model


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_training_in_16_bits_goes_like_in_32(policy, feed, tmp_path, progress, monkeypatch):
    exact, _ = trained("float32", feed, tmp_path / "exact", progress, monkeypatch)
    losses, model = trained(policy, feed, tmp_path / "mixed", progress, monkeypatch)
    assert losses[-1] < losses[0]
    np.testing.assert_allclose(losses, exact, rtol=0.02)
    assert {variable.dtype for variable in model.variables} == {tf.float32}
    assert {layer.compute_dtype for layer in model.layers} == {"float32"}
    assert keras.mixed_precision.global_policy().name == "float32"


def test_training_in_16_bits_goes_on_in_32(feed, tmp_path, progress, monkeypatch):
    def stop(model, number):
        if number == 2:
            raise RuntimeError("stopped")

    monkeypatch.setattr(loop, "CHECKPOINT_STEPS", 1)
    with monkeypatch.context() as interrupted:
        interrupted.setattr(loop, "compute_policy", lambda _: "mixed_float16")
        with pytest.raises(RuntimeError, match="stopped"):
            loop.train(
                training_worker.student(0),
                feed,
                loop.Plan(STEPS, 5e-3, 2, 0.5, frozen_statistics=False),
                scratch=tmp_path,
                products=tmp_path,
                progress=progress,
                what="train",
                after_step=stop,
            )
    losses, _ = trained("float32", feed, tmp_path, progress, monkeypatch)
    assert len(losses) == STEPS
    assert losses[-1] < losses[0]
