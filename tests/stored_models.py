"""Measurements as runs, evaluations and bundles store them, made up."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from compress.evaluation.disagreement import ERRORS, WindowFacts
from compress.evaluation.latency import LatencyRatio
from compress.evaluation.metrics import COLUMNS, Counts
from compress.gates import Measured
from compress.measurements import StoredModel
from compress.results import metrics_document, to_document
from export.bundle import write_bundle
from export.convert import Format, Precision

FINGERPRINT = "f" * 64
PROTOCOL = {"placements": 2, "seed": 0}
THRESHOLDS = {"detection": 0.3, "p": 0.1, "s": 0.1}
COST = {"parameters": 60_000, "multiply_adds": 9_000_000, "bytes": 100_000, "gzip_bytes": 90_000}
LATENCY = LatencyRatio(0.5, 0.49, 0.51, 1.0, 2.0, 1.0, 0.999, 1.001, 100)


def counts(records: int = 100, misses: int = 0, prefix: str = "r") -> Counts:
    """Two windows per record, all onsets found but those of the first `misses` records."""
    values = np.zeros((records, len(COLUMNS)))
    for what in ("p", "s"):
        for tolerance in ("0.5s", "0.1s"):
            values[:, COLUMNS.index(f"{what}_tp_{tolerance}")] = 2
            values[:misses, COLUMNS.index(f"{what}_tp_{tolerance}")] = 0
            values[:misses, COLUMNS.index(f"{what}_fn_{tolerance}")] = 2
        values[:, COLUMNS.index(f"{what}_residual_count")] = 2
        residuals = np.random.default_rng(0).normal(0, 0.1, records)
        values[:, COLUMNS.index(f"{what}_residual_sum")] = residuals
        values[:, COLUMNS.index(f"{what}_residual_sum_squares")] = residuals**2
        values[:, COLUMNS.index(f"{what}_residual_sum_absolute")] = abs(residuals)
    values[:, COLUMNS.index("detection_tp")] = 2
    return Counts(tuple(f"{prefix}{i}" for i in range(records)), values)


def facts(windows: int = 4, **changes: Any) -> WindowFacts:
    """What a model did in windows of two records that it picks as labelled."""
    values = {
        "record_names": ("r0", "r1"),
        "records": np.arange(windows) % 2,
        "places": np.arange(windows) // 2,
        "labelled": np.ones((windows, 2), bool),
        "errors": np.zeros((windows, len(ERRORS)), int),
        "residuals_s": np.zeros((windows, 2)),
        "probabilities": np.full((windows, 2), 0.9),
    }
    return WindowFacts(**(values | changes))


def stored(misses: int = 0, records: int = 100, **changes: Any) -> StoredModel:
    """A measured model."""
    cost = COST | changes.pop("cost", {})
    values = {
        "name": "small",
        "measured": Measured(counts(records, misses, changes.pop("prefix", "r")), cost),
        "fingerprint": FINGERPRINT,
        "protocol": PROTOCOL,
        "thresholds": THRESHOLDS,
        "versions": {"eqt-compress": "0.1.0"},
        "provenance": {},
    }
    return StoredModel(**(values | changes))


def reference_file(path: Path, **settings: Any) -> Path:
    """An accepted reference."""
    path.write_text(stored(**settings).to_json())
    return path


def run_folder(path: Path, misses: dict[str, int], skipped: tuple[str, ...] = ()) -> Path:
    """The folder of a run with these models and their misses."""
    rows = [
        {
            "label": label,
            **to_document(
                Measured(counts(misses=lost), COST, LATENCY if index else None),
                {"maximum_difference": 0.01},
            ),
            "metrics": metrics_document(counts(misses=lost)),
            "verdicts": [],
            "skipped": label in skipped,
        }
        for index, (label, lost) in enumerate(misses.items())
    ]
    document = {
        "format": 1,
        "name": "tiny",
        "finished": "2026-01-01T00:00:00+00:00",
        "baseline": {"name": "eqt-conservative", "sha256": "0"},
        "data": {"train": "1", "calibration": "2", "evaluation": FINGERPRINT},
        "versions": {"eqt-compress": "0.1.0"},
        "pipeline": {
            "evaluation": PROTOCOL
            | {"thresholds": THRESHOLDS, "latency_pairs": 30, "latency_seconds": 20.0}
        },
        "models": rows,
    }
    path.mkdir()
    (path / "results.json").write_text(json.dumps(document))
    return path


def evaluation_file(path: Path, misses: dict[str, int], **changes: Any) -> Path:
    """What `compress evaluate --json` writes; the first model was timed against the second."""
    models = [
        {"name": name, "thresholds": THRESHOLDS, **to_document(Measured(counts(misses=lost), COST))}
        for name, lost in misses.items()
    ]
    if len(models) > 1:
        models[0]["latency"] = asdict(LATENCY)
    document = {
        "format": 1,
        "date": "2026-01-01T00:00:00+00:00",
        "data": {"folder": "synthetic", "records": 100, "fingerprint": FINGERPRINT},
        "protocol": PROTOCOL,
        "versions": {"eqt-compress": "0.1.0"},
        "models": models,
    }
    path.write_text(json.dumps(document | changes))
    return path


def bundle_folder(path: Path, counts: str | None) -> Path:
    """A bundle with these counts, or without."""
    model = path.with_suffix(".tflite")
    model.write_bytes(b"flatbuffer")
    metadata = {
        "format": Format.TFLITE,
        "precision": Precision.INT8,
        "thresholds": THRESHOLDS,
        "parity": {"windows": 64, "maximum_difference": 0.01, "rms_difference": 0.001},
        "provenance": {},
        "licence": "MIT",
        "citation": "Mousavi et al. (2020)",
    }
    write_bundle(path, model, metadata, "small", counts)
    return path
