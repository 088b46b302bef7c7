"""Calibrating a student after training, so that its probabilities mean what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from rich.progress import Progress

from compress.data.records import Source
from compress.evaluation.curves import OUTPUTS
from compress.evaluation.protocol import Protocol
from compress.evaluation.reliability import calibration_error, claims, equal_width
from compress.evaluation.window_scores import score_windows

if TYPE_CHECKING:
    from baseline.keras import keras


def calibrate_picks(
    student: keras.Model, source: Source, seed: int, progress: Progress
) -> dict[str, dict[str, float]]:
    """Make the probability of a pick the share of such picks that are right, in place.

    Of every window the claims are what `compress.evaluation.reliability` says: the highest peak of
    P and of S, right within 0.5 s of the label, and the level of its detection. Scale and offset of
    the logits that fit them best are folded into the student's last layer.

    Args:
        student: a trained one.
        source: labelled records, noise among them, that it was not trained on.
        seed: of the windows' places.
        progress: where it is shown.

    Returns:
        By output: `scale`, `offset`, and `calibration_error_before`, the expected calibration error
        on these windows.

    Raises:
        InputError: no record is labelled, or what an output says is always right or always wrong.
    """
    from compress.students.calibration import fit_output, fold_logit_scaling
    from export.runtimes import KerasRunner

    scores = score_windows(
        KerasRunner(student), source, Protocol(placements=2, seed=seed), progress, "calibrate"
    )
    found = claims(scores)
    document: dict[str, dict[str, float]] = {}
    for output in OUTPUTS:
        claim = found[output]
        weights = np.ones(len(claim.probability))
        scale, offset = fit_output(claim.probability, claim.right, weights, output)
        document[output] = {
            "scale": scale,
            "offset": offset,
            "calibration_error_before": calibration_error(claim, equal_width()).point,
        }
    fold_logit_scaling(
        student,
        [document[output]["scale"] for output in OUTPUTS],
        [document[output]["offset"] for output in OUTPUTS],
    )
    return document
