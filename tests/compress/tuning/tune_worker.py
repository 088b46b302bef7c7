"""`compress tune` for test_search.py, with a baseline that is built in a moment."""

import killed_training
import typer

from compress import pipeline
from compress.cli.tune import tune
from compress.training import loop
from compress.tuning import study

if __name__ == "__main__":
    study.load_eqtransformer = lambda path: killed_training.strided()
    pipeline.require_runnable = lambda path: None  # what stands for the published model is no model
    loop.CHECKPOINT_STEPS = 10
    typer.run(tune)
