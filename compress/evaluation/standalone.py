"""One model, or two side by side, measured outside a pipeline."""

from __future__ import annotations

import shlex
import sys
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.progress import Progress

from compress.data.records import Source
from compress.data.sources import open_folder
from compress.data.synthetic import SyntheticSource
from compress.evaluation.latency import compare
from compress.evaluation.picker import Thresholds
from compress.evaluation.protocol import Protocol, evaluate, labelled, labelled_windows
from compress.gates import Measured
from compress.models import NamedModel, cost_of, open_model
from compress.results import differences_document, metrics_document, to_document
from compress.store import versions
from export.runtimes import Runner

SYNTHETIC_RECORDS = 800
SYNTHETIC_SEED = 3
"""The records of the default pipeline's evaluation set."""


def evaluate_models(
    model: str,
    against: str | None,
    *,
    data: Path | None,
    split: str | None,
    placements: int,
    seed: int,
    thresholds: dict[str, float],
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
        progress: where progress is shown.

    Returns:
        A JSON document: per model cost, counts, metrics with intervals; between them paired
        differences and the latency ratio.

    Raises:
        InputError: a model or the data cannot be used.
    """
    source: Source = (
        open_folder(data, split) if data else SyntheticSource(SYNTHETIC_RECORDS, SYNTHETIC_SEED)
    )
    document: dict[str, Any] = {
        "format": 1,
        "command": shlex.join(["compress", *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "data": {
            "folder": data.name if data else "synthetic",
            "split": split,
            "records": len(labelled(source)),
            "fingerprint": source.fingerprint(),
        },
        "protocol": {"placements": placements, "seed": seed},
        "versions": versions(),
        "models": [],
    }
    measured: list[tuple[Runner, Measured]] = []
    for name in filter(None, (model, against)):
        found, runner = open_model(name)
        protocol = Protocol(
            placements=placements, seed=seed, thresholds=_thresholds(found, thresholds)
        )
        counts = evaluate(runner, source, protocol, progress, f"evaluate {Path(name).name}")
        result = Measured(counts, cost_of(found, runner).to_dict())
        measured.append((runner, result))
        document["models"].append(
            {
                "name": name,
                "thresholds": protocol.thresholds.model_dump(),
                **to_document(result),
                "metrics": metrics_document(counts),
            }
        )
    if len(measured) == 2:
        (candidate, ours), (reference, theirs) = measured
        window = next(labelled_windows(source, protocol)).waveforms[:1]
        ratio = compare(lambda: candidate(window), lambda: reference(window), seconds=20.0)
        document["models"][0]["latency"] = asdict(ratio)
        document["differences"] = differences_document(ours.counts, theirs.counts)
    return document


def _thresholds(model: NamedModel, chosen: dict[str, float]) -> Thresholds:
    own = model.thresholds or Thresholds()
    return Thresholds(**(own.model_dump() | chosen))
