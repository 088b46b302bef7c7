"""Gates between two measurements that were stored: what a continuous integration job asks.

Nothing is run here: no model, no waveforms, no TensorFlow. What was measured of a candidate is held
against what was measured of a reference, record by record, by the same rules as within a run.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from baseline.errors import InputError
from compress.gates import AccuracyGate, CostGate, Gates, Outcome, all_pass, judge
from compress.measurements import StoredModel, is_reference, read_stored
from compress.results import differences_document, metrics_document, verdict_document
from compress.store import versions, write_text
from compress.yaml_file import read_yaml, validate

DEFAULT_GATES = Gates(
    accuracy=tuple(
        AccuracyGate(metric=metric, margin=0.01)
        for metric in ("p_f1_0.5s", "s_f1_0.5s", "detection_f1")
    ),
    cost=tuple(
        CostGate(measure=measure, maximum_ratio=1.02) for measure in ("bytes", "multiply_adds")
    ),
)
"""What a change may do to a model: lose a hundredth of F1, grow by 2 %.

Latency is not among them: a time that was taken yesterday, or on another machine, says nothing.
"""

Inconclusive = Literal["fail", "warn"]


def read_gates(path: Path) -> Gates:
    """The rules in a YAML file with the keys of `compress.gates.Gates`.

    Raises:
        InputError: with file, line and key of what is wrong; no rule at all; or a rule against the
            previous model, which only a run has.
    """
    file = read_yaml(path)
    gates = validate(file, Gates)
    if not (gates.accuracy or gates.cost or gates.parity):
        raise InputError(
            f"{path}: declares no rule, and nothing passes unasked.",
            "Declare rules under `accuracy`, `cost` or `parity`.",
        )
    for index, gate in enumerate(gates.accuracy):
        if gate.against == "previous":
            place = ("accuracy", index, "against")
            raise InputError(
                f"{path}, line {file.line(place)}: accuracy.{index}.against: there is no previous "
                "model here, only the reference.",
                "Leave `against` out.",
            )
    return gates


def gate(
    candidate: str, against: str, gates: Gates = DEFAULT_GATES, inconclusive: Inconclusive = "fail"
) -> dict[str, Any]:
    """Hold what was measured of one model against what was measured of another.

    A rule on latency can only be decided where the candidate was timed against this very
    reference, in the same call: two rows of one `results.json` (the baseline being the reference)
    or the two models of one `compress evaluate --against`. Everywhere else it is inconclusive.

    Args:
        candidate: as `compress.measurements.read_stored` takes it.
        against: the reference, likewise.
        gates: the rules.
        inconclusive: what a rule that cannot be decided means.

    Returns:
        A JSON document: `outcome` ("pass" if every rule passed, or was only inconclusive where
        that is a warning, else "fail"), verdicts, both models, their differences, the rules.

    Raises:
        InputError: one of them cannot be read, or they were measured on different windows.
    """
    ours, theirs = read_stored(candidate), read_stored(against)
    require_same_windows(ours, theirs)
    timed = ours.timed_against is not None and ours.timed_against == theirs.source
    measured = ours.measured if timed else replace(ours.measured, latency=None)
    verdicts = judge(gates, measured, theirs.measured)
    passed = all_pass((verdict.outcome for verdict in verdicts), inconclusive)
    return {
        "format": 1,
        "outcome": (Outcome.PASS if passed else Outcome.FAIL).value,
        "inconclusive": inconclusive,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "candidate": _model_document(ours),
        "reference": _model_document(theirs),
        "data": {
            "records": len(ours.measured.counts.record_names),
            "fingerprint": ours.fingerprint,
        },
        "protocol": ours.protocol,
        "gates": gates.model_dump(mode="json"),
        "verdicts": [verdict_document(verdict) for verdict in verdicts],
        "differences": differences_document(ours.measured.counts, theirs.measured.counts),
        "versions": versions(),
    }


def accept(candidate: str, file: Path) -> StoredModel:
    """Make what was measured of a candidate the reference that later ones are held against.

    Args:
        candidate: as `compress.measurements.read_stored` takes it.
        file: where the reference is written, whole or not at all; small enough to be committed.

    Raises:
        InputError: the candidate cannot be read, or `file` exists and is something else.
    """
    stored = read_stored(candidate)
    if file.exists() and not is_reference(file):
        raise InputError(
            f"{file}: exists and is no accepted reference, so it is not replaced.",
            "Give another file.",
        )
    if not file.parent.is_dir():
        raise InputError(f"{file}: there is no folder {file.parent}.")
    write_text(file, stored.to_json())
    return stored


def require_same_windows(ours: StoredModel, theirs: StoredModel) -> None:
    """The names of the records are compared where they are paired."""
    if ours.fingerprint != theirs.fingerprint:
        raise InputError(
            f"{ours.name} and {theirs.name} were measured on different data (fingerprints "
            f"{ours.fingerprint[:12]} and {theirs.fingerprint[:12]}).",
            "Measure both on the same data set; if the data set was changed on purpose, accept a "
            "new reference.",
        )
    keys = ours.protocol.keys() | theirs.protocol.keys()
    differing = sorted(k for k in keys if ours.protocol.get(k) != theirs.protocol.get(k))
    if differing:
        shown = ", ".join(
            f"{key} {ours.protocol.get(key)} and {theirs.protocol.get(key)}" for key in differing
        )
        raise InputError(
            f"{ours.name} and {theirs.name} were measured on different windows: {shown}.",
            "Measure both with the same settings.",
        )


def _model_document(model: StoredModel) -> dict[str, Any]:
    return {
        "name": model.name,
        "thresholds": model.thresholds,
        "cost": model.measured.cost,
        "metrics": metrics_document(model.measured.counts),
        "versions": model.versions,
        "provenance": model.provenance,
    }
