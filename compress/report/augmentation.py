"""The picture of augmentation: windows and their targets, before and after."""

from __future__ import annotations

from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from baseline.contract import COMPONENTS, OUTPUTS, SAMPLING_RATE_HZ
from compress.data.show import DRAWS, Examples, Window
from compress.report.plots import COLOURS, OUTPUT_NAMES, STYLE, save_figure

OUTPUT_COLOURS = dict(zip(OUTPUTS, ("#bbbbbb", COLOURS[0], COLOURS[1]), strict=True))

TARGET_HEIGHT = 1.1
"""Of a probability of one, where a component has 2 from trace to trace."""


def write_examples(examples: Examples, path: Path) -> None:
    """Draw them as PNG."""
    with mpl.rc_context(STYLE):
        figure = draw(examples)
        FigureCanvasAgg(figure)
        save_figure(figure, path)


def draw(examples: Examples) -> Figure:
    """A row per augmentation: the original window on the left, changed ones beside it."""
    rows = len(examples.changed)
    figure = Figure(figsize=(15.0, 1.0 + 1.75 * rows), layout="constrained")
    grid = figure.subplots(rows, 1 + DRAWS, sharex=True, sharey=True)
    for row, (title, windows) in zip(grid, examples.changed.items(), strict=True):
        for axes, window in zip(row, [examples.original, *windows], strict=True):
            _draw_window(axes, window)
        row[0].set_title("the same window as recorded", fontsize=8, color="#777777", loc="left")
        row[1].set_title(title, fontsize=8, loc="left")
        row[2].set_title("drawn again", fontsize=8, color="#777777", loc="left")
    grid[0, 0].set_title(f"{examples.record} as recorded", fontsize=8, loc="left", color="black")
    for axes in grid[-1]:
        axes.set_xlabel("time in the window (s)")
    handles, labels = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
    figure.supxlabel(
        "Each window demeaned and scaled by the largest amplitude of its three components; "
        "training divides each component by its own standard deviation. Each augmentation is "
        "drawn alone and always; its probability in training stands above.",
        fontsize=8,
    )
    return figure


def _draw_window(axes: Axes, shown: Window) -> None:
    """Three components above each other, and below them the target of the three outputs."""
    window, target = shown
    time = np.arange(len(window)) / SAMPLING_RATE_HZ
    centred = window - window.mean(axis=0, dtype=np.float64)
    traces = centred / (np.abs(centred).max() or 1.0)
    middles = 2.0 * np.arange(len(COMPONENTS))[::-1] + 1.0
    axes.plot(time, traces + middles, color="#333333", linewidth=0.4)
    bottom = -0.2 - TARGET_HEIGHT
    for output, probability in zip(OUTPUTS, target.T, strict=True):
        axes.fill_between(
            time,
            bottom,
            bottom + TARGET_HEIGHT * probability,
            color=OUTPUT_COLOURS[output],
            linewidth=0,
            label=f"target: {OUTPUT_NAMES[output]}",
        )
    axes.set(xlim=(0, time[-1]), ylim=(bottom, 2.0 * len(COMPONENTS) + 0.1))
    axes.set_yticks(middles, list(COMPONENTS))
    axes.grid(axis="y", visible=False)
