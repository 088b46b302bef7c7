"""Figures of what a run's models cost: accuracy against cost, and what each stage saved."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator

from compress.report.plots import COLOURS, MARKERS
from compress.report.run_rows import Row, kept_stages, kind_of, short_name

ACCURACIES = {"p_f1_0.5s": "P F1 at 0.5 s", "s_f1_0.5s": "S F1 at 0.5 s"}

WIDE = 3.0
"""Where the largest cost is so many times the smallest, the axis is logarithmic."""


def _size(measure: str, unit: float) -> Callable[[Row], float | None]:
    def of(row: Row) -> float | None:
        value = row["cost"].get(measure)
        return None if value is None else value / unit

    return of


def time_ratio(row: Row) -> float | None:
    """Time of a window against the baseline's; None where it was not measured."""
    if row["latency"]:
        return float(row["latency"]["ratio"])
    return 1.0 if kind_of(row) == "baseline" else None


COSTS: dict[str, Callable[[Row], float | None]] = {
    "multiply-adds per window (millions)": _size("multiply_adds", 1e6),
    "file (kB)": _size("bytes", 1e3),
    "time per window (baseline: 1)": time_ratio,
}

SAVINGS: dict[str, Callable[[Row], float | None]] = {
    "file": _size("bytes", 1.0),
    "multiply-adds": _size("multiply_adds", 1.0),
    "time per window": time_ratio,
}


def accuracy_cost(rows: list[Row]) -> Figure:
    """F1 of P and S over three costs, a point with a 95 % interval for each model.

    Args:
        rows: of all models, peers too; a model without a cost is missing over that cost alone.
    """
    figure = Figure(figsize=(9.6, 5.6), layout="constrained")
    FigureCanvasAgg(figure)
    grid = figure.subplots(len(ACCURACIES), len(COSTS), sharey="row", sharex="col")
    chain = {id(row) for row in kept_stages(rows)}
    for axes_row, (metric, name) in zip(grid, ACCURACIES.items(), strict=True):
        axes_row[0].set_ylabel(name)
        for axes, (cost, value_of) in zip(axes_row, COSTS.items(), strict=True):
            known = [
                (index, row, value)
                for index, row in enumerate(rows)
                if (value := value_of(row)) is not None
                and row["metrics"][metric]["point"] is not None
            ]
            path = [(x, row["metrics"][metric]["point"]) for _, row, x in known if id(row) in chain]
            axes.plot(*np.array(path).reshape(-1, 2).T, color="#999999", linewidth=0.9, zorder=1)
            for index, row, x in known:
                _point(axes, x, row, metric, index)
            if metric == list(ACCURACIES)[-1]:
                axes.set_xlabel(cost)
            values = [x for *_, x in known]
            if values and min(values) > 0 and max(values) > WIDE * min(values):
                axes.set_xscale("log")
                axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
                axes.xaxis.set_major_formatter("{x:g}")
                axes.xaxis.set_minor_locator(NullLocator())
    handles = {
        label: handle
        for axes in grid.flat
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(
            handles.values(), handles.keys(), loc="outside upper center", ncols=min(len(handles), 4)
        )
    return figure


def _point(axes: Axes, x: float, row: Row, metric: str, index: int) -> None:
    interval = row["metrics"][metric]
    point, lower, upper = interval["point"], interval["lower"], interval["upper"]
    bars = None if lower is None else [[max(point - lower, 0.0)], [max(upper - point, 0.0)]]
    axes.errorbar(
        [x],
        [point],
        yerr=bars,
        # Colours and markers repeat after six, their pairs after thirty-six.
        fmt=MARKERS[(index + index // len(COLOURS)) % len(MARKERS)],
        color=COLOURS[index % len(COLOURS)],
        markersize=6,
        elinewidth=1.0,
        capsize=2,
        label=short_name(row["label"]),
    )


def waterfall(rows: list[Row]) -> Figure:
    """What each kept stage took away from file, multiply-adds and time, in % of the baseline."""
    stages = kept_stages(rows)
    names = [short_name(row["label"]) for row in stages]
    figure = Figure(figsize=(9.6, 1.5 + 0.42 * (len(stages) + 1)), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, value_of) in zip(
        figure.subplots(1, len(SAVINGS), sharey=True), SAVINGS.items(), strict=True
    ):
        axes.set(title=title, xlabel="% of the baseline")
        values = [value_of(row) for row in stages]
        known = [value for value in values if value is not None]
        if len(known) < len(values) or not values[0]:
            axes.text(0.5, 0.5, "not measured", transform=axes.transAxes, ha="center")
            continue
        levels = [100.0 * value / known[0] for value in known]
        _bar(axes, 0, 0.0, levels[0], "100 %", "#999999", "")
        for place, (before, after) in enumerate(pairwise(levels), 1):
            more = after > before
            told = f"{after - before:+.3g} %" if after != before else "no change"
            _bar(axes, place, before, after, told, COLOURS[more], "///" if more else "")
        _bar(axes, len(levels), 0.0, levels[-1], f"{levels[-1]:.3g} %", "#999999", "")
        axes.set_xlim(0, 1.28 * max(levels))
        if max(levels) == levels[0]:
            axes.set_xticks(range(0, 101, 25))
    axes = figure.axes[0]
    axes.set_yticks(range(len(names) + 1), [*names, "what is left"])
    axes.set_ylim(len(names) + 0.6, -0.6)
    for each in figure.axes:
        each.grid(axis="y", visible=False)
    return figure


def _bar(
    axes: Axes, place: int, start: float, end: float, text: str, colour: str, hatch: str
) -> None:
    axes.barh(
        place, end - start, 0.62, left=start, color=colour, hatch=hatch, edgecolor="#ffffff",
        linewidth=0.0,
    )  # fmt: skip
    axes.annotate(
        text, (max(start, end), place), xytext=(4, 0), textcoords="offset points", va="center",
        fontsize=8,
    )  # fmt: skip
