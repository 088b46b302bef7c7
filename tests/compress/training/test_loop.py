"""The training loop: what it makes of the weights, what it leaves, and how it goes on."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from killed_training import labels_feed, strided

from baseline.errors import InputError
from baseline.keras import tf
from compress.data.augmentation import Augmentation
from compress.data.feeds import TargetFeed
from compress.data.mixture import Mixture, Share
from compress.data.synthetic import SyntheticSource
from compress.data.targets import write_targets
from compress.students import UNetStudent, build_student
from compress.training import loop
from compress.training.loss import cross_entropy
from compress.training.settings import HardNegatives, LossSettings
from compress.training.teaching import own_answers

TESTS = Path(__file__).resolve().parents[2]
PLAN = loop.Plan(steps=8, learning_rate=1e-2, warmup_steps=2, average=0.5, frozen_statistics=False)


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    return labels_feed(tmp_path_factory.mktemp("feed"))


@pytest.fixture
def trained(feed, tmp_path, progress):
    """Trains a model by a plan; more changes the arguments."""

    def train(model, plan=PLAN, **more):
        arguments = {
            "feed": feed, "scratch": tmp_path, "products": tmp_path, "progress": progress,
            "what": "small student",
        }  # fmt: skip
        loop.train(model, plan=plan, **arguments | more)
        return model

    return train


def history(folder):
    """Steps and losses."""
    lines = (folder / "small-student.history.csv").read_text().splitlines()
    assert lines[0] == "step,loss"
    rows = [line.split(",") for line in lines[1:]]
    return [int(step) for step, _ in rows], [float(loss) for _, loss in rows]


def statistics(model):
    return [weight.numpy() for weight in model.non_trainable_weights]


# --- What is trained -----------------------------------------------------------------------------


def test_loss_falls(trained, tmp_path, progress):
    tiny = UNetStudent(stem_stride=8, channels=(4, 8, 8), kernel=3, dilations=(1,))
    model, untrained = build_student(tiny), build_student(tiny)
    feed = labels_feed(tmp_path, batch=2)
    trained(model, replace(PLAN, steps=75), feed=feed)
    steps, losses = history(tmp_path)
    assert steps == [25, 50, 75]
    assert losses[-1] < 0.5 * losses[0]
    windows, targets = replace(feed, augmentation=Augmentation.none(), batch=8).batch_at(1000)
    after, before = (
        float(cross_entropy(targets, m(windows, training=False))) for m in (model, untrained)
    )
    assert after < 0.5 * before


def test_weights_that_remain_are_averages(trained):
    seen = []

    def remember(twin, step):
        assert step == len(seen) + 1
        seen.append([variable.numpy() for variable in twin.trainable_variables])

    model = strided()
    expected = [variable.numpy() for variable in model.trainable_variables]
    trained(model, after_step=remember)
    assert len(seen) == PLAN.steps
    for done, weights in enumerate(seen):
        decay = min(PLAN.average, (1 + done) / (10 + done))
        expected = [decay * e + (1 - decay) * w for e, w in zip(expected, weights, strict=True)]
    for own, mean in zip(model.trainable_variables, expected, strict=True):
        np.testing.assert_allclose(own, mean, rtol=1e-4, atol=1e-6)
    assert not np.allclose(model.trainable_variables[0], seen[-1][0], atol=1e-4)


@pytest.mark.parametrize("frozen", [True, False])
def test_statistics_are_learned_or_frozen(frozen, trained):
    model = strided()
    before = statistics(model)
    trained(model, replace(PLAN, steps=3, frozen_statistics=frozen))
    same = [np.array_equal(a, b) for a, b in zip(before, statistics(model), strict=True)]
    assert same == [frozen] * 2


def test_history_holds_the_loss_of_the_batches(trained, feed, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_STEPS", 3)
    settings = LossSettings(weights=(1, 2, 3), positive=(1, 4, 4))
    model = strided()
    plan = replace(PLAN, steps=7, learning_rate=0.0, frozen_statistics=True, loss=settings)
    losses = [
        float(cross_entropy(targets, model(windows, training=False), settings))
        for windows, targets in feed.batches(0, 7)
    ]
    trained(model, plan)
    steps, means = history(tmp_path)
    assert steps == [3, 6, 7]
    expected = [np.mean(losses[:3]), np.mean(losses[3:6]), losses[6]]
    np.testing.assert_allclose(means, expected, rtol=1e-4)


def test_divergence_is_said(trained):
    model = strided()
    with pytest.raises(InputError, match=r"small student: the loss is not finite at step \d") as e:
        trained(model, replace(PLAN, learning_rate=1e38, warmup_steps=0))
    assert "learning_rate (1e+38)" in e.value.hint


# --- What it leaves ------------------------------------------------------------------------------


def test_time_and_waiting_are_told(trained, tmp_path):
    trained(strided())
    told = json.loads((tmp_path / "small-student.training.json").read_text())
    assert (told["steps"], told["batch"]) == (8, 4)
    assert 0.0 <= told["waiting_for_input_s"] <= told["seconds"] + 0.1
    assert told["seconds"] > 0.0
    assert told["waiting_share"] == pytest.approx(
        told["waiting_for_input_s"] / told["seconds"], abs=0.06 / told["seconds"] + 0.001
    )
    assert told["waiting_share"] <= 1.0


def test_a_finished_training_is_not_made_again(trained, tmp_path):
    first = trained(strided()).get_weights()
    told = (tmp_path / "small-student.training.json").read_bytes()
    lines = (tmp_path / "small-student.history.csv").read_bytes()

    def never(twin, step):
        raise AssertionError("trained again")

    again = trained(strided(seed=5), after_step=never).get_weights()
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)
    assert (tmp_path / "small-student.training.json").read_bytes() == told
    assert (tmp_path / "small-student.history.csv").read_bytes() == lines


# --- Hard negatives ------------------------------------------------------------------------------


@given(st.integers(0, 120), st.integers(10, 60), st.integers(1, 120))
@settings(max_examples=80, deadline=None)
def test_steps_are_cut_where_hard_negatives_are_looked_for(first, every, steps):
    first = min(first, steps)
    plan = replace(PLAN, steps=steps, hard_negatives=HardNegatives(every=every))
    cut = loop._segments(first, plan)
    assert [step for begin, end in cut for step in range(begin, end)] == list(range(first, steps))
    for begin, end in cut:
        assert begin // every == (end - 1) // every, "a search would come too late"
        assert begin in (first, begin // every * every), "cut where nothing is looked for"


def test_without_hard_negatives_nothing_is_cut():
    assert loop._segments(3, PLAN) == [(3, 8)]
    assert loop._segments(8, PLAN) == []


def test_what_was_found_goes_back_into_training(trained, feed, tmp_path, monkeypatch):
    searched, used = [], {}
    candidates = feed.quiet_draws(2, 99)

    def find(predict, searched_feed, settings, round_):
        windows, _ = searched_feed.windows(candidates)
        searched.append((round_, settings, predict(windows)))
        return candidates if round_ == 1 else []

    def batch_at(own, step):
        used[step] = (tuple(own.hard_negatives), own.hard_share)
        return real(own, step)

    real = TargetFeed.batch_at
    monkeypatch.setattr(loop, "mine", find)
    monkeypatch.setattr(TargetFeed, "batch_at", batch_at)
    wanted = HardNegatives(every=10, share=0.25)
    model = trained(strided(), replace(PLAN, steps=25, hard_negatives=wanted))
    assert [(round_, settings) for round_, settings, _ in searched] == [(1, wanted), (2, wanted)]
    first, second = (answer for _, _, answer in searched)
    assert not np.allclose(first, second), "the student as it then is should be tried"
    windows, _ = feed.windows(candidates)
    assert not np.allclose(second, model(windows, training=False))
    assert used == {
        **dict.fromkeys(range(10), ((), 0.0)),
        **{step: (tuple(candidates), 0.25) for step in range(10, 20)},
        **dict.fromkeys(range(20, 25), ((), 0.25)),
    }
    kept = json.loads((tmp_path / "hard-negatives-1.json").read_text())
    assert kept == [list(draw) for draw in candidates]


# --- The teacher on the fly ----------------------------------------------------------------------


@pytest.mark.timeout(100)
def test_a_keras_teacher_is_asked_from_the_feeding_threads(trained, tmp_path, progress):
    """Both threads at once, while TensorFlow trains: nobody may wait for the other for ever."""
    source = Mixture([SyntheticSource(6, seed=3)], [Share(None, (0.5, 0.5, 0.5))])
    path = tmp_path / "labels.h5"
    write_targets(path, None, source, number=6, seed=0, progress=progress)
    teacher = strided(seed=3)
    feed = TargetFeed(path, 4, 0, ask=own_answers(teacher, 2))
    model = strided()
    losses = [
        float(cross_entropy(targets, model(windows, training=False)))
        for windows, targets in feed.batches(0, 12)
    ]
    trained(model, replace(PLAN, steps=12, learning_rate=0.0, frozen_statistics=True), feed=feed)
    _, (mean,) = history(tmp_path)
    assert mean == pytest.approx(np.mean(losses), rel=1e-4)


# --- Killed and resumed --------------------------------------------------------------------------


def test_training_killed_at_random_moments_ends_as_if_nothing_had_been(tmp_path):
    steps = np.sort(np.random.default_rng(6).choice(np.arange(3, 49), 3, replace=False))
    subprocess.run(
        [
            sys.executable, "-P", TESTS / "killed_training.py", tmp_path, "6",
            *[str(step) for step in steps],
        ],
        check=True,
        timeout=250,
    )  # fmt: skip
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    with np.load(whole / "weights.npz") as one, np.load(killed / "weights.npz") as other:
        assert len(one) == len(other) == 8
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    for file in ("student.history.csv", *(f"hard-negatives-{round_}.json" for round_ in (1, 2, 3))):
        assert (whole / file).read_bytes() == (killed / file).read_bytes(), file
    assert json.loads((whole / "hard-negatives-1.json").read_text()), "none were found"
    resumed = json.loads((killed / "student.training.json").read_text())["steps"]
    assert resumed < 50, "the last process should have gone on from a checkpoint"


def test_no_checkpoint_holds_weights_that_are_no_numbers(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "CHECKPOINT_STEPS", 2)

    def spoil(twin, step):
        if step == 4:
            twin.trainable_variables[0].assign(twin.trainable_variables[0] * np.nan)

    with pytest.raises(InputError, match=r"a weight is no number at step 4: .*diverged") as caught:
        trained(strided(), after_step=spoil)
    assert "The checkpoint of step 2 is kept" in caught.value.hint
    kept = tf.train.latest_checkpoint(str(tmp_path / "checkpoints"))
    values = [tf.train.load_variable(kept, name) for name, _ in tf.train.list_variables(kept)]
    floats = [value for value in values if np.asarray(value).dtype.kind == "f"]
    assert len(floats) > 10
    assert all(np.isfinite(value).all() for value in floats)
