"""`compress report`: a finished run as a page for a person who decides by looking."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.cli.completion import complete_run
from compress.cli.console import console, escape
from compress.cli.options import output_file

EXAMPLES = (
    "compress report artifacts/default",
    "compress report artifacts/default --output default.html --title 'Student for stations'",
    "compress report artifacts/default --peer small.json --peer BUNDLE",
)


def report(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The folder that `compress run` wrote to.")
    ],
    output: Annotated[
        Path | None,
        output_file(
            "Write the page here and nothing else. Default: report.html in the run's folder, and "
            "report.md with its pictures."
        ),
    ] = None,
    peer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MEASURED",
            autocompletion=complete_run,
            help="Another model for the table and the curve of accuracy against cost: what "
            "`compress evaluate --json` wrote, or another run or bundle, measured on the same "
            "records with the same placements and seed. May be given several times.",
        ),
    ] = None,
    title: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Its heading. Default: the pipeline's name.")
    ] = None,
) -> None:
    """Write a finished run's report anew: one HTML file that needs nothing else.

    `compress run` writes it at its end. Runs no model and needs neither records nor TensorFlow.
    The exit code is 0 whatever the gates said.
    """
    from compress.reporting import report_run

    page = report_run(run, output=output, peers=peer or (), title=title)
    console.print(f"Report: {escape(str(page))}", soft_wrap=True, highlight=False)
