"""What a report of a run holds, for `report.html` and `report.md` alike."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from baseline.published import CITATION, LICENCE, PUBLISHED
from compress.evaluation.disagreement import NUMBERS
from compress.evaluation.examples import Examples
from compress.report import plots, waveforms
from compress.report.cost_figures import accuracy_cost, waterfall
from compress.report.run_rows import Row, cleaned, compared, kept_stages, short_name
from compress.report.svg import INK, PAGE_STYLE, inline_svg
from compress.report.verdict import Verdict, verdict

AGAIN = "Run the pipeline again with this version to have it."

RANKING = (
    "Worst disagreements: first by the number of outcomes in which the two models differ (an "
    "earthquake, P or S missed at 0.5 s; a false detection, P or S), then by the seconds between "
    "their picks of the same onset, then by how far their highest probabilities of P and S are "
    "apart. Best and typical windows have both onsets labelled where any has, and are the first "
    "and the middle ones by fewest errors and smallest residuals of the compressed model. Of each "
    "record one window is shown at most."
)


@dataclass(frozen=True)
class Picture:
    """A figure, or why there is none.

    Attributes:
        name: of its file, and of its place in the page.
        title: what it is, in a few words.
        caption: how to read it.
        alt: what it shows, for whoever does not see it.
        draw: makes the figure; None where numbers are missing.
        missing: why.
    """

    name: str
    title: str
    caption: str
    alt: str
    draw: Callable[[], Figure] | None
    missing: str = ""

    @cached_property
    def svg(self) -> Markup | None:
        """The figure, for a page."""
        if self.draw is None:
            return None
        with mpl.rc_context(PAGE_STYLE):
            return inline_svg(self.draw(), self.name, self.alt)


@dataclass(frozen=True)
class Example:
    """A panel of waveforms: its kind and place in the ranking, what it shows, and the picture."""

    kind: str
    place: int
    title: str
    sentences: list[str]
    picture: Picture


@dataclass(frozen=True)
class Contents:
    """Everything a report says.

    Attributes:
        results: of `results.json`, every text of it fit for a page.
        title: of the report.
        rows: all models of the run, then the peers.
        shown: the baseline and the last stage kept.
        verdict: in plain words.
        pictures: by name.
        examples: panels of waveforms, best first.
        no_examples: why there are none.
    """

    results: dict[str, Any]
    title: str
    rows: list[Row]
    shown: list[Row]
    verdict: Verdict
    pictures: dict[str, Picture]
    examples: list[Example] = field(default_factory=list)
    no_examples: str = ""

    @property
    def licences(self) -> str:
        """Of the baseline and the records, and what to cite."""
        if self.results["baseline"]["name"] in PUBLISHED:
            baseline = f"The published weights are under the {LICENCE} licence."
        else:
            baseline = "The baseline is a file of your own, and so is its licence."
        return (
            f"{baseline} {CITATION} Records in folders keep the licences that they came with; "
            "synthetic ones are made by this program and carry none."
        )

    def all_pictures(self) -> Iterator[Picture]:
        """Those of the run, then those of waveforms."""
        yield from self.pictures.values()
        yield from (example.picture for example in self.examples)


def contents(
    results: dict[str, Any],
    examples: Examples | None,
    peers: Sequence[Row] = (),
    title: str | None = None,
) -> Contents:
    """Gather what a report says.

    Args:
        results: what `results.json` holds.
        examples: windows to show, where there are any.
        peers: rows of models that were measured elsewhere, on the same windows.
        title: of the report; default the pipeline's name.
    """
    results = cleaned(results)
    own = results["models"]
    rows = [*own, *map(cleaned, peers)]
    shown = compared(own)
    panels = list(_panels(examples)) if examples else []
    return Contents(
        results=results,
        title=cleaned(title) if title else f"Pipeline {results['name']}",
        rows=rows,
        shown=shown,
        verdict=verdict(results),
        pictures={picture.name: picture for picture in _pictures(own, rows, shown)},
        examples=panels,
        no_examples="" if panels else _no_examples(shown, examples),
    )


def _pictures(own: list[Row], rows: list[Row], shown: list[Row]) -> Iterator[Picture]:
    names = " and ".join(row["label"] for row in shown)
    yield Picture(
        "accuracy_cost",
        "Accuracy against cost",
        "Bars: 95 % intervals over records. The grey line follows the stages that were kept. "
        "Above and to the left is better.",
        "F1 of P and S over multiply-adds, bytes and time per window, for "
        + ", ".join(row["label"] for row in rows)
        + ". The table above has the same numbers.",
        partial(accuracy_cost, rows),
    )
    kept = kept_stages(own)
    yield Picture(
        "waterfall",
        "What each stage saved",
        "In % of the baseline. Blue: saved; hatched orange: added. Skipped stages are left out. "
        "Sparsity saves neither bytes of this file nor time; it shows in the gzipped size alone.",
        "A waterfall of file, multiply-adds and time per window over the stages "
        + ", ".join(row["label"] for row in kept)
        + ". The table above has the same numbers.",
        partial(waterfall, own) if len(kept) > 1 else None,
        "" if len(kept) > 1 else "No stage was kept, so nothing was saved.",
    )
    models = [{**row, "name": short_name(row["label"])} for row in shown]
    for name, (title, caption, draw) in _MEASURED.items():
        there = all(row.get(_KEYS[name]) for row in shown)
        yield Picture(
            name,
            title,
            caption,
            f"{title}, of {names}.{_numbers(name, shown) if there else ''}",
            partial(draw, models) if there else None,
            "" if there else f"This run's results do not hold it. {AGAIN}",
        )


_KEYS = {
    "residuals": "residuals",
    "precision_recall": "curves",
    "reliability": "reliability",
    "strata": "strata",
}
"""Of a row, what each picture is drawn from."""

_MEASURED: dict[str, tuple[str, str, Callable[[Sequence[Row]], Figure]]] = {
    "residuals": (
        "Residuals",
        "The most probable sample minus the analyst's pick, whatever its probability, of every "
        "window with a label; what lies more than half a second off is counted in the legend.",
        plots.residuals,
    ),
    "precision_recall": (
        "Precision and recall",
        "At every threshold. Above and to the right is better.",
        plots.precision_recall,
    ),
    "reliability": (
        "Reliability of the probabilities",
        "On the grey line a probability means what it says. ECE: expected calibration error.",
        plots.reliability,
    ),
    "strata": (
        "By signal-to-noise ratio and position in the window",
        "95 % intervals over records, whose number stands below each stratum; strata of fewer "
        "than five records are not drawn.",
        plots.strata,
    ),
}


_TOLD = {
    "precision_recall": ("Average precision", "curves", "average_precision"),
    "reliability": ("Expected calibration error", "reliability", "calibration_error"),
}
"""Pictures that a number for each output sums up: what it is, and where rows have it."""


def _numbers(name: str, shown: list[Row]) -> str:
    """What a picture shows, where a few numbers can tell it."""
    if name not in _TOLD:
        return ""
    what, section, number = _TOLD[name]
    told = {
        row["label"]: {
            output: row[section][output][number]["point"] for output in plots.OUTPUT_NAMES
        }
        for row in shown
    }
    numbers = "; ".join(
        f"{label}: "
        + ", ".join(
            f"{plots.OUTPUT_NAMES[output]} {'not measurable' if value is None else f'{value:.3f}'}"
            for output, value in values.items()
        )
        for label, values in told.items()
    )
    return f" {what}: {numbers}."


def _panels(examples: Examples) -> Iterator[Example]:
    places: dict[str, int] = dict.fromkeys(NUMBERS, 0)
    for index, kind in enumerate(map(str, examples.kinds)):
        places[kind] += 1
        record = cleaned(str(examples.records[index]))
        station = cleaned(str(examples.stations[index]))
        sentences = [cleaned(sentence) for sentence in waveforms.story(examples, index)]
        yield Example(
            kind,
            places[kind],
            f"{record}{f', {station}' if station else ''}, from {examples.starts_s[index]:.2f} s",
            sentences,
            Picture(
                f"example_{kind}_{places[kind]}",
                f"{kind.capitalize()} {places[kind]}",
                " ".join(sentences),
                f"Three components of {record} and the probabilities of "
                f"{' and '.join(map(cleaned, examples.models))}. {' '.join(sentences)}",
                partial(waveforms.draw, examples, index, INK),
            ),
        )


def _no_examples(shown: list[Row], examples: Examples | None) -> str:
    if len(shown) < 2:
        return "No stage was kept, so there are no two models to compare."
    if examples is None:
        return f"This run's folder holds no examples. {AGAIN}"
    return "In no window do the two models differ, and none has a labelled onset."
