"""What int8 costs each layer of a model, and what keeping the worst in float32 gives.

In a process of its own, as every conversion.

    python -m export.study MODEL WINDOWS INT8 FOLDER
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.files import unfinished_folder, writing
from export.convert import SEARCH_TIME_LIMIT_S, Int8
from export.workers import run_worker

WINDOWS = 64
"""Of the calibration windows, so many at most are answered for every layer."""

BINS = 48
STUDY_FILE = "study.json"


@dataclass(frozen=True)
class Candidate:
    """One int8 file with some layers in float32.

    Attributes:
        file: the TFLite file.
        float_layers: the layers.
        biases: what its corrected biases changed (`export.writers.biases.Correction`), if they
            are to be.
    """

    file: Path
    float_layers: tuple[str, ...]
    biases: dict[str, Any] | None = None


@dataclass(frozen=True)
class Study:
    """What was found.

    Attributes:
        layers: of each layer that computes: `layer`, `operators`, `sqnr_db`, `alone`, `without`,
            `range`, `float_histogram` and `int8_histogram`; the one that costs most first.
        error: of the model with all of them in int8; see `export.writers.ranges.relative_error`.
        search: what a search of ranges changed, if there was one.
        candidates: files with the worst layers in float32: none of them first, then more and more.
    """

    layers: list[dict[str, Any]]
    error: float
    search: dict[str, Any] | None
    candidates: tuple[Candidate, ...]


def study(
    model: Path, windows: NDArray[np.float32], int8: Int8, folder: Path, most: int | None = None
) -> Study:
    """Quantize each layer alone, and all but each, and rank the layers.

    Args:
        model: the `.keras` file.
        windows: to calibrate on, normalised, (n, 6000, 3).
        int8: how.
        folder: where the candidates are written.
        most: at most so many layers in float32; None for all that compute, 0 for no candidates.

    Raises:
        ConversionError: the model cannot be converted.
    """
    with writing(folder), unfinished_folder(folder) as scratch:
        saved = Path(scratch) / "windows.npy"
        np.save(saved, windows, allow_pickle=False)
        arguments = [str(model.resolve()), str(saved), int8.to_json(), str(folder)]
        arguments.append("" if most is None else str(most))
        run_worker(f"{model.name} to int8", "export.study", arguments, SEARCH_TIME_LIMIT_S)
    document = json.loads((folder / STUDY_FILE).read_text(encoding="utf-8"))
    candidates = tuple(
        Candidate(folder / one["file"], tuple(one["float_layers"]), one["biases"])
        for one in document["candidates"]
    )
    return Study(document["layers"], document["error"], document["search"], candidates)


def main(model: str, windows: str, int8: str, folder: str, most: str = "") -> None:
    """What `study` starts."""
    from baseline.checkpoint import load_keras
    from export.writers.biases import correct_biases
    from export.writers.tflite import PASSES, Quantizable, edit

    calibration = np.load(windows, allow_pickle=False)
    way = Int8.from_json(int8)
    quantizable = Quantizable(load_keras(Path(model)), calibration, way)
    calibrated, search = quantizable.ranged(calibration)
    layers, error = rank_layers(quantizable, calibrated, calibration[:WINDOWS])
    ranked = [one["layer"] for one in layers]
    candidates = []
    for number in _numbers(len(ranked) if not most else min(int(most), len(ranked))):
        kept = tuple(ranked[:number])
        content, biases = quantizable.quantize(calibrated, kept), None
        if way.correct_biases:
            content, correction = correct_biases(calibrated, content, calibration)
            biases = correction.to_dict()
        file = Path(folder) / f"{number}.tflite"
        with writing(file):
            file.write_bytes(edit(content, *PASSES))
        candidates.append({"file": file.name, "float_layers": kept, "biases": biases})
    document = {
        "layers": layers,
        "error": error,
        "search": search and search.to_dict(),
        "candidates": candidates,
    }
    with writing(Path(folder) / STUDY_FILE):
        (Path(folder) / STUDY_FILE).write_text(json.dumps(document), encoding="utf-8")


def _numbers(most: int) -> list[int]:
    """0, 1, 2, 3, 4, 6, 8, 12, 16, 24 and so on, up to `most`."""
    numbers = [0, 1, 2, 3]
    while numbers[-1] < most:
        numbers.append(numbers[-2] * 2)
    return [n for n in numbers if n <= most]


def rank_layers(
    quantizable: Any, calibrated: bytes, windows: NDArray[np.float32]
) -> tuple[list[dict[str, Any]], float]:
    """Each layer that computes, by what the answers lose where it alone is int8.

    Args:
        quantizable: an `export.writers.tflite.Quantizable`.
        calibrated: its float file, with the ranges to use.
        windows: normalised, (n, 6000, 3).

    Returns:
        For each layer: `operators`, how many it has; `sqnr_db`, the signal-to-quantization-noise
        ratio of its output where all are int8; `alone`, the relative error of the model's answers
        where it alone is int8; `without`, where all but it are; `range`, and how often values lie
        in each of 48 parts of it. And the relative error where all are int8.
    """
    from export.writers.ranges import answers, relative_error

    outputs = quantizable.computing_layers(calibrated)
    names = list(outputs)
    expected = answers(calibrated, windows)

    def error(float_layers: Sequence[str]) -> float:
        content = quantizable.quantize(calibrated, tuple(float_layers))
        return relative_error(answers(content, windows), expected)

    whole = quantizable.quantize(calibrated)
    total = relative_error(answers(whole, windows), expected)
    signals = _signals(calibrated, whole, {name: tensors[-1] for name, tensors in outputs.items()},
                       windows)  # fmt: skip
    layers = [
        {
            "layer": name,
            "operators": len(outputs[name]),
            "alone": error([other for other in names if other != name]),
            "without": error([name]),
            **signals.get(name, {}),
        }
        for name in names
    ]
    return sorted(layers, key=lambda one: -one["alone"]), total


def _signals(
    calibrated: bytes, quantized: bytes, tensors: dict[str, str], windows: NDArray[np.float32]
) -> dict[str, dict[str, Any]]:
    """Of these tensors, by layer: ratio of signal to quantization noise, range, histograms."""
    from ai_edge_litert import schema_py_generated as schema

    from export.writers.calibration import computed_values

    wanted = {tensor: layer for layer, tensor in tensors.items()}
    graphs = [
        schema.ModelT.InitFromPackedBuf(file, 0).subgraphs[0] for file in (calibrated, quantized)
    ]
    named = [
        {
            wanted[name]: index
            for index, tensor in enumerate(graph.tensors)
            if (name := (tensor.name or b"").decode()) in wanted
        }
        for graph in graphs
    ]
    power: dict[str, NDArray[np.float64]] = {}
    counts: dict[str, NDArray[np.int64]] = {}
    ranges: dict[str, tuple[float, float]] = {}
    for ours, theirs in zip(
        *(computed_values(f, windows, wanted.__contains__) for f in (calibrated, quantized)),
        strict=True,
    ):
        for layer, index in named[0].items():
            other = named[1].get(layer)
            if index not in ours or other is None or other not in theirs:
                continue
            signal, integers = ours[index].astype(np.float64), theirs[other]
            if integers.dtype != np.int8 or integers.shape != signal.shape:
                continue
            scale = graphs[1].tensors[other].quantization
            rounded = (integers.astype(np.float64) - int(scale.zeroPoint[0])) * scale.scale[0]
            bounds = graphs[0].tensors[index].quantization
            ends = (float(bounds.min[0]), float(bounds.max[0]))
            ranges[layer] = ends
            parts = [(signal**2).sum(), ((signal - rounded) ** 2).sum()]
            power[layer] = power.get(layer, np.zeros(2)) + parts
            both = [np.histogram(v, BINS, ends)[0] for v in (signal, np.clip(rounded, *ends))]
            counts[layer] = counts.get(layer, np.zeros((2, BINS), np.int64)) + both
    return {
        layer: {
            "sqnr_db": float(10 * np.log10(signal / max(noise, 1e-30))) if signal else None,
            "range": ranges[layer],
            "float_histogram": counts[layer][0].tolist(),
            "int8_histogram": counts[layer][1].tolist(),
        }
        for layer, (signal, noise) in power.items()
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
