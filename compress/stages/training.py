"""Training against a teacher's probabilities: one loop for all stages that train."""

from __future__ import annotations

import csv
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from rich.progress import Progress

from baseline.contract import PREDICTION_SHAPE, WINDOW_SHAPE
from baseline.errors import InputError
from baseline.keras import keras, tf
from compress.data.feeds import TargetFeed

LOSS_WEIGHTS = (0.05, 0.40, 0.55)
"""Of detection, P and S: those EQTransformer was trained with (Mousavi et al. 2020)."""

LOSS_SCALE = 100.0
"""Mean cross-entropies per sample are tiny, since picks are rare; this brings them near one."""

CHECKPOINT_STEPS = 250
HISTORY_STEPS = 25
GRADIENT_NORM = 5.0
PROBABILITY_FLOOR = 1e-6

AfterStep = Callable[[keras.Model, int], None]
"""What is done after each step, with the model in training and the number of steps done.

That model is a twin of the one that was given: the same layers by the same names, other variables.
All variables of its layers are part of the checkpoints.
"""


def train(
    model: keras.Model,
    feed: TargetFeed,
    *,
    steps: int,
    learning_rate: float,
    warmup_steps: int,
    average: float,
    frozen_statistics: bool,
    scratch: Path,
    history: Path,
    progress: Progress,
    what: str,
    after_step: AfterStep | None = None,
) -> None:
    """Fit `model` to the feed's targets, in place, and resume where an earlier call was stopped.

    Soft-label cross-entropy, Adam, a linear warm-up and a cosine decay to zero; the weights that
    remain are an exponential moving average over the steps.

    Args:
        model: from (batch, 6000, 3) to (batch, 6000, 3) probabilities.
        feed: the batches.
        steps: how many.
        learning_rate: its peak.
        warmup_steps: steps until it is reached.
        average: decay of the moving average per step.
        frozen_statistics: keep BatchNorm statistics (fine-tuning) or learn them (from scratch).
        scratch: folder for checkpoints.
        history: CSV of step and loss, appended to.
        progress: where it is shown.
        what: what it is called there.
        after_step: done after each step, before the step's checkpoint.

    Raises:
        InputError: the loss is not finite: the training diverged.
    """
    schedule = keras.optimizers.schedules.CosineDecay(
        learning_rate / max(warmup_steps, 1),
        decay_steps=max(steps - warmup_steps, 1),
        warmup_target=learning_rate,
        warmup_steps=warmup_steps,
    )
    optimizer = keras.optimizers.Adam(schedule, global_clipnorm=GRADIENT_NORM)
    twin = quick_twin(model)
    variables = twin.trainable_variables
    optimizer.build(variables)
    averaged = [tf.Variable(variable, trainable=False) for variable in variables]
    done = tf.Variable(0, dtype=tf.int64, trainable=False)
    manager = tf.train.CheckpointManager(
        tf.train.Checkpoint(model=twin, optimizer=optimizer, averaged=averaged, done=done),
        str(scratch / "checkpoints"),
        max_to_keep=2,
    )
    manager.restore_or_initialize()
    first = int(done.numpy())

    weights = tf.constant(LOSS_WEIGHTS, tf.float32)

    @tf.function
    def step(windows: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            prediction = twin(windows, training=not frozen_statistics)
            loss = cross_entropy(targets, prediction, weights)
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        # The average follows faster at first, so that it forgets the initial weights.
        count = tf.cast(done, tf.float32)
        decay = tf.minimum(average, (1.0 + count) / (10.0 + count))
        for mean, variable in zip(averaged, variables, strict=True):
            mean.assign(decay * mean + (1.0 - decay) * variable)
        done.assign_add(1)
        return loss

    shape = tf.TensorSpec((feed.batch, *WINDOW_SHAPE), tf.float32)
    target_shape = tf.TensorSpec((feed.batch, *PREDICTION_SHAPE), tf.float32)
    batches = tf.data.Dataset.from_generator(
        lambda: feed.batches(first, steps), output_signature=(shape, target_shape)
    ).prefetch(4)
    task = progress.add_task(what, total=steps, completed=first)
    losses = []
    with history.open("a", newline="", encoding="utf-8") as file:
        log = csv.writer(file)
        if file.tell() == 0:
            log.writerow(["step", "loss"])
        for number, (windows, targets) in enumerate(batches, start=first + 1):
            losses.append(float(step(windows, targets)))
            if not math.isfinite(losses[-1]):
                raise InputError(
                    f"{what}: the loss is not finite at step {number}: the training diverged.",
                    f"Lower its learning_rate ({learning_rate:g}).",
                )
            if after_step is not None:
                after_step(twin, number)
            if number % HISTORY_STEPS == 0 or number == steps:
                log.writerow([number, f"{np.mean(losses):.6g}"])
                file.flush()
                losses.clear()
            if number % CHECKPOINT_STEPS == 0 and number < steps:
                manager.save()
            progress.update(task, completed=number)
    for mean, variable in zip(averaged, variables, strict=True):
        variable.assign(mean)
    model.set_weights(twin.get_weights())


class _Repeat(keras.layers.UpSampling1D):
    """UpSampling1D as one tile instead of a split into thousands of one-sample tensors."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.repeat(inputs, self.size, axis=1)


def quick_twin(model: keras.Model) -> keras.Model:
    """The same model, computing the same, whose graph TensorFlow builds in seconds, not minutes."""

    def quicker(layer: keras.layers.Layer) -> keras.layers.Layer:
        kind = _Repeat if isinstance(layer, keras.layers.UpSampling1D) else type(layer)
        return kind.from_config(layer.get_config())

    twin = keras.models.clone_model(model, clone_function=quicker)
    twin.set_weights(model.get_weights())
    return twin


def cross_entropy(targets: tf.Tensor, prediction: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Binary cross-entropy with soft labels, (batch, 6000, 3) each, weighted over the outputs.

    No class is weighted up: rare onsets weighted up raise probabilities everywhere, and with them
    false alarms.
    """
    p = tf.clip_by_value(prediction, PROBABILITY_FLOOR, 1.0 - PROBABILITY_FLOOR)
    loss = -(targets * tf.math.log(p) + (1.0 - targets) * tf.math.log(1.0 - p))
    return LOSS_SCALE * tf.reduce_mean(tf.tensordot(loss, weights, axes=1))
