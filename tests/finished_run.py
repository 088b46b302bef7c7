"""A finished run, made up: everything that its report tells, and nothing that takes time."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import stored_models as made

from baseline.contract import WINDOW_SHAPE
from compress.evaluation.disagreement import ERRORS, NUMBERS
from compress.evaluation.examples import EXAMPLES_FILE, Examples, write_examples
from compress.evaluation.latency import LatencyRatio
from compress.gates import AccuracyGate, CostGate, Gates, Measured, judge
from compress.measurements import RESULTS_FILE
from compress.report.plots import OUTPUT_NAMES, STRATUM_ROWS
from compress.results import (
    differences_document,
    metrics_document,
    to_document,
    verdict_document,
)

LABELS = ("0-baseline", "1-distill", "2-quantize")

GATES = Gates(
    accuracy=(AccuracyGate(metric="p_f1_0.5s", margin=0.02),),
    cost=(CostGate(measure="bytes", maximum_ratio=0.5),),
)

PARITY = {"windows": 64, "maximum_difference": 1e-6, "rms_difference": 1e-7}

PIPELINE = {
    "version": 1,
    "name": "tiny",
    "evaluation": made.PROTOCOL
    | {"thresholds": made.THRESHOLDS, "latency_pairs": 30, "latency_seconds": 20.0},
    "stages": [{"kind": "distill"}, {"kind": "quantize"}],
}


def results(**changes: Any) -> dict[str, Any]:
    """What `results.json` of a run that passed holds: three models and an export."""
    baseline = Measured(
        made.counts(misses=0),
        {"parameters": 378_311, "multiply_adds": 128_000_000, "bytes": 2_400_000}
        | {"gzip_bytes": 1_700_000},
    )
    small = {"parameters": 60_000, "multiply_adds": 9_000_000, "bytes": 300_000}
    faster = LatencyRatio(0.25, 0.24, 0.26, 2.0, 8.0, 1.0, 0.999, 1.001, 100)
    distilled = Measured(made.counts(), small | {"gzip_bytes": 250_000}, faster)
    quantized = Measured(
        made.counts(), small | {"bytes": 80_000, "gzip_bytes": 60_000}, replace(faster, ratio=0.125)
    )
    rows = [_row(LABELS[0], baseline, None), _row(LABELS[1], distilled, baseline)]
    rows += [_row(LABELS[2], quantized, baseline), _row("export tflite-int8", quantized, baseline)]
    del rows[-1]["folder"]
    document = {
        "format": 1,
        "name": "tiny",
        "outcome": "pass",
        "finished": "2026-01-01T00:00:00+00:00",
        "seconds": 12.3,
        "time_shares": [{"part": "1-distill: train", "seconds": 12.3, "share": 1.0}],
        "baseline": {"name": "eqt-conservative", "sha256": "0" * 64},
        "data": {"train": "1" * 64, "calibration": "2" * 64, "evaluation": made.FINGERPRINT},
        "versions": {"eqt-compress": "0.1.0", "numpy": "2.4.6"},
        "pipeline": PIPELINE,
        "models": rows,
    }
    return copy.deepcopy(document | changes)


def _row(label: str, measured: Measured, baseline: Measured | None) -> dict[str, Any]:
    verdicts = judge(GATES, measured, baseline) if baseline else []
    return {
        "label": label,
        **to_document(measured, PARITY),
        "sha256": "3" * 64,
        "precision": "float32",
        "loops": 0,
        **_accuracy(),
        "metrics": metrics_document(measured.counts),
        "differences": differences_document(measured.counts, baseline.counts) if baseline else None,
        "verdicts": [verdict_document(each) for each in verdicts],
        "layers": [
            {"layer": "conv_0", "became": "kept", "note": ""},
            {"layer": "lstm_0", "became": "removed", "note": "not in the student"},
        ]
        if baseline
        else [],
        "training": {"distill": {"steps": 500, "batch": 32, "seconds": 60.0, "waiting_share": 0.01}}
        if label == "1-distill"
        else {},
        "folder": f"{label}-0123456789ab",
        "skipped": False,
    }


def _accuracy() -> dict[str, Any]:
    """Curves, reliability, strata and residuals, as `compress.accuracy_results` writes them."""
    interval = {"point": 0.9, "lower": 0.85, "upper": 0.95}
    edges = np.linspace(-0.495, 0.495, 34).tolist()
    histogram = {"windows": 33, "counts": [1] * 33, "outside": 0}
    curve = {
        "average_precision": interval,
        "threshold": [0.1, 0.5, 0.9],
        "precision": [0.5, 0.9, 1.0],
        "recall": [0.9, 0.6, 0.2],
    }
    bins = [
        {"lower": i / 10, "upper": (i + 1) / 10, "windows": 9, "records": 9}
        | {"probability": (i + 0.5) / 10, "right": interval}
        for i in range(10)
    ]
    claimed = {"windows": 90, "calibration_error": interval, "bins": bins}
    group = [
        {"label": label, "windows": 20, "records": 10}
        | {"metrics": dict.fromkeys(STRATUM_ROWS, interval)}
        for label in ("< 10", "≥ 10")
    ]
    return {
        "curves": dict.fromkeys(OUTPUT_NAMES, curve),
        "reliability": dict.fromkeys(OUTPUT_NAMES, claimed),
        "strata": dict.fromkeys(("snr_db", "p_position_s"), group)
        | {"s_minus_p_s": [], "original_sampling_rate_hz": []},
        "residuals": {"edges_s": edges, "p": histogram, "s": histogram},
    }


def examples(number: int = 3, **changes: Any) -> Examples:
    """As many windows, of each kind in turn; the second model misses S in all, and the last is
    noise.
    """
    kinds = [list(NUMBERS)[i % len(NUMBERS)] for i in range(number)]
    random = np.random.default_rng(0)
    waveforms = random.normal(size=(number, *WINDOW_SHAPE)).astype(np.float32)
    predictions = np.zeros((number, 2, *WINDOW_SHAPE), np.float32)
    predictions[:, :, 950:2000, 0] = 0.9
    bump = np.bartlett(41)
    predictions[:, :, 980:1021, 1] = 0.8 * bump
    predictions[:, 0, 1380:1421, 2] = 0.7 * bump
    errors = np.zeros((number, 2, len(ERRORS)), int)
    errors[:, 1, list(ERRORS).index("s_fn_0.5s")] = 1
    residuals = np.zeros((number, 2, 2))
    residuals[:, 1, 1] = np.nan
    noise = np.arange(number) == number - 1
    values = {
        "key": "k",
        "models": (LABELS[0], LABELS[2]),
        "thresholds": np.array(list(made.THRESHOLDS.values())),
        "kinds": np.array(sorted(kinds, key=list(NUMBERS).index)),
        "records": np.array([f"record_{i}" for i in range(number)]),
        "stations": np.array(["XX.STA"] * number),
        "starts_s": np.linspace(0, 30, number),
        "snr_db": np.full(number, 12.0),
        "labels": np.where(noise[:, None], np.nan, [1000.0, 1400.0]),
        "noise": noise,
        "waveforms": waveforms,
        "predictions": predictions,
        "errors": errors,
        "residuals_s": residuals,
        "probabilities": predictions[..., 1:].max(axis=2),
    }
    return Examples(**(values | changes))


def folder(path: Path, document: dict[str, Any] | None = None, number: int = 3) -> Path:
    """The folder of that run."""
    path.mkdir()
    (path / RESULTS_FILE).write_text(json.dumps(document or results()))
    if number:
        write_examples(path / EXAMPLES_FILE, examples(number))
    return path
