"""What int8 costs each layer of a model that a user names."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rich.progress import Progress

from compress.data.calibration import calibration_windows
from compress.exporting import CALIBRATION_WINDOWS, calibration_source
from compress.models import find_keras
from compress.report.quantization import write_quantization
from compress.store import file_hash, versions
from export.convert import Int8, Ranges
from export.runtimes import KerasRunner, load_runner
from export.study import study


def study_model(
    name: str, data: Path | None, ranges: Ranges, picture: Path | None, progress: Progress
) -> dict[str, Any]:
    """Quantize each layer of a model alone, and all but each.

    Args:
        name: as `compress.models.find_keras` takes it.
        data: folder of records to calibrate and compare on; None for synthetic ones.
        ranges: extremes or searched.
        picture: where the histograms and traces are drawn, as PNG; None for nowhere.
        progress: where progress is shown.

    Raises:
        InputError: the model or the data cannot be used, or the conversion failed.
    """
    from baseline.checkpoint import save_keras

    found = find_keras(name)
    origin = load_runner(found.path)
    assert isinstance(origin, KerasRunner)
    windows = calibration_windows(calibration_source(data), CALIBRATION_WINDOWS, seed=0)
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.keras"
        save_keras(origin.model, graph)
        task = progress.add_task("quantize each layer", total=None)
        result = study(graph, windows, Int8(ranges=ranges), Path(folder), most=0)
        progress.update(task, total=1, completed=1)
        document = {
            "model": name,
            "sha256": file_hash(found.path),
            "versions": versions(),
            "windows": len(windows),
            "error": result.error,
            "layers": result.layers,
            "ranges": result.search,
        }
        if picture:
            int8 = load_runner(result.candidates[0].file)
            write_quantization(document, picture, (origin(windows), int8(windows)))
    return document
