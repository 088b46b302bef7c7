"""Verdicts as JUnit XML, the form in which continuous integration shows single results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

from junitparser import Failure, JUnitXml, Properties, Property, Skipped, TestCase, TestSuite

from compress.store import write_text

Row = dict[str, Any]

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, not even escaped (section 2.2)."""


def write_junit(
    path: Path, name: str, rows: list[Row], *, inconclusive: Literal["fail", "warn"], date: str
) -> None:
    """Write one test suite per model and one test case per rule, whole or not at all.

    A rule that failed is a failure. One that could not be decided is a failure too, of the type
    "inconclusive", or skipped where `inconclusive` is "warn". The rules of a stage that the run
    went on without are skipped.

    Args:
        path: the file.
        name: of the whole.
        rows: models with `label`, `verdicts` (`compress.results.verdict_document`) and, in a run,
            `skipped`. Models without verdicts are left out.
        inconclusive: what an undecided rule means.
        date: ISO 8601, of the measurement.
    """
    xml = JUnitXml(_text(name))
    for row in rows:
        if not row["verdicts"]:
            continue
        suite = TestSuite(_text(f"{name}: {row['label']}"))
        suite.timestamp = date
        suite.time = 0.0
        for verdict in row["verdicts"]:
            suite.add_testcase(_case(verdict, row, inconclusive))
        xml.add_testsuite(suite)
    xml.update_statistics()
    xml.time = 0.0
    write_text(path, f'<?xml version="1.0" encoding="utf-8"?>\n{xml.tostring().decode()}\n')


def _case(verdict: dict[str, Any], row: Row, inconclusive: Literal["fail", "warn"]) -> TestCase:
    reason, outcome = _text(verdict["reason"]), verdict["outcome"]
    case = TestCase(_text(verdict["rule"]), f"compress.gate.{_text(row['label'])}", 0.0)
    properties = Properties()
    for key, value in _numbers(verdict).items():
        properties.append(Property(key, f"{value:.6g}"))
    case.append(properties)
    if outcome == "pass":
        case.system_out = reason
    elif row.get("skipped"):
        case.result = [_with_text(Skipped(f"{outcome}, and the stage was skipped"), reason)]
    elif outcome == "inconclusive" and inconclusive == "warn":
        case.result = [_with_text(Skipped("inconclusive"), reason)]
    else:
        case.result = [_with_text(Failure(reason, outcome), reason)]
    return case


def _numbers(verdict: dict[str, Any]) -> dict[str, float]:
    """What was measured and what it was held against, where there is a number."""
    lower, upper = verdict["interval"] or (None, None)
    numbers = {
        "measured": verdict["measured"],
        "bound": verdict["bound"],
        "lower": lower,
        "upper": upper,
    }
    return {key: value for key, value in numbers.items() if value is not None}


def _with_text(result: Failure | Skipped, text: str) -> Failure | Skipped:
    result.text = text
    return result


def _text(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
