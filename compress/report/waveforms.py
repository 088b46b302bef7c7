"""Panels of waveforms: three components, the analyst's picks, and what two models make of them."""

from __future__ import annotations

from typing import Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MultipleLocator
from numpy.typing import NDArray

from baseline.contract import COMPONENTS, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from compress.evaluation.disagreement import ERRORS
from compress.evaluation.examples import Examples
from compress.evaluation.picker import Thresholds, pick
from compress.report.plots import COLOURS
from compress.report.run_rows import short_name

PHASES = ("P", "S")
PHASE_COLOURS = (COLOURS[0], COLOURS[1])
PHASE_LINES: tuple[Literal["-", "--"], ...] = ("-", "--")
DETECTION_COLOUR = "#8a8a8a"

AROUND_S = 1.5
"""How much is shown before and after an onset, beside the whole window."""

MODEL_PLACES = (1.5, 0.0)
"""Height of a probability of 0, of the baseline and of the other model."""

COMPONENT_HEIGHT = 1.2
COMPONENT_PLACES = 3.4 + COMPONENT_HEIGHT * np.arange(len(COMPONENTS))[::-1]
"""Height of each component's middle."""

COLUMNS = 500
"""Of a picture of a whole window: the least and the greatest sample of each is drawn."""


def draw(examples: Examples, index: int, ink: str) -> Figure:
    """One example: waveforms above, below them the probabilities of the baseline and the other.

    To the right, the same around P and around S: where the analyst has it or, without a label, at
    the first pick of either model.

    Args:
        examples: all of them.
        index: which.
        ink: colour of the waveforms.
    """
    figure = Figure(figsize=(9.6, 4.3))
    FigureCanvasAgg(figure)
    panels = figure.subplots(1, 3, sharey=True, width_ratios=(3, 1, 1))
    figure.subplots_adjust(0.035, 0.12, 0.985, 0.87, wspace=0.06)
    time = np.arange(WINDOW_SAMPLES) / SAMPLING_RATE_HZ
    labels = examples.labels[index] / SAMPLING_RATE_HZ
    picks = _picks(examples, index)
    scale = COMPONENT_HEIGHT / 2 / (np.abs(examples.waveforms[index]).max() or 1.0)
    centres = [_centre(labels[phase], [both[phase] for both in picks]) for phase in (0, 1)]
    spans = [(0.0, float(time[-1])), *((at - AROUND_S, at + AROUND_S) for at in centres)]
    for axes, span in zip(panels, spans, strict=True):
        axes.grid(axis="y", visible=False)
        if np.isnan(span[0]):
            axes.set_visible(False)
            continue
        inside = (time >= span[0]) & (time <= span[1])
        waveform = examples.waveforms[index][inside] * scale + COMPONENT_PLACES
        _trace(axes, time[inside], waveform, ink, 0.5)
        for place, prediction, picked in zip(
            MODEL_PLACES, examples.predictions[index], picks, strict=True
        ):
            _probabilities(axes, time[inside], prediction[inside], picked, place)
        for onset, colour, line in zip(labels, PHASE_COLOURS, PHASE_LINES, strict=True):
            if not np.isnan(onset):
                axes.axvline(onset, color=colour, linestyle=line, linewidth=1.1)
        axes.set_xlim(span)
    for axes, phase in zip(panels[1:], PHASES, strict=True):
        axes.set_title(f"around {phase}", fontsize=8)
        axes.xaxis.set_major_locator(MultipleLocator(1.0))
    whole = panels[0]
    ticks = [place + level for place in MODEL_PLACES for level in (0, 1)]
    whole.set_yticks([*COMPONENT_PLACES, *ticks], [*COMPONENTS, *("0", "1") * 2])
    whole.set_ylim(-0.1, COMPONENT_PLACES[0] + COMPONENT_HEIGHT / 2)
    for place, name in zip(MODEL_PLACES, examples.models, strict=True):
        whole.text(0.4, place + 1.02, short_name(name), va="top", fontsize=8)
    whole.set_xlabel("time in the window (s)")
    figure.legend(handles=_legend(), loc="upper left", ncols=5, bbox_to_anchor=(0.03, 1))
    return figure


def story(examples: Examples, index: int) -> list[str]:
    """What an example is, and what the two models make of it, a sentence each."""
    labels = examples.labels[index]
    known = [phase for phase, label in zip(PHASES, labels, strict=True) if not np.isnan(label)]
    if examples.noise[index]:
        what = "Noise, in which every pick is false."
    elif known:
        what = f"The analyst picked {' and '.join(known)}."
    else:
        what = "An earthquake without a labelled onset in this window."
    if not np.isnan(examples.snr_db[index]):
        what += f" Signal-to-noise ratio {examples.snr_db[index]:.0f} dB."
    sentences = [what]
    baseline, candidate = examples.errors[index]
    names = [short_name(name) for name in examples.models]
    made: dict[str, list[str]] = {"Both": [], f"{names[0]} alone": [], f"{names[1]} alone": []}
    for error, first, second in zip(ERRORS.values(), baseline, candidate, strict=True):
        both, more = min(first, second), abs(first - second)
        for who, times in zip(made, (both, more * (first > second), more * (second > first)),
                              strict=True):  # fmt: skip
            if times:
                made[who].append(error if times == 1 else f"{error}, {times} times")
    sentences += [f"{who}: {'; '.join(errors)}." for who, errors in made.items() if errors]
    for phase, place in zip(PHASES, (0, 1), strict=True):
        first, second = examples.residuals_s[index, :, place]
        if not (np.isnan(first) and np.isnan(second)):
            told = ", ".join(
                f"{name} {'did not find it' if np.isnan(value) else f'{value:+.2f} s'}"
                for name, value in zip(names, (first, second), strict=True)
            )
            sentences.append(f"{phase} from the analyst's pick: {told}.")
    (p, s), (other_p, other_s) = examples.probabilities[index]
    sentences.append(
        f"Highest probability of P {p:.2f} and {other_p:.2f}, of S {s:.2f} and {other_s:.2f}."
    )
    return sentences


def _picks(examples: Examples, index: int) -> list[list[list[float]]]:
    """By model and phase, where it picks, in seconds."""
    detection, p, s = (float(value) for value in examples.thresholds)
    thresholds = Thresholds(detection=detection, p=p, s=s)
    return [
        [
            [each.sample / SAMPLING_RATE_HZ for each in picks]
            for picks in (found.p_picks, found.s_picks)
        ]
        for found in (pick(each, thresholds) for each in examples.predictions[index])
    ]


def _centre(label: float, picks: list[list[float]]) -> float:
    if not np.isnan(label):
        return float(label)
    return min((time for times in picks for time in times), default=float("nan"))


def _probabilities(
    axes: Axes, time: NDArray, prediction: NDArray, picked: list[list[float]], place: float
) -> None:
    _trace(axes, time, prediction[:, :1] + place, DETECTION_COLOUR, 1.0)
    for phase, (colour, line) in enumerate(zip(PHASE_COLOURS, PHASE_LINES, strict=True)):
        _trace(axes, time, prediction[:, phase + 1 : phase + 2] + place, colour, 1.2, line)
        inside = [at for at in picked[phase] if time[0] <= at <= time[-1]]
        axes.plot(inside, [place + 1.16] * len(inside), "v", color=colour, markersize=5)


def _trace(
    axes: Axes, time: NDArray, values: NDArray, colour: str, width: float, line: str = "-"
) -> None:
    """Lines, of which a long one is drawn by the extremes of each column of the picture."""
    step = len(time) // COLUMNS
    if step > 2:
        whole = len(time) // step * step
        blocks = values[:whole].reshape(-1, step, values.shape[1])
        values = np.stack([blocks.min(axis=1), blocks.max(axis=1)], axis=1)
        values = values.reshape(-1, values.shape[-1])
        time = np.repeat(time[:whole].reshape(-1, step).mean(axis=1), 2)
    axes.plot(time, values, color=colour, linewidth=width, linestyle=line)


def _legend() -> list[Line2D]:
    handles = [Line2D([], [], color=DETECTION_COLOUR, linewidth=1.0, label="detection")]
    for phase, colour, line in zip(PHASES, PHASE_COLOURS, PHASE_LINES, strict=True):
        label = f"{phase} (upright: analyst's pick)"
        handles.append(Line2D([], [], color=colour, linestyle=line, label=label))
    for phase, colour in zip(PHASES, PHASE_COLOURS, strict=True):
        label = f"{phase} picked"
        handles.append(Line2D([], [], color=colour, linestyle="", marker="v", label=label))
    return handles
