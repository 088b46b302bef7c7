"""Trains a small student undisturbed, and again in processes of which all but the last are killed.

    python -P tests/killed_training.py FOLDER CHECKPOINT_STEPS STEP ...

A process is killed with SIGKILL a moment after it has finished STEP. What is left are the history
and `weights.npz` in FOLDER/whole and FOLDER/killed. Processes are forked from one that has imported
TensorFlow and has computed nothing yet, so that several take hardly longer than one.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
from rich.progress import Progress

from baseline.contract import WINDOW_SHAPE
from baseline.keras import keras, tf
from compress.data.feeds import TargetFeed
from compress.data.synthetic import SyntheticSource
from compress.data.targets import label_target, write_targets
from compress.training import loop
from compress.training.settings import HardNegatives

PLAN = loop.Plan(
    steps=50,
    learning_rate=1e-2,
    warmup_steps=5,
    average=0.9,
    frozen_statistics=False,
    hard_negatives=HardNegatives(every=14, candidates=24, threshold=0.01, share=0.5),
)


def strided(seed: int = 0) -> keras.Model:
    """Two convolutions with a normalization between them: built and traced in no time."""
    keras.utils.set_random_seed(seed)
    waveform = keras.Input(WINDOW_SHAPE)
    x = keras.layers.Conv1D(8, 16, strides=8, padding="same", name="down")(waveform)
    x = keras.layers.BatchNormalization(momentum=0.9, name="norm")(x)
    x = keras.layers.Conv1D(24, 5, padding="same", name="up")(keras.layers.ReLU()(x))
    x = keras.layers.Reshape(WINDOW_SHAPE)(x)
    return keras.Model(waveform, keras.layers.Activation("sigmoid")(x))


def labels_feed(folder: Path, batch: int = 4) -> TargetFeed:
    """Batches of twelve synthetic records with their labels, a third of them noise."""
    source = SyntheticSource(12, seed=2, noise_fraction=0.35)
    known = {}
    for index in range(len(source)):
        record = source[index]
        known[record.waveform.tobytes()] = label_target(record, len(record.waveform))
    path = folder / "targets.h5"
    write_targets(
        path,
        lambda waveforms, random: [known[waveform.tobytes()] for waveform in waveforms],
        source,
        number=len(source),
        seed=0,
        progress=Progress(disable=True),
    )
    return TargetFeed(path, batch, seed=1)


class Telling(Progress):
    """Writes a byte to a pipe after each step: its number."""

    def __init__(self, pipe: int) -> None:
        super().__init__(disable=True)
        self._pipe = pipe

    def update(self, task_id, **values):
        os.write(self._pipe, bytes([values["completed"]]))
        super().update(task_id, **values)


def train(folder: Path, feed: TargetFeed, progress: Progress) -> None:
    """Train, or go on, and keep the weights."""
    model = strided()
    loop.train(
        model, feed, PLAN, scratch=folder, products=folder, progress=progress, what="student"
    )
    np.savez(folder / "weights.npz", *model.get_weights())


def train_in_process(folder: Path, feed: TargetFeed, last: int | None, moment: float) -> None:
    """Train in a process of its own, to its end or until it is killed `moment` s after `last`."""
    folder.mkdir(exist_ok=True)
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        status = 1
        try:
            train(folder, feed, Telling(writing))
            status = 0
        finally:
            os._exit(status)
    os.close(writing)
    with os.fdopen(reading, "rb", buffering=0) as steps:
        if last is not None:
            while (step := steps.read(1)) and step[0] < last:
                pass
            time.sleep(moment)
            os.kill(child, signal.SIGKILL)
        while steps.read(4096):
            pass
    _, status = os.waitpid(child, 0)
    assert status == (0 if last is None else signal.SIGKILL), f"ended with {status}"


def main(folder: str, checkpoint_steps: str, *kills: str) -> None:
    """See above."""
    loop.CHECKPOINT_STEPS = int(checkpoint_steps)
    # Several threads may add up sums in another order each time.
    tf.config.threading.set_intra_op_parallelism_threads(1)
    feed = labels_feed(Path(folder))
    train_in_process(Path(folder, "whole"), feed, None, 0.0)
    random = np.random.default_rng()
    for last in (*map(int, kills), None):
        train_in_process(Path(folder, "killed"), feed, last, random.uniform(0, 0.05))


if __name__ == "__main__":
    main(*sys.argv[1:])
