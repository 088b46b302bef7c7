"""The report of a run on disk: `report.html`, `report.md`, and the pictures that this one names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from compress.evaluation.examples import Examples
from compress.report.contents import Contents, contents
from compress.report.markdown import write_report
from compress.report.page import write_page

PAGE_FILE = "report.html"
MARKDOWN_FILE = "report.md"


def write_run_report(folder: Path, results: dict[str, Any], examples: Examples | None) -> None:
    """Write both reports of a run, and the pictures, into its folder."""
    write_both(folder, contents(results, examples))


def write_both(folder: Path, told: Contents) -> None:
    """Write a report as a page, and as Markdown with pictures beside it."""
    write_report(folder / MARKDOWN_FILE, told)
    write_page(folder / PAGE_FILE, told)
