"""Stages of finished runs, named as `compress gate` names them: `RUN`, or `RUN#LABEL`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from baseline.errors import InputError
from compress.config import Pipeline
from compress.gates import all_pass
from compress.measurements import RESULTS_FILE, chosen, read_document, split_label
from compress.stages.base import Stage
from compress.store import KERAS_FILE, STAGES_FOLDER


@dataclass(frozen=True)
class RunStage:
    """A finished stage of a finished run.

    Attributes:
        run: the run's folder.
        label: of the stage, such as `2-distill`.
        folder: the stage's.
        pipeline: what was run.
        stages: those that made the stage's model of the baseline, in order.
        results: what `results.json` holds.
        metrics: what was measured of the stage's TFLite file.
    """

    run: Path
    label: str
    folder: Path
    pipeline: Pipeline
    stages: tuple[Stage, ...]
    results: dict[str, Any]
    metrics: dict[str, Any]

    @property
    def title(self) -> str:
        """What its bundles are called."""
        return f"{self.pipeline.name}-{self.label}"


def find_stage(name: str) -> RunStage | None:
    """The stage of a run that a name means; None where it names no run.

    Args:
        name: the run's folder or its `results.json`: the last stage that passed its gates; with
            `#label`, the stage with that label, whether it passed or not.

    Raises:
        InputError: the run is not finished, or there is no such stage, or its graph is missing.
    """
    path, label = split_label(name)
    run = path.parent if path.name == RESULTS_FILE else path
    results = run / RESULTS_FILE
    if not results.is_file():
        if (run / STAGES_FOLDER).is_dir():
            raise InputError(
                f"{run}: this run was not finished: it has no {RESULTS_FILE}.",
                "Run it to its end, or give the folder of one of its stages.",
            )
        if label is not None:
            raise InputError(f"{path}: is no run's folder, so there is no {label} in it.")
        return None
    document = read_document(results)
    try:
        pipeline = Pipeline.model_validate({**document["pipeline"], "output": run})
        rows = document["models"]
        made = [row for row in rows if "folder" in row]  # exports have none
        if not made:
            raise KeyError("folder")
        if label is None:
            row = _last_passed(made, pipeline.inconclusive, results)
        else:
            row = chosen(rows, "label", label, results)
        return _stage(run, pipeline, document, made, row)
    except (KeyError, TypeError, AttributeError, ValidationError) as error:
        raise InputError(
            f"{results}: is no run's, damaged, or was written by another version "
            f"({type(error).__name__}).",
            f"Give the folder of a stage, under {run / STAGES_FOLDER}.",
        ) from None


def _stage(
    run: Path,
    pipeline: Pipeline,
    document: dict[str, Any],
    made: list[dict[str, Any]],
    row: dict[str, Any],
) -> RunStage:
    label = row["label"]
    if row not in made:
        known = ", ".join(one["label"] for one in made)
        raise InputError(
            f"{run}: {label} is no stage, and has no Keras graph to export.",
            f"Its stages are {known}.",
        )
    folder = run / STAGES_FOLDER / row["folder"]
    if not (folder / KERAS_FILE).is_file():
        raise InputError(
            f"{folder}: the Keras graph of {label} ({KERAS_FILE}) is missing.",
            "Run the pipeline again: what is missing is made anew.",
        )
    # The first is the baseline, and each of the others came of the stage declared in its place.
    before = list(zip(made[1:], pipeline.stages, strict=False))[: made.index(row)]
    stages = tuple(stage for one, stage in before if one is row or not one["skipped"])
    return RunStage(run, label, folder, pipeline, stages, document, row["metrics"])


def _last_passed(
    made: list[dict[str, Any]], inconclusive: Literal["fail", "warn"], path: Path
) -> dict[str, Any]:
    """The last stage that passed; the baseline only where no other failed."""
    kept = [row for row in made if not row["skipped"]]
    passed = [
        row
        for row in kept
        if all_pass((verdict["outcome"] for verdict in row["verdicts"]), inconclusive)
    ]
    if len(passed) == 1 and len(kept) > 1:
        raise InputError(
            f"{path}: no stage of this run passed its gates.",
            f"Choose one all the same by its label, such as {path.parent}#{kept[-1]['label']}.",
        )
    return passed[-1]
