"""Summaries in Markdown, for the page that a continuous integration job leaves behind."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from baseline.files import writing
from compress.report.table import EXPLANATION, markdown_table
from compress.store import write_text

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
"""Names the file that GitHub Actions shows on a job's page."""

COST = ("parameters", "multiply_adds", "bytes", "gzip_bytes")


def publish(text: str, file: Path | None = None) -> None:
    """Append a summary to the job's page, where there is one, and write it to `file`."""
    page = os.environ.get(SUMMARY_VARIABLE)
    if page:
        with writing(Path(page)), Path(page).open("a", encoding="utf-8") as stream:
            stream.write(text + "\n")
    if file:
        write_text(file, text)


def gate_summary(document: dict[str, Any]) -> str:
    """What came of a gate between two stored models (the document of `compress.gating.gate`)."""
    candidate, reference = document["candidate"], document["reference"]
    parts = [
        f"## Gate: {document['outcome']}",
        f"{escaped(candidate['name'])} against {escaped(reference['name'])}, "
        f"{document['data']['records']:,} records.",
        _verdict_table(document["verdicts"]),
        *_reasons(document["verdicts"]),
        _cost_table(candidate["cost"], reference["cost"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def run_summary(results: dict[str, Any]) -> str:
    """What came of a run: a row per model, and every rule that did not pass."""
    rows = results["models"]
    parts = [
        f"## Pipeline {escaped(results['name'])}: {results['outcome']}",
        markdown_table(rows),
        EXPLANATION,
    ]
    for row in rows:
        if row["skipped"]:
            parts.append(f"**{row['label']} was skipped**: the run went on without it.")
        reasons = _reasons(row["verdicts"])
        if reasons:
            parts += [f"### {row['label']}", *reasons]
    return "\n\n".join(parts) + "\n"


def _verdict_table(verdicts: list[dict[str, Any]]) -> str:
    lines = ["| rule | outcome | measured | interval | bound |", "|---|---|---|---|---|"]
    for verdict in verdicts:
        cells = (
            escaped(verdict["rule"]),
            f"**{verdict['outcome']}**" if verdict["outcome"] != "pass" else "pass",
            _number(verdict["measured"]),
            " to ".join(map(_number, verdict["interval"])) if verdict["interval"] else "-",
            _number(verdict["bound"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _cost_table(candidate: dict[str, float], reference: dict[str, float]) -> str:
    lines = ["| cost | candidate | reference |", "|---|---:|---:|"]
    for measure in COST:
        values = [cost.get(measure) for cost in (candidate, reference)]
        if any(value is not None for value in values):
            shown = " | ".join("-" if value is None else f"{value:,.0f}" for value in values)
            lines.append(f"| {measure.replace('_', '-')} | {shown} |")
    return "\n".join(lines)


def _reasons(verdicts: list[dict[str, Any]]) -> list[str]:
    """One list of whatever did not pass, or nothing."""
    lines = [
        f"- **{verdict['outcome']}**: {escaped(verdict['rule'])}. {escaped(verdict['reason'])}"
        for verdict in verdicts
        if verdict["outcome"] != "pass"
    ]
    return ["\n".join(lines)] if lines else []


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def escaped(text: str) -> str:
    """Text that stays what it is inside a table and outside: no markup, one line."""
    flat = " ".join(text.split())
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>#|" else c for c in flat)
