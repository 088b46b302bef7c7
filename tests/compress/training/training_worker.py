"""The training that test_distributed.py runs alone and in two processes, of which this is one.

Run as a program it is one worker: FOLDER, the step after which the first one dies (0 for never).
"""

import os
import signal
import sys
from pathlib import Path

import numpy as np
from rich.progress import Progress

from baseline.contract import WINDOW_SHAPE
from baseline.keras import keras
from compress.data.feeds import TargetFeed
from compress.training import loop
from compress.training.distributed import Workers, declared_place, gather
from compress.training.settings import HardNegatives

STEPS = 16
BATCH = 4
LEARNING_RATE = 2e-3


def student(seed: int) -> keras.Model:
    """Two convolutions whose statistics are learnt, and a way back to 6000 samples."""
    keras.utils.set_random_seed(seed)
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    # No biases before a norm: their gradients are rounding, which Adam makes steps of.
    options = {"padding": "same", "use_bias": False}
    x = keras.layers.Conv1D(8, 24, strides=8, name="down", **options)(waveform)
    for name in ("first", "second"):
        x = keras.layers.BatchNormalization(name=f"{name}_norm")(x)
        x = keras.layers.ReLU(name=f"{name}_relu")(x)
        x = keras.layers.SeparableConv1D(24, 5, name=name, **options)(x)
    x = keras.layers.Reshape(WINDOW_SHAPE, name="sub_pixel")(x)
    return keras.Model(waveform, keras.layers.Activation("sigmoid", name="prediction")(x))


def run(folder: Path, products: Path, workers: Workers | None = None, dies_after: int = 0) -> None:
    """Train on `folder/targets.h5`: the loss of each step and the weights go to `products`."""
    loop.CHECKPOINT_STEPS, loop.HISTORY_STEPS = 4, 1
    # Others than the first worker's would show if they were used.
    model = student(seed=workers.place.index if workers else 0)

    def after_step(_: keras.Model, number: int) -> None:
        if number == dies_after and workers and workers.is_first:
            os.kill(os.getpid(), signal.SIGKILL)

    products.mkdir(exist_ok=True)
    loop.train(
        model,
        TargetFeed(folder / "targets.h5", BATCH, seed=3),
        loop.Plan(
            steps=STEPS,
            learning_rate=LEARNING_RATE,
            warmup_steps=4,
            average=0.9,
            frozen_statistics=False,
            hard_negatives=HardNegatives(every=10, candidates=16, threshold=0.2, share=0.5),
        ),
        scratch=folder / "scratch",
        products=products,
        progress=Progress(disable=True),
        what="train",
        after_step=after_step,
        workers=workers,
    )
    np.savez(products / "weights.npz", *model.get_weights())


if __name__ == "__main__":
    place = declared_place()
    assert place is not None
    run(
        Path(sys.argv[1]),
        Path(sys.argv[1]) / f"products-{place.index}",
        gather(place),
        int(sys.argv[2]),
    )
