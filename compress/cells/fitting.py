"""Fit a cell alone to what the layer it replaces makes of the same inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from baseline.keras import keras, tf

BATCH = 64
LEARNING_RATE = 1e-2
GRADIENT_NORM = 1.0
HELD_OUT = 0.1


def fit(
    model: keras.Model,
    inputs: NDArray[np.float32],
    outputs: NDArray[np.float32],
    *,
    steps: int,
    seed: int,
    progress: Progress,
    what: str,
) -> float:
    """Train `model`, in place, by mean squared error; a tenth of the windows is held out.

    Args:
        model: the cell.
        inputs: what it is given, shape (windows, steps, channels).
        outputs: what the replaced layer made of the same windows, likewise.
        steps: of Adam, with a cosine decay to zero.
        seed: of the batches.
        progress: where it is shown.
        what: what it is called there.

    Returns:
        The share of the outputs' variance that the model explains in the windows held out: 1 is a
        perfect fit, 0 no better than each channel's mean.
    """
    optimizer = keras.optimizers.Adam(
        keras.optimizers.schedules.CosineDecay(LEARNING_RATE, max(steps, 1)),
        global_clipnorm=GRADIENT_NORM,
    )
    variables = model.trainable_variables
    optimizer.build(variables)

    @tf.function
    def step(x: Any, y: Any) -> None:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(x, training=True) - y))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))

    held_out = round(HELD_OUT * len(inputs))
    random = np.random.default_rng(seed)
    for _ in progress.track(range(steps), description=what):
        chosen = random.integers(held_out, len(inputs), size=BATCH)
        step(inputs[chosen], outputs[chosen])
    expected = outputs[:held_out]
    answers = model.predict(inputs[:held_out], verbose=0)
    return 1.0 - float(np.square(answers - expected).mean() / expected.var(axis=(0, 1)).mean())
