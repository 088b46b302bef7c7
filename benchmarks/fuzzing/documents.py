"""Bad YAML (pipelines, rules of gates, search files) and JSON (results, references)."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzzing.cases import Arguments, Case, damaged
from benchmarks.fuzzing.contained import ROOT

PIPELINE = ROOT / "pipelines/student.yaml"
SEARCH = ROOT / "pipelines/tune.yaml"
RULES = ROOT / "pipelines/default.gates.yaml"
REFERENCE = ROOT / "pipelines/default.reference.json"


# --- YAML ----------------------------------------------------------------------------------------


def _planned(folder: Path, content: bytes) -> Arguments:
    path = folder / "pipeline.yaml"
    path.write_bytes(content)
    return ["run", path, "--dry-run"]


def _searched(folder: Path, content: bytes) -> Arguments:
    path = folder / "tune.yaml"
    path.write_bytes(content)
    return ["tune", path, "--trials", 0, "--output", folder / "found"]


def _ruled(folder: Path, content: bytes) -> Arguments:
    path = folder / "gates.yaml"
    path.write_bytes(content)
    return ["gate", REFERENCE, "--against", REFERENCE, "--config", path]


def _bomb() -> bytes:
    """A billion words by aliases of aliases."""
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 9)]
    return "\n".join(lines).encode()


YAML: dict[str, bytes] = {
    "empty": b"",
    "a list": b"- 1\n- 2\n",
    "a word": b"pipeline",
    "aliases of aliases": _bomb(),
    "an alias of itself": b"a: &a [*a]\n",
    "a Python object": b'name: !!python/object/apply:os.system ["touch executed"]\n',
    "a Python module": b"name: !!python/module:antigravity\n",
    "a Python name": b"name: !!python/name:os.system\n",
    "an unknown tag": b"name: !mine {}\n",
    "binary that is none": b"name: !!binary '*'\n",
    "a set": b"name: !!set {a, b}\n",
    "a key twice": b"name: a\nname: b\n",
    "a list for a key": b"? [a, b]\n: 1\n",
    "an unknown key": b"nmae: a\n",
    "a number for a section": b"stages: 7\n",
    "a mapping for a list": b"stages: {a: 1}\n",
    "a list for a mapping": b"evaluation: [1]\n",
    "NaN": b"stages: [{kind: distill, learning_rate: .nan}]\n",
    "infinity": b"stages: [{kind: distill, steps: .inf}]\n",
    "a number of 100,000 digits": b"stages: " + b"9" * 100_000 + b"\n",
    "a number of 5,000 sixtieths": b"stages: " + b"1:" * 5000 + b"1\n",
    "a date that is none": b"name: 2020-13-45\n",
    "nested 5,000 deep": b"[" * 5_000,
    "nested 400 deep": b"name: " + b"[" * 400 + b"]" * 400 + b"\n",
    "24,000 items": b"stages: [" + b"1," * 24_000 + b"]\n",
    "5,000 keys": b"".join(b"k%d: 1\n" % n for n in range(5000)),
    "10 MB": b"# " + b"x" * 10_000_000,
    "Latin-1": b"name: \xe9\n",
    "UTF-16": "name: a\n".encode("utf-16"),
    "NUL bytes": b"name: a\0b\n",
    "a tab": b"a:\n\tb: 1\n",
    "an open bracket": b"name: [1, 2\n",
    "two documents": b"name: a\n---\nname: b\n",
    "random bytes": np.random.default_rng(0).bytes(3000),
}


def _edited(path: Path, old: str, new: str) -> bytes:
    text = path.read_text(encoding="utf-8")
    assert old in text, (path, old)
    return text.replace(old, new, 1).encode()


# --- JSON ----------------------------------------------------------------------------------------


@cache
def _reference() -> dict[str, Any]:
    return json.loads(REFERENCE.read_text(encoding="utf-8"))


def _gated(folder: Path, content: bytes) -> Arguments:
    path = folder / "candidate.json"
    path.write_bytes(content)
    return ["gate", path, "--against", REFERENCE]


def _changed(**changes: Any) -> bytes:
    document = _reference() | changes
    return json.dumps({key: value for key, value in document.items() if value != "absent"}).encode()


def _first_record(*row: Any) -> bytes:
    records = _reference()["records"]
    return _changed(records=[list(row), *records[1:]])


def _values(value: Any) -> bytes:
    name, *values = _reference()["records"][0]
    return _first_record(name, value, *values[1:])


JSON: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "a list": lambda: b"[1, 2]",
    "null": lambda: b"null",
    "an empty object": lambda: b"{}",
    "cut short": lambda: _changed()[:5000],
    "nested 1,000,000 deep": lambda: b"[" * 1_000_000,
    "objects nested 100,000 deep": lambda: b'{"a":' * 100_000,
    "a number of 100,000 digits": lambda: b'{"kind": ' + b"9" * 100_000 + b"}",
    "Latin-1": lambda: b'{"kind": "\xe9"}',
    "a lone surrogate": lambda: b'{"kind": "\\ud800"}',
    "random bytes": lambda: np.random.default_rng(0).bytes(5000),
    "another format": lambda: _changed(format=99),
    "no records": lambda: _changed(records=[]),
    "records that are numbers": lambda: _changed(records=[1, 2, 3]),
    "records that are an object": lambda: _changed(records={"a": 1}),
    "records of no values": lambda: _changed(records=[["a"]]),
    "a record twice": lambda: _changed(records=[_reference()["records"][0]] * 2),
    "a record without a name": lambda: _first_record(None, *_reference()["records"][0][1:]),
    "a record of too many values": lambda: _first_record(*_reference()["records"][0], 1, 2, 3),
    "a value that is a word": lambda: _values("many"),
    "a value that is NaN": lambda: _values(float("nan")),
    "a value that is infinite": lambda: _values(float("inf")),
    "a value of 1e400": lambda: _values(1).replace(b", 1,", b", 1e400,", 1),
    "a negative count": lambda: _values(-5),
    "unknown columns": lambda: _changed(columns=["a", "b"]),
    "columns that are a number": lambda: _changed(columns=5),
    "no columns": lambda: _changed(columns="absent"),
    "costs that are words": lambda: _changed(cost={"bytes": "few"}),
    "costs that are a list": lambda: _changed(cost=[1]),
    "thresholds of another kind": lambda: _changed(thresholds=3),
    "a protocol of another kind": lambda: _changed(protocol=[]),
    "another fingerprint": lambda: _changed(fingerprint="0" * 64),
    "a fingerprint that is a number": lambda: _changed(fingerprint=7),
    "parity that is a word": lambda: _changed(parity="good"),
}


def _sparse(folder: Path) -> Arguments:
    arguments = _gated(folder, b"{}")
    os.truncate(folder / "candidate.json", 2**40)
    return arguments


def _run(folder: Path, content: bytes) -> Arguments:
    (folder / "results.json").write_bytes(content)
    return ["report", folder]


def _results() -> dict[str, Any]:
    return {"format": 1, "name": "x", "finished": "", "baseline": {}, "data": {}, "versions": {},
            "pipeline": {"evaluation": {"thresholds": {}}}, "models": []}  # fmt: skip


RESULTS: dict[str, Callable[[], Any]] = {
    "no models": _results,
    "models that are words": lambda: _results() | {"models": ["a"]},
    "models that are numbers": lambda: _results() | {"models": 7},
    "a model without counts": lambda: _results() | {"models": [{"label": "a"}]},
    "a pipeline that is a list": lambda: _results() | {"pipeline": []},
    "a list": list,
}


def cases() -> Iterator[Case]:
    """See `benchmarks.fuzzing.cases.named`."""
    for name, content in YAML.items():
        yield Case("pipeline", name, lambda folder, c=content: _planned(folder, c))
    for name in ("aliases of aliases", "a Python object", "nested 5,000 deep", "an unknown key"):
        yield Case("search", name, lambda folder, c=YAML[name]: _searched(folder, c))
        yield Case("gates", name, lambda folder, c=YAML[name]: _ruled(folder, c))
    for name, make in JSON.items():
        yield Case("json", name, lambda folder, make=make: _gated(folder, make()))
    yield Case("json", "1 TB", _sparse)
    for name, document in RESULTS.items():
        yield Case("results", name, lambda f, make=document: _run(f, json.dumps(make()).encode()))
        yield Case(
            "results", f"{name}, gated",
            lambda f, make=document: _gated(f, json.dumps(make()).encode()),
        )  # fmt: skip


RANDOM: dict[str, Callable[[np.random.Generator, Path], Arguments]] = {
    "pipeline": lambda random, folder: _planned(folder, damaged(PIPELINE.read_bytes(), random)),
    "search": lambda random, folder: _searched(folder, damaged(SEARCH.read_bytes(), random)),
    "gates": lambda random, folder: _ruled(folder, damaged(RULES.read_bytes(), random)),
    "json": lambda random, folder: _gated(folder, damaged(REFERENCE.read_bytes(), random)),
}
