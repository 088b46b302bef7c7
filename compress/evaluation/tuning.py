"""Choosing a model's thresholds on a development set, and keeping them in its bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.progress import Progress

from baseline.errors import InputError
from compress.data.mixture import Mixture
from compress.data.records import Category, Source
from compress.data.sources import check_disjoint, open_folder
from compress.evaluation.curves import f1_at, precision_recall, tune_thresholds
from compress.evaluation.picker import Thresholds
from compress.evaluation.protocol import Protocol
from compress.evaluation.window_scores import score_windows
from compress.models import open_model
from export.bundle import METADATA_FILE, read_bundle, read_reference, write_bundle

EVALUATION_SPLIT = "test"


def tune(
    model: str,
    data: Sequence[Path],
    split: str | None,
    *,
    placements: int,
    seed: int,
    write: bool,
    progress: Progress,
    fixed: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """Choose the thresholds with the best F1 on development data.

    Args:
        model: as `compress.models.find` takes it.
        data: folders of labelled records, noise among them.
        split: take only this split.
        placements: windows per record.
        seed: of the places.
        write: keep the thresholds in the bundle's metadata.json. Metrics and counts that were
            measured with the old ones leave the bundle.
        progress: where progress is shown.
        fixed: thresholds by output that are taken as they are instead of the best ones.

    Returns:
        A JSON document: own and tuned thresholds, the F1 of the sweep at both, and the data.

    Raises:
        InputError: the model or the data cannot be used, the split is the one for evaluation, or
            there is no bundle to write to.
    """
    if split == EVALUATION_SPLIT:
        raise InputError(
            f"Thresholds are not tuned on the split {EVALUATION_SPLIT!r}: what is measured there "
            "afterwards would be the best that luck allows, not what the model does elsewhere.",
            "Give the split of the development data, such as --split dev.",
        )
    if write and not (Path(model) / METADATA_FILE).is_file():
        raise InputError(
            f"{model}: is no bundle, so there is nowhere to write thresholds to.",
            "Export the model first, or leave --write away.",
        )
    parts = [open_folder(folder, split) for folder in data]
    check_disjoint({f"--data number {i + 1}": part for i, part in enumerate(parts)})
    source = Mixture(parts)
    found, runner = open_model(model, parallel=True)
    own = found.thresholds or Thresholds()
    protocol = Protocol(placements=placements, seed=seed, thresholds=own)
    scores = score_windows(runner, source, protocol, progress, "tune")
    tuned = tune_thresholds(scores.scored, own).model_copy(update=dict(fixed or {}))
    categories = source.categories()
    document: dict[str, Any] = {
        "own": own.model_dump(),
        "tuned": tuned.model_dump(),
        "data": {
            "folders": [folder.name for folder in data],
            "split": split,
            "fingerprints": [part.fingerprint() for part in parts],
            "earthquakes": categories.count(Category.EARTHQUAKE),
            "noise": categories.count(Category.NOISE),
            **({"chosen_by_hand": sorted(fixed)} if fixed else {}),
        },
        "f1": {
            output: {
                "own": f1_at(curve, getattr(own, output)),
                "tuned": f1_at(curve, getattr(tuned, output)),
            }
            for output, candidates in scores.scored.items()
            if len((curve := precision_recall(candidates)).threshold)
        },
    }
    if write:
        _write(Path(model), tuned, document["data"])
    return document


def _write(folder: Path, tuned: Thresholds, data: dict[str, Any]) -> None:
    metadata, model = read_bundle(folder)
    fields = metadata.given()
    fields["thresholds"] = tuned.model_dump()
    fields["metrics"] = {}
    fields["provenance"] = {**metadata.provenance, "thresholds_tuned_on": data}
    write_bundle(folder, model, fields, metadata.name, reference=read_reference(folder))


def refuse_tuning_data(model: str, source: Source) -> None:
    """Raise InputError where a bundle's thresholds were tuned on the very records of `source`.

    A set of other records that holds some of them too is not noticed.
    """
    if not (Path(model) / METADATA_FILE).is_file():
        return
    data = read_bundle(Path(model))[0].provenance.get("thresholds_tuned_on")
    if data and source.fingerprint() in data["fingerprints"]:
        raise InputError(
            f"{model}: its thresholds were tuned on these records.",
            "Evaluate on others, or give --detection, --p and --s.",
        )
