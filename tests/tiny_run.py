"""A pipeline that runs in a few seconds, and a program that runs it and may be ended on its way.

    tiny_run.py [SIGNAL OPERATION NAME]

runs `pipeline.yaml` here; the signal comes right before it does something to a file. OPERATION is
one of Python's audit events, such as os.rename; NAME is part of the path that it is about.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

from forked import Forked
from killed_training import strided

from baseline.checkpoint import save_keras
from compress.cli import main
from compress.evaluation import bootstrap
from compress.report import contents
from compress.training import loop

DRAWS = 20
"""For intervals: more, and pictures, would take most of the time."""

PIPELINE = """\
version: 1
name: tiny
output: run
baseline: trained.keras
data:
  train: [{kind: synthetic, records: 8, seed: 1}]
  calibration: [{kind: synthetic, records: 16, seed: 2}]
  evaluation: [{kind: synthetic, records: 8, seed: 3}]
evaluation: {placements: 1, latency_pairs: 10, latency_seconds: 1}
stages:
  - {kind: simplify, windows: 16}
  - kind: distill
    student: {kind: unet, stem_stride: 8, channels: [4, 4, 4], refine: false, dilations: [1]}
    records: 4
    shifts: 2
    steps: 30
    batch: 2
    hard_negatives: {every: 15, candidates: 16, threshold: 0.001}
gates: {parity: {maximum_difference: 0.5}}
export: [{format: tflite, precision: float32}]
"""


def write(folder: Path) -> None:
    """What there has to be in a folder."""
    save_keras(strided(), folder / "trained.keras")
    (folder / "pipeline.yaml").write_text(PIPELINE)


def run(folder: Path, *ended: str) -> Forked:
    """The program, at work in a folder."""
    # With several threads, sums are added up in any order.
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "EQT_COMPRESS_CACHE": str(folder / "cache")}
    return Forked(Path(__file__), *ended, folder=folder, environment=threads)


def end_before(number: signal.Signals, operation: str, name: str) -> None:
    """Have a signal come when this is about to be done, the first time."""
    waiting = [number]

    def hook(event, arguments):
        if event == operation and waiting and any(name in str(each) for each in arguments[:2]):
            os.kill(os.getpid(), waiting.pop())

    sys.addaudithook(hook)


if __name__ == "__main__":
    loop.CHECKPOINT_STEPS = 10
    bootstrap.RESAMPLES = DRAWS
    contents.Picture.svg = None
    if len(sys.argv) > 1:
        end_before(signal.Signals[sys.argv[1]], *sys.argv[2:])
    sys.argv = ["compress", "run", "pipeline.yaml"]
    main()
