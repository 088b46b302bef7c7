"""Export by hand: of any model, or of what a run made, to one format or to several."""

from __future__ import annotations

import tempfile
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from baseline.errors import InputError
from baseline.extras import require_train
from baseline.published import CITATION, LICENCE
from compress.data.calibration import calibration_windows
from compress.data.feeds import random_windows
from compress.data.records import Source
from compress.data.reference import reference_windows
from compress.data.sources import open_folder, open_set
from compress.data.synthetic import SyntheticSource
from compress.evaluation.inspection import inspect
from compress.evaluation.parity import MINIMUM_WINDOWS, compare_outputs
from compress.evaluation.picker import Thresholds
from compress.measurements import RESULTS_FILE, read_stored
from compress.models import find, find_keras
from compress.runs import RunStage, find_stage
from compress.stage_export import (
    CALIBRATION_WINDOWS,
    bundle_metadata,
    calibration_draw,
    export_stage,
)
from compress.store import KERAS_FILE, MANIFEST_FILE, TFLITE_FILE, file_hash, versions
from export.bundle import METADATA_FILE, Metadata, read_bundle, require_replaceable, write_bundle
from export.convert import FLOAT32_TOLERANCE, Format, Int8, Precision, require_way
from export.ends import read_ends
from export.reference import record
from export.runtimes import KerasRunner, load_runner
from export.writers.flatbuffer import edit
from export.writers.passes.integer_ends import drop_float_ends

CALIBRATION_SEED = 2

BY_HAND = "exports-by-hand"
"""Folder in a run's, beside the `exports` that the run itself made, measured and gated."""

INTEGER_ENDS = {
    "input": "waveform, int8 (1, 6000, 3): values over the scale plus the zero point in the file",
    "output": "prediction, int8 (1, 6000, 3): less the zero point, times the scale in the file, "
    "probabilities in `output_order`",
}
"""What a bundle says of its input and output where these are integers, too."""


class Product(StrEnum):
    """What a model is exported as."""

    TFLITE = "tflite"
    ONNX = "onnx"
    C = "c"
    """TFLite in int8, as C source, too: for microcontrollers."""

    @property
    def file_format(self) -> Format:
        """Of the model's file."""
        return Format.TFLITE if self is Product.C else Format(self.value)


def export_models(
    name: str,
    products: tuple[Product, ...],
    precision: Precision | None,
    output: Path | None,
    calibration: Path | None,
    progress: Progress,
    int8: Int8 | None = None,
) -> dict[Path, Metadata]:
    """Export a model as each of several products, a bundle each; see `export_model`.

    Nothing is begun where one of the products cannot be had.

    Args:
        name: as `export_model` takes it.
        products: what to write.
        precision: of all; None for int8 where the model is a stage of a run that quantizes, and
            for C source, else float32.
        output: folder of the bundle, if it is one; of several, the folder that theirs are made in.
            None for `exports-by-hand` in the run's folder, if the model is a stage of a run.
        calibration: folder of records to find ranges on; None for those of the run, or synthetic
            ones.
        progress: where progress is shown.
        int8: how, of those that are int8.

    Returns:
        What was written, by folder.

    Raises:
        InputError: as `export_model`, or there is no folder to write to.
    """
    stage = find_stage(name)
    usual = Precision.FLOAT32
    if stage and _own_precision(stage.folder) is Precision.INT8:
        usual = Precision.INT8
    wanted = {
        product: precision or (Precision.INT8 if product is Product.C else usual)
        for product in products
    }
    for product, chosen in wanted.items():
        if product is Product.C and chosen is not Precision.INT8:
            raise InputError(f"C source is written in int8 only, not in {chosen.value}.")
        require_way(product.file_format, chosen, int8 or Int8())
        if product is not Product.C and stage is None:
            find_keras(name)
    parent = stage.run / BY_HAND if output is None and stage else output
    if parent is None:
        raise InputError(
            f"{name}: where should the export go?",
            "Give --output FOLDER. Only what a run made has a place for exports.",
        )
    if output is not None and len(wanted) == 1:
        folders = dict.fromkeys(wanted, output)
    else:
        title = _title(name, stage)
        folders = {p: parent / f"{title}-{p.value}-{chosen.value}" for p, chosen in wanted.items()}
    for folder in folders.values():
        require_replaceable(folder)
    return {
        folders[product]: export_model(
            name, product, chosen, folders[product], calibration, progress, int8
        )
        for product, chosen in wanted.items()
    }


def export_model(
    name: str,
    product: Product,
    precision: Precision,
    output: Path,
    calibration: Path | None,
    progress: Progress,
    int8: Int8 | None = None,
) -> Metadata:
    """Export a model, compare it with its Keras graph, and write the bundle.

    Of a stage, TFLite in the stage's own precision is the file that the gates saw. C source has
    int8 input and output wherever the model computes in int8 there.

    Args:
        name: as `compress.models.find_keras` or `compress.runs.find_stage` takes it; for C source
            also an int8 TFLite file or bundle, which is taken as it is.
        product: what to write.
        precision: one that the product has.
        output: folder of the bundle.
        calibration: folder of records to find ranges on; None for those of the run, or synthetic
            ones.
        progress: where progress is shown.
        int8: how, if it is that precision. Of a stage that left layers in float32, these stay
            so unless others are given.

    Raises:
        InputError: the model, the data or the folder cannot be used, the conversion failed, or the
            export does not compute what the Keras model does.
    """
    int8 = int8 or Int8()
    require_way(product.file_format, precision, int8)
    stage = find_stage(name)
    if product is Product.C and stage is None and (given := _given_tflite(name)):
        return _wrap(name, given, output, calibration, int8)
    require_train()
    found = find_keras(str(stage.folder) if stage else name)
    origin = load_runner(found.path)
    assert isinstance(origin, KerasRunner)

    def windows() -> NDArray[np.float32]:
        number, seed = calibration_draw(stage.pipeline) if stage else (CALIBRATION_WINDOWS, 0)
        records = calibration_source(calibration) if calibration or not stage else _records(stage)
        return calibration_windows(records, number, seed)

    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / f"model.{product.file_format.value}"
        folder = found.path.parent if found.path.name == KERAS_FILE else Path(scratch)
        if folder == Path(scratch):
            from baseline.checkpoint import save_keras

            save_keras(origin.model, folder / KERAS_FILE)
        task = progress.add_task(f"export {product.value} {precision.value}", total=None)
        way = replace(int8, integer_ends=True) if product is Product.C else int8
        own = export_stage(
            folder, _own_precision(folder), target, product.file_format, precision, windows, way
        )
        progress.update(task, total=1, completed=1)
        ends = _ends(target)
        if int8.integer_ends and len(ends) < len(INTEGER_ENDS):
            raise _float_ends(name)
        task = progress.add_task("compare with the Keras model", total=None)
        exported = load_runner(target)
        compared = random_windows(calibration_source(calibration), MINIMUM_WINDOWS, seed=0)
        parity = compare_outputs(exported, origin, compared)
        progress.update(task, total=1, completed=1)
        # Probabilities cannot differ by more than 1: for int8 this refuses what is not a number.
        parity.require(FLOAT32_TOLERANCE if precision is Precision.FLOAT32 else 1.0, name)
        fields = _metadata(found.path, stage) | {
            "format": product.file_format,
            "precision": precision,
            "c_source": product is Product.C,
            "parity": parity.to_dict(),
            **ends,
        }
        counts = None
        if own and stage:
            fields["metrics"] = stage.metrics
            if not way.integer_ends:  # else it is another file, though it answers the same
                counts = read_stored(f"{stage.run / RESULTS_FILE}#{stage.label}").to_json()
        reference = record(exported, reference_windows())
        return write_bundle(output, target, fields, _title(name, stage), counts, reference)


def calibration_source(folder: Path | None) -> Source:
    """The records of a folder; synthetic ones where none is given."""
    if folder:
        return open_folder(folder)
    return SyntheticSource(CALIBRATION_WINDOWS, CALIBRATION_SEED)


def _records(stage: RunStage) -> Source:
    """The calibration set of a run."""
    try:
        return open_set(stage.pipeline.data.calibration)
    except InputError as error:
        raise InputError(
            f"The calibration set of {stage.run} cannot be used: {error.message}",
            "Give other records by --calibration FOLDER.",
        ) from None


def _metadata(file: Path, stage: RunStage | None) -> dict[str, Any]:
    """What a bundle says of a model, whatever its format."""
    if stage:
        return bundle_metadata(
            stage.pipeline,
            stage.stages,
            stage.results["baseline"]["sha256"],
            stage.results["data"],
        )
    return {
        "thresholds": Thresholds().model_dump(),
        "provenance": {"model": file.name, "sha256": file_hash(file), "versions": versions()},
        "licence": LICENCE,
        "citation": CITATION,
    }


def _title(name: str, stage: RunStage | None) -> str:
    """What a model's bundles are called."""
    if stage:
        return stage.title
    path = Path(name)
    return path.parent.name if path.name == KERAS_FILE else path.stem


def _own_precision(folder: Path) -> Precision | None:
    """What the TFLite file of a finished stage computes in; None for another folder."""
    if not ((folder / MANIFEST_FILE).is_file() and (folder / TFLITE_FILE).is_file()):
        return None
    return Precision.INT8 if _is_int8(folder / TFLITE_FILE) else Precision.FLOAT32


def _is_int8(tflite: Path) -> bool:
    return bool(inspect(tflite).computing_in("int8"))


def _ends(file: Path) -> dict[str, str]:
    """What a bundle says of input and output, where they are integers."""
    if file.suffix != ".tflite":
        return {}
    ends = zip(INTEGER_ENDS.items(), read_ends(file.read_bytes()), strict=True)
    return {key: text for (key, text), end in ends if end.integer}


def _float_ends(name: str) -> InputError:
    return InputError(
        f"{name}: its input and output cannot both be int8: a layer at an end computes in float32.",
        "Leave --integer-ends out.",
    )


# --- C source of a file that is there already ----------------------------------------------------


def _given_tflite(name: str) -> Path | None:
    """The TFLite file that a name means, where it means no model that can be converted."""
    if (Path(name) / KERAS_FILE).is_file():
        return None
    path = find(name).path
    return path if path.suffix == ".tflite" else None


def _wrap(name: str, file: Path, output: Path, calibration: Path | None, int8: Int8) -> Metadata:
    """Write the bundle of an int8 TFLite file that was converted before."""
    if calibration or replace(int8, integer_ends=False) != Int8():
        raise InputError(
            f"{name}: is converted already, so that there is nothing to calibrate, to search or "
            "to leave in float32.",
            "Give the Keras model it came from, or only --integer-ends.",
        )
    if not _is_int8(file):
        raise InputError(
            f"{name}: does not compute in int8, which C source is made of.",
            "Export the Keras model it came from.",
        )
    given = read_bundle(Path(name))[0] if (Path(name) / METADATA_FILE).is_file() else None
    fields = given.given() if given else _metadata(file, None) | {"parity": None}
    fields |= {"format": Format.TFLITE, "precision": Precision.INT8, "c_source": True}
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / TFLITE_FILE
        content = file.read_bytes()
        target.write_bytes(edit(content, drop_float_ends) if int8.integer_ends else content)
        ends = _ends(target)
        if int8.integer_ends and len(ends) < len(INTEGER_ENDS):
            raise _float_ends(name)
        fields |= ends
        reference = record(load_runner(target), reference_windows())
        title = given.name if given else _title(name, None)
        return write_bundle(output, target, fields, title, reference=reference)
