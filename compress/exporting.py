"""Export of one model outside a pipeline."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rich.progress import Progress

from baseline.published import CITATION, LICENCE
from compress.data.feeds import random_windows
from compress.data.records import Source
from compress.data.sources import open_folder
from compress.data.synthetic import SyntheticSource
from compress.evaluation.parity import MINIMUM_WINDOWS, compare_outputs
from compress.evaluation.picker import Thresholds
from compress.models import find_keras
from compress.store import file_hash, versions
from export.bundle import Metadata, write_bundle
from export.convert import FLOAT32_TOLERANCE, Format, Precision, Ranges, convert, require_precision
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
    ranges: Ranges = Ranges.EXTREMES,
) -> Metadata:
    """Convert a model, compare it with its Keras graph, and write the bundle.

    Args:
        name: as `compress.models.find_keras` takes it.
        format: TFLite or ONNX.
        precision: one that the format has.
        output: folder of the bundle.
        calibration: folder of records to find ranges on; None for synthetic ones.
        progress: where progress is shown.
        ranges: where those of int8 activations come from.

    Raises:
        InputError: the model, the data or the folder cannot be used, the conversion failed, or the
            export does not compute what the Keras model does.
    """
    from baseline.checkpoint import save_keras

    require_precision(format, precision, ranges)
    found = find_keras(name)
    origin = load_runner(found.path)
    assert isinstance(origin, KerasRunner)
    source: Source = (
        open_folder(calibration)
        if calibration
        else SyntheticSource(CALIBRATION_WINDOWS, CALIBRATION_SEED)
    )
    windows = random_windows(
        source, CALIBRATION_WINDOWS if precision.calibrated else MINIMUM_WINDOWS, seed=0
    )
    with tempfile.TemporaryDirectory() as folder:
        graph, target = Path(folder) / "model.keras", Path(folder) / f"model.{format.value}"
        save_keras(origin.model, graph)
        task = progress.add_task(f"convert to {format.value} {precision.value}", total=None)
        convert(graph, target, format, precision, windows if precision.calibrated else None, ranges)
        progress.update(task, total=1, completed=1)
        task = progress.add_task("compare with the Keras model", total=None)
        parity = compare_outputs(load_runner(target), origin, windows[:MINIMUM_WINDOWS])
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
