"""What `compress verify` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from export.bundle import Metadata
from export.verify import Outcome, Verification

COLOURS = {Outcome.PASS: "green", Outcome.FAIL: "bold red", Outcome.NOT_CHECKED: "yellow"}


def show_verification(console: Console, name: str, found: Verification) -> None:
    """What a bundle is, and each check with its outcome."""
    about = Table(title=escape(name), show_header=False)
    about.add_column(no_wrap=True)
    about.add_column(overflow="fold")
    for key, value in describe(found.metadata).items():
        about.add_row(key, escape(value))
    checks = Table("check", "outcome", "what was found")
    for check in found.checks:
        outcome = f"[{COLOURS[check.outcome]}]{check.outcome}[/]"
        checks.add_row(escape(check.what), outcome, escape(check.detail))
    console.print(about)
    console.print(checks)


def describe(metadata: Metadata) -> dict[str, str]:
    """What somebody who deploys a bundle wants to know of it, by heading."""
    components = ", ".join(metadata.component_order)
    thresholds = (f"{name} {value:g}" for name, value in metadata.thresholds.items())
    return {
        "name": metadata.name,
        "format": metadata.format.value,
        "precision": metadata.precision.value,
        "file": f"{metadata.file}, {metadata.bytes:,} bytes",
        "input": f"{metadata.input}; {components} at {metadata.sampling_rate_hz:g} Hz, "
        f"{metadata.normalisation}",
        "output": f"{metadata.output} ({', '.join(metadata.output_order)})",
        "thresholds": ", ".join(thresholds),
        "made from": _origin(metadata.provenance),
        "licence": metadata.licence,
        "cite": metadata.citation,
    }


def _origin(provenance: dict[str, Any]) -> str:
    """Model, stages and this program's version, as far as they are told."""
    model = Path(str(provenance.get("baseline", provenance.get("model", "not told")))).name
    stages = [str(stage.get("kind", "?")) for stage in provenance.get("stages", [])]
    release = provenance.get("versions", {}).get("eqt-compress")
    by = [f"by eqt-compress {release}"] if release else []
    return ", ".join([" > ".join([model, *stages]), *by])
