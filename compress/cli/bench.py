"""`compress bench`: models timed against each other."""

from __future__ import annotations

from typing import Annotated

import typer

from compress.cli.completion import complete_model
from compress.cli.console import announce, console, write_document
from compress.cli.options import JsonFile, model_argument

EXAMPLES = (
    "compress bench eqt-conservative artifacts/released/student-tflite-int8",
    "compress bench A.tflite B.onnx --against BUNDLE --threads 2 --json bench.json",
    "compress bench A.tflite",
)


def bench(
    models: Annotated[
        list[str],
        model_argument(
            "Published names, .h5, .keras, .tflite or .onnx files, bundles, stage folders.",
            "MODEL...",
        ),
    ],
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            autocompletion=complete_model,
            help="The model to time them against; default: the first.",
        ),
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of every runtime.")] = 1,
    batch: Annotated[
        int,
        typer.Option(min=1, help="Windows per call; TFLite and ONNX run them one after the other."),
    ] = 1,
    pairs: Annotated[int, typer.Option(min=6, help="Rounds per model, at most.")] = 100,
    seconds: Annotated[float, typer.Option(min=0, help="Time per model, at most.")] = 30.0,
    json_file: JsonFile = None,
) -> None:
    """Time models against each other, in turn in one process; show memory and start-up.

    A model given alone is timed against itself: what this machine cannot resolve.
    """
    from compress.evaluation.bench import bench as measure
    from compress.report.bench import show_bench

    document = measure(
        models,
        against,
        threads=threads,
        batch=batch,
        pairs=pairs,
        seconds=seconds,
        # No progress bar: what it draws from its own thread would be timed along.
        announce=announce,
    )
    write_document(json_file, document)
    show_bench(console, document)
