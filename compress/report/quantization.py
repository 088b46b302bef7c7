"""What int8 does to each layer, as a table and as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from baseline.contract import OUTPUTS, SAMPLING_RATE_HZ
from compress.report.plots import COLOURS, OUTPUT_NAMES, STYLE, save_figure

HISTOGRAMS = 8
TRACES = 2
SHOWN_LAYERS = 20
MODELS = ("float32", "int8")
HISTOGRAM = {"float32": "float_histogram", "int8": "int8_histogram"}


def show_quantization(console: Console, document: dict[str, Any]) -> None:
    """A row for each layer, the one that costs most first."""
    layers = document["layers"]
    table = Table(
        title=f"{len(layers)} layers compute in int8; all of them move the answers by "
        f"{document['error']:.3f}",
        caption="Relative error of the answers: with this layer alone in int8, and with all but "
        "this one. SQNR: signal to quantization noise of what the layer makes, all in int8.",
        caption_justify="left",
    )
    for heading in ("layer", "operators", "alone", "all but it", "SQNR, dB"):
        table.add_column(heading, justify="left" if heading == "layer" else "right")
    for one in layers[:SHOWN_LAYERS]:
        ratio = one.get("sqnr_db")
        table.add_row(
            one["layer"],
            str(one["operators"]),
            f"{one['alone']:.3f}",
            f"{one['without']:.3f}",
            "" if ratio is None else f"{ratio:.1f}",
        )
    console.print(table)
    if len(layers) > SHOWN_LAYERS:
        console.print(f"{len(layers) - SHOWN_LAYERS} more layers cost less; --json has them.")


def write_quantization(
    document: dict[str, Any],
    path: Path,
    answers: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> None:
    """Draw the histograms of the worst layers, and the probabilities where they differ most.

    Args:
        document: with `layers` of `export.study.Study`.
        path: of the PNG.
        answers: of the float model and of the int8 one to the same windows, (n, 6000, 3).
    """
    with mpl.rc_context(STYLE):
        drawn = [one for one in document["layers"] if "range" in one][:HISTOGRAMS]
        apart = np.abs(answers[0] - answers[1]).max(axis=(1, 2))
        worst = np.argsort(-apart)[:TRACES]
        columns = 4
        rows = -(-len(drawn) // columns)
        figure = Figure(figsize=(11, 1.9 * rows + 2.3 * len(worst)), layout="constrained")
        FigureCanvasAgg(figure)
        grid = figure.add_gridspec(rows + len(worst), columns)
        for number, one in enumerate(drawn):
            _histogram(figure.add_subplot(grid[number // columns, number % columns]), one)
        for row, window in enumerate(worst):
            axes = figure.add_subplot(grid[rows + row, :])
            _traces(axes, [a[window] for a in answers], float(apart[window]))
        handles, labels = figure.axes[-1].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=6)
        save_figure(figure, path)


def _histogram(axes: Any, one: dict[str, Any]) -> None:
    low, high = one["range"]
    edges = np.linspace(low, high, len(one["float_histogram"]) + 1)
    for name, colour in zip(MODELS, COLOURS, strict=False):
        counts = np.array(one[HISTOGRAM[name]])
        axes.stairs(
            np.maximum(counts, 0.5), edges, color=colour, fill=name == "float32",
            alpha=0.45 if name == "float32" else 1.0,
        )  # fmt: skip
    axes.set_yscale("log")
    axes.set_yticks([])
    ratio = one["sqnr_db"]
    axes.set_title(
        one["layer"] + ("" if ratio is None else f"\n{ratio:.0f} dB, alone {one['alone']:.3f}"),
        fontsize=8,
    )


def _traces(axes: Any, answers: Sequence[NDArray[np.float32]], apart: float) -> None:
    seconds = np.arange(len(answers[0])) / SAMPLING_RATE_HZ
    for output, (key, colour) in enumerate(zip(OUTPUTS, COLOURS, strict=False)):
        for name, style, answer in zip(MODELS, ("-", ":"), answers, strict=True):
            axes.plot(
                seconds, answer[:, output], style, color=colour, linewidth=1.2,
                label=f"{OUTPUT_NAMES[key]}, {name}",
            )  # fmt: skip
    axes.set_ylim(-0.02, 1.02)
    axes.set_xlim(0, seconds[-1])
    axes.set_xlabel("time in window (s)")
    axes.set_ylabel("probability")
    axes.set_title(f"differ by up to {apart:.2f}", fontsize=8)
