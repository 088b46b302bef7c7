"""Windows that are worth looking at, with what two models make of them: `examples.npz`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baseline.contract import SAMPLING_RATE_HZ, WINDOW_SHAPE
from baseline.errors import InputError
from compress.data.records import Category, Source
from compress.data.snr import snr_db
from compress.data.windows import cut
from compress.evaluation.disagreement import ERRORS, NUMBERS, WindowFacts, choose
from compress.evaluation.picker import Thresholds
from compress.evaluation.protocol import Protocol, labelled, seeded_placements
from compress.store import read_arrays, write_arrays
from export.runtimes import Runner

EXAMPLES_FILE = "examples.npz"


@dataclass(frozen=True, eq=False)
class Examples:
    """n windows, and two models' predictions for them: first the baseline, then the other.

    Attributes:
        key: hash of what they were made from.
        models: names of the two.
        thresholds: from which probabilities on they pick: detection, P, S, shape (3,).
        kinds: "best", "typical" or "worst", shape (n,); in order of their rank.
        records: names of the records, shape (n,).
        stations: "network.station", or "", shape (n,).
        starts_s: of the windows in their records, shape (n,).
        snr_db: of the records, NaN where it is not known, shape (n,).
        labels: P and S samples in the window, NaN where there is none, shape (n, 2).
        noise: whether the record is known to hold no earthquake, shape (n,).
        waveforms: as the models see them, float32, shape (n, 6000, 3).
        predictions: float32, shape (n, 2, 6000, 3).
        errors: of both models, by ERRORS, shape (n, 2, len(ERRORS)).
        residuals_s: of both, P and S, NaN where not found, shape (n, 2, 2).
        probabilities: of both, the highest of P and S, shape (n, 2, 2).
    """

    key: str
    models: tuple[str, str]
    thresholds: NDArray[np.floating]
    kinds: NDArray[np.str_]
    records: NDArray[np.str_]
    stations: NDArray[np.str_]
    starts_s: NDArray[np.floating]
    snr_db: NDArray[np.floating]
    labels: NDArray[np.floating]
    noise: NDArray[np.bool_]
    waveforms: NDArray[np.float32]
    predictions: NDArray[np.float32]
    errors: NDArray[np.integer]
    residuals_s: NDArray[np.floating]
    probabilities: NDArray[np.floating]

    def __len__(self) -> int:
        return len(self.kinds)


def make_examples(
    key: str,
    models: tuple[str, str],
    facts: tuple[WindowFacts, WindowFacts],
    runners: tuple[Runner, Runner],
    source: Source,
    protocol: Protocol,
) -> Examples:
    """Choose windows by `compress.evaluation.disagreement`, cut them, and run both models on them.

    Args:
        key: hash of what they are made from.
        models: names of baseline and candidate.
        facts: of both, of a pass over `source` by `protocol`.
        runners: both models.
        source: the records of that pass.
        protocol: of that pass.

    Raises:
        InputError: a record cannot be read.
    """
    chosen = [(kind, window) for kind, found in choose(*facts).items() for window in found]
    windows = np.array([window for _, window in chosen], dtype=np.intp)
    candidate = facts[1]
    indices = labelled(source)
    cuts: list[NDArray[np.float32]] = []
    known: list[tuple[str, str, float, float, tuple[float, float], bool]] = []
    for window in windows:
        position = int(candidate.records[window])
        record = source[indices[position]]
        start = seeded_placements(record, position, protocol)[int(candidate.places[window])]
        cuts.append(cut(record.waveform, start))
        ratio = record.snr_db
        if math.isnan(ratio) and record.p_sample is not None:
            ratio = snr_db(record.waveform, record.p_sample)
        onsets = [
            onset - start if onset is not None and there else math.nan
            for onset, there in zip(
                (record.p_sample, record.s_sample), candidate.labelled[window], strict=True
            )
        ]
        known.append(
            (
                record.name,
                record.station,
                start / SAMPLING_RATE_HZ,
                ratio,
                (onsets[0], onsets[1]),
                record.category is Category.NOISE,
            )
        )
    waveforms = np.stack(cuts) if cuts else np.empty((0, *WINDOW_SHAPE), np.float32)
    predictions = [runner(waveforms) if cuts else waveforms for runner in runners]
    names, stations, starts_s, ratios, labels, noise = (
        zip(*known, strict=True) if known else ((),) * 6
    )
    return Examples(
        key=key,
        models=models,
        thresholds=np.array(list(protocol.thresholds.model_dump().values())),
        kinds=_texts([kind for kind, _ in chosen]),
        records=_texts(names),
        stations=_texts(stations),
        starts_s=np.array(starts_s, dtype=float),
        snr_db=np.array(ratios, dtype=float),
        labels=np.array(labels, dtype=float).reshape(-1, 2),
        noise=np.array(noise, dtype=bool),
        waveforms=waveforms,
        predictions=np.stack(predictions, axis=1).astype(np.float32),
        errors=np.stack([each.errors[windows] for each in facts], axis=1),
        residuals_s=np.stack([each.residuals_s[windows] for each in facts], axis=1),
        probabilities=np.stack([each.probabilities[windows] for each in facts], axis=1),
    )


def _texts(values: Sequence[str]) -> NDArray[np.str_]:
    return np.array(values, dtype=np.str_) if values else np.empty(0, dtype="U1")


def write_examples(path: Path, examples: Examples) -> None:
    """Write them, whole or not at all."""
    arrays = {name: np.asarray(value) for name, value in vars(examples).items()}
    write_arrays(path, arrays)


def read_examples(path: Path) -> Examples | None:
    """What `write_examples` wrote; None where there is no such file.

    Raises:
        InputError: the file is damaged, or was written by another version.
    """
    if not path.is_file():
        return None
    arrays = read_arrays(path)
    try:
        key, (baseline, candidate) = str(arrays.pop("key")), arrays.pop("models").tolist()
        examples = Examples(key=key, models=(baseline, candidate), **arrays)
        _require_shapes(examples)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: is damaged, or was written by another version ({error}).",
            "Run the pipeline again with this version, or remove the file.",
        ) from None
    return examples


def _require_shapes(examples: Examples) -> None:
    number = len(examples.kinds)
    shapes = {
        "thresholds": (len(Thresholds.model_fields),),
        "labels": (number, 2),
        "waveforms": (number, *WINDOW_SHAPE),
        "predictions": (number, 2, *WINDOW_SHAPE),
        "errors": (number, 2, len(ERRORS)),
        "residuals_s": (number, 2, 2),
        "probabilities": (number, 2, 2),
        **dict.fromkeys(("records", "stations", "starts_s", "snr_db", "noise"), (number,)),
    }
    for name, shape in shapes.items():
        if getattr(examples, name).shape != shape:
            raise ValueError(f"{name} has shape {getattr(examples, name).shape}, not {shape}")
    if not set(examples.kinds.tolist()) <= set(NUMBERS):
        raise ValueError("there is an unknown kind")
    finite = (examples.waveforms, examples.predictions, examples.starts_s, examples.thresholds)
    if not all(np.isfinite(each).all() for each in finite):
        raise ValueError("a number is not finite")
