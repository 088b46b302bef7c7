"""Measurements on disk: whatever holds what was measured of a model, read as one thing.

A model's right and wrong picks by record, its cost and where they come from are all that a later
comparison takes: no model, no waveforms, no TensorFlow. They are found in

- `results.json` of a run, or the run's folder: the last model, or the one chosen by `#label`;
- the JSON of `compress evaluate`: the model that was evaluated, or the one chosen by `#name`;
- a bundle, which carries them as `counts.json`;
- a reference that was accepted: the same document, in a file of its own.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from baseline.errors import InputError
from compress.gates import Measured
from compress.results import from_document, to_document

FORMAT = 1
KIND = "measured model"
RESULTS_FILE = "results.json"
BUNDLE_FILE = "metadata.json"
MAXIMUM_BYTES = 64_000_000
"""Of a document: 300,000 records. Of more, damaged on purpose, Python makes gigabytes."""

NOT_OF_WINDOWS = frozenset({"thresholds", "latency_pairs", "latency_seconds"})
"""Evaluation settings that do not choose windows. Thresholds belong to the model."""


@dataclass(frozen=True)
class StoredModel:
    """What was measured of one model, once.

    Attributes:
        name: what it is called in reports.
        measured: counts, cost, and parity; latency only next to what it was timed against.
        fingerprint: hash of the records it was measured on.
        protocol: which windows of them.
        thresholds: from which probabilities on it picked.
        versions: of the packages it was measured with.
        provenance: where it comes from.
        timed_against: file and label of the model that its latency is relative to.
        source: file and label it was read from.
    """

    name: str
    measured: Measured
    fingerprint: str
    protocol: dict[str, Any]
    thresholds: dict[str, float]
    versions: dict[str, str]
    provenance: dict[str, Any]
    timed_against: tuple[Path, str] | None = None
    source: tuple[Path, str] | None = None

    def to_json(self) -> str:
        """The document that bundles carry and that is accepted as a reference.

        Everything but the latency, which means nothing away from the machine and the model it was
        measured with. Each record has a line of its own, so that a diff of two references shows
        the records that came out differently.
        """
        measurement = to_document(self.measured)
        counts = measurement["counts"]
        head = {
            "format": FORMAT,
            "kind": KIND,
            "name": self.name,
            "fingerprint": self.fingerprint,
            "protocol": self.protocol,
            "thresholds": self.thresholds,
            "versions": self.versions,
            "provenance": self.provenance,
            "cost": self.measured.cost,
            "parity": self.measured.parity,
            "columns": counts["columns"],
        }
        rows = ",\n".join(
            json.dumps([name, *row], separators=(",", ":"), allow_nan=False)
            for name, row in zip(counts["records"], counts["values"], strict=True)
        )
        opened = json.dumps(head, indent=1, allow_nan=False).removesuffix("\n}")
        return f'{opened},\n "records": [\n{rows}\n]}}\n'


def window_protocol(evaluation: dict[str, Any]) -> dict[str, Any]:
    """Of the settings of an evaluation, those that choose the windows."""
    return {key: value for key, value in evaluation.items() if key not in NOT_OF_WINDOWS}


def read_stored(name: str) -> StoredModel:
    """Find what was measured of a model, in any of the forms above.

    Args:
        name: a path, with `#label` to choose a model where the file holds several.

    Raises:
        InputError: nothing there, another kind of file, no such label, or no counts in a bundle.
    """
    path, label = split_label(name)
    if path.is_dir():
        if (path / BUNDLE_FILE).is_file():
            return _of_bundle(path, label)
        if not (path / RESULTS_FILE).is_file():
            raise InputError(
                f"{path}: is neither a run's folder (it has no {RESULTS_FILE}) nor a bundle (no "
                f"{BUNDLE_FILE}).",
                "A run that was not finished has no results yet.",
            )
        path = path / RESULTS_FILE
    document = read_document(path)
    try:
        if document.get("kind") == KIND:
            _no_label(path, label)
            return _sound(_of_reference(document, path))
        if "pipeline" in document and "models" in document:
            return _sound(_of_run(document, path, label))
        if "protocol" in document and "models" in document:
            return _sound(_of_evaluation(document, path, label))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise InputError(
            f"{path}: is damaged, or was written by another version ({error!r}).",
            "Measure the model again with this version.",
        ) from None
    raise InputError(
        f"{path}: holds no measured model.",
        f"Give {RESULTS_FILE} of a run, what `compress evaluate --json` wrote, a bundle, or an "
        "accepted reference.",
    )


def is_reference(path: Path) -> bool:
    """Whether a file is an accepted reference, and so may be replaced by another."""
    try:
        return bool(read_document(path).get("kind") == KIND)
    except InputError:
        return False


def split_label(name: str) -> tuple[Path, str | None]:
    """Path and label of `path#label`; a file whose own name holds a # is taken as it is."""
    if Path(name).exists() or "#" not in name:
        return Path(name), None
    path, _, label = name.rpartition("#")
    return Path(path), label


def read_document(path: Path) -> dict[str, Any]:
    """The JSON object in a file.

    Raises:
        InputError: it cannot be read, or holds something else.
    """
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise InputError(f"{path}: larger than {MAXIMUM_BYTES:,} bytes.")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text.") from None
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON ({error}).") from None
    if not isinstance(document, dict):
        raise InputError(f"{path}: holds no JSON object.")
    return document


def _of_run(document: dict[str, Any], path: Path, label: str | None) -> StoredModel:
    rows = document["models"]
    row = chosen(rows, "label", label, path) if label is not None else _last(rows, path)
    evaluation = document["pipeline"]["evaluation"]
    first = rows[0]["label"]
    return StoredModel(
        name=f"{document['name']} {row['label']}",
        measured=_measured(row, path),
        fingerprint=document["data"]["evaluation"],
        protocol=window_protocol(evaluation),
        thresholds=evaluation["thresholds"],
        versions=document["versions"],
        provenance={
            "pipeline": document["name"],
            "finished": document["finished"],
            "baseline": document["baseline"],
        },
        timed_against=(path.resolve(), first),
        source=(path.resolve(), row["label"]),
    )


def _last(rows: list[dict[str, Any]], path: Path) -> dict[str, Any]:
    """The last model that the run kept."""
    kept = [row for row in rows if not row.get("skipped")]
    if not kept:
        raise InputError(f"{path}: holds no model.")
    return kept[-1]


def _of_evaluation(document: dict[str, Any], path: Path, label: str | None) -> StoredModel:
    models = document["models"]
    model = models[0] if label is None else chosen(models, "name", label, path)
    timed_against = (path.resolve(), models[1]["name"]) if len(models) > 1 else None
    return StoredModel(
        name=Path(model["name"]).name,
        measured=_measured(model, path),
        fingerprint=document["data"]["fingerprint"],
        protocol=document["protocol"],
        thresholds=model["thresholds"],
        versions=document["versions"],
        provenance={"evaluated": document["date"], "data": document["data"]["folder"]},
        timed_against=timed_against,
        source=(path.resolve(), model["name"]),
    )


def _of_bundle(folder: Path, label: str | None) -> StoredModel:
    from export.bundle import COUNTS_FILE, read_bundle, read_counts

    _no_label(folder, label)
    path = folder / COUNTS_FILE
    text = read_counts(folder)
    try:
        stored = _sound(_of_reference(json.loads(text), path))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: was written by another version ({error!r}).", "Export the model again."
        ) from None
    if stored.thresholds != read_bundle(folder)[0].thresholds:
        raise InputError(
            f"{folder}: its counts were measured with other thresholds than it has now.",
            f"Measure it again (`compress evaluate {folder} --json FILE`).",
        )
    return stored


def _of_reference(document: dict[str, Any], path: Path) -> StoredModel:
    if document["format"] != FORMAT:
        raise InputError(
            f"{path}: has format {document['format']!r}; this version reads format {FORMAT}.",
            "Accept the reference anew with this version.",
        )
    parity = document["parity"]
    measurement = {
        "cost": document["cost"],
        "latency": None,
        "parity": None if parity is None else {"maximum_difference": parity},
        "counts": {
            "columns": document["columns"],
            "records": [row[0] for row in document["records"]],
            "values": [row[1:] for row in document["records"]],
        },
    }
    return StoredModel(
        name=str(document["name"]),
        measured=_measured(measurement, path),
        fingerprint=document["fingerprint"],
        protocol=document["protocol"],
        thresholds=document["thresholds"],
        versions=document["versions"],
        provenance=document["provenance"],
    )


def _sound(stored: StoredModel) -> StoredModel:
    """The same, if everything in it is of its kind; raises TypeError if not."""
    sections = (stored.protocol, stored.thresholds, stored.versions, stored.provenance)
    if not isinstance(stored.fingerprint, str) or not all(isinstance(s, dict) for s in sections):
        raise TypeError("a fingerprint is no text, or a section no object")
    if not all(isinstance(number, int | float) for number in stored.thresholds.values()):
        raise TypeError("a threshold is no number")
    return stored


def _measured(document: dict[str, Any], path: Path) -> Measured:
    try:
        measured = from_document(document)
    except InputError as error:
        raise InputError(f"{path}: {error.message}", error.hint) from None
    numbers = [*measured.cost.values(), *([] if measured.parity is None else [measured.parity])]
    if not all(isinstance(number, int | float) for number in numbers):
        raise TypeError("a cost is no number")
    signed = np.array([column.endswith("_residual_sum") for column in measured.counts.columns])
    if (measured.counts.values[:, ~signed] < 0).any():
        raise ValueError("a count is negative")
    return measured


def chosen(rows: list[dict[str, Any]], key: str, label: str, path: Path) -> dict[str, Any]:
    """The one of a file's models that is called so.

    Raises:
        InputError: there is none; says which there are.
    """
    for row in rows:
        if row[key] == label:
            return row
    raise InputError(
        f"{path}: holds no model {label!r}.",
        f"It holds {', '.join(str(row[key]) for row in rows)}.",
    )


def _no_label(path: Path, label: str | None) -> None:
    if label is not None:
        raise InputError(f"{path}: holds one model, so there is none to choose by #{label}.")
