"""Figures of an evaluation, drawn from its JSON document: one function per figure.

Colours are those of Okabe & Ito (2008), "Color Universal Design", told apart with every kind of
colour vision; models differ in markers and line styles as well, for print without colour.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MultipleLocator

from baseline.errors import InputError
from baseline.files import whole_file, writing

Document = dict[str, Any]

COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v", "P")
LINES = ("-", "--", "-.", ":", "-", "--")

OUTPUT_NAMES = {"detection": "Detection", "p": "P", "s": "S"}

STRATUM_NAMES = {
    "snr_db": "signal-to-noise ratio (dB)",
    "s_minus_p_s": "S minus P (s)",
    "p_position_s": "P after start of window (s)",
    "original_sampling_rate_hz": "original sampling rate (Hz)",
}

STRATUM_ROWS = {
    "p_highest_peak_recall_0.1s": "P within 0.1 s",
    "s_highest_peak_recall_0.1s": "S within 0.1 s",
    "p_f1_0.5s": "P F1 at 0.5 s",
    "s_f1_0.5s": "S F1 at 0.5 s",
}

SHOWN_RECORDS = 5
"""Strata of fewer records are not drawn: their intervals would promise what is not known."""

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "figure.dpi": 150,
}


def write_plots(document: Document, folder: Path) -> list[Path]:
    """Write every figure that `compress evaluate`'s document has the numbers for, as PNG.

    Args:
        document: of `compress.evaluation.standalone.evaluate_models`.
        folder: made where it is not there; figures of the same name are replaced.

    Returns:
        The files.
    """
    models = document["models"]
    figures: dict[str, Callable[[Sequence[Document]], Figure]] = {
        "precision_recall": precision_recall,
        "reliability": reliability,
        "strata": strata,
        "residuals": residuals,
    }
    if all(model["whole_second_bias"] for model in models):
        figures["whole_second_bias"] = whole_second_bias
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, draw in figures.items():
        written.append(folder / f"{name}.png")
        with mpl.rc_context(STYLE):
            save_figure(draw(models), written[-1])
    return written


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure in the format that the file's ending names, or as PNG, whole or not at all.

    Raises:
        InputError: the file cannot be written, or there is no such format.
    """
    ending = path.suffix.removeprefix(".").lower() or "png"
    known = figure.canvas.get_supported_filetypes()
    if ending not in known:
        raise InputError(
            f"{path}: pictures are not written as {ending}.", f"Known are {', '.join(known)}."
        )
    with whole_file(path) as fresh:
        figure.savefig(fresh, format=ending)


def precision_recall(models: Sequence[Document]) -> Figure:
    """Precision over recall for detection, P and S, with the F1 contours one reads them by."""
    figure = _figure(9.6, 3.8)
    for axes, output in zip(figure.subplots(1, 3, sharey=True), OUTPUT_NAMES, strict=True):
        _f1_contours(axes)
        for index, model in enumerate(models):
            curve = model["curves"][output]
            average = curve["average_precision"]["point"]
            score = "not measurable" if average is None else f"AP {average:.3f}"
            axes.plot(
                curve["recall"],
                curve["precision"],
                LINES[index % len(LINES)],
                color=COLOURS[index % len(COLOURS)],
                linewidth=1.8,
                label=f"{_name(model)}, {score}",
            )
        axes.set(xlim=(0, 1.01), ylim=(0, 1.02), xlabel="recall", title=OUTPUT_NAMES[output])
        axes.legend(loc="lower left")
    figure.axes[0].set_ylabel("precision")
    figure.supxlabel(
        "P and S: every peak of the probability, within 0.5 s of the label. "
        "Detection: windows with an earthquake against noise windows. Grey: lines of equal F1.",
        fontsize=8,
    )
    return figure


def reliability(models: Sequence[Document]) -> Figure:
    """What was right over what was claimed, by window, and below how often it was claimed.

    Bins of fewer than five records are in the histogram only.
    """
    figure = _figure(9.6, 5.0)
    diagrams, histograms = figure.subplots(
        2, len(OUTPUT_NAMES), sharex=True, sharey="row", height_ratios=(3, 1)
    )
    for axes, below, output in zip(diagrams, histograms, OUTPUT_NAMES, strict=True):
        axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
        for index, model in enumerate(models):
            measured = model["reliability"][output]
            bins = measured["bins"]
            shown = [each for each in bins if each["records"] >= SHOWN_RECORDS]
            error = measured["calibration_error"]["point"]
            score = "not measurable" if error is None else f"ECE {error:.3f}"
            _points(
                axes,
                np.array([each["probability"] for each in shown]),
                [each["right"] for each in shown],
                index,
                f"{_name(model)}, {score}",
            )
            lower, upper = (np.array([each[edge] for each in bins]) for edge in ("lower", "upper"))
            width = 0.85 * (upper - lower) / len(models)
            below.bar(
                (lower + upper) / 2 + (index - (len(models) - 1) / 2) * width,
                [each["windows"] for each in bins],
                width,
                color=COLOURS[index % len(COLOURS)],
            )
        axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), title=OUTPUT_NAMES[output])
        axes.legend(loc="best", fontsize=8)
        below.set_xlabel("probability")
    # Linear up to 1, since a logarithm has no place for empty bins.
    histograms[0].set_yscale("symlog", linthresh=1)
    histograms[0].yaxis.set_major_formatter("{x:,g}")
    histograms[0].set_ylim(bottom=0)
    diagrams[0].set_ylabel("share that is right")
    histograms[0].set_ylabel("windows")
    figure.supxlabel(
        "One probability per window. P and S: of the highest peak, right within 0.5 s of the "
        "label. Detection: right in a window with an earthquake.\nNoise windows included. Grey: "
        "calibrated. 95 % intervals over records; bins of fewer than five records are not drawn.",
        fontsize=8,
    )
    return figure


def strata(models: Sequence[Document]) -> Figure:
    """Scores by what the windows are like, with 95 % intervals and the number of records.

    Properties that all windows share are left out, and strata of fewer than five records.
    """
    # All models were measured on the same windows, so their strata are the same.
    shown = {
        name: [i for i, group in enumerate(groups) if group["records"] >= SHOWN_RECORDS]
        for name, groups in models[0]["strata"].items()
    }
    properties = [name for name in STRATUM_NAMES if len(shown[name]) > 1]
    columns = max(len(properties), 1)
    figure = _figure(3.0 * columns + 0.6, 1.9 * len(STRATUM_ROWS) + 1.0)
    grid = figure.subplots(len(STRATUM_ROWS), columns, sharey=True, squeeze=False)
    for column, name in enumerate(properties):
        groups = [models[0]["strata"][name][i] for i in shown[name]]
        ticks = [f"{group['label']}\n{group['records']}" for group in groups]
        for row, (metric, title) in enumerate(STRATUM_ROWS.items()):
            axes = grid[row, column]
            for index, model in enumerate(models):
                _points(
                    axes,
                    np.arange(len(groups)) + _beside(index, len(models)),
                    [model["strata"][name][i]["metrics"][metric] for i in shown[name]],
                    index,
                    _name(model),
                )
            axes.set_xlim(-0.6, len(groups) - 0.4)
            axes.set_xticks(range(len(groups)), ticks if row == len(STRATUM_ROWS) - 1 else [])
            axes.grid(axis="x", visible=False)
            if column == 0:
                axes.set_ylabel(title)
        grid[-1, column].set_xlabel(f"{STRATUM_NAMES[name]}\nand number of records")
    _fraction_axes(list(grid.flat))
    _legend_above(figure, grid[0, 0])
    return figure


def whole_second_bias(models: Sequence[Document]) -> Figure:
    """P within 0.1 s over the offset of P from a whole second of the window."""
    figure = _figure(6.4, 3.8)
    axes = figure.subplots()
    for index, model in enumerate(models):
        bias = model["whole_second_bias"]
        offsets = np.array([point["offset_s"] for point in bias["by_offset"]])
        # The second is a circle: its end is the next one's beginning.
        places = np.append(offsets, 1.0) + 0.006 * (index - (len(models) - 1) / 2)
        points = [*bias["by_offset"], bias["by_offset"][0]]
        difference = bias["difference"]
        label = (
            f"{_name(model)}: on less between whole seconds {difference['point']:+.3f} "
            f"({difference['lower']:+.3f} to {difference['upper']:+.3f})"
        )
        _points(axes, places, points, index, label, line=LINES[index % len(LINES)])
    axes.set(
        xlim=(-0.04, 1.04),
        xlabel="offset of P from a whole second of the window (s)",
        ylabel="P within 0.1 s of the label",
        title=f"The same {models[0]['whole_second_bias']['records']} records, moved",
    )
    axes.xaxis.set_major_locator(MultipleLocator(0.1))
    _fraction_axes([axes])
    figure.legend(
        loc="outside lower center",
        title="95 % intervals over records, paired for the difference",
        title_fontsize=8,
    )
    return figure


def residuals(models: Sequence[Document]) -> Figure:
    """Histograms of most probable sample minus label, for P and S."""
    figure = _figure(8.6, 3.6)
    for axes, phase in zip(figure.subplots(1, 2, sharey=True), ("p", "s"), strict=True):
        for index, model in enumerate(models):
            histogram = model["residuals"]
            known = histogram[phase]
            if not known["windows"]:
                continue
            share = 100 * np.array(known["counts"]) / known["windows"]
            outside = known["outside"] / known["windows"]
            axes.stairs(
                share,
                histogram["edges_s"],
                color=COLOURS[index % len(COLOURS)],
                linestyle=LINES[index % len(LINES)],
                linewidth=1.5,
                fill=len(models) == 1,
                label=f"{_name(model)}, {outside:.1%} outside",
            )
        axes.axvline(0, color="#555555", linewidth=0.8)
        axes.set(
            xlabel=f"most probable {phase.upper()} minus label (s)",
            title=f"{phase.upper()}, {models[0]['residuals'][phase]['windows']} windows",
        )
        if axes.get_legend_handles_labels()[1]:
            axes.legend(loc="upper left")
    shared = figure.axes[0]
    shared.set_ylabel("share of windows per 0.03 s (%)")
    shared.set_ylim(0, shared.get_ylim()[1] * (1.1 + 0.08 * len(models)))  # room for the legend
    return figure


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _name(model: Document) -> str:
    return Path(str(model["name"])).name


def _beside(index: int, models: int) -> float:
    """So that models do not hide each other: within a quarter to both sides."""
    return 0.0 if models == 1 else 0.5 * index / (models - 1) - 0.25


def _points(
    axes: Axes,
    places: np.ndarray,
    values: Sequence[Document],
    index: int,
    label: str,
    line: str = "",
) -> None:
    """Points with intervals; what could not be measured is left out."""
    known = [i for i, value in enumerate(values) if value["point"] is not None]
    point, lower, upper = (
        np.array([values[i][key] for i in known], dtype=float)
        for key in ("point", "lower", "upper")
    )
    axes.errorbar(
        places[known],
        point,
        # A percentile interval need not hold the point; a bar cannot have a negative length.
        yerr=np.maximum([point - lower, upper - point], 0.0),
        fmt=MARKERS[index % len(MARKERS)] + line,
        color=COLOURS[index % len(COLOURS)],
        markersize=4.5,
        linewidth=1.3,
        elinewidth=1.0,
        capsize=2,
        label=label,
    )


def _fraction_axes(group: Sequence[Axes]) -> None:
    """All from the tenth below the lowest interval among them to 1."""
    lowest = min(0.9, *(np.floor(10 * axes.dataLim.y0) / 10 for axes in group))
    for axes in group:
        axes.set_ylim(lowest - 0.02, 1.02)


def _f1_contours(axes: Axes) -> None:
    """Lines of equal F1, labelled at the right edge."""
    for f1 in (0.5, 0.7, 0.8, 0.9, 0.95):
        # Below this recall not even a precision of 1 gives that F1.
        recall = np.linspace(f1 / (2 - f1), 1.0, 100)
        axes.plot(recall, f1 * recall / (2 * recall - f1), color="#bbbbbb", linewidth=0.7)
        axes.annotate(
            f"{f1:g}",
            (1.0, f1 / (2 - f1)),
            xytext=(2, 0),
            textcoords="offset points",
            fontsize=7,
            color="#777777",
            va="center",
            annotation_clip=False,
        )


def _legend_above(figure: Figure, axes: Axes) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=len(labels))
