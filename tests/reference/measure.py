r"""Measures the small model in this folder as the code at hand converts, runs, picks and counts it.

What comes of it is held against the references beside it, so that a change that makes picks worse
or files larger shows:

    python tests/reference/measure.py artifacts/measured
    compress gate artifacts/measured/int8.json --against tests/reference/int8.json \
      --config tests/reference/gates.yaml

A change that is meant to alter the numbers comes with new references:

    compress gate artifacts/measured/int8.json --accept tests/reference/int8.json
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from compress.evaluation.protocol import Protocol, evaluate
from compress.gates import Measured
from compress.measurements import StoredModel, window_protocol
from compress.models import NamedModel, cost_of
from compress.store import file_hash, versions
from export.convert import Format, Precision, convert
from export.runtimes import load_runner

FOLDER = Path(__file__).parent
MODEL = FOLDER / "model.keras"
EVALUATION = SyntheticSource(100, seed=103)
CALIBRATION = SyntheticSource(64, seed=102)
PROTOCOL = Protocol(placements=2, seed=0)

Predictions = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="where float32.json and int8.json are written")
    folder = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    for precision in ("float32", "int8"):
        path = converted(precision, folder)
        (folder / f"{precision}.json").write_text(measured(path).to_json(), encoding="utf-8")


def converted(precision: str, folder: Path, model: Path = MODEL) -> Path:
    """The model as a TFLite file in `folder`."""
    path = folder / f"{precision}.tflite"
    windows = random_windows(CALIBRATION, 64, seed=0) if precision == "int8" else None
    convert(model, path, Format.TFLITE, Precision(precision), windows)
    return path


def measured(
    path: Path, change: Callable[[Predictions], Predictions] = lambda predictions: predictions
) -> StoredModel:
    """Accuracy and cost of a converted file; `change` is done to its predictions."""
    runner = load_runner(path)
    counts = evaluate(
        lambda windows: change(runner(windows)), EVALUATION, PROTOCOL, Progress(disable=True)
    )
    cost = cost_of(NamedModel(path.name, path), runner).to_dict()
    return StoredModel(
        name=path.name,
        measured=Measured(counts, cost),
        fingerprint=EVALUATION.fingerprint(),
        protocol=window_protocol(PROTOCOL.model_dump(mode="json")),
        thresholds=PROTOCOL.thresholds.model_dump(),
        versions=versions(),
        provenance={"model_sha256": file_hash(MODEL)},
    )


if __name__ == "__main__":
    main()
