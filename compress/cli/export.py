"""`compress export`: bundles of a model, proved to compute what it computes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.cli.completion import (
    complete_format,
    complete_precision,
    complete_ranges,
)
from compress.cli.console import console, escape, progress_bar, write_document
from compress.cli.options import (
    JsonFile,
    model_argument,
    output_folder,
    records_folder,
    require_known,
)

EXAMPLES = (
    "compress export eqt-original --precision float16 --output bundle",
    "compress export artifacts/default --format tflite --format onnx --format c",
    "compress export artifacts/default#2-distill --format onnx --output bundle",
    "compress export student-tflite-int8 --format c --integer-ends --output mcu",
)


def export(
    model: Annotated[
        str,
        model_argument(
            "A published name, a .h5 or .keras file, the folder of a stage, or of a run (its last "
            "stage that passed; #LABEL chooses another). For c also an int8 .tflite file or "
            "bundle."
        ),
    ],
    output: Annotated[
        Path | None,
        output_folder(
            "The folder of the bundle; of several, the folder to make theirs in. Default for a "
            "run: exports-by-hand in its folder."
        ),
    ] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            autocompletion=complete_format,
            help="tflite (default), onnx, or c: TFLite in int8, as C source, too.",
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            metavar="PRECISION",
            autocompletion=complete_precision,
            help="float32, float16, dynamic, int16x8 or int8. Default: float32; int8 for c, and "
            "for a stage of a run that quantizes.",
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        records_folder(
            "Folder of records to calibrate int8 on; default: the run's, or synthetic ones."
        ),
    ] = None,
    ranges: Annotated[
        str,
        typer.Option(
            metavar="RANGES",
            autocompletion=complete_ranges,
            help="Of int8 activations: extremes, searched (tflite), entropy or percentile (onnx).",
        ),
    ] = "extremes",
    float_layer: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LAYER", help="A layer to leave in float32 in an int8 file; may be given again."
        ),
    ] = None,
    loops: Annotated[
        bool,
        typer.Option("--loops", help="tflite int8: recurrent layers as loops, small and slow."),
    ] = False,
    integer_ends: Annotated[
        bool, typer.Option("--integer-ends", help="tflite int8: input and output in int8, too.")
    ] = False,
    correct_biases: Annotated[
        bool,
        typer.Option(
            "--correct-biases", help="tflite int8: biases make up for what rounding shifts."
        ),
    ] = False,
    json_file: JsonFile = None,
) -> None:
    """Export a model as bundles, and prove that each computes what the Keras model computes.

    A stage that quantizes has its int8 TFLite file already, which its gates saw: that very file is
    exported, unless --ranges, --float-layer or --loops ask for another. Everything else is
    converted.
    """
    from compress.exporting import Product, export_models
    from export.convert import Int8, Precision, Ranges

    formats = format_ or [Product.TFLITE]
    for value in formats:
        require_known("--format", value, Product)
    if precision:
        require_known("--precision", precision, Precision)
    require_known("--ranges", ranges, Ranges)
    with progress_bar() as progress:
        exported = export_models(
            model,
            tuple(map(Product, formats)),
            Precision(precision) if precision else None,
            output,
            calibration,
            progress,
            Int8(Ranges(ranges), tuple(float_layer or ()), loops, integer_ends, correct_biases),
        )
    bundles = [
        {"folder": str(folder), "metadata": metadata.model_dump(mode="json")}
        for folder, metadata in exported.items()
    ]
    write_document(json_file, {"bundles": bundles})
    for folder, metadata in exported.items():
        parity = metadata.parity
        console.print(
            f"{escape(str(folder))}: {metadata.file}, {metadata.bytes:,} bytes; "
            + (
                f"at most {parity['maximum_difference']:.3g} from the Keras model over "
                f"{parity['windows']:.0f} windows in sequence."
                if parity
                else "not compared with the Keras model, which was not given."
            ),
            soft_wrap=True,
        )
