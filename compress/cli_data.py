"""`compress data`: what the training data look like."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

data_app = typer.Typer(help="The records that models are trained on.", no_args_is_help=True)


@data_app.callback()
def data() -> None:
    """The records that models are trained on."""


@data_app.command()
def show(
    where: Annotated[
        Path,
        typer.Argument(metavar="PIPELINE|FOLDER", help="A pipeline file, or a folder of records."),
    ],
    output: Annotated[
        Path, typer.Option(metavar="FILE", help="Write the picture here, as PNG.")
    ] = Path("data.png"),
    seed: Annotated[int, typer.Option(min=0, help="Seed of everything random.")] = 0,
    record: Annotated[
        int | None,
        typer.Option(metavar="INDEX", help="Show this record; default: a random earthquake."),
    ] = None,
) -> None:
    """Draw a training window before and after each augmentation, with its target.

    Of a pipeline, its training records and the augmentation of its distill stage; of a folder, the
    defaults.
    """
    from compress.cli import _require_folder, console
    from compress.data.show import draw_examples, open_shown
    from compress.report.augmentation import write_examples

    _require_folder("--output", output)
    source, augmentation = open_shown(where)
    examples = draw_examples(source, augmentation, seed=seed, record=record)
    write_examples(examples, output)
    console.print(
        f"{output}: record {examples.record}, {len(examples.changed)} ways to change it.",
        highlight=False,
        soft_wrap=True,
    )
