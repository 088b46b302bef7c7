"""What was picked, as a table and as a picture of one window."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from baseline.contract import COMPONENTS, OUTPUTS
from compress.data.archive import NS
from compress.picking.picks import Detection, iso

SHOWN = 40


def show_picks(console: Console, detections: Sequence[Detection]) -> None:
    """A row for each detection, the first forty."""
    table = Table("instrument", "detection", "P", "S")
    for one in detections[:SHOWN]:
        times = {
            phase.phase: f"{iso(phase.time)[11:]} ({phase.probability:.2f})" for phase in one.phases
        }
        seconds = (one.end - one.start) / NS
        table.add_row(
            one.instrument,
            f"{iso(one.start)}, {seconds:.1f} s ({one.probability:.2f})",
            times.get("P", ""),
            times.get("S", ""),
        )
    console.print(table)
    if len(detections) > SHOWN:
        console.print(f"{len(detections) - SHOWN} more detections; --csv has them all.")


def plot_picks(
    path: Path,
    name: str,
    times: NDArray[np.int64],
    waveform: NDArray[np.float32],
    probabilities: NDArray[np.float32],
    detections: Sequence[Detection],
) -> None:
    """Draw three components, the probabilities below, and what was picked across both.

    Args:
        path: of the picture; its ending is the format.
        name: of the instrument.
        times: of the samples, ns since 1970, shape (samples,).
        waveform: (samples, 3), as the model was shown it.
        probabilities: (samples, 3).
        detections: of this instrument; those outside are not drawn.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
    from matplotlib.figure import Figure

    from compress.report.plots import COLOURS, OUTPUT_NAMES, STYLE, save_figure

    def number(time: int) -> float:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=time / 1000)
        return float(date2num(moment))

    first, last = int(times[0]), int(times[-1])
    places = np.linspace(number(first), number(last), len(times))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(9, 6), layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots(4, 1, sharex=True)
        for column, component in enumerate(COMPONENTS):
            axes[column].plot(places, waveform[:, column], color="black", linewidth=0.5)
            axes[column].set_ylabel(component)
        for column, (output, colour) in enumerate(zip(OUTPUTS, COLOURS, strict=False)):
            axes[3].plot(places, probabilities[:, column], color=colour, label=OUTPUT_NAMES[output])
        axes[3].set_ylim(-0.02, 1.02)
        axes[3].set_ylabel("probability")
        for one in detections:
            if one.end >= first and one.start <= last:
                start, end = (number(min(max(t, first), last)) for t in (one.start, one.end))
                axes[3].axvspan(start, end, color=COLOURS[0], alpha=0.12, linewidth=0)
            for phase in one.phases:
                if first <= phase.time <= last:
                    for panel in axes:
                        panel.axvline(
                            number(phase.time), color=COLOURS[OUTPUTS.index(phase.phase.lower())],
                            linewidth=1.0,
                        )  # fmt: skip
        locator = AutoDateLocator()
        axes[3].xaxis.set_major_locator(locator)
        axes[3].xaxis.set_major_formatter(ConciseDateFormatter(locator))
        axes[3].set_xlim(places[0], places[-1])
        axes[0].set_title(f"{name}, {iso(first)}")
        handles, labels = axes[3].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3)
        save_figure(figure, path)
