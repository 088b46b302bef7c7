"""One model, or two side by side, measured outside a pipeline."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.progress import Progress

from baseline.errors import InputError
from compress.accuracy_results import (
    agreement_document,
    curves_document,
    reliability_document,
    residuals_document,
    strata_document,
    tasks_document,
    whole_second_document,
)
from compress.data.records import SAMPLING_RATE_HZ, Source
from compress.data.sources import open_folder
from compress.data.synthetic import SyntheticSource
from compress.evaluation.agreement import agree
from compress.evaluation.answers import watched
from compress.evaluation.latency import compare_files
from compress.evaluation.picker import Thresholds
from compress.evaluation.protocol import Protocol, labelled, labelled_windows
from compress.evaluation.seisbench_tasks import run_tasks
from compress.evaluation.strata import read_properties, strata, whole_second_bias
from compress.evaluation.tuning import refuse_tuning_data
from compress.evaluation.window_scores import score_windows
from compress.gates import Measured
from compress.models import NamedModel, cost_of, open_model
from compress.results import differences_document, metrics_document, to_document
from compress.store import heading

SYNTHETIC_RECORDS = 800
SYNTHETIC_SEED = 3
"""The records of the default pipeline's evaluation set."""

LATENCY_SECONDS = 20.0
"""Longest time for timing two models against each other."""


def evaluate_models(
    model: str,
    against: str | None,
    *,
    data: Path | None,
    split: str | None,
    placements: int,
    seed: int,
    thresholds: dict[str, float],
    tasks: bool,
    progress: Progress,
) -> dict[str, Any]:
    """Measure `model` and, where it is given, `against`, on the same windows.

    Args:
        model: as `compress.models.find` takes it.
        against: another one, or None.
        data: folder of labelled records; None for synthetic ones.
        split: take only this split.
        placements: windows per record.
        seed: of the places.
        thresholds: replace those of the model (its bundle's, or EQTransformer's).
        tasks: also score them in SeisBench's three tasks.
        progress: where progress is shown.

    Returns:
        A JSON document: per model cost, counts, metrics with intervals, curves, reliability,
        strata, residuals and the whole-second bias; between them paired differences and the
        latency ratio.

    Raises:
        InputError: a model or the data cannot be used, or a bundle's thresholds were tuned on them.
    """
    source: Source = (
        open_folder(data, split) if data else SyntheticSource(SYNTHETIC_RECORDS, SYNTHETIC_SEED)
    )
    document: dict[str, Any] = {
        **heading("compress"),
        "data": {
            "folder": data.name if data else "synthetic",
            "split": split,
            "records": len(labelled(source)),
            "fingerprint": source.fingerprint(),
        },
        "protocol": {"placements": placements, "seed": seed},
        "models": [],
    }
    properties = None
    measured: list[tuple[Path, Measured]] = []
    for name in filter(None, (model, against)):
        found, runner = open_model(name, parallel=True)
        if len(thresholds) < len(Thresholds.model_fields):
            refuse_tuning_data(name, source)
        protocol = Protocol(
            placements=placements, seed=seed, thresholds=_thresholds(found, thresholds)
        )
        label = Path(name).name
        answering, answers = watched(runner)
        scores = score_windows(answering, source, protocol, progress, f"evaluate {label}")
        if answers.not_finite:
            raise InputError(f"{name}: {answers.fault()}.", "It is damaged, or was trained so.")
        counts = scores.counts()
        bias = whole_second_bias(runner, source, seed, progress, f"move {label}")
        properties = properties or read_properties(source)
        result = Measured(counts, cost_of(found, runner).to_dict(), fault=answers.fault())
        measured.append((found.path, result))
        document["models"].append(
            {
                "name": name,
                "thresholds": protocol.thresholds.model_dump(),
                **to_document(result),
                "metrics": metrics_document(counts),
                "curves": curves_document(scores.scored),
                "reliability": reliability_document(scores),
                "strata": strata_document(strata(scores, properties)),
                "residuals": residuals_document(scores),
                "whole_second_bias": whole_second_document(bias),
            }
        )
        if tasks:
            results = run_tasks(runner, source, seed, progress, f"tasks {label}")
            document["models"][-1]["seisbench_tasks"] = tasks_document(results)
    if len(measured) == 2:
        (candidate, ours), (reference, theirs) = measured
        window = next(labelled_windows(source, protocol)).waveforms[:1]
        ratio = compare_files(candidate, reference, window, seconds=LATENCY_SECONDS)
        document["models"][0]["latency"] = asdict(ratio)
        document["differences"] = differences_document(ours.counts, theirs.counts)
    return document


def compare_models(
    candidate: str, reference: str, *, data: Path, split: str | None, seed: int, progress: Progress
) -> dict[str, Any]:
    """How far two models agree on records, labelled or not.

    Args:
        candidate: as `compress.models.find` takes it.
        reference: likewise; its picks stand for the truth.
        data: folder of records.
        split: take only this split.
        seed: of the windows' places.
        progress: where progress is shown.

    Returns:
        A JSON document: agreement with intervals, and counts by record.

    Raises:
        InputError: a model or the data cannot be used.
    """
    source = open_folder(data, split)
    ours, our_runner = open_model(candidate, parallel=True)
    theirs, their_runner = open_model(reference, parallel=True)
    our_thresholds, their_thresholds = _thresholds(ours, {}), _thresholds(theirs, {})
    agreement = agree(
        our_runner, their_runner, source, our_thresholds, their_thresholds, seed, progress
    )
    return {
        **heading("compress"),
        "data": {
            "folder": data.name,
            "split": split,
            "records": len(source),
            "hours": float(agreement.samples.sum() / SAMPLING_RATE_HZ / 3600.0),
            "fingerprint": source.fingerprint(),
        },
        "protocol": {"seed": seed},
        "candidate": {"name": candidate, "thresholds": our_thresholds.model_dump()},
        "reference": {"name": reference, "thresholds": their_thresholds.model_dump()},
        "agreement": agreement_document(agreement),
        "counts": json.loads(agreement.counts.to_json()),
    }


def _thresholds(model: NamedModel, chosen: dict[str, float]) -> Thresholds:
    own = model.thresholds or Thresholds()
    return Thresholds(**(own.model_dump() | chosen))
