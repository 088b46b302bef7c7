"""`compress data`: what the training data look like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.cli.console import console, write_document
from compress.cli.options import JsonFile, output_file

SHOW_EXAMPLES = (
    "compress data show pipeline.yaml",
    "compress data show DIR --record 12 --plot augmentation.png",
)

data_app = typer.Typer(no_args_is_help=True)


@data_app.callback()
def data() -> None:
    """The records that models are trained on."""


def show(
    where: Annotated[
        Path,
        typer.Argument(metavar="PIPELINE|FOLDER", help="A pipeline file, or a folder of records."),
    ],
    plot: Annotated[Path, output_file("Draw here, as PNG.", "--plot", "--output")] = Path(
        "data.png"
    ),
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    record: Annotated[
        int | None,
        typer.Option(
            min=0, metavar="INDEX", help="Show this record; default: a random earthquake."
        ),
    ] = None,
    json_file: JsonFile = None,
) -> None:
    """Draw a training window before and after each augmentation, with its target.

    Of a pipeline, its training records and the augmentation of its distill stage; of a folder, the
    defaults.
    """
    from compress.data.show import draw_examples, open_shown
    from compress.report.augmentation import write_examples

    source, augmentation = open_shown(where)
    examples = draw_examples(source, augmentation, seed=seed, record=record)
    write_examples(examples, plot)
    found = {"plot": str(plot), "record": examples.record, "changed": list(examples.changed)}
    write_document(json_file, found)
    console.print(
        f"{plot}: record {examples.record}, {len(examples.changed)} ways to change it.",
        highlight=False,
        soft_wrap=True,
    )
