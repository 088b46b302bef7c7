"""`compress gate`: one stored measurement against another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from baseline.errors import InputError
from compress.cli.completion import complete_inconclusive, complete_run
from compress.cli.console import EXIT_GATE, console, escape, write_document
from compress.cli.options import JsonFile, JunitFile, output_file, require_known

INCONCLUSIVE = ("fail", "warn")

EXAMPLES = (
    "compress gate artifacts/default --against reference.json",
    "compress gate artifacts/default#2-prune --against artifacts/default#0-baseline",
    "compress gate BUNDLE --against reference.json --config gates.yaml --junit gate.xml",
    "compress gate artifacts/default --accept reference.json",
)


def gate(
    candidate: Annotated[
        str,
        typer.Argument(
            metavar="CANDIDATE",
            autocompletion=complete_run,
            help="What was measured of a model: results.json of a run or its folder (its last "
            "model; #LABEL chooses another), the JSON of `compress evaluate`, a bundle, or an "
            "accepted reference.",
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="REFERENCE",
            autocompletion=complete_run,
            help="What it is held against, likewise.",
        ),
    ] = None,
    accept: Annotated[
        Path | None, output_file("Write the candidate there as the new reference.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML file with the rules, as under `gates` in a pipeline. Default: F1 of P, S "
            "and detection at most 0.01 lower, bytes and multiply-adds at most 1.02 times.",
        ),
    ] = None,
    inconclusive: Annotated[
        str,
        typer.Option(
            metavar="OUTCOME",
            autocompletion=complete_inconclusive,
            help="What a rule that cannot be decided means: fail or warn.",
        ),
    ] = "fail",
    junit: JunitFile = None,
    summary: Annotated[Path | None, output_file("Write a summary here, in Markdown.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Hold one stored measurement against another: exit code 0, or 3 where a rule is not kept.

    Runs no model and takes about a second. Where GITHUB_STEP_SUMMARY names a file, the summary is
    appended to it. With --accept, nothing is compared: the candidate becomes the reference.
    """
    from compress import gating
    from compress.report.junit import write_junit
    from compress.report.summary import gate_summary, publish

    if (against is None) == (accept is None):
        raise InputError(
            "There is nothing to hold the candidate against, or too much.",
            "Give either --against REFERENCE or --accept FILE.",
        )
    if accept:
        stored = gating.accept(candidate, accept)
        console.print(
            f"The reference is now {escape(stored.name)}: {escape(str(accept))}",
            highlight=False,
            soft_wrap=True,
        )
        return
    assert against is not None
    require_known("--inconclusive", inconclusive, INCONCLUSIVE)
    undecided: Literal["fail", "warn"] = "warn" if inconclusive == "warn" else "fail"
    gates = gating.read_gates(config) if config else gating.DEFAULT_GATES
    document = gating.gate(candidate, against, gates, undecided)
    if junit:
        row = {"label": document["candidate"]["name"], "verdicts": document["verdicts"]}
        name = f"compress gate against {document['reference']['name']}"
        write_junit(junit, name, [row], inconclusive=undecided, date=document["date"])
    write_document(json_file, document)
    publish(gate_summary(document), summary)
    for verdict in document["verdicts"]:
        console.print(f"{verdict['outcome']}: {verdict['reason']}", highlight=False, soft_wrap=True)
    console.print(f"[bold]{document['outcome']}[/]")
    if document["outcome"] != "pass":
        raise typer.Exit(EXIT_GATE)
