"""`compress schema`: what pipeline files may say, for editors or for people."""

from __future__ import annotations

import json
from typing import Annotated

import typer

EXAMPLES = (
    "compress schema > pipeline.schema.json",
    "compress schema --markdown > pipeline.md",
)


def schema(
    markdown: Annotated[
        bool, typer.Option("--markdown", help="For people: the page docs/pipeline.md.")
    ] = False,
) -> None:
    """Print the JSON Schema of pipeline files."""
    from compress.config import Pipeline
    from compress.report.reference import pipeline_reference

    document = Pipeline.model_json_schema()
    text = pipeline_reference(document) if markdown else json.dumps(document, indent=1)
    typer.echo(text.rstrip("\n"))
