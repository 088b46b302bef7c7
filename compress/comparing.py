"""What changed between runs: settings, data, versions, accuracy, cost, gates, single records.

Nothing is run here, and nothing is decided: whoever wants a decision asks `compress gate`. All that
is compared is what was measured and stored. Accuracy is compared pair by pair where two models were
measured on the same windows of the same records; where they were not, each keeps its own bootstrap,
and the reason is given.
"""

from __future__ import annotations

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np

from baseline.errors import InputError
from compress.document_changes import aligned, changes
from compress.evaluation.confidence import (
    Interval,
    intervals,
    paired_differences,
    unpaired_differences,
)
from compress.evaluation.metrics import (
    COLUMNS,
    METRICS,
    Counts,
    HigherIsBetter,
    LowerIsBetter,
    metrics_of_sums,
)
from compress.gates import Cost, Measured
from compress.measurements import StoredModel, read_document, read_stored
from compress.results import from_document, interval_document, metrics_document
from compress.stages.base import RULES
from compress.store import MANIFEST_FILE, STAGES_FOLDER, heading

LETTERS = string.ascii_uppercase
"""What the models are called in a comparison, the reference A."""

SIGNIFICANCE = 0.05
"""How often a difference may be marked where there is none."""

RESAMPLES_AT_ONCE = 10_000
"""Draws where all metrics are judged at once, which looks far into the tails."""

FOUND = {"P": "p_tp_0.5s", "S": "s_tp_0.5s", "detection": "detection_tp"}
"""Columns in which more is better, by what is said of a record."""

FALSE = {"false P": "p_fp_0.5s", "false S": "s_fp_0.5s", "false detection": "detection_fp"}
"""Columns in which less is better, likewise. A pick beside the onset is a lost and a false one."""

STAGE_METRICS = ("p_f1_0.5s", "s_f1_0.5s", "detection_f1")

_LIMIT = re.compile(r"(?<![\w.])\d[\d.,e+-]*")
"""A number in a rule that stands alone, unlike the tolerance in the name of a metric."""

RUNTIME = "ai-edge-litert"
"""What latency is measured with, and a new version may make faster."""


@dataclass(frozen=True)
class _Row:
    """A model of a run.

    Attributes:
        label: such as `2-distill`.
        settings: its `kind` and, of a stage, what else it was declared with.
        measured: what was measured of it.
        verdicts: rule and outcome of each.
        skipped: whether the run went on without it.
        weights: hash of its weights; None for exports, and where the run was one of an older
            version.
    """

    label: str
    settings: dict[str, Any]
    measured: Measured
    verdicts: list[tuple[str, str]]
    skipped: bool
    weights: str | None


@dataclass(frozen=True)
class _Run:
    """A finished run.

    Attributes:
        pipeline: what was declared.
        data: fingerprints by set.
        baseline: name and SHA-256.
        baseline_bytes: of the file that latency is relative to.
        code: hash of the program that ran it; None where the stage of the baseline is gone.
        rows: its models, the baseline first.
    """

    pipeline: dict[str, Any]
    data: dict[str, str]
    baseline: dict[str, str]
    baseline_bytes: int
    code: str | None
    rows: list[_Row]


@dataclass(frozen=True)
class _Side:
    """One of the models, and its run where it comes from one."""

    letter: str
    argument: str
    stored: StoredModel
    run: _Run | None


@dataclass(frozen=True)
class _Accuracy:
    """How the accuracy of two models is compared.

    Attributes:
        paired: whether draw by draw under the same weights.
        reason: why so, a sentence or two for people.
        records: names of those that both were measured on.
        common: whether nothing but these is compared.
    """

    paired: bool
    reason: str
    records: tuple[str, ...]
    common: bool

    def of(self, counts: Counts) -> Counts:
        """What is compared of a model's counts."""
        return _restricted(counts, self.records) if self.common else counts

    def differences(
        self, candidate: Counts, reference: Counts, **bootstrap: Any
    ) -> dict[str, Interval]:
        """Candidate minus reference for every metric."""
        compare = paired_differences if self.paired else unpaired_differences
        return compare(self.of(candidate), self.of(reference), **bootstrap)


def compare(names: Sequence[str], common: bool = False) -> dict[str, Any]:
    """Compare each of several measured models with the first.

    Args:
        names: as `compress.measurements.read_stored` takes them, at least two. Settings, stages and
            gates are compared between models of runs.
        common: compare accuracy on the records that both models of a pair were measured on.

    Returns:
        A JSON document: `models`, by the letters that they are called by, and `comparisons`, one
        for each but the first. Differences are candidate minus reference, ratios candidate over
        reference; what does not exist on both sides is None.

    Raises:
        InputError: fewer than two names or more than there are letters; one cannot be read; or
            `common`, and there is no common record.
    """
    if not 2 <= len(names) <= len(LETTERS):
        raise InputError(
            f"2 to {len(LETTERS)} runs can be compared; given: {len(names)}.",
            "The first is the reference, the others are held against it.",
        )
    sides = [_side(letter, name) for letter, name in zip(LETTERS, names, strict=False)]
    return {
        **heading("compress"),
        "models": {side.letter: _model_document(side) for side in sides},
        "comparisons": [_comparison(sides[0], side, common) for side in sides[1:]],
    }


def _side(letter: str, name: str) -> _Side:
    stored = read_stored(name)
    run = None
    if stored.source:
        path = stored.source[0]
        document = read_document(path)
        if "pipeline" in document:
            try:
                run = _run(document, path.parent)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                raise InputError(
                    f"{path}: is damaged, or was written by another version ({error!r}).",
                    "Run the pipeline again with this version.",
                ) from None
    return _Side(letter, name, stored, run)


def _run(document: dict[str, Any], folder: Path) -> _Run:
    models, pipeline = document["models"], document["pipeline"]
    # The first is the baseline; each other one with a folder came of the stage declared in its
    # place. Exports have none.
    made = [row["label"] for row in models[1:] if "folder" in row]
    declared = dict(zip(made, pipeline["stages"], strict=False))
    rows = [
        _Row(
            label=row["label"],
            settings=declared.get(row["label"], {"kind": row["label"]}),
            measured=from_document(row),
            verdicts=[(verdict["rule"], verdict["outcome"]) for verdict in row["verdicts"]],
            skipped=bool(row.get("skipped")),
            weights=row.get("weights_sha256"),
        )
        for row in models
    ]
    manifest = folder / STAGES_FOLDER / models[0].get("folder", "") / MANIFEST_FILE
    return _Run(
        pipeline=pipeline,
        data=dict(document["data"]),
        baseline={key: document["baseline"][key] for key in ("name", "sha256")},
        baseline_bytes=int(rows[0].measured.cost["bytes"]),
        code=read_document(manifest)["code"] if manifest.is_file() else None,
        rows=rows,
    )


def _model_document(side: _Side) -> dict[str, Any]:
    stored = side.stored
    return {
        "argument": side.argument,
        "name": stored.name,
        "label": stored.source[1] if stored.source else None,
        "records": len(stored.measured.counts.record_names),
        "cost": stored.measured.cost,
        "metrics": metrics_document(stored.measured.counts),
        "protocol": stored.protocol,
        "thresholds": stored.thresholds,
        "versions": stored.versions,
        "provenance": stored.provenance,
    }


def _comparison(reference: _Side, candidate: _Side, common: bool) -> dict[str, Any]:
    accuracy = _accuracy(reference, candidate, common)
    ours, theirs = candidate.stored, reference.stored
    both = (reference.run, candidate.run) if reference.run and candidate.run else None
    metrics, multiplicity = _metrics(ours.measured.counts, theirs.measured.counts, accuracy)
    return {
        "reference": reference.letter,
        "candidate": candidate.letter,
        "notes": _notes(reference, candidate),
        "configuration": changes(both[0].pipeline, both[1].pipeline) if both else None,
        "data": _data(reference, candidate),
        "baseline": _two(both[0].baseline, both[1].baseline) if both else None,
        "code": _two(both[0].code, both[1].code) if both else None,
        "versions": {
            package: _two(theirs.versions.get(package), ours.versions.get(package))
            for package in sorted(ours.versions.keys() | theirs.versions.keys())
            if ours.versions.get(package) != theirs.versions.get(package)
        },
        "accuracy": {
            "paired": accuracy.paired,
            "reason": accuracy.reason,
            "metrics": metrics,
            **multiplicity,
        },
        "cost": _costs(ours.measured, theirs.measured),
        "latency": _latency(reference, candidate),
        "stages": _stages(*both, accuracy) if both else None,
        "gates": _gates(*both) if both else None,
        "records": _records(ours.measured.counts, theirs.measured.counts, accuracy),
    }


def _two(reference: Any, candidate: Any) -> dict[str, Any]:
    return {"reference": reference, "candidate": candidate}


def _notes(reference: _Side, candidate: _Side) -> list[str]:
    """What makes two models hard to compare, apart from what they were measured on."""
    notes = []
    steps = [_step(side) for side in (reference, candidate)]
    if None not in steps and steps[0] != steps[1]:
        notes.append(
            f"{reference.stored.name} and {candidate.stored.name} are different steps of their "
            "runs; RUN#LABEL chooses another model."
        )
    if reference.stored.thresholds != candidate.stored.thresholds:
        notes.append(
            "They pick at different thresholds: what differs is due to model and thresholds alike."
        )
    if reference.run and candidate.run and _hash(reference.run) != _hash(candidate.run):
        notes.append("Each was gated against the baseline of its own run, and these differ.")
    if reference.run and candidate.run:
        notes += _other_weights(reference.run, candidate.run)
    return notes


def _other_weights(reference: _Run, candidate: _Run) -> list[str]:
    """The first model that both runs made in the same way and that has other weights, if any."""
    sets = ("train", "calibration")
    if (
        _hash(reference) != _hash(candidate)
        or any(reference.data.get(name) != candidate.data.get(name) for name in sets)
        or reference.pipeline.get("seed") != candidate.pipeline.get("seed")
    ):
        return []
    for theirs, ours in _pairs(reference, candidate):
        if not (theirs and ours and theirs.weights and ours.weights):
            return []
        settings = [
            {key: value for key, value in row.settings.items() if key not in RULES}
            for row in (theirs, ours)
        ]
        if settings[0] != settings[1] or theirs.skipped != ours.skipped:
            return []
        if theirs.weights != ours.weights:
            return [
                f"{ours.label}: the same settings, data and baseline gave other weights. Other "
                "versions or code do that, another processor, or another number of threads."
            ]
    return []


def _hash(run: _Run) -> str:
    return run.baseline["sha256"]


def _step(side: _Side) -> str | None:
    """What kind of step of its run a model is; None where it comes from no run."""
    if not (side.run and side.stored.source):
        return None
    label = side.stored.source[1]
    return next(str(row.settings["kind"]) for row in side.run.rows if row.label == label)


def _accuracy(reference: _Side, candidate: _Side, common: bool) -> _Accuracy:
    """Whether two models can be compared pair by pair.

    Raises:
        InputError: `common`, and there is no common record.
    """
    theirs, ours = reference.stored, candidate.stored
    names = theirs.measured.counts.record_names
    shared = set(names) & set(ours.measured.counts.record_names)
    records = tuple(sorted(shared) if common else (name for name in names if name in shared))
    if common and not records:
        raise InputError(
            f"{reference.argument} and {candidate.argument} were measured on no common record.",
            "Leave --common out to compare them as they were measured, or measure both on the "
            "same records.",
        )
    keys = sorted(theirs.protocol.keys() | ours.protocol.keys())
    differing = [key for key in keys if theirs.protocol.get(key) != ours.protocol.get(key)]
    same = theirs.fingerprint == ours.fingerprint and names == ours.measured.counts.record_names
    number = f"{len(records):,} records"
    alone = "each model is drawn anew by itself, and the intervals are wider than paired ones."
    if differing:
        shown = ", ".join(
            f"{key} {theirs.protocol.get(key)} and {ours.protocol.get(key)}" for key in differing
        )
        which = f", even of the {number} that both have" if common else ""
        reason = f"Not paired: the windows are not the same{which} ({shown}); {alone}"
    elif same:
        reason = f"Paired: measured on the same windows of {number}."
    elif common:
        reason = (
            f"Paired on the {number} that both have. Where in a record its windows lie depends on "
            "its number in the data, and may not be the same."
        )
    else:
        reason = (
            f"Not paired: measured on different data, {number} in common; {alone} What differs "
            "between the data is part of the difference."
        )
        if records:
            reason += " With --common, the common records alone are compared, in pairs."
    return _Accuracy(not differing and (same or common), reason, records, common)


def _restricted(counts: Counts, names: tuple[str, ...]) -> Counts:
    """The counts of these records, in this order."""
    number = {name: index for index, name in enumerate(counts.record_names)}
    return Counts(names, counts.values[[number[name] for name in names]])


def _metrics(
    candidate: Counts, reference: Counts, accuracy: _Accuracy
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every metric of both and its difference; how many differences to take seriously."""
    ours, theirs = accuracy.of(candidate), accuracy.of(reference)
    differences = accuracy.differences(candidate, reference)
    measured = [name for name in METRICS if not np.isnan(differences[name].point)]
    marked = [name for name in measured if _excludes_zero(differences[name])]
    certain = _holm(
        lambda confidence: accuracy.differences(
            candidate, reference, confidence=confidence, resamples=RESAMPLES_AT_ONCE
        ),
        measured if marked else [],
    )
    ours_known, theirs_known = (_records_by_metric(counts) for counts in (ours, theirs))
    our_intervals, their_intervals = intervals(ours), intervals(theirs)
    metrics = {
        name: {
            "reference": interval_document(their_intervals[name]),
            "candidate": interval_document(our_intervals[name]),
            "difference": interval_document(differences[name]),
            "records": min(ours_known[name], theirs_known[name]),
            "change": _change(name, differences[name]) if name in marked else None,
            "holm": name in certain,
        }
        for name in METRICS
    }
    return metrics, {
        "measured": len(measured),
        "excluding_zero": len(marked),
        "by_chance": SIGNIFICANCE * len(measured),
        "holm": len(certain),
    }


def _excludes_zero(difference: Interval) -> bool:
    return difference.lower > 0.0 or difference.upper < 0.0


def _holm(
    differences: Callable[[float], dict[str, Interval]], names: Sequence[str]
) -> frozenset[str]:
    """The metrics that differ when all are judged at once.

    Holm (1979), Scandinavian Journal of Statistics 6(2), 65-70, by intervals instead of p-values:
    those whose interval at 1 - 0.05 / m is without zero are out, the others are judged anew as if
    they had been all, until none is left out. One or more false ones among them in at most 5 % of
    all comparisons, however the metrics hang together.

    Args:
        differences: by confidence.
        names: of the metrics.
    """
    left = set(names)
    while left:
        found = differences(1.0 - SIGNIFICANCE / len(left))
        out = {name for name in left if _excludes_zero(found[name])}
        if not out:
            break
        left -= out
    return frozenset(names) - left


def _change(name: str, difference: Interval) -> str:
    """better, worse, or shifted for what is neither."""
    if name in get_args(HigherIsBetter):
        return "better" if difference.lower > 0.0 else "worse"
    if name in get_args(LowerIsBetter):
        return "worse" if difference.lower > 0.0 else "better"
    return "shifted"


def _records_by_metric(counts: Counts) -> dict[str, int]:
    """On how many records each metric rests."""
    by_record = metrics_of_sums(counts.values)
    return {name: int((~np.isnan(values)).sum()) for name, values in by_record.items()}


def _data(reference: _Side, candidate: _Side) -> dict[str, Any]:
    """Fingerprints by set, and the records of the evaluation set that only one has."""
    prints = [
        side.run.data if side.run else {"evaluation": side.stored.fingerprint}
        for side in (reference, candidate)
    ]
    theirs, ours = (
        set(side.stored.measured.counts.record_names) for side in (reference, candidate)
    )
    return {
        "sets": {
            name: _two(prints[0][name], prints[1][name]) for name in prints[0] if name in prints[1]
        },
        "common_records": len(ours & theirs),
        "added": sorted(ours - theirs),
        "removed": sorted(theirs - ours),
    }


def _costs(candidate: Measured, reference: Measured) -> dict[str, dict[str, float | None]]:
    found = {}
    for measure in get_args(Cost):
        ours, theirs = candidate.cost.get(measure), reference.cost.get(measure)
        if ours is not None or theirs is not None:
            ratio = ours / theirs if ours is not None and theirs else None
            found[measure] = {**_two(theirs, ours), "ratio": ratio}
    return found


def _latency(reference: _Side, candidate: _Side) -> dict[str, Any]:
    """The time of each over that of what it was timed against; never of one over the other."""
    sides = (reference, candidate)
    theirs, ours = (
        asdict(side.stored.measured.latency) if side.stored.measured.latency else None
        for side in sides
    )
    return {**_two(theirs, ours), "warnings": _latency_warnings(*sides) if ours and theirs else []}


def _latency_warnings(reference: _Side, candidate: _Side) -> list[str]:
    if reference.stored.timed_against == candidate.stored.timed_against:
        return []
    if not (reference.run and candidate.run):
        return ["Whether both were timed against the same model is not known."]
    warnings = []
    if _hash(reference.run) != _hash(candidate.run):
        warnings.append("The two were timed against different baselines.")
    elif reference.run.baseline_bytes != candidate.run.baseline_bytes:
        warnings.append(
            "The baseline was not exported to the same file: "
            f"{reference.run.baseline_bytes:,} and {candidate.run.baseline_bytes:,} bytes."
        )
    runtimes = [side.stored.versions.get(RUNTIME) for side in (reference, candidate)]
    if runtimes[0] != runtimes[1]:
        warnings.append(f"They were timed with {RUNTIME} {runtimes[0]} and {runtimes[1]}.")
    return warnings


def _stages(reference: _Run, candidate: _Run, accuracy: _Accuracy) -> dict[str, Any]:
    """The models that both runs have, and those that one has."""
    pairs = _pairs(reference, candidate)
    return {
        "pairs": [
            {
                **_two(theirs.label, ours.label),
                "cost": _costs(ours.measured, theirs.measured),
                "metrics": {
                    name: interval_document(difference)
                    for name, difference in accuracy.differences(
                        ours.measured.counts, theirs.measured.counts
                    ).items()
                    if name in STAGE_METRICS
                },
                "outcomes": _two(_outcomes(theirs), _outcomes(ours)),
                "skipped": _two(theirs.skipped, ours.skipped),
            }
            for theirs, ours in pairs
            if ours and theirs
        ],
        "removed": [theirs.label for theirs, ours in pairs if theirs and not ours],
        "added": [ours.label for theirs, ours in pairs if ours and not theirs],
    }


def _pairs(reference: _Run, candidate: _Run) -> list[tuple[_Row | None, _Row | None]]:
    """Which model of one run is which of the other: by kind and settings, in order."""
    indices = aligned([row.settings for row in reference.rows],
                      [row.settings for row in candidate.rows])  # fmt: skip
    return [
        (None if i is None else reference.rows[i], None if j is None else candidate.rows[j])
        for i, j in indices
    ]


def _outcomes(row: _Row) -> list[str]:
    return [outcome for _, outcome in row.verdicts]


def _gates(reference: _Run, candidate: _Run) -> list[dict[str, Any]]:
    """The rules that did not come out the same, or that only one run had, by model.

    Rules that differ in their limit alone are the same rule; `rules` says how each run put it.
    """
    found = []
    for theirs, ours in _pairs(reference, candidate):
        if not (theirs and ours):
            continue
        verdicts = (theirs.verdicts, ours.verdicts)
        for rule in dict.fromkeys(_LIMIT.sub("", rule) for side in verdicts for rule, _ in side):
            # One may be declared twice, with two limits or confidences.
            before, after = (
                [verdict for verdict in side if _LIMIT.sub("", verdict[0]) == rule]
                for side in verdicts
            )
            outcomes = _two(*([outcome for _, outcome in side] for side in (before, after)))
            if outcomes["reference"] != outcomes["candidate"]:
                rules = _two(*([text for text, _ in side] for side in (before, after)))
                found.append({"stage": _two(theirs.label, ours.label), "rules": rules, **outcomes})
    return found


def _records(candidate: Counts, reference: Counts, accuracy: _Accuracy) -> dict[str, Any] | None:
    """The records that came out better, worse, or mixed, the greatest changes first.

    `net` counts what was found more and what is false no more, over the windows of the record.
    None where the models are not compared pair by pair.
    """
    if not accuracy.paired:
        return None
    ours, theirs = accuracy.of(candidate), accuracy.of(reference)
    columns = FOUND | FALSE
    indices = [COLUMNS.index(column) for column in columns.values()]
    signs = np.array([1] * len(FOUND) + [-1] * len(FALSE))
    before, after = (counts.values[:, indices].astype(int) for counts in (theirs, ours))
    net = (after - before) @ signs
    kinds: dict[str, list[dict[str, Any]]] = {"better": [], "worse": [], "mixed": []}
    for index in np.flatnonzero((after != before).any(axis=1)):
        gain = int(net[index])
        kinds["better" if gain > 0 else "worse" if gain < 0 else "mixed"].append(
            {
                "record": ours.record_names[index],
                "net": gain,
                "changes": {
                    what: _two(int(was), int(is_))
                    for what, was, is_ in zip(columns, before[index], after[index], strict=True)
                    if was != is_
                },
            }
        )
    for rows in kinds.values():
        rows.sort(key=lambda row: (-abs(row["net"]), row["record"]))
    unchanged = len(ours.record_names) - sum(len(rows) for rows in kinds.values())
    return {**kinds, "unchanged": unchanged}
