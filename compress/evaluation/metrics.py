"""From picks and truths to counts per record, and from counts to metrics.

What a model got right and wrong is kept as one row of sums per record. Every metric is a function
of column totals, so results can be stored without models or waveforms, added up over batches of
windows, and resampled over records as a weighted sum (`compress.evaluation.confidence`).

What counts, per window:

Phases
    A labelled onset is a true positive if the nearest pick of its phase lies within the tolerance
    (inclusive), else a false negative: a miss is never left out. Every other pick of that phase is
    a false positive. A phase that an earthquake window has no label for is not scored there.
Highest peak
    A labelled onset is a hit if the most probable sample of its phase lies within the tolerance,
    whatever its probability. Needs no thresholds and no detection.
Residuals
    Pick minus truth in seconds, of the true positives at 0.5 s.
Detections
    A window with a labelled onset is one true positive if any detection overlaps its signal, from
    P to S (both inclusive), else one false negative. Without S the signal ends 5 s after P;
    without P it is the S onset alone. Detections that do not overlap it are false positives. An
    earthquake window without any label in it is not scored: the earthquake may lie outside.
Noise
    Every detection and pick in a noise window is a false positive. They are counted apart as well,
    because false alarms per hour of noise, unlike precision, do not depend on how much noise
    stands beside the earthquakes.

The scores are those of Mousavi et al. (2020), Nature Communications 11, 3952 (precision, recall, F1
at 0.5 s; mean, standard deviation and mean absolute error of residuals), with two tighter
tolerances, 0.2 s and 0.1 s.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from compress.data.records import SAMPLING_RATE_HZ
from compress.evaluation.picker import Pick, Thresholds, WindowPicks, highest_peaks, pick

TOLERANCES_S = {"0.5s": 0.5, "0.2s": 0.2, "0.1s": 0.1}
"""Tolerance of a match in seconds, by the name that columns and metrics carry."""

RESIDUAL_TOLERANCE = "0.5s"
"""Residuals are those of the picks that match at this tolerance."""

SIGNAL_AFTER_P_S = 5.0
"""How long a detection may begin after P and still be right, where S is not labelled."""

PHASES = ("p", "s")

HigherIsBetter = Literal[
    "p_precision_0.5s",
    "p_recall_0.5s",
    "p_f1_0.5s",
    "p_highest_peak_recall_0.5s",
    "p_precision_0.2s",
    "p_recall_0.2s",
    "p_f1_0.2s",
    "p_highest_peak_recall_0.2s",
    "p_precision_0.1s",
    "p_recall_0.1s",
    "p_f1_0.1s",
    "p_highest_peak_recall_0.1s",
    "s_precision_0.5s",
    "s_recall_0.5s",
    "s_f1_0.5s",
    "s_highest_peak_recall_0.5s",
    "s_precision_0.2s",
    "s_recall_0.2s",
    "s_f1_0.2s",
    "s_highest_peak_recall_0.2s",
    "s_precision_0.1s",
    "s_recall_0.1s",
    "s_f1_0.1s",
    "s_highest_peak_recall_0.1s",
    "detection_precision",
    "detection_recall",
    "detection_f1",
]
"""Fractions from 0 to 1."""

LowerIsBetter = Literal[
    "p_residual_std_s",
    "p_residual_mae_s",
    "s_residual_std_s",
    "s_residual_mae_s",
    "false_detections_per_hour",
    "false_p_per_hour",
    "false_s_per_hour",
]
"""Seconds, or false alarms per hour of noise."""

Signed = Literal["p_residual_mean_s", "s_residual_mean_s"]
"""Seconds, best at zero: reported, and not ordered by more or less."""

METRICS: tuple[str, ...] = get_args(HigherIsBetter) + get_args(LowerIsBetter) + get_args(Signed)
"""The name of every metric."""

COLUMNS: tuple[str, ...] = (
    *(
        f"{phase}_{what}_{tolerance}"
        for phase in PHASES
        for tolerance in TOLERANCES_S
        for what in ("tp", "fp", "fn", "highest_peak_hits")
    ),
    *(
        f"{phase}_residual_{what}"
        for phase in PHASES
        for what in ("count", "sum", "sum_squares", "sum_absolute")
    ),
    "detection_tp",
    "detection_fp",
    "detection_fn",
    "noise_seconds",
    "noise_detections",
    "noise_p_picks",
    "noise_s_picks",
)
"""The name of every column of `Counts.values`."""

_COLUMN = {name: index for index, name in enumerate(COLUMNS)}
_SECONDS_PER_HOUR = 3600.0


@dataclass(frozen=True, eq=False)
class Truths:
    """What is known of n windows. Every array has shape (n,).

    Attributes:
        p_samples: onset of P in samples from the window's start, fractions allowed; NaN where it
            is not labelled or lies outside the window.
        s_samples: onset of S, likewise.
        noise: whether the window is known to hold no earthquake. Windows that nobody labelled
            cannot be scored and do not belong here.
        records: index of the record that the window was cut from.

    Raises:
        ValueError: the lengths differ, or a noise window has an onset.
    """

    p_samples: NDArray[np.float64]
    s_samples: NDArray[np.float64]
    noise: NDArray[np.bool_]
    records: NDArray[np.intp]

    def __post_init__(self) -> None:
        shapes = {np.shape(column) for column in vars(self).values()}
        if len(shapes) != 1 or len(next(iter(shapes))) != 1:
            raise ValueError(f"truths are arrays of one length, not of shapes {sorted(shapes)}")
        contradicted = self.noise & ~(np.isnan(self.p_samples) & np.isnan(self.s_samples))
        if contradicted.any():
            raise ValueError(f"noise window {int(contradicted.argmax())} has a labelled onset")

    def __len__(self) -> int:
        return len(self.p_samples)


@dataclass(frozen=True, eq=False)
class Counts:
    """Sums per record: what a model got right and wrong.

    Attributes:
        record_names: the records, each named once.
        values: float64, shape (records, len(COLUMNS)), finite and named by `columns`.

    Raises:
        ValueError: the shape does not fit, a value is not finite, or a name occurs twice.
    """

    record_names: tuple[str, ...]
    values: NDArray[np.float64]

    columns: ClassVar[tuple[str, ...]] = COLUMNS

    @classmethod
    def by_record(
        cls, record_names: Sequence[str], batches: Iterable[tuple[Truths, NDArray[np.float64]]]
    ) -> Counts:
        """The rows of windows, as `count` gives them, added up by the records they are cut from.

        Args:
            record_names: names of all records that `Truths.records` points into; records without a
                window get a row of zeros.
            batches: windows and their rows, each batch taken when it is asked for and not kept.

        Raises:
            ValueError: a record index is out of range.
        """
        values = np.zeros((len(record_names), len(COLUMNS)))
        for truths, rows in batches:
            outside = (truths.records < 0) | (truths.records >= len(record_names))
            if outside.any():
                index = int(truths.records[outside.argmax()])
                raise ValueError(f"record index {index} is not among {len(record_names)} records")
            np.add.at(values, truths.records, rows)
        return cls(tuple(record_names), values)

    def __post_init__(self) -> None:
        shape = (len(self.record_names), len(COLUMNS))
        if self.values.shape != shape:
            raise ValueError(f"counts of these records have shape {shape}, not {self.values.shape}")
        if not np.isfinite(self.values).all():
            raise ValueError("counts are finite")
        if len(set(self.record_names)) != len(self.record_names):
            raise ValueError("a record is counted under one name, once")

    def to_json(self) -> str:
        """All of it as one line of JSON that `from_json` restores exactly."""
        rows = [
            [int(value) if value.is_integer() else value for value in row]
            for row in self.values.tolist()
        ]
        document = {"records": self.record_names, "columns": COLUMNS, "values": rows}
        return json.dumps(document, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Counts:
        """What `to_json` wrote.

        Raises:
            InputError: `text` is something else, or was written with other columns.
        """
        try:
            document = json.loads(text)
            columns = tuple(document["columns"])
            names = tuple(str(name) for name in document["records"])
            values = np.array(document["values"], dtype=np.float64).reshape(
                len(names), len(columns)
            )
            if columns == COLUMNS:
                return cls(names, values)
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"These are no stored counts: {error!r}.",
                'They are a JSON object with the keys "records", "columns" and "values".',
            ) from error
        strange = sorted(set(columns) ^ set(COLUMNS))
        raise InputError(
            "The stored counts have other columns than this version writes: "
            f"{', '.join(map(str, strange)) or 'another order'}.",
            "Evaluate the model again with this version.",
        )


def count(
    predictions: NDArray[np.floating], truths: Truths, thresholds: Thresholds
) -> NDArray[np.float64]:
    """Pick, compare with the truth and count, window by window; `Counts` adds up by record.

    Args:
        predictions: shape (n, samples, 3): detection, P and S probabilities at 100 Hz.
        truths: what is known of these n windows.
        thresholds: the model's own, for picks and detections.

    Returns:
        Shape (n, len(COLUMNS)), named by it.

    Raises:
        ValueError: predictions and truths differ in number.
        InputError: a prediction is not finite.
    """
    if len(predictions) != len(truths):
        raise ValueError(f"{len(predictions)} predictions do not fit {len(truths)} truths")
    rows = np.zeros((len(truths), len(COLUMNS)))
    window_seconds = predictions.shape[1] / SAMPLING_RATE_HZ
    for row, prediction, noise, p, s in zip(
        rows, predictions, truths.noise, truths.p_samples, truths.s_samples, strict=True
    ):
        picks = pick(prediction, thresholds)
        if noise:
            _count_noise(row, picks, window_seconds)
        else:
            _count_phase(row, "p", picks.p_picks, p)
            _count_phase(row, "s", picks.s_picks, s)
            _count_detection(row, picks, p, s)
    highest = highest_peaks(predictions)
    _count_highest_peaks(rows, "p", highest.p_sample, truths.p_samples)
    _count_highest_peaks(rows, "s", highest.s_sample, truths.s_samples)
    return rows


def metrics_of_sums(sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    """Every metric of `METRICS`, from column totals.

    A metric whose denominator is zero is NaN: it cannot be measured on these windows. F1 is zero,
    and not NaN, for a model that finds none of the onsets there are. The standard deviation is
    that of the population (divided by n).

    Args:
        sums: shape (..., len(COLUMNS)).

    Returns:
        float64 arrays of shape (...), by metric.
    """
    column = dict(zip(COLUMNS, np.moveaxis(np.asarray(sums, dtype=np.float64), -1, 0), strict=True))
    metrics: dict[str, NDArray[np.float64]] = {}

    def score(prefix: str, suffix: str) -> None:
        tp, fp, fn = (column[f"{prefix}_{what}{suffix}"] for what in ("tp", "fp", "fn"))
        metrics[f"{prefix}_precision{suffix}"] = _ratio(tp, tp + fp)
        metrics[f"{prefix}_recall{suffix}"] = _ratio(tp, tp + fn)
        metrics[f"{prefix}_f1{suffix}"] = _ratio(2.0 * tp, 2.0 * tp + fp + fn)

    score("detection", "")
    for phase in PHASES:
        for tolerance in TOLERANCES_S:
            score(phase, f"_{tolerance}")
            metrics[f"{phase}_highest_peak_recall_{tolerance}"] = _ratio(
                column[f"{phase}_highest_peak_hits_{tolerance}"],
                column[f"{phase}_tp_{tolerance}"] + column[f"{phase}_fn_{tolerance}"],
            )
        n = column[f"{phase}_residual_count"]
        mean = _ratio(column[f"{phase}_residual_sum"], n)
        mean_square = _ratio(column[f"{phase}_residual_sum_squares"], n)
        metrics[f"{phase}_residual_mean_s"] = mean
        # Rounding can take the variance of equal residuals just below zero.
        metrics[f"{phase}_residual_std_s"] = np.sqrt(np.maximum(mean_square - mean**2, 0.0))
        metrics[f"{phase}_residual_mae_s"] = _ratio(column[f"{phase}_residual_sum_absolute"], n)
    hours = column["noise_seconds"] / _SECONDS_PER_HOUR
    metrics["false_detections_per_hour"] = _ratio(column["noise_detections"], hours)
    metrics["false_p_per_hour"] = _ratio(column["noise_p_picks"], hours)
    metrics["false_s_per_hour"] = _ratio(column["noise_s_picks"], hours)
    return {name: metrics[name] for name in METRICS}


def summarise(counts: Counts) -> dict[str, float]:
    """Every metric of `METRICS` over all records; NaN where it cannot be measured on them."""
    sums = counts.values.sum(axis=0)
    return {name: float(value) for name, value in metrics_of_sums(sums).items()}


def _ratio(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    undefined = np.full(np.shape(numerator), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator != 0.0)


def _count_phase(
    row: NDArray[np.float64], phase: str, picks: tuple[Pick, ...], onset: float
) -> None:
    if np.isnan(onset):
        return
    residuals = [(pick.sample - onset) / SAMPLING_RATE_HZ for pick in picks]
    nearest = min(residuals, key=abs, default=np.inf)
    for tolerance, seconds in TOLERANCES_S.items():
        hit = abs(nearest) <= seconds
        row[_COLUMN[f"{phase}_tp_{tolerance}"]] = hit
        row[_COLUMN[f"{phase}_fn_{tolerance}"]] = not hit
        row[_COLUMN[f"{phase}_fp_{tolerance}"]] = len(picks) - hit
    if abs(nearest) <= TOLERANCES_S[RESIDUAL_TOLERANCE]:
        row[_COLUMN[f"{phase}_residual_count"]] = 1.0
        row[_COLUMN[f"{phase}_residual_sum"]] = nearest
        row[_COLUMN[f"{phase}_residual_sum_squares"]] = nearest**2
        row[_COLUMN[f"{phase}_residual_sum_absolute"]] = abs(nearest)


def _count_detection(row: NDArray[np.float64], picks: WindowPicks, p: float, s: float) -> None:
    if np.isnan(p) and np.isnan(s):
        return
    signal_start = s if np.isnan(p) else p
    signal_end = p + SIGNAL_AFTER_P_S * SAMPLING_RATE_HZ if np.isnan(s) else s
    # An event's last sample is the one before its end.
    right = sum(e.start <= signal_end and e.end - 1 >= signal_start for e in picks.events)
    row[_COLUMN["detection_tp"]] = right > 0
    row[_COLUMN["detection_fn"]] = right == 0
    row[_COLUMN["detection_fp"]] = len(picks.events) - right


def _count_noise(row: NDArray[np.float64], picks: WindowPicks, window_seconds: float) -> None:
    row[_COLUMN["noise_seconds"]] = window_seconds
    row[_COLUMN["noise_detections"]] = row[_COLUMN["detection_fp"]] = len(picks.events)
    for phase, false_picks in (("p", picks.p_picks), ("s", picks.s_picks)):
        row[_COLUMN[f"noise_{phase}_picks"]] = len(false_picks)
        for tolerance in TOLERANCES_S:
            row[_COLUMN[f"{phase}_fp_{tolerance}"]] = len(false_picks)


def _count_highest_peaks(
    rows: NDArray[np.float64],
    phase: str,
    samples: NDArray[np.intp],
    onsets: NDArray[np.float64],
) -> None:
    # Where there is no label the difference is NaN, which is within no tolerance.
    distance = np.abs(samples - onsets) / SAMPLING_RATE_HZ
    for tolerance, seconds in TOLERANCES_S.items():
        rows[:, _COLUMN[f"{phase}_highest_peak_hits_{tolerance}"]] = distance <= seconds
