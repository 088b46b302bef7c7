"""`compress sensitivity`: what pruning each layer alone costs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.cli.console import console, progress_bar, write_document
from compress.cli.options import (
    JsonFile,
    Placements,
    Seed,
    Split,
    model_argument,
    output_file,
    records_folder,
)

EXAMPLES = (
    "compress sensitivity eqt-conservative --data DIR --split dev --json sensitivity.json",
    "compress sensitivity MODEL --data DIR --rates 0.5,0.75 --plot sensitivity.png",
)


def sensitivity(
    model: Annotated[
        str,
        model_argument(
            "A published name, a .h5 or .keras file, or a stage folder.",
        ),
    ],
    data: Annotated[Path, records_folder("Folder of labelled records.")],
    split: Split = None,
    rates: Annotated[
        str, typer.Option(metavar="RATE,...", help="Shares of a layer's channels to leave out.")
    ] = "0.25,0.5,0.75,0.9",
    placements: Placements = 1,
    seed: Seed = 0,
    json_file: JsonFile = None,
    plot: Annotated[Path | None, output_file("Draw a heat map here, as PNG.")] = None,
) -> None:
    """Prune each layer alone and rank the layers by the accuracy that costs.

    A `prune` stage takes the JSON file as its schedule (method.sensitivity).
    """
    from compress.pruning.study import measure_sensitivity, parse_rates
    from compress.report.sensitivity import show_sensitivity, write_heat_map

    with progress_bar() as progress:
        document = measure_sensitivity(
            model,
            data,
            split,
            parse_rates(rates),
            placements=placements,
            seed=seed,
            progress=progress,
        )
    write_document(json_file, document)
    if plot:
        write_heat_map(document, plot)
    show_sensitivity(console, document)
