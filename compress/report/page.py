"""`report.html`: a run for a person who decides by looking, in one file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from baseline.errors import InputError
from compress.graphs.changes import KEPT
from compress.report.contents import RANKING, Contents
from compress.report.cost_figures import time_ratio
from compress.report.markdown import DETAILS
from compress.report.run_rows import Row, kind_of
from compress.report.table import interval, outcome, times
from compress.store import write_text

MAXIMUM_BYTES = 5_000_000
"""Of a page: what a mail carries and a browser opens at once."""

SCORES = {"p_f1_0.5s": "P F1", "s_f1_0.5s": "S F1", "detection_f1": "detection F1"}

KIND_TITLES = {"best": "Best", "typical": "Typical", "worst": "Worst disagreements"}


def write_page(path: Path, contents: Contents) -> None:
    """Write the page of a report, whole or not at all.

    Raises:
        InputError: it is larger than MAXIMUM_BYTES.
    """
    text = page(contents)
    size = len(text.encode())
    if size > MAXIMUM_BYTES:
        raise InputError(
            f"{path}: the page would have {size:,} bytes, more than {MAXIMUM_BYTES:,}.",
            "The layers and counts of very many stages or peers take the room: leave peers out.",
        )
    write_text(path, text)


def page(contents: Contents) -> str:
    """The page of a report, as HTML."""
    environment = Environment(
        loader=PackageLoader("compress.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    script = _own(environment, "report.js")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    results = contents.results
    return environment.get_template("report.html.j2").render(
        contents=contents,
        results=results,
        verdict=contents.verdict,
        style=Markup(_own(environment, "report.css")),
        script=Markup(script),
        script_hash=f"sha256-{digest}",
        scores=SCORES,
        table=[_table_row(row) for row in contents.rows],
        stages=list(_stages(contents.rows)),
        details=list(_details(contents.rows)),
        ranking=RANKING,
        examples=[
            (title, [each for each in contents.examples if each.kind == kind])
            for kind, title in KIND_TITLES.items()
        ],
        configuration=yaml.safe_dump(results["pipeline"], sort_keys=False, allow_unicode=True),
        interval=interval,
    )


def _own(environment: Environment, name: str) -> str:
    """A file of this package that goes into the page as it is."""
    assert environment.loader
    return environment.loader.get_source(environment, name)[0]


def _table_row(row: Row) -> dict[str, Any]:
    """A row of the table: what is shown, and the numbers that it is sorted by."""
    cost, ratio = row["cost"], time_ratio(row)
    latency = row["latency"]
    return {
        "label": row["label"],
        "kind": kind_of(row),
        "loops": bool(row.get("loops")),
        "sizes": [
            _number(cost.get("parameters"), 1e3, "k"),
            _number(cost.get("multiply_adds"), 1e6, "M"),
            _number(cost.get("bytes"), 1e3, "kB"),
        ],
        "gzipped": _number(cost.get("gzip_bytes"), 1e3, "kB"),
        "ratio": ratio,
        "faster": times(latency["ratio"]) if latency else "",
        "ratio_interval": f"{latency['lower']:.3f}–{latency['upper']:.3f}" if latency else "",
        "metrics": {name: row["metrics"][name] for name in SCORES},
        "outcome": outcome(row),
        "state": _state(row),
    }


def _number(value: float | None, unit: float, name: str) -> tuple[float | None, str]:
    return (None, "–") if value is None else (value, f"{value / unit:,.1f} {name}")


def _state(row: Row) -> str:
    """Fail, inconclusive or pass: the worst of the row's verdicts; nothing without any."""
    outcomes = {verdict["outcome"] for verdict in row["verdicts"]}
    return next((word for word in ("fail", "inconclusive", "pass") if word in outcomes), "")


def _stages(rows: list[Row]) -> Iterator[dict[str, Any]]:
    """What is told of each model of the run by itself: layers, training, parity, verdicts."""
    for row in rows:
        if kind_of(row) == "peer":
            continue
        layers = row.get("layers", [])
        changed = [layer for layer in layers if layer["became"] != KEPT or layer["note"]]
        yield {
            **row,
            "kind": kind_of(row),
            "state": _state(row),
            "outcome": outcome(row),
            "layers": layers,
            "changed": len(changed),
            "training": row.get("training", {}),
            "sha256": row.get("sha256"),
            "precision": row.get("precision"),
            "folder": row.get("folder"),
        }


def _details(rows: list[Row]) -> Iterator[tuple[str, list[list[str]]]]:
    """Every other metric: a heading, and for each model the values that stand below it."""
    for heading, names in DETAILS:
        yield heading, [[interval(row["metrics"][name]) for name in names] for row in rows]
