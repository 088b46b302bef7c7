"""`compress sensitivity`: what accuracy it costs to prune each dimension of a model alone."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from baseline.errors import InputError
from baseline.keras import keras
from compress.data.feeds import TargetFeed
from compress.data.records import Source
from compress.data.sources import open_folder
from compress.data.targets import write_targets
from compress.evaluation.confidence import paired_differences
from compress.evaluation.metrics import Counts, count
from compress.evaluation.protocol import Protocol, Windows, labelled, labelled_windows
from compress.graphs.channels import Channels, kept_groups, trace
from compress.models import find_keras
from compress.pruning.budget import Budget
from compress.pruning.importance import Scores, taylor
from compress.pruning.sensitivity import divergence, each_alone
from compress.results import interval_document, metrics_document
from compress.store import heading
from compress.training.teaching import own_answers
from compress.training.twin import twin_of
from export.runtimes import KerasRunner, load_runner

COST_METRICS = (
    "p_highest_peak_recall_0.5s",
    "s_highest_peak_recall_0.5s",
    "p_f1_0.5s",
    "s_f1_0.5s",
    "detection_f1",
)
"""What a dimension costs is the mean of how far these fall."""

TAYLOR_BATCH = 8
TAYLOR_STEPS = 32
SHIFTS = 2

Answers = list[NDArray[np.float32]]


def parse_rates(text: str) -> list[float]:
    """Rates as they are given on the command line, `0.25,0.5,0.75`, in rising order.

    Raises:
        InputError: not numbers between 0 and 1.
    """
    try:
        rates = sorted({float(part) for part in text.split(",")})
    except ValueError:
        rates = [np.nan]
    if not all(0.0 < rate < 1.0 for rate in rates):
        raise InputError(
            f"--rates {text}: not shares between 0 and 1.", "Give some, such as 0.25,0.5,0.75."
        )
    return rates


def measure_sensitivity(
    name: str,
    data: Path,
    split: str | None,
    rates: Sequence[float],
    *,
    placements: int,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    """Prune each dimension of a model alone and measure what accuracy that costs.

    Channels are ranked by their Taylor score against the model's own answers, averaged over shifts
    of the window, so that records need no labels for it; accuracy is measured against the labels.

    Args:
        name: as `compress.models.find_keras` takes it.
        data: folder of labelled records.
        split: take only this split.
        rates: shares of a dimension to remove, between 0 and 1.
        placements: windows per record.
        seed: of the places.
        progress: where progress is shown.

    Returns:
        A JSON document: dimensions in the order of what they cost, most first, and those that
        cannot be pruned with the reason.

    Raises:
        InputError: the model or the data cannot be used.
    """
    source = open_folder(data, split)
    protocol = Protocol(placements=placements, seed=seed)
    records = source.names()
    names = [records[index] for index in labelled(source)]
    loaded = load_runner(find_keras(name).path)
    assert isinstance(loaded, KerasRunner)
    model = loaded.model
    channels = trace(model)
    scores = _own_taylor(model, channels, source, seed, progress)
    windows = list(labelled_windows(source, protocol))
    twin = twin_of(model)
    runner = KerasRunner(twin)
    own = [runner(batch.waveforms) for batch in windows]
    whole = _counts(own, windows, names, protocol)
    budget = Budget(model, channels, "multiply_adds")
    everything = np.ones(channels.number, dtype=bool)
    total = budget.total(everything)
    dimensions: dict[str, dict[str, Any]] = {
        d.name: {"name": d.name, "layers": list(d.layers), "channels": len(d.groups), "rates": []}
        for d in channels.dimensions
        if not d.fixed
    }
    task = progress.add_task("sensitivity", total=len(dimensions) * len(rates))
    for pruned in each_alone(twin, model, channels, scores, rates):
        moved = [runner(batch.waveforms) for batch in windows]
        counts = _counts(moved, windows, names, protocol)
        kept = kept_groups(channels, pruned.removed)
        differences = paired_differences(counts, whole)
        drops = {metric: -differences[metric].point for metric in COST_METRICS}
        dimensions[pruned.dimension.name]["rates"].append(
            {
                "rate": pruned.rate,
                "removed": len(pruned.removed),
                "multiply_adds_saved": round(total - budget.total(kept)),
                "loss_rise": _mean_divergence(own, moved),
                "cost": _mean(list(drops.values())),
                "differences": {
                    metric: interval_document(differences[metric]) for metric in COST_METRICS
                },
            }
        )
        progress.update(task, advance=1)
    progress.update(task, completed=len(dimensions) * len(rates))
    for dimension in dimensions.values():
        dimension["cost"] = _mean([rate["cost"] for rate in dimension["rates"]])
    metrics = metrics_document(whole)
    return {
        **heading("compress"),
        "data": {
            "folder": data.name,
            "split": split,
            "records": len(names),
            "fingerprint": source.fingerprint(),
        },
        "protocol": {"placements": placements, "seed": seed},
        "model": {
            "name": name,
            "multiply_adds": round(total),
            "metrics": {metric: metrics[metric] for metric in COST_METRICS},
        },
        "rates": list(rates),
        "dimensions": sorted(dimensions.values(), key=lambda d: -(d["cost"] or 0.0)),
        "fixed": [
            {"name": d.name, "channels": len(d.groups), "reason": d.fixed}
            for d in channels.dimensions
            if d.fixed
        ],
    }


def _own_taylor(
    model: keras.Model, channels: Channels, source: Source, seed: int, progress: Progress
) -> Scores:
    """Taylor scores against the model's own consensus over shifts of its window."""
    with tempfile.TemporaryDirectory() as folder:
        targets = Path(folder) / "targets.h5"
        write_targets(
            targets,
            own_answers(model, SHIFTS),
            source,
            number=TAYLOR_BATCH * TAYLOR_STEPS,
            seed=seed,
            progress=progress,
        )
        feed = TargetFeed(targets, TAYLOR_BATCH, seed)
        return taylor(model, channels, feed.batches(0, TAYLOR_STEPS))


def _counts(
    answers: Answers, windows: Sequence[Windows], names: Sequence[str], protocol: Protocol
) -> Counts:
    return Counts.by_record(
        names,
        (
            (batch.truths, count(answer, batch.truths, protocol.thresholds))
            for answer, batch in zip(answers, windows, strict=True)
        ),
    )


def _mean_divergence(own: Answers, moved: Answers) -> float:
    sizes = [len(answers) for answers in own]
    return float(
        np.average([divergence(*pair) for pair in zip(own, moved, strict=True)], weights=sizes)
    )


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean of what could be measured; None where nothing could (no noise, no S labels)."""
    known = [value for value in values if value is not None and not np.isnan(value)]
    return float(np.mean(known)) if known else None
