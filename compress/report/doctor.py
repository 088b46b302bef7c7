"""What `compress doctor` prints."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

CACHE = {
    "whole": "whole, SHA-256 verified",
    "damaged": "damaged: the SHA-256 is another; `compress baseline fetch` replaces it",
    "absent": "not there; fetched when it is first needed",
}


def show_findings(console: Console, document: dict[str, Any]) -> None:
    """The machine and the installation, then a row for each runtime that was tried."""
    processor, memory, cache = document["processor"], document["memory"], document["cache"]
    packages = document["packages"]
    about = Table(show_header=False)
    about.add_column(no_wrap=True)
    about.add_column(overflow="fold")
    program = document["versions"].get("eqt-compress", "run from its source")
    rows = [
        ("program", f"eqt-compress {program}"),
        ("Python", f"{document['python']['version']}, {document['python']['executable']}"),
        ("packages", ", ".join(f"{name} {found}" for name, found in packages.items() if found)),
        ("not installed", ", ".join(name for name, found in packages.items() if not found)),
        ("processor", f"{processor['name']} ({processor['architecture']})"),
        ("threads", f"{processor['threads']} of {processor['cores']} cores may be used"),
        *(("", f"{name}: {what}") for name, what in processor["features"].items()),
        ("int8", processor["int8"] and f"{processor['int8']}; `compress bench` tells"),
        ("memory", _memory(memory)),
        (
            "disk",
            f"{_gigabytes(document['disk']['free_bytes'])} free in {document['disk']['folder']}",
        ),
        ("cache", cache["folder"] + ("" if cache["writable"] else ", which may not be written")),
        *((name, CACHE[state]) for name, state in cache["models"].items()),
    ]
    for name, text in rows:
        if text:
            about.add_row(name, escape(text))
    console.print(about)
    tried = Table("tried", "outcome", "seconds", "why not")
    for trial in document["runtimes"]:
        seconds = "-" if trial["seconds"] is None else f"{trial['seconds']:.1f}"
        tried.add_row(trial["name"], trial["outcome"], seconds, escape(trial["reason"]))
    console.print(tried)


def _memory(memory: dict[str, int | None]) -> str:
    total, available = memory["total_bytes"], memory["available_bytes"]
    if total is None or available is None:
        return ""
    return f"{_gigabytes(available)} of {_gigabytes(total)} are free"


def _gigabytes(number: int) -> str:
    return f"{number / 1e9:,.1f} GB"
