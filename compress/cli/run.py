"""`compress run`: a pipeline, measured and gated, then the exports."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from baseline.errors import InputError
from compress.cli.console import EXIT_GATE, console, escape, progress_bar, write_document
from compress.cli.options import JsonFile, JunitFile

if TYPE_CHECKING:
    from compress.config import Pipeline

EXAMPLES = (
    "compress run pipeline.yaml",
    "compress run pipeline.yaml --dry-run",
    "compress run pipeline.yaml --set stages.3.steps=20000 --junit run.xml",
    "compress --quiet run pipelines/student.yaml --json -",
)

PipelineFile = Annotated[
    Path, typer.Argument(metavar="PIPELINE", help="The pipeline file, such as pipeline.yaml.")
]


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
    junit: JunitFile = None,
    json_file: JsonFile = None,
) -> None:
    """Run a pipeline: every stage, measured and gated, then the exports.

    Finished stages are kept in the output folder and not run again. Where GITHUB_STEP_SUMMARY names
    a file, a summary is appended to it. For stages that several workers train together, start this
    on each of them, with its TF_CONFIG.
    """
    from compress.config import load_pipeline

    declared = load_pipeline(pipeline, tuple(set_ or ()))
    folder = pipeline.resolve().parent
    if declared.output.exists() and not declared.output.is_dir():
        raise InputError(
            f"{pipeline}: output: {declared.output} is no folder.", "Name another place."
        )
    if dry_run:
        plan = _plan(declared, folder)
        write_document(json_file, plan)
        _show_plan(plan)
        return

    from compress.pipeline import run as run_pipeline
    from compress.report.junit import write_junit
    from compress.report.summary import publish, run_summary
    from compress.report.table import cells, outcome, terminal_table

    def show(row: dict[str, Any]) -> None:
        console.print(f"[bold]{row['label']}[/]: {', '.join(cells(row)[1:6])}; {outcome(row)}")

    with progress_bar() as progress:
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
    write_document(json_file, result.results)
    console.print(terminal_table(result.results["models"]))
    for row in result.results["models"]:
        for verdict in row["verdicts"]:
            if verdict["outcome"] != "pass":
                console.print(f"{row['label']}: {verdict['outcome']}: {escape(verdict['reason'])}")
        if row["skipped"]:
            console.print(f"{row['label']} was skipped: the run went on without it.")
    exports = result.folder / "exports"
    console.print(
        f"Report: {result.folder / 'report.html'}"
        + (f"; bundles: {exports}" if exports.is_dir() and result.passed else ""),
        soft_wrap=True,
    )
    if not result.passed:
        raise typer.Exit(EXIT_GATE)


def _plan(pipeline: Pipeline, folder: Path) -> dict[str, Any]:
    """What a run would do: its steps with their settings and states, its exports, its records."""
    from compress.pipeline import RULES, open_data, resolve_baseline, stage_keys
    from compress.store import STAGES_FOLDER, Store

    data = open_data(pipeline)
    _, baseline_hash = resolve_baseline(pipeline, folder)
    store = Store(pipeline.output / STAGES_FOLDER) if pipeline.output.exists() else None
    settings = [{}, *(s.model_dump(mode="json", exclude=RULES) for s in pipeline.stages)]
    keys = stage_keys(pipeline, baseline_hash, data)
    return {
        "name": pipeline.name,
        "steps": [
            {
                "label": label,
                "key": key,
                "settings": chosen,
                "finished": store is not None and store.find(label, key) is not None,
            }
            for (label, key), chosen in zip(keys, settings, strict=True)
        ],
        "exports": [export.model_dump(mode="json") for export in pipeline.export],
        "records": {name: len(source) for name, source in vars(data).items()},
        "skips": any(stage.on_fail == "skip" for stage in pipeline.stages),
    }


def _show_plan(plan: dict[str, Any]) -> None:
    import json

    from rich.table import Table

    table = Table("step", "settings", "state")
    for step in plan["steps"]:
        settings = {name: value for name, value in step["settings"].items() if name != "kind"}
        text = json.dumps(settings, separators=(",", ":")) if settings else ""
        table.add_row(step["label"], escape(text), "finished" if step["finished"] else "to be run")
    for export in plan["exports"]:
        table.add_row(f"export {export['format']} {export['precision']}", "", "to be run")
    console.print(table)
    if plan["skips"]:
        console.print("This is the plan if no stage is skipped.")
    sizes = ", ".join(f"{name} {number:,}" for name, number in plan["records"].items())
    console.print(f"Records: {sizes}.")
