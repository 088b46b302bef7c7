"""What `compress bench` prints."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.table import Table

from compress.report.table import times

_HEADINGS = (
    "model",
    "against the reference",
    "time ratio (95 %)",
    "A/A floor (95 %)",
    "ms here",
    "windows/s here",
    "peak memory",
    "above Python",
    "start-up here",
    "file",
)

_CAPTION = (
    "Time ratio: median of {rounds} rounds that time model and reference in turn, {threads}, "
    "{batch} per call. A/A floor: the reference against itself, opened twice, in the same "
    "rounds; a ratio within it says nothing.\n"
    "'here': of this machine and this hour only; take the ratio elsewhere, never these.\n"
    "Peak memory and start-up: one window in a fresh process, median of 3; 'above Python' is what "
    "runtime and model add to Python with NumPy.{batching}"
)

_BATCHING = (
    "\nTFLite and ONNX models run the windows of a batch one after the other, Keras models "
    "together (up to 32)."
)


def show_bench(console: Console, document: dict[str, Any]) -> None:
    """One row per model, the reference first."""
    protocol, reference, models = document["protocol"], document["reference"], document["models"]
    rounds = sorted({model["latency"]["pairs"] for model in models})
    table = Table(
        title=f"Timed against {reference['name']}",
        caption=_CAPTION.format(
            rounds=" to ".join(str(n) for n in dict.fromkeys((rounds[0], rounds[-1]))),
            threads=_counted(protocol["threads"], "thread"),
            batch=_counted(protocol["batch"], "window"),
            batching=_BATCHING if protocol["batch"] > 1 else "",
        ),
        caption_justify="left",
    )
    for heading in _HEADINGS:
        table.add_column(
            heading, justify="left" if heading == "model" else "right", overflow="fold"
        )
    table.add_row(reference["name"], "reference", "1", "", *_absolute(reference))
    for model in models:
        table.add_row(model["name"], *_relative(model["latency"]), *_absolute(model))
    console.print(table)


def _relative(latency: dict[str, float]) -> tuple[str, str, str]:
    told_apart = latency["upper"] < min(latency["floor_lower"], 1.0) or latency["lower"] > max(
        latency["floor_upper"], 1.0
    )
    return (
        times(latency["ratio"]) if told_apart else "not told apart",
        f"{latency['ratio']:.4g}\n{latency['lower']:.4g} - {latency['upper']:.4g}",
        f"{latency['floor']:.4f}\n{latency['floor_lower']:.4f} - {latency['floor_upper']:.4f}",
    )


def _absolute(model: dict[str, Any]) -> tuple[str, ...]:
    milliseconds = model["latency"]["candidate_ms"] if "latency" in model else model["milliseconds"]
    footprint = model["footprint"]
    return (
        f"{milliseconds:.3g}",
        f"{model['windows_per_second']:,.3g}"
        if model["windows_per_second"] < 1000
        else f"{model['windows_per_second']:,.0f}",
        f"{footprint['peak_bytes'] / 1e6:,.0f} MB",
        f"{footprint['above_python_bytes'] / 1e6:,.0f} MB",
        f"{footprint['startup_s']:.2f} s",
        f"{model['bytes'] / 1e3:,.0f} kB",
    )


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
