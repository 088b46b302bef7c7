"""`compress doctor`: what this installation and this machine can do."""

from __future__ import annotations

import typer

from compress.cli.console import EXIT_GATE, console, progress_bar, write_document
from compress.cli.options import JsonFile

EXAMPLES = ("compress doctor", "compress doctor --json doctor.json")


def doctor(json_file: JsonFile = None) -> None:
    """Look at versions, processor, memory, disk and cache, and try every runtime and conversion.

    Each is tried on a tiny model in a process of its own, which takes about half a minute where the
    extra `train` is installed. Exit code 0 where LiteRT and ONNX Runtime work, which is all that
    exported models need; 3 where one of them does not.
    """
    from compress.doctor import Outcome, examine
    from compress.report.doctor import show_findings

    with progress_bar() as progress:
        document = examine(progress)
    write_document(json_file, document)
    show_findings(console, document)
    if document["outcome"] != Outcome.WORKS:
        raise typer.Exit(EXIT_GATE)
