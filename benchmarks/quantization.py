"""What each precision does to a model's picks: every format and precision against its own float32.

    python -m benchmarks.quantization MODEL --data DATA --json FILE

No labels are needed: windows at random places of the records are answered by the Keras model and
by each export of it, and of every P and S that the Keras model finds (0.3 or more) the highest
peaks are compared. The first of equally probable samples is reported too, since that is what most
pickers take.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from baseline.contract import OUTPUTS, SAMPLING_RATE_HZ, P, S
from benchmarks.teachers import interval
from compress.data.feeds import random_windows
from compress.data.sources import open_folder
from compress.evaluation.picker import highest_peaks
from compress.exporting import Product, export_model
from compress.models import find_keras
from compress.store import heading, write_json
from export.convert import PRECISIONS, RANGES, ConversionError, Format, Int8, Precision, Ranges
from export.runtimes import load_runner

FOUND = 0.3
CLOSE_S = 0.1


def differences(
    answers: NDArray[np.float32], expected: NDArray[np.float32], phase: int
) -> dict[str, Any]:
    """Of the windows in which `expected` finds a phase, how far off the highest peak is."""
    found = expected[:, :, phase].max(axis=1) >= FOUND
    result: dict[str, Any] = {"windows": int(found.sum())}
    for name, place in (("middle", _middle), ("earliest", _earliest)):
        apart = (place(answers, phase) - place(expected, phase))[found] / SAMPLING_RATE_HZ
        near = np.abs(apart) <= 0.5
        result[name] = {
            "within_0.1s": interval((np.abs(apart) <= CLOSE_S + 1e-9).astype(float)),
            "mean_s": interval(apart[near]),
            "mean_absolute_s": interval(np.abs(apart[near])),
        }
    return result


def _middle(answers: NDArray[np.float32], phase: int) -> NDArray[np.intp]:
    peaks = highest_peaks(answers)
    return peaks.p_sample if phase == P else peaks.s_sample


def _earliest(answers: NDArray[np.float32], phase: int) -> NDArray[np.intp]:
    return answers[:, :, phase].argmax(axis=1)


def ways() -> list[tuple[str, Format, Precision, Int8]]:
    """Everything that can be written, named."""
    plain = [(f"{f.value} {p.value}", f, p, Int8()) for f in Format for p in PRECISIONS[f]]
    ranges = [
        (f"{f.value} int8, {r.value}", f, Precision.INT8, Int8(ranges=r))
        for f in Format
        for r in RANGES[f]
        if r is not Ranges.EXTREMES
    ]
    return plain + ranges


def main() -> None:
    """Write and compare each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="as `compress export` takes it")
    parser.add_argument("--data", type=Path, required=True, help="records, with or without picks")
    parser.add_argument("--calibration", type=Path, help="records to find ranges on (synthetic)")
    parser.add_argument("--windows", type=int, default=1000)
    parser.add_argument("--skip", nargs="*", default=[], help="names of exports to leave out")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    windows = random_windows(open_folder(arguments.data), arguments.windows, seed=5)
    expected = load_runner(find_keras(arguments.model).path)(windows)
    document: dict[str, Any] = heading("python", "-m", "benchmarks.quantization") | {"exports": {}}
    with Progress() as progress, tempfile.TemporaryDirectory() as folder:
        for name, format, precision, int8 in ways():
            if name in arguments.skip:
                continue
            bundle = Path(folder) / name
            try:
                metadata = export_model(
                    arguments.model, Product(format), precision, bundle, arguments.calibration,
                    progress, int8,
                )  # fmt: skip
                answers = load_runner(bundle / metadata.file)(windows)
            except ConversionError as error:
                document["exports"][name] = {"error": str(error)}
                continue
            square = np.mean((answers - expected).astype(np.float64) ** 2, axis=(0, 1))
            document["exports"][name] = {
                "bytes": metadata.bytes,
                "rms": dict(zip(OUTPUTS, np.sqrt(square).tolist(), strict=True)),
                "largest": dict(
                    zip(OUTPUTS, np.abs(answers - expected).max((0, 1)).tolist(), strict=True)
                ),
                "p": differences(answers, expected, P),
                "s": differences(answers, expected, S),
            }
            write_json(arguments.json, document)


if __name__ == "__main__":
    main()
