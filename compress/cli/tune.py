"""`compress tune`: the search over student size and training settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from baseline.extras import require_train
from baseline.files import writing
from compress.cli.console import console, escape, progress_bar, write_document
from compress.cli.options import json_option, output_file, output_folder

EXAMPLES = (
    "compress tune pipelines/tune.yaml",
    "compress tune pipelines/tune.yaml --best-under 5000000",
    "compress tune pipelines/tune.yaml --storage journal.log --output DIR --trials 40",
)


def tune(
    search: Annotated[
        Path, typer.Argument(metavar="SEARCH", help="The search file, such as pipelines/tune.yaml.")
    ],
    storage: Annotated[
        str | None,
        typer.Option(
            metavar="URL|FILE",
            help="Where the state of the search is: the URL of a database, or a journal file; "
            "default: journal.log in the output folder.",
        ),
    ] = None,
    trials: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Students to train, with those of earlier runs; default: as the file says. 0 "
            "only reports.",
        ),
    ] = None,
    output: Annotated[
        Path | None, output_folder("Folder of students; default: as the file says.")
    ] = None,
    json_file: Annotated[
        Path | None, json_option("Default: results.json in the folder of students.")
    ] = None,
    plot: Annotated[
        Path | None, output_file("Draw the front here, as PNG; default: front.png in the folder.")
    ] = None,
    best_under: Annotated[
        float | None,
        typer.Option(
            metavar="MULTIPLY_ADDS",
            min=1,
            help="Print the settings of the most accurate student with at most so many.",
        ),
    ] = None,
) -> None:
    """Search student sizes and training settings: accuracy against multiply-adds.

    Goes on where it was stopped. Processes on several machines may search at once, with the same
    --output on a shared file system or the same database as --storage.
    """
    from compress.report.pareto import show_search, trial_line, write_front
    from compress.tuning.front import best_under as best_of
    from compress.tuning.space import load_search, stage_text

    require_train()
    declared = load_search(search)
    folder = output or declared.config.output
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)

    from compress.tuning.storage import open_storage
    from compress.tuning.study import tune as run_search

    with progress_bar() as progress:
        document = run_search(
            declared,
            open_storage(storage, folder),
            folder,
            declared.config.trials if trials is None else trials,
            progress,
            lambda trial: console.print(escape(trial_line(trial)), highlight=False, soft_wrap=True),
        )
    json_file, plot = json_file or folder / "results.json", plot or folder / "front.png"
    write_document(json_file, document)
    write_front(document, plot)
    show_search(console, document)
    console.print(f"Results: {json_file}; front: {plot}", highlight=False, soft_wrap=True)
    if best_under is not None:
        front = set(document["front"])
        students = [trial for trial in document["trials"] if trial["number"] in front]
        best = best_of(students, best_under)
        console.print(f"# {trial_line(best)}", markup=False, highlight=False, soft_wrap=True)
        text = stage_text(declared, best["settings"])
        console.print(text, markup=False, highlight=False, soft_wrap=True)
