"""Accuracy-aware fallback: the layers that int8 is too coarse for stay in float32.

Layers are ranked by what int8 costs the model's answers where each alone is int8 (`export.study`).
The worst stay in float32, one, two, three, four, six, eight and so on, until the int8 file picks
what the float model picks.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from compress.evaluation.agreement import compare_picks
from compress.evaluation.metrics import metrics_of_sums
from compress.evaluation.picker import Thresholds, pick
from export.runtimes import load_runner
from export.study import Candidate, Study

AGREEMENT = ("p_{}_0.1s", "s_{}_0.1s", "detection_{}")
"""Metrics of the int8 model's picks where the float model's stand for the truth."""

DOUBT = 0.5
"""What one model finds, the other has to have at this share of the thresholds: many picks in
waveforms that nobody chose lie at a threshold, and fall to either side of it by rounding."""

INT8_FILE = "int8.json"


@dataclass(frozen=True)
class Fallback:
    """What was chosen.

    Attributes:
        candidate: the file, and the layers in it that are float32.
        agreement: its agreement with the float model.
        holds: whether that is as much as was asked for; if not, it is the best there is.
        tried: agreement and bytes by number of layers in float32.
    """

    candidate: Candidate
    agreement: float
    holds: bool
    tried: tuple[dict[str, float], ...]


def agreement(
    answers: NDArray[np.float32], expected: NDArray[np.float32], thresholds: Thresholds
) -> float:
    """How far two models find the same in windows (n, 6000, 3): 1 for all that either finds.

    For P and S within 0.1 s and for detections, F1 of two shares: of what the float model finds,
    what the int8 model has, and the other way round, each at half of the thresholds. The least of
    the three; 1 where neither finds anything.
    """
    doubtful = Thresholds(**{k: DOUBT * v for k, v in thresholds.model_dump().items()})
    recalled = _metrics(answers, expected, doubtful, thresholds)
    confirmed = _metrics(answers, expected, thresholds, doubtful)
    found = []
    for name in AGREEMENT:
        recall = float(recalled[name.format("recall")][0])
        precision = float(confirmed[name.format("precision")][0])
        shares = [share for share in (recall, precision) if not np.isnan(share)]
        if shares:  # one of them is unknown where a model finds nothing
            found.append(len(shares) / sum(1 / max(share, 1e-9) for share in shares))
    return min(found, default=1.0)


def _metrics(
    answers: NDArray[np.float32],
    expected: NDArray[np.float32],
    ours: Thresholds,
    theirs: Thresholds,
) -> dict[str, NDArray[np.float64]]:
    rows = [
        compare_picks(pick(answer, ours), pick(truth, theirs), len(answer))
        for answer, truth in zip(answers, expected, strict=True)
    ]
    return metrics_of_sums(np.sum(rows, axis=0)[None])


def choose(
    study: Study, expected: NDArray[np.float32], windows: NDArray[np.float32], least: float
) -> Fallback:
    """The candidate with fewest layers in float32 that agrees with the float model.

    Args:
        study: with its candidates.
        expected: what the float model says of the windows, (n, 6000, 3).
        windows: other than those of the study where there are enough, normalised, (n, 6000, 3).
        least: the agreement to reach.
    """
    tried: list[dict[str, float]] = []
    best: tuple[float, Candidate] | None = None
    for candidate in study.candidates:
        value = agreement(load_runner(candidate.file)(windows), expected, Thresholds())
        tried.append(
            {
                "float_layers": len(candidate.float_layers),
                "agreement": value,
                "bytes": candidate.file.stat().st_size,
            }
        )
        if best is None or value > best[0]:
            best = value, candidate
        if value >= least:
            break
    assert best is not None
    return Fallback(best[1], best[0], best[0] >= least, tuple(tried))


def notes_of(study: Study, fallback: Fallback) -> dict[str, str]:
    """For each layer that stays in float32, why."""
    cost = {one["layer"]: one for one in study.layers}
    return {
        layer: f"float32: alone in int8, it moves the answers by {cost[layer]['alone']:.3f} "
        "(relative error)"
        for layer in fallback.candidate.float_layers
    }


def document(study: Study, fallback: Fallback) -> dict[str, Any]:
    """For JSON: what each layer costs and what was chosen."""
    return {
        "float_layers": list(fallback.candidate.float_layers),
        "agreement": fallback.agreement,
        "holds": fallback.holds,
        "tried": list(fallback.tried),
        "error": study.error,
        "layers": study.layers,
        "biases": fallback.candidate.biases,
    }


def float_layers(stage: Path) -> tuple[str, ...]:
    """The layers that a finished stage left in float32, for exports to other formats."""
    path = stage / INT8_FILE
    if not path.is_file():
        return ()
    return tuple(json.loads(path.read_text(encoding="utf-8"))["float_layers"])
