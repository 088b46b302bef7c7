"""Models as a user names them: a published name, a file, a bundle or a stage's folder."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from baseline.errors import InputError
from baseline.published import PUBLISHED, fetch
from compress.evaluation.cost import (
    Cost,
    file_bytes,
    keras_multiply_adds,
    onnx_multiply_adds,
    tflite_multiply_adds,
)
from compress.evaluation.picker import Thresholds
from compress.store import KERAS_FILE, MANIFEST_FILE, TFLITE_FILE
from export.bundle import METADATA_FILE, read_bundle
from export.runtimes import KerasRunner, Runner, load_parallel_runner, load_runner
from export.trial import require_runnable

KERAS_ENDINGS = (".keras", ".h5", ".hdf5")


@dataclass(frozen=True)
class NamedModel:
    """A model that was found under a name.

    Attributes:
        name: as the user gave it.
        path: its file.
        thresholds: those it was exported with, where it is a bundle.
    """

    name: str
    path: Path
    thresholds: Thresholds | None = None


def find(name: str) -> NamedModel:
    """Find a model by published name, file, bundle folder or stage folder.

    A stage's folder stands for what that stage deploys, its TFLite file. Where the file came from
    is not known, so it is tried first in a process of its own (`export.trial`).

    Raises:
        InputError: there is none, a bundle is damaged, or the model cannot be opened and run.
    """
    if name in PUBLISHED:
        return NamedModel(name, fetch(name))
    found = _find_file(name)
    require_runnable(found.path)
    return found


def _find_file(name: str) -> NamedModel:
    path = Path(name)
    if path.is_file():
        return NamedModel(name, path)
    if (path / METADATA_FILE).is_file():
        metadata, model = read_bundle(path)
        return NamedModel(name, model, Thresholds(**metadata.thresholds))
    if (path / MANIFEST_FILE).is_file() and (path / TFLITE_FILE).is_file():
        return NamedModel(name, path / TFLITE_FILE)
    what = "is a folder without a model" if path.is_dir() else "is no file or folder"
    raise InputError(
        f"{name}: {what}, and no published model has that name.",
        f"Give {' or '.join(PUBLISHED)}, a .h5, .keras, .tflite or .onnx file, a bundle, or the "
        "folder of a stage.",
    )


def find_keras(name: str) -> NamedModel:
    """Find a model that can be exported: one with a Keras graph.

    Raises:
        InputError: there is none, or it is an exported model already.
    """
    stage = Path(name) / KERAS_FILE
    found = find(str(stage) if stage.is_file() else name)
    if found.path.suffix not in KERAS_ENDINGS:
        raise InputError(
            f"{name}: is an exported model ({found.path.suffix}), which cannot be exported again.",
            "Give the folder of the stage it came from, a .keras or an .h5 file.",
        )
    return found


def cost_of(model: NamedModel, runner: Runner) -> Cost:
    """Parameters, multiply-adds and bytes of a model.

    Exported files keep no account of which constants were learned, so their parameters are NaN.
    """
    parameters = math.nan
    if isinstance(runner, KerasRunner):
        parameters = runner.model.count_params()
        multiply_adds = keras_multiply_adds(runner.model)
    elif model.path.suffix == ".tflite":
        multiply_adds = tflite_multiply_adds(model.path)
    else:
        multiply_adds = onnx_multiply_adds(model.path)
    return Cost(parameters, multiply_adds, *file_bytes(model.path))


def open_model(name: str, *, parallel: bool = False) -> tuple[NamedModel, Runner]:
    """Find a model and make a runner of it; see `find` and `load_runner`.

    Args:
        name: as `find` takes it.
        parallel: for many windows at once; see `load_parallel_runner`.
    """
    model = find(name)
    return model, (load_parallel_runner if parallel else load_runner)(model.path)
