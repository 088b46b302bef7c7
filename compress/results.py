"""What was measured of one model, in a form that can be stored, shown and gated."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import Any

from compress.evaluation.confidence import Interval, intervals, paired_differences
from compress.evaluation.latency import LatencyRatio
from compress.evaluation.metrics import Counts
from compress.gates import Measured, Verdict


def to_document(measured: Measured, parity: dict[str, float] | None = None) -> dict[str, Any]:
    """A JSON document from which `from_document` restores the measurement."""
    return {
        "cost": measured.cost,
        "latency": asdict(measured.latency) if measured.latency else None,
        "parity": parity,
        "counts": json.loads(measured.counts.to_json()),
        "fault": measured.fault,
    }


def from_document(document: dict[str, Any]) -> Measured:
    """What `to_document` stored."""
    latency, parity = document["latency"], document["parity"]
    return Measured(
        counts=Counts.from_json(json.dumps(document["counts"])),
        cost=document["cost"],
        latency=LatencyRatio(**latency) if latency else None,
        parity=parity["maximum_difference"] if parity else None,
        fault=str(document.get("fault", "")),
    )


def metrics_document(counts: Counts) -> dict[str, Any]:
    """Every metric with its 95 % interval; null where it cannot be measured."""
    return {name: interval_document(interval) for name, interval in intervals(counts).items()}


def differences_document(candidate: Counts, reference: Counts) -> dict[str, Any]:
    """Candidate minus reference for every metric, paired, with 95 % intervals."""
    paired = paired_differences(candidate, reference)
    return {name: interval_document(interval) for name, interval in paired.items()}


def verdict_document(verdict: Verdict) -> dict[str, Any]:
    """One verdict, for JSON."""
    document = asdict(verdict)
    document["measured"] = _finite(verdict.measured)
    document["bound"] = _finite(verdict.bound)
    return document


def interval_document(interval: Interval) -> dict[str, float | None]:
    """An interval, with null where a number could not be measured."""
    return {name: _finite(value) for name, value in asdict(interval).items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
