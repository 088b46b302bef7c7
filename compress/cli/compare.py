"""`compress compare`: what changed between runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.cli.completion import complete_run
from compress.cli.console import console, write_document
from compress.cli.options import JsonFile, output_file

EXAMPLES = (
    "compress compare artifacts/default artifacts/wider",
    "compress compare artifacts/default#2-distill artifacts/default --common --top 20",
    "compress compare OLD NEW --json changes.json --markdown changes.md",
)


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="RUN...",
            autocompletion=complete_run,
            help="Folders of runs: the last model that each kept; #LABEL chooses another. Also the "
            "JSON of `compress evaluate`, bundles and accepted references, which have no settings, "
            "stages and gates. The first is the reference.",
        ),
    ],
    common: Annotated[
        bool,
        typer.Option("--common", help="Compare accuracy on the records that both have, alone."),
    ] = False,
    top: Annotated[
        int, typer.Option(min=0, help="Records to list of those that came out worse, or better.")
    ] = 10,
    json_file: JsonFile = None,
    markdown: Annotated[Path | None, output_file("Write what is shown here, in Markdown.")] = None,
) -> None:
    """Show what changed between runs: settings, data, versions, accuracy, cost, gates, records.

    Runs no model, and is no gate: the exit code is 0 whatever came out worse, and 2 where something
    cannot be compared. Where GITHUB_STEP_SUMMARY names a file, the Markdown is appended to it.
    """
    from compress.comparing import compare as compare_models
    from compress.report.comparison import comparison_summary, show_comparison
    from compress.report.summary import publish

    document = compare_models(runs, common)
    write_document(json_file, document)
    publish(comparison_summary(document, top), markdown)
    show_comparison(console, document, top)
