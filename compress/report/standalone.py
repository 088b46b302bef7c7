"""What `compress evaluate` prints."""

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
    latency = models[0]["latency"]
    if latency:
        console.print(
            f"Latency: {times(latency['ratio'])} ({latency['candidate_ms']:.3g} ms against "
            f"{latency['reference_ms']:.3g} ms; ratio {latency['lower']:.4f} to "
            f"{latency['upper']:.4f} over {latency['pairs']} rounds; the second model against "
            f"itself {latency['floor_lower']:.4f} to {latency['floor_upper']:.4f})."
        )
