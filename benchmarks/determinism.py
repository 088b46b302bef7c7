"""What comes out the same when it is made again: every kind of stage, every format and precision.

    nice python -m benchmarks.determinism --json FILE

Everything is made in six fresh processes: twice on two threads, twice on one, and on one with and
without oneDNN, which stands for another processor: other instructions, sums in another order. (By
itself TensorFlow uses it where the processor has instructions for it, such as AVX-512 VNNI.) Of two
models the weights are compared, and the answers to windows here, so that nothing but their
weights makes them differ; of exports the bytes.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter
from rich.progress import Progress

from baseline.contract import WINDOW_SHAPE
from compress.data.calibration import calibration_windows
from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from compress.stages import AnyStage
from compress.stages.base import Context, StageModel
from compress.store import file_hash, heading, write_json
from export.convert import PRECISIONS, Format, convert
from export.workers import ConversionError

ROOT = Path(__file__).resolve().parents[1]

ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1"}
TWO_THREADS = {"TF_NUM_INTRAOP_THREADS": "2"}

PROCESSES: dict[str, dict[str, str]] = {
    "two threads": TWO_THREADS,
    "two threads again": TWO_THREADS,
    "one thread": ONE_THREAD,
    "one thread again": ONE_THREAD,
    "oneDNN": ONE_THREAD | {"TF_ENABLE_ONEDNN_OPTS": "1"},
    "no oneDNN": ONE_THREAD | {"TF_ENABLE_ONEDNN_OPTS": "0"},
}
"""What each has in its environment."""

COMPARED = {
    "again, two threads": ("two threads", "two threads again"),
    "again, one thread": ("one thread", "one thread again"),
    "one thread, two threads": ("one thread", "two threads"),
    "with oneDNN, without": ("oneDNN", "no oneDNN"),
}

TRAINING = {"records": 8, "batch": 4, "steps": 20}
STAGES: dict[str, tuple[str, dict[str, Any]]] = {
    "simplify": ("student", {"windows": 16}),
    "substitute by GRU": ("recurrent", {"cell": "gru", "windows": 64, "fit_steps": 20, **TRAINING}),
    "substitute by conv": (
        "recurrent",
        {"cell": "conv", "windows": 64, "fit_steps": 20, **TRAINING},
    ),
    "substitute by CNN-BiLSTM": (
        "recurrent",
        {"cell": "cnn-bilstm", "windows": 64, "fit_steps": 20, **TRAINING},
    ),
    "scale": ("student", {"width": 0.75, "windows": 16, **TRAINING}),
    "prune structured": (
        "student",
        {"method": {"kind": "structured", "rounds": 1, "sensitivity_windows": 4}, **TRAINING},
    ),
    "prune magnitude": ("recurrent", {"method": {"kind": "magnitude"}, **TRAINING}),
    "prune 2:4": ("recurrent", {"method": {"kind": "2:4"}, **TRAINING}),
    "distill": (
        "student",
        {"student": {"kind": "unet", "channels": [8, 8, 16, 16]}, "shifts": 3, **TRAINING},
    ),
    "quantize": ("student", {"windows": 16, **TRAINING}),
}
"""By what is done: the model it is done to, and the settings of the stage."""

CALIBRATION = 16
ANSWERED = 32


def student() -> Any:
    """A released student as it was before a normalization was folded into its first convolution."""
    from baseline.checkpoint import load_keras
    from baseline.keras import keras
    from compress.graphs.edit import place, rebuild

    student = load_keras(ROOT / "artifacts/released/student.keras")

    def normalised(layer: Any, inputs: Any) -> Any:
        kernel, bias = layer.get_weights()
        scale = np.linspace(0.5, 2.0, len(bias), dtype=np.float32)
        outputs = place(type(layer).from_config(layer.get_config()), inputs, [kernel / scale, bias])
        norm = keras.layers.BatchNormalization(epsilon=1e-3, name="stem_norm")
        # A variance of 1 once epsilon is added to it; the bias is scaled along.
        weights = [scale, bias * (1 - scale), 0 * bias, 0 * bias + 0.999]
        return place(norm, outputs, weights)

    return rebuild(student, {"stem_conv": normalised})


def recurrent() -> Any:
    """An untrained model with an LSTM in each direction, which TFLite has an operator for."""
    from baseline.keras import keras

    keras.utils.set_random_seed(0)
    waveform = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Conv1D(16, 125, strides=125, activation="relu", name="down")(waveform)
    x = keras.layers.Bidirectional(keras.layers.LSTM(16, return_sequences=True), name="both")(x)
    x = keras.layers.LSTM(16, return_sequences=True, name="forward")(x)
    x = keras.layers.Reshape(WINDOW_SHAPE, name="shape")(keras.layers.Dense(375, name="up")(x))
    return keras.Model(waveform, keras.layers.Activation("sigmoid", name="prediction")(x))


def make(folder: Path) -> None:
    """Apply every stage and write every export; what a process of its own does."""
    from baseline.checkpoint import load_keras, save_keras, weights_hash

    records = SyntheticSource(64, seed=5)
    hashes = {}
    for name, (origin, settings) in STAGES.items():
        place = folder / name.replace(" ", "-").replace(":", "")
        for part in ("scratch", "products"):
            (place / part).mkdir(parents=True)
        model = load_keras(folder.parent / f"{origin}.keras")
        context = Context(
            model, records, records, 3, place / "scratch", place / "products",
            Progress(disable=True),
        )  # fmt: skip
        stage: Any = TypeAdapter(AnyStage).validate_python({"kind": name.split()[0], **settings})
        made = stage.apply(StageModel(model), context)
        save_keras(made.keras, folder / f"{name}.keras")
        hashes[name] = weights_hash(made.keras)
    windows = calibration_windows(records, CALIBRATION, seed=0)
    for origin in ("student", "recurrent"):
        for format in Format:
            for precision in PRECISIONS[format]:
                name = f"{origin} {format.value} {precision.value}"
                file = folder / f"{name}.{format.value}"
                calibration = windows if precision.calibrated else None
                try:
                    convert(folder.parent / f"{origin}.keras", file, format, precision, calibration)
                except ConversionError:  # TFLite knows no LSTM in int16x8
                    continue
                hashes[name] = file_hash(file)
    write_json(folder / "hashes.json", hashes)


def distance(one: Path, other: Path, windows: Any) -> dict[str, float]:
    """How far two stored models are apart, in their weights and in what they answer.

    Of the weights the greatest difference, over the greatest weight of the same array, and the root
    mean square of all differences over that of all weights; of the answers the greatest difference
    of a probability.
    """
    from baseline.checkpoint import load_keras
    from export.runtimes import KerasRunner

    models = [load_keras(path) for path in (one, other)]
    pairs = list(zip(*(model.get_weights() for model in models), strict=True))
    apart = [np.abs(a - b) for a, b in pairs if a.size]
    scale = [np.abs(a) for a, _ in pairs if a.size]
    squares, norm = (sum(float(np.square(x).sum()) for x in xs) for xs in (apart, scale))
    answers = [KerasRunner(model)(windows) for model in models]
    return {
        "weights_largest": max(
            float(a.max() / max(s.max(), 1e-30)) for a, s in zip(apart, scale, strict=True)
        ),
        "weights_rms": (squares / norm) ** 0.5,
        "answers_largest": float(np.abs(answers[0] - answers[1]).max()),
    }


def compared(folder: Path) -> dict[str, Any]:
    """For each pair of processes what came out the same, and how far apart the rest is."""
    found = {
        name: json.loads((folder / name / "hashes.json").read_text(encoding="utf-8"))
        for name in PROCESSES
    }
    windows = random_windows(SyntheticSource(ANSWERED, seed=9), ANSWERED, seed=0)
    document: dict[str, Any] = {"stages": {}, "exports": {}}
    for name in found["one thread"]:
        row: dict[str, Any] = {}
        for title, (one, other) in COMPARED.items():
            row[title] = same = found[one][name] == found[other][name]
            if not same and name in STAGES:
                row[title] = distance(
                    *(folder / p / f"{name}.keras" for p in (one, other)), windows
                )
        document["stages" if name in STAGES else "exports"][name] = row
    return document


def main() -> None:
    """Start the processes and compare what they made."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--make", type=Path, help="make everything in this folder (used by itself)")
    arguments = parser.parse_args()
    if arguments.make:
        make(arguments.make)
        return
    from baseline.checkpoint import save_keras

    with tempfile.TemporaryDirectory(prefix="determinism-") as name:
        folder = Path(name)
        save_keras(student(), folder / "student.keras")
        save_keras(recurrent(), folder / "recurrent.keras")
        for process, environment in PROCESSES.items():
            (folder / process).mkdir()
            command = [sys.executable, "-m", "benchmarks.determinism", "--make", folder / process]
            subprocess.run(command, cwd=ROOT, env=os.environ | environment, check=True)
            print(f"made: {process}", flush=True)
        document = heading("python", "-m", "benchmarks.determinism") | compared(folder)
    write_json(arguments.json, document)
    for kind in ("stages", "exports"):
        for name, row in document[kind].items():
            print(name, row)


if __name__ == "__main__":
    main()
