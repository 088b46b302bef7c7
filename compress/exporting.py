"""Export of one model outside a pipeline."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from pathlib import Path

from rich.progress import Progress

from baseline.published import CITATION, LICENCE
from compress.data.calibration import calibration_windows
from compress.data.feeds import random_windows
from compress.data.records import Source
from compress.data.sources import open_folder
from compress.data.synthetic import SyntheticSource
from compress.evaluation.parity import MINIMUM_WINDOWS, compare_outputs
from compress.evaluation.picker import Thresholds
from compress.models import find_keras
from compress.quantizing.fallback import float_layers
from compress.store import file_hash, versions
from export.bundle import Metadata, write_bundle
from export.convert import FLOAT32_TOLERANCE, Format, Int8, Precision, convert, require_way
from export.runtimes import KerasRunner, load_runner

CALIBRATION_WINDOWS = 256
CALIBRATION_SEED = 2


def export_model(
    name: str,
    format: Format,
    precision: Precision,
    output: Path,
    calibration: Path | None,
    progress: Progress,
    int8: Int8 | None = None,
) -> Metadata:
    """Convert a model, compare it with its Keras graph, and write the bundle.

    Args:
        name: as `compress.models.find_keras` takes it.
        format: TFLite or ONNX.
        precision: one that the format has.
        output: folder of the bundle.
        calibration: folder of records to find ranges on; None for synthetic ones.
        progress: where progress is shown.
        int8: how, if it is that precision. Of a stage that left layers in float32, these stay
            so unless others are given.

    Raises:
        InputError: the model, the data or the folder cannot be used, the conversion failed, or the
            export does not compute what the Keras model does.
    """
    from baseline.checkpoint import save_keras

    int8 = int8 or Int8()
    require_way(format, precision, int8)
    found = find_keras(name)
    if precision is Precision.INT8 and not int8.float_layers:
        int8 = replace(int8, float_layers=float_layers(found.path.parent))
    origin = load_runner(found.path)
    assert isinstance(origin, KerasRunner)
    source = calibration_source(calibration)
    windows = random_windows(source, MINIMUM_WINDOWS, seed=0)
    calibrated = (
        calibration_windows(source, CALIBRATION_WINDOWS, seed=0) if precision.calibrated else None
    )
    with tempfile.TemporaryDirectory() as folder:
        graph, target = Path(folder) / "model.keras", Path(folder) / f"model.{format.value}"
        save_keras(origin.model, graph)
        task = progress.add_task(f"convert to {format.value} {precision.value}", total=None)
        convert(graph, target, format, precision, calibrated, int8)
        progress.update(task, total=1, completed=1)
        task = progress.add_task("compare with the Keras model", total=None)
        parity = compare_outputs(load_runner(target), origin, windows)
        progress.update(task, total=1, completed=1)
        # Probabilities cannot differ by more than 1: for int8 this refuses what is not a number.
        parity.require(FLOAT32_TOLERANCE if precision is Precision.FLOAT32 else 1.0, name)
        return write_bundle(
            output,
            target,
            {
                "format": format,
                "precision": precision,
                "thresholds": Thresholds().model_dump(),
                "parity": parity.to_dict(),
                "provenance": {
                    "model": found.path.name,
                    "sha256": file_hash(found.path),
                    "versions": versions(),
                },
                "licence": LICENCE,
                "citation": CITATION,
            },
            found.path.parent.name if found.path.suffix == ".keras" else Path(name).stem,
        )


def calibration_source(folder: Path | None) -> Source:
    """The records of a folder; synthetic ones where none is given."""
    if folder:
        return open_folder(folder)
    return SyntheticSource(CALIBRATION_WINDOWS, CALIBRATION_SEED)
