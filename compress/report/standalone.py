"""What `compress evaluate`, `compress tune-thresholds` and `compress agree` print."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from compress.report.table import interval, times


def show_evaluation(console: Console, document: dict[str, Any]) -> None:
    """One column per model, one row per metric, and what lies between two models."""
    models, differences = document["models"], document.get("differences")
    data = document["data"]
    table = Table(
        title=f"{data['records']} labelled records of {data['folder']}, "
        f"up to {document['protocol']['placements']} windows each",
        caption="95 % intervals from a bootstrap over records, paired for the difference.",
    )
    table.add_column("metric", no_wrap=True)
    for model in models:
        table.add_column(str(model["name"]), justify="right")
    if differences:
        table.add_column("difference", justify="right")
    for measure in ("parameters", "multiply_adds", "bytes", "gzip_bytes"):
        values = [model["cost"].get(measure) for model in models]
        table.add_row(
            measure.replace("_", " "), *("-" if v is None else f"{v:,.0f}" for v in values)
        )
    for name in models[0]["metrics"]:
        row = [interval(model["metrics"][name]) for model in models]
        table.add_row(name, *row, *([interval(differences[name])] if differences else []))
    console.print(table)
    console.print(accuracy_table(models))
    latency = models[0]["latency"]
    if latency:
        console.print(
            f"Latency: {times(latency['ratio'])} ({latency['candidate_ms']:.3g} ms against "
            f"{latency['reference_ms']:.3g} ms; ratio {latency['lower']:.4f} to "
            f"{latency['upper']:.4f} over {latency['pairs']} rounds; the second model against "
            f"itself {latency['floor_lower']:.4f} to {latency['floor_upper']:.4f})."
        )


def accuracy_table(models: list[dict[str, Any]]) -> Table:
    """What does not depend on the models' thresholds: one column per model."""
    table = Table(
        title="Without regard to the models' own thresholds",
        caption="Recall where a model raises so many false alarms per hour of noise; P and S at "
        "0.5 s and with probabilities of 0.01 or more. Whole-second bias: P within 0.1 s with P on "
        "whole seconds of the window, less the same between them. Calibration error: how far "
        "probabilities lie from the share of windows in which they are right.",
        caption_justify="left",
    )
    table.add_column("measure", no_wrap=True)
    for model in models:
        table.add_column(str(model["name"]), justify="right")
    curves = [model["curves"] for model in models]
    for output in curves[0]:
        values = [interval(curve[output]["average_precision"]) for curve in curves]
        table.add_row(f"{output} average precision", *values)
    for output in curves[0]:
        # All models were measured on the same records: all rates are there for all, or for none.
        for at in zip(*(curve[output]["at_false_alarms"] for curve in curves), strict=True):
            name = f"{output} recall at {at[0]['allowed_per_hour']:g} false alarms/h"
            table.add_row(name, *(interval(point["recall"]) for point in at))
    for output in curves[0]:
        errors = [model["reliability"][output]["calibration_error"] for model in models]
        table.add_row(f"{output} calibration error", *map(interval, errors))
    biases = [model["whole_second_bias"] for model in models]
    if biases[0]:
        differences = [interval(bias["difference"]) for bias in biases]
        table.add_row(f"whole-second bias ({biases[0]['records']} records)", *differences)
    if "seisbench_tasks" in models[0]:
        tasks = [model["seisbench_tasks"] for model in models]
        table.add_row("task 1: detection AUC", *(interval(t["detection"]["auc"]) for t in tasks))
        table.add_row("task 2: phase MCC", *(interval(t["phase"]["mcc"]) for t in tasks))
        for phase in tasks[0]["onset"]:
            for measure in ("rmse_s", "mae_s", "median_absolute_s"):
                name = f"task 3: {phase} {measure.removesuffix('_s').replace('_', ' ')} (s)"
                table.add_row(name, *(interval(t["onset"][phase][measure]) for t in tasks))
    return table


def show_agreement(console: Console, document: dict[str, Any]) -> None:
    """How far two models agree, one row per measure."""
    data, names = document["data"], (document[who]["name"] for who in ("candidate", "reference"))
    table = Table(
        title=f"{' against '.join(names)}: {data['hours']:.1f} h in {data['records']} records of "
        f"{data['folder']}",
        caption="The second model's picks stand for the truth: recall is the share of them that "
        "the first has, precision the share of the first's that the second has.",
        caption_justify="left",
    )
    table.add_column("measure", no_wrap=True)
    table.add_column("value (95 % interval)", justify="right")
    for name, value in document["agreement"].items():
        table.add_row(name, interval(value))
    console.print(table)


def show_tuning(console: Console, document: dict[str, Any]) -> None:
    """Own and tuned thresholds and what they score, one row per output."""
    data = document["data"]
    table = Table(
        title=f"Thresholds with the best F1 on {', '.join(data['folders'])} "
        f"(split {data['split'] or 'any'}: {data['earthquakes']} earthquakes, {data['noise']} "
        "noise records)",
        caption="F1 on these very records: measure the tuned thresholds on others. An output "
        "without labels, and detection without noise, keeps its own threshold.",
        caption_justify="left",
    )
    for heading in ("output", "own", "F1", "tuned", "F1"):
        table.add_column(heading, justify="left" if heading == "output" else "right")
    for output, own in document["own"].items():
        f1 = document["f1"].get(output, {})
        table.add_row(
            output,
            f"{own:.3f}",
            f"{f1['own']:.3f}" if f1 else "-",
            f"{document['tuned'][output]:.3f}",
            f"{f1['tuned']:.3f}" if f1 else "-",
        )
    console.print(table)
