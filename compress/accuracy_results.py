"""What was measured of a model's accuracy, as JSON: curves, reliability, strata, agreement, ..."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from compress.data.records import SAMPLING_RATE_HZ
from compress.evaluation.agreement import AGREEMENT_METRICS, Agreement
from compress.evaluation.confidence import Interval, intervals, paired_differences
from compress.evaluation.curves import (
    FALSE_ALARMS_PER_HOUR,
    Output,
    Scored,
    at_false_alarms,
    average_precision,
    best_threshold,
    precision_recall,
)
from compress.evaluation.reliability import (
    Bin,
    calibration_error,
    claims,
    diagram,
    equal_count,
    equal_width,
)
from compress.evaluation.seisbench_tasks import TaskResults
from compress.evaluation.strata import Stratum, WholeSecond
from compress.evaluation.window_scores import WindowScores
from compress.results import interval_document

CURVE_POINTS = 200
"""Points of a curve that are stored; the figures computed from it use all."""

STRATUM_METRICS = (
    "p_highest_peak_recall_0.5s",
    "p_highest_peak_recall_0.1s",
    "p_recall_0.5s",
    "p_f1_0.5s",
    "s_highest_peak_recall_0.5s",
    "s_highest_peak_recall_0.1s",
    "s_recall_0.5s",
    "s_f1_0.5s",
    "detection_recall",
)

BIAS_METRIC = "p_highest_peak_recall_0.1s"

RESIDUAL_EDGES_S = np.linspace(-0.495, 0.495, 34)
"""Three samples each, the middle one around zero: whole samples never lie on an edge."""


def curves_document(scored: dict[Output, Scored]) -> dict[str, Any]:
    """By output: average precision, recall at rates of false alarms, the best F1, the curve."""
    return {output: _curve_document(candidates) for output, candidates in scored.items()}


def _curve_document(scored: Scored) -> dict[str, Any]:
    curve = precision_recall(scored)
    document: dict[str, Any] = {
        "onsets": int(scored.right.sum()) + len(scored.missed),
        "average_precision": interval_document(average_precision(scored)),
        "at_false_alarms": [],
        "best_f1": None,
    }
    for rate in FALSE_ALARMS_PER_HOUR:
        at = at_false_alarms(scored, rate)
        if at is not None:
            document["at_false_alarms"].append(
                {**asdict(at), "recall": interval_document(at.recall)}
            )
    if len(curve.threshold):
        threshold, f1 = best_threshold(curve, scored.probability)
        document["best_f1"] = {"threshold": threshold, "f1": f1}
    kept = np.unique(np.linspace(0, max(len(curve.threshold) - 1, 0), CURVE_POINTS).astype(int))
    for name, values in vars(curve).items():
        document[name] = [round(float(value), 6) for value in values[kept[: len(values)]]]
    return document


def reliability_document(scores: WindowScores) -> dict[str, Any]:
    """By output: the expected calibration error over both kinds of bins, and the diagram."""
    return {
        output: {
            "windows": len(claimed.probability),
            "calibration_error": interval_document(calibration_error(claimed, equal_width())),
            "calibration_error_equal_count": interval_document(
                calibration_error(claimed, equal_count(claimed.probability))
            ),
            "bins": [_bin_document(each) for each in diagram(claimed, equal_width())],
        }
        for output, claimed in claims(scores).items()
    }


def _bin_document(each: Bin) -> dict[str, Any]:
    return {
        "lower": round(each.lower, 6),
        "upper": round(each.upper, 6),
        "windows": each.windows,
        "records": each.records,
        "probability": each.probability if each.windows else None,
        "right": interval_document(each.right),
    }


def strata_document(strata: dict[str, list[Stratum]]) -> dict[str, Any]:
    """By property and stratum: windows, records and metrics with intervals."""
    return {
        name: [
            {
                "label": stratum.label,
                "windows": stratum.windows,
                "records": len(stratum.counts.record_names),
                "metrics": _metrics(intervals(stratum.counts), STRATUM_METRICS),
            }
            for stratum in group
        ]
        for name, group in strata.items()
    }


def whole_second_document(bias: WholeSecond | None) -> dict[str, Any] | None:
    """P within 0.1 s on whole seconds, between them, the difference, and by offset."""
    if bias is None:
        return None
    return {
        "metric": BIAS_METRIC,
        "records": len(bias.on.record_names),
        "difference": interval_document(paired_differences(bias.on, bias.off)[BIAS_METRIC]),
        "on_whole_seconds": interval_document(intervals(bias.on)[BIAS_METRIC]),
        "between": interval_document(intervals(bias.off)[BIAS_METRIC]),
        "by_offset": [
            {
                "offset_s": offset / SAMPLING_RATE_HZ,
                **interval_document(intervals(counts)[BIAS_METRIC]),
            }
            for offset, counts in bias.by_offset.items()
        ],
    }


def residuals_document(scores: WindowScores) -> dict[str, Any]:
    """Histogram of the residuals of the highest peaks, and how many lie outside."""
    document: dict[str, Any] = {"edges_s": [round(float(edge), 6) for edge in RESIDUAL_EDGES_S]}
    for phase, residuals in scores.residuals_s.items():
        known = residuals[~np.isnan(residuals)]
        inside = np.histogram(known, RESIDUAL_EDGES_S)[0]
        document[phase] = {
            "windows": len(known),
            "counts": inside.tolist(),
            "outside": len(known) - int(inside.sum()),
        }
    return document


def tasks_document(results: TaskResults) -> dict[str, Any]:
    """SeisBench's three tasks."""
    return {
        "detection": {
            "earthquake_windows": results.earthquake_windows,
            "noise_windows": results.noise_windows,
            "auc": interval_document(results.detection_auc),
        },
        "phase": {
            "windows": sum(onset.windows for onset in results.onset.values()),
            "mcc": interval_document(results.phase_mcc),
        },
        "onset": {
            phase: {
                "windows": onset.windows,
                "rmse_s": interval_document(onset.rmse_s),
                "mae_s": interval_document(onset.mae_s),
                "median_absolute_s": interval_document(onset.median_absolute_s),
            }
            for phase, onset in results.onset.items()
        },
    }


def agreement_document(agreement: Agreement) -> dict[str, Any]:
    """Metrics of agreement with intervals, in the terms of `compress.evaluation.agreement`."""
    measured = intervals(agreement.counts)
    rates = {
        "added_detections_per_hour": measured["false_detections_per_hour"],
        "lost_detections_per_hour": agreement.lost_detections_per_hour(),
        "added_p_per_hour": measured["false_p_per_hour"],
        "added_s_per_hour": measured["false_s_per_hour"],
    }
    rmse = dict(zip(("detection", "p", "s"), agreement.probability_rmse(), strict=True))
    return {
        **_metrics(measured, AGREEMENT_METRICS),
        **{name: interval_document(rate) for name, rate in rates.items()},
        **{f"{name}_probability_rmse": interval_document(value) for name, value in rmse.items()},
    }


def _metrics(measured: dict[str, Interval], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: interval_document(measured[name]) for name in names}
