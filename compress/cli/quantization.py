"""`compress quantization`: what int8 costs in each layer."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.cli.completion import complete_ranges
from compress.cli.console import console, progress_bar, write_document
from compress.cli.options import (
    JsonFile,
    model_argument,
    output_file,
    records_folder,
    require_known,
)

EXAMPLES = (
    "compress quantization artifacts/released/student.keras --data DIR",
    "compress quantization MODEL --data DIR --ranges searched --plot layers.png --json layers.json",
)


def quantization(
    model: Annotated[
        str,
        model_argument(
            "A published name, a .h5 or .keras file, or a stage folder.",
        ),
    ],
    data: Annotated[
        Path | None,
        records_folder("Folder of records to calibrate and compare on; default: synthetic."),
    ] = None,
    ranges: Annotated[
        str,
        typer.Option(
            metavar="RANGES",
            autocompletion=complete_ranges,
            help="Of activations: extremes or searched.",
        ),
    ] = "extremes",
    json_file: JsonFile = None,
    plot: Annotated[
        Path | None, output_file("Draw histograms and probabilities here, as PNG.")
    ] = None,
) -> None:
    """Quantize each layer to int8 alone, and all but each; rank them by what that costs.

    Labels are not needed: what counts is how far the model's own answers move.
    """
    from compress.quantizing.study import study_model
    from compress.report.quantization import show_quantization
    from export.convert import RANGES, Format, Ranges

    require_known("--ranges", ranges, RANGES[Format.TFLITE])
    with progress_bar() as progress:
        document = study_model(model, data, Ranges(ranges), plot, progress)
    write_document(json_file, document)
    show_quantization(console, document)
