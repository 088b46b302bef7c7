"""The table with a row per model, for the terminal and for Markdown alike."""

from __future__ import annotations

from typing import Any

from rich.table import Table

Row = dict[str, Any]

HEADINGS = (
    "model",
    "parameters",
    "multiply-adds",
    "file",
    "gzip",
    "latency",
    "P F1",
    "S F1",
    "detection F1",
    "gates",
)

EXPLANATION = (
    "F1 at 0.5 s with 95 % intervals from a bootstrap over records; latency is the time of one "
    "window against the baseline's TFLite float32, median of interleaved pairs, one thread."
)


def cells(row: Row) -> list[str]:
    """One row of results as text, in the order of HEADINGS; a dash for what was not measured."""
    cost, latency = row["cost"], row["latency"]
    return [
        row["label"] + (" (loops)" if row.get("loops") else ""),
        _size(cost.get("parameters"), 1e3, "{:,.1f} k"),
        _size(cost.get("multiply_adds"), 1e6, "{:,.1f} M"),
        _size(cost.get("bytes"), 1e3, "{:,.0f} kB"),
        _size(cost.get("gzip_bytes"), 1e3, "{:,.0f} kB"),
        times(latency["ratio"]) if latency else "-" if row.get("peer") else "1",
        *(interval(row["metrics"][name]) for name in ("p_f1_0.5s", "s_f1_0.5s", "detection_f1")),
        outcome(row),
    ]


def _size(value: float | None, unit: float, form: str) -> str:
    return "-" if value is None else form.format(value / unit)


def times(ratio: float) -> str:
    """A latency ratio as people say it: `12.3x faster`."""
    return f"{1 / ratio:.3g}x faster" if ratio <= 1 else f"{ratio:.3g}x slower"


def interval(metric: dict[str, float | None]) -> str:
    """A metric with its interval, or a dash where it could not be measured."""
    if metric["point"] is None:
        return "-"
    if metric["lower"] is None:
        return f"{metric['point']:.3f}"
    dash = "-" if metric["lower"] >= 0 else " to "
    return f"{metric['point']:.3f} ({metric['lower']:.3f}{dash}{metric['upper']:.3f})"


def outcome(row: Row) -> str:
    """What came of the row's gates, in a word or two."""
    outcomes = [verdict["outcome"] for verdict in row["verdicts"]]
    if not outcomes:
        return "-"
    for bad in ("fail", "inconclusive"):
        if bad in outcomes:
            skipped = "skipped: " if row.get("skipped") else ""
            return f"{skipped}{bad} ({outcomes.count(bad)} of {len(outcomes)})"
    return f"pass ({len(outcomes)})"


def terminal_table(rows: list[Row]) -> Table:
    """The table for rich."""
    table = Table(caption=EXPLANATION, caption_justify="left")
    for heading in HEADINGS:
        text = heading in ("model", "gates")
        table.add_column(heading, justify="left" if text else "right", no_wrap=heading == "model")
    for row in rows:
        table.add_row(*cells(row))
    return table


def markdown_table(rows: list[Row]) -> str:
    """The table for Markdown."""
    lines = [HEADINGS, tuple("---" for _ in HEADINGS), *(cells(row) for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
