"""`compress evaluate`, `tune-thresholds` and `agree`: accuracy on records."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from compress.cli.completion import complete_model
from compress.cli.console import console, progress_bar, write_document
from compress.cli.options import (
    JsonFile,
    Placements,
    Seed,
    Split,
    model_argument,
    output_folder,
    records_folder,
)

EVALUATE_EXAMPLES = (
    "compress evaluate artifacts/released/student-tflite-int8",
    "compress evaluate MODEL --against eqt-conservative --data DIR --json evaluation.json",
    "compress evaluate MODEL --data DIR --split test --tasks --plots figures",
)
TUNE_THRESHOLDS_EXAMPLES = (
    "compress tune-thresholds BUNDLE --data DIR",
    "compress tune-thresholds BUNDLE --data PICKED --data NOISE --any-split --write",
)
AGREE_EXAMPLES = (
    "compress agree artifacts/released/student-tflite-int8 eqt-conservative --data DIR",
    "compress agree CANDIDATE REFERENCE --data DIR --json agreement.json",
)


def evaluate(
    model: Annotated[
        str,
        model_argument(
            "A published name, a .h5, .keras, .tflite or .onnx file, a bundle, a stage's folder.",
        ),
    ],
    data: Annotated[
        Path | None,
        records_folder("Folder of labelled records, in SeisBench's or STEAD's format."),
    ] = None,
    split: Split = None,
    json_file: JsonFile = None,
    against: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            autocompletion=complete_model,
            help="Another model to compare with, pair by pair, on the same windows.",
        ),
    ] = None,
    placements: Placements = 5,
    seed: Seed = 0,
    detection: Annotated[
        float | None, typer.Option(min=0, max=1, help="Detection threshold.")
    ] = None,
    p: Annotated[float | None, typer.Option(min=0, max=1, help="P threshold.")] = None,
    s: Annotated[float | None, typer.Option(min=0, max=1, help="S threshold.")] = None,
    tasks: Annotated[
        bool, typer.Option("--tasks", help="Also score the three tasks of SeisBench's comparison.")
    ] = False,
    plots: Annotated[Path | None, output_folder("Write the figures here, as PNG.")] = None,
) -> None:
    """Measure a model's accuracy and cost on labelled records.

    Without --data, on 800 synthetic records. Thresholds are the bundle's own, or EQTransformer's
    (0.3, 0.1, 0.1).
    """
    from compress.evaluation.standalone import evaluate_models
    from compress.report.standalone import show_evaluation

    chosen = {"detection": detection, "p": p, "s": s}
    with progress_bar() as progress:
        document = evaluate_models(
            model,
            against,
            data=data,
            split=split,
            placements=placements,
            seed=seed,
            thresholds={name: value for name, value in chosen.items() if value is not None},
            tasks=tasks,
            progress=progress,
        )
    write_document(json_file, document)
    if plots:
        from compress.report.plots import write_plots

        write_plots(document, plots)
    show_evaluation(console, document)


def tune_thresholds(
    model: Annotated[
        str,
        model_argument("What `compress evaluate` takes."),
    ],
    data: Annotated[list[Path], records_folder("Folder of labelled records; may be given again.")],
    split: Annotated[
        str, typer.Option(metavar="NAME", help="The split to tune on; never test.")
    ] = "dev",
    any_split: Annotated[
        bool, typer.Option("--any-split", help="Take all records, for data without splits.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Keep the thresholds in the bundle's metadata.json.")
    ] = False,
    placements: Placements = 5,
    seed: Seed = 0,
    detection: Annotated[
        float | None,
        typer.Option(min=1e-6, max=1, help="Take this one instead of the best."),
    ] = None,
    p: Annotated[float | None, typer.Option("--p", min=1e-6, max=1, help="Likewise.")] = None,
    s: Annotated[float | None, typer.Option("--s", min=1e-6, max=1, help="Likewise.")] = None,
    json_file: JsonFile = None,
) -> None:
    """Choose the thresholds with the best F1, on development data only."""
    from compress.evaluation.tuning import tune
    from compress.report.standalone import show_tuning

    with progress_bar() as progress:
        document = tune(
            model,
            data,
            None if any_split else split,
            placements=placements,
            seed=seed,
            write=write,
            progress=progress,
            fixed={
                output: threshold
                for output, threshold in (("detection", detection), ("p", p), ("s", s))
                if threshold is not None
            },
        )
    write_document(json_file, document)
    show_tuning(console, document)


def agree(
    candidate: Annotated[
        str,
        model_argument("What `compress evaluate` takes.", "CANDIDATE"),
    ],
    reference: Annotated[
        str,
        model_argument("The model whose picks stand for the truth.", "REFERENCE"),
    ],
    data: Annotated[Path, records_folder("Folder of records, labelled or not.")],
    split: Split = None,
    json_file: JsonFile = None,
    seed: Seed = 0,
) -> None:
    """Measure how far two models agree on waveforms that nobody has to have labelled."""
    from compress.evaluation.standalone import compare_models
    from compress.report.standalone import show_agreement

    with progress_bar() as progress:
        document = compare_models(
            candidate, reference, data=data, split=split, seed=seed, progress=progress
        )
    write_document(json_file, document)
    show_agreement(console, document)
