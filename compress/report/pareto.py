"""What `compress tune` prints, and the figure of its Pareto front."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from compress.report.plots import COLOURS, STYLE, save_figure
from compress.report.table import interval

Document = dict[str, Any]

METRIC_NAMES = {
    "p_f1_0.5s": "P F1, 0.5 s",
    "p_f1_0.1s": "P F1, 0.1 s",
    "s_f1_0.5s": "S F1, 0.5 s",
    "s_f1_0.1s": "S F1, 0.1 s",
    "detection_f1": "detection F1",
}
"""How the metrics of the default objective are called; others go by their own names."""

WIDE = 3.0
"""Where the largest student has so many times the multiply-adds of the smallest, the axis of the
figure is logarithmic."""


def show_search(console: Console, document: Document) -> None:
    """A row per student of the front, the cheapest first, and the baseline; then the settings."""
    weights = document["search"]["objective"]["accuracy"]
    trials = {trial["number"]: trial for trial in document["trials"]}
    states = [trial["state"] for trial in document["trials"]]
    counted = {state: states.count(state) for state in dict.fromkeys(["finished", *states])}
    table = Table(
        title=f"{document['name']}: the front of "
        f"{', '.join(f'{number} {state}' for state, number in counted.items())} trials, on "
        f"{document['data']['records']} labelled records",
        caption="Accuracy: the mean of the metrics to its right"
        f"{'' if len(set(weights.values())) == 1 else ', weighted'}. 95 % intervals from a "
        "bootstrap over records. The front is the best of many on these records: measure a "
        "student you choose on others.",
        caption_justify="left",
    )
    table.add_column("trial", no_wrap=True)
    for heading in ("parameters", "multiply-adds", "accuracy"):
        table.add_column(heading, justify="right")
    for metric in weights:
        table.add_column(METRIC_NAMES.get(metric, metric), justify="right")
    settings = Table(title="Settings of the front")
    settings.add_column("trial", no_wrap=True)
    for place in document["search"]["space"]:
        settings.add_column(place)
    for number in document["front"]:
        trial = trials[number]
        table.add_row(*_cells(str(number), trial, list(weights)))
        shown = (escape(_short(value)) for value in trial["settings"].values())
        settings.add_row(str(number), *shown)
    baseline = document["baseline"]
    table.add_section()
    table.add_row(*_cells(Path(baseline["name"]).name, baseline, list(weights)))
    console.print(table)
    console.print(settings)


def trial_line(trial: Document) -> str:
    """What came of one trial, in a line."""
    if trial["state"] != "finished":
        reason = trial.get("reason", "its process was taken for dead")
        return f"trial {trial['number']}: {trial['state']}: {reason}"
    same = f" (as trial {trial['same_as']})" if "same_as" in trial else ""
    return (
        f"trial {trial['number']}: accuracy {interval(trial['accuracy'])}, "
        f"{trial['parameters'] / 1e3:,.1f} k parameters, "
        f"{trial['multiply_adds'] / 1e6:,.2f} M multiply-adds, {trial['seconds']:.0f} s{same}"
    )


def _cells(name: str, model: Document, metrics: list[str]) -> list[str]:
    scores = [model["accuracy"], *(model["metrics"][metric] for metric in metrics)]
    return [
        name,
        f"{model['parameters'] / 1e3:,.1f} k",
        f"{model['multiply_adds'] / 1e6:,.2f} M",
        *(interval(score).replace(" ", "\n") for score in scores),
    ]


def _short(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_short(each)}" for key, each in value.items()) + "}"
    return str(value)


def write_front(document: Document, path: Path) -> None:
    """Draw the front, as PNG."""
    with mpl.rc_context(STYLE):
        figure = draw_front(document)
        FigureCanvasAgg(figure)
        save_figure(figure, path)


def draw_front(document: Document) -> Figure:
    """Accuracy over multiply-adds: all students grey, the front a line, the baseline level."""
    figure = Figure(figsize=(7.0, 4.6), layout="constrained")
    axes = figure.subplots()
    finished = [trial for trial in document["trials"] if trial["state"] == "finished"]
    trials = {trial["number"]: trial for trial in finished}
    best = [trials[number] for number in document["front"]]
    axes.plot(*_places(finished), "o", color="#bbbbbb", markersize=4, label="students")
    millions, point = _places(best)
    lower, upper = (
        np.array([trial["accuracy"][edge] for trial in best]) for edge in ("lower", "upper")
    )
    axes.errorbar(
        millions,
        point,
        # A percentile interval need not hold the point; a bar cannot have a negative length.
        yerr=np.maximum([point - lower, upper - point], 0.0),
        # With bytes as a third objective the front is no line over multiply-adds.
        fmt="o" if document["search"]["objective"]["bytes"] else "o-",
        color=COLOURS[0],
        markersize=5,
        linewidth=1.3,
        elinewidth=1.0,
        capsize=2,
        label="front",
    )
    for trial in best:
        axes.annotate(
            str(trial["number"]),
            (trial["multiply_adds"] / 1e6, trial["accuracy"]["point"]),
            xytext=(4, -10),
            textcoords="offset points",
            fontsize=7,
            color=COLOURS[0],
        )
    baseline = document["baseline"]
    level = baseline["accuracy"]
    axes.axhspan(level["lower"], level["upper"], color=COLOURS[1], alpha=0.12, linewidth=0)
    axes.axhline(
        level["point"],
        color=COLOURS[1],
        linewidth=1.2,
        linestyle="--",
        label=f"{Path(baseline['name']).name}, one pass "
        f"({baseline['multiply_adds'] / 1e6:,.0f} M multiply-adds)",
    )
    sizes, _ = _places(finished)
    if len(sizes) and sizes.max() > WIDE * sizes.min():
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("multiply-adds per window of 60 s (millions)")
    axes.set_ylabel("accuracy")
    figure.legend(loc="outside lower center", ncols=3)
    figure.suptitle(
        f"{document['name']}: {len(finished)} students on {document['data']['records']} labelled "
        "records; numbers are trials, bars 95 % intervals over records",
        fontsize=9,
    )
    return figure


def _places(trials: list[Document]) -> tuple[np.ndarray, np.ndarray]:
    """Millions of multiply-adds, and accuracy."""
    return (
        np.array([trial["multiply_adds"] / 1e6 for trial in trials], dtype=float),
        np.array([trial["accuracy"]["point"] for trial in trials], dtype=float),
    )
