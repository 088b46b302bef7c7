"""What `compress sensitivity` prints, and its heat map."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import PowerNorm
from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table

from compress.report.plots import STYLE, save_figure
from compress.report.table import interval

Document = dict[str, Any]

METRIC_NAMES = {
    "p_highest_peak_recall_0.5s": "P peak",
    "s_highest_peak_recall_0.5s": "S peak",
    "p_f1_0.5s": "P F1",
    "s_f1_0.5s": "S F1",
    "detection_f1": "det. F1",
}

COST_EXPLANATION = (
    "Cost: mean fall of the highest-peak recall of P and S, and of the F1 of P, S (0.5 s) and "
    "detection, when these channels alone are left out and nothing is fine-tuned."
)

SMALLEST_SCALE = 0.05
"""The colours end here at least: where nothing costs much, noise should not look like it."""


def show_sensitivity(console: Console, document: Document) -> None:
    """A row per dimension, the dearest first: what it costs and what it would save at each rate."""
    model, data = document["model"], document["data"]
    total = model["multiply_adds"]
    table = Table(
        title=f"{Path(model['name']).name} on {data['records']} labelled records of "
        f"{data['folder']}: what pruning each layer alone costs",
        caption=f"{COST_EXPLANATION} In brackets the multiply-adds it saves. Layers that a sum "
        "ties together count as one, by the name of the first.",
        caption_justify="left",
    )
    table.add_column("layer", no_wrap=True)
    table.add_column("channels", justify="right")
    table.add_column("mean cost", justify="right")
    for rate in document["rates"]:
        table.add_column(f"{rate:.0%} left out", justify="right")
    for dimension in document["dimensions"]:
        table.add_row(
            _label(dimension),
            str(dimension["channels"]),
            _cost(dimension["cost"]),
            *(
                f"{_cost(rate['cost'])} ({rate['multiply_adds_saved'] / total:.1%})"
                for rate in dimension["rates"]
            ),
        )
    console.print(table)
    for fixed in document["fixed"]:
        console.print(f"{fixed['name']} cannot be pruned: {fixed['reason']}.", highlight=False)
    whole = ", ".join(
        f"{name} {interval(model['metrics'][metric])}" for metric, name in METRIC_NAMES.items()
    )
    console.print(f"Unpruned: {whole}.", highlight=False)


def write_heat_map(document: Document, path: Path) -> None:
    """Draw layers by rates, coloured by what they cost, as PNG."""
    with mpl.rc_context(STYLE):
        figure = heat_map(document)
        FigureCanvasAgg(figure)
        save_figure(figure, path)


def heat_map(document: Document) -> Figure:
    """A row per dimension, the dearest on top; a column per rate, and one for the mean.

    Beside it the multiply-adds that the highest rate saves.
    """
    dimensions, rates = document["dimensions"], document["rates"]
    costs = np.array(
        [
            [np.nan if c is None else c for c in (*(r["cost"] for r in d["rates"]), d["cost"])]
            for d in dimensions
        ]
    )
    figure = Figure(figsize=(7.5, 1.6 + 0.21 * len(dimensions)), layout="constrained")
    axes, beside = figure.subplots(1, 2, width_ratios=(3, 1), sharey=True)
    # Costs spread over orders of magnitude: the root tells small ones apart too.
    scale = PowerNorm(0.5, vmin=0.0, vmax=max(float(np.nanmax(costs)), SMALLEST_SCALE))
    image = axes.imshow(np.clip(costs, 0.0, None), cmap="magma_r", norm=scale, aspect="auto")
    for (row, column), cost in np.ndenumerate(costs):
        if np.isfinite(cost):
            colour = "white" if scale(max(cost, 0.0)) > 0.55 else "black"
            text = f"{cost:.3f}".replace("-0.000", "0.000")
            axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=7)
    axes.axvline(len(rates) - 0.5, color="white", linewidth=3)
    axes.set_xticks(range(len(rates) + 1), [*(f"{rate:.0%}" for rate in rates), "mean"])
    axes.set_yticks(range(len(dimensions)), [_label(d) for d in dimensions], fontsize=7)
    axes.set_xlabel("share of the layer's channels left out")
    axes.grid(visible=False)
    total = document["model"]["multiply_adds"]
    saved = [100.0 * d["rates"][-1]["multiply_adds_saved"] / total for d in dimensions]
    beside.barh(range(len(dimensions)), saved, color="#0072B2")
    beside.tick_params(labelleft=False)
    beside.set_xlabel(f"saved at {rates[-1]:.0%}\n(% of multiply-adds)", fontsize=8)
    figure.colorbar(image, ax=axes, label="mean fall of recall and F1", shrink=0.6)
    figure.suptitle(
        f"{Path(document['model']['name']).name}: what pruning each layer alone costs\n"
        f"({document['data']['records']} labelled records of {document['data']['folder']})",
        fontsize=10,
    )
    return figure


def _label(dimension: Document) -> str:
    others = len(dimension["layers"]) - 1
    return dimension["name"] + (f" + {others} tied" if others else "")


def _cost(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
