"""`compress verify`: whether bundles are whole and still compute what they computed."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from baseline.errors import InputError
from compress.cli.console import (
    EXIT_GATE,
    EXIT_INPUT,
    console,
    escape,
    show_error,
    write_document,
)
from compress.cli.options import JsonFile

EXAMPLES = (
    "compress verify artifacts/released/student-tflite-int8",
    "compress verify artifacts/released/*/ --json verified.json",
    "compress verify --record BUNDLE",
)


def verify(
    bundles: Annotated[list[Path], typer.Argument(metavar="BUNDLE...", help="Their folders.")],
    json_file: JsonFile = None,
    record: Annotated[
        bool,
        typer.Option(
            "--record",
            help="Beforehand, give the bundles new reference windows with what their models answer "
            "here: for bundles known to be right that have none.",
        ),
    ] = False,
) -> None:
    """Show what bundles are, compute their hashes anew, and run their reference windows.

    Exit code 3 where a model does not answer what it answered when it was exported, 2 where a
    bundle is damaged. Needs neither TensorFlow nor records.
    """
    from compress.data.reference import reference_windows
    from compress.report.bundle import show_verification
    from export.bundle import add_reference
    from export.verify import Outcome
    from export.verify import verify as verify_bundle

    rows: list[dict[str, Any]] = []
    for folder in bundles:
        try:
            if record:
                add_reference(folder, reference_windows())
            found = verify_bundle(folder)
        except InputError as error:
            show_error(error)
            rows.append({"bundle": str(folder), "outcome": "damaged", "reason": str(error)})
            continue
        show_verification(console, str(folder), found)
        rows.append({"bundle": str(folder), **found.to_dict()})
    write_document(json_file, {"bundles": rows})
    if len(rows) > 1:
        for row in rows:
            console.print(f"{row['outcome']}: {escape(row['bundle'])}", soft_wrap=True)
    outcomes = {row["outcome"] for row in rows}
    if "damaged" in outcomes:
        raise typer.Exit(EXIT_INPUT)
    if Outcome.FAIL in outcomes:
        raise typer.Exit(EXIT_GATE)
