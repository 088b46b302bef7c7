"""The table and the figure of a measurement, from its document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from baseline.published import PUBLISHED
from benchmarks.peers.catalogue import SIMPLIFIED
from compress.report.plots import COLOURS, STYLE

Document = dict[str, Any]

COLUMNS = (
    "way", "M mult.-adds", "file", "ms, 1 thread", "times the reference's", "of peak",
    "ms, 2 threads", "windows/s, 1 thread", "windows/s, 2 threads", "memory", "start-up",
    "differs by",
)  # fmt: skip

KINDS = {
    "published model, other ways": COLOURS[1],
    "other weights, SeisBench": COLOURS[5],
    "this project, published weights": COLOURS[4],
    "this project, students": COLOURS[0],
}


def table(document: Document) -> str:
    """A Markdown table, a row for each way, the slowest first."""
    rows = [COLUMNS, ["---", *["---:"] * (len(COLUMNS) - 1)]]
    rows += [_row(model) for model in _slowest_first(document)]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    failed = [
        f"- {m['title']}: not measured ({m['failed']})" for m in document["models"] if "failed" in m
    ]
    return "\n".join([*lines, *(["", *failed] if failed else [])])


def _row(model: Document) -> list[str]:
    alone, both = _setting(model, 1, 1), _setting(model, 1, 2)
    ratio = f"{alone['ratio']:.3g} ({alone['lower']:.3g} to {alone['upper']:.3g})"
    difference = model.get("difference")
    return [
        f"**{model['title']}**" if model["ours"] else model["title"],
        f"{model['multiply_adds'] / 1e6:.3g}",
        f"{model['file_bytes'] / 1e3:,.0f} kB",
        f"{alone['ms']:.3g}",
        ratio,
        f"{alone['share_of_peak']:.1%}",
        f"{both['ms']:.3g}" if both else "",
        *(_throughput(model, threads) for threads in (1, 2)),
        f"{model['peak_bytes'] / 1e6:,.0f} MB",
        f"{model['startup_s']:.2g} s",
        "" if difference is None else f"{difference:.1g}",
    ]


def _throughput(model: Document, threads: int) -> str:
    setting = _setting(model, 64, threads)
    return f"{setting['windows_per_second']:,.0f}" if setting else ""


def draw(document: Document, path: Path) -> None:
    """Time of one window and windows per second, bars on logarithmic axes, as PNG."""
    with mpl.rc_context(STYLE):
        models = _slowest_first(document)
        figure = Figure(figsize=(10.5, 1.6 + 0.27 * len(models)), layout="constrained")
        FigureCanvasAgg(figure)
        left, right = figure.subplots(1, 2, sharey=True)
        _bars(left, models, [_setting(m, 1, 1)["ms"] for m in models])
        left.set(title="one window, one thread", xlabel="ms")
        threads = max(setting["threads"] for setting in models[0]["settings"])
        _bars(right, models, [_setting(m, 64, threads)["windows_per_second"] for m in models])
        right.set(title=f"64 windows in a call, {threads} threads", xlabel="windows per second")
        left.set_yticks(range(len(models)), [model["title"] for model in models])
        left.invert_yaxis()
        handles = [Patch(color=colour, label=kind) for kind, colour in KINDS.items()]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def _bars(axes: Axes, models: list[Document], values: list[float]) -> None:
    places = range(len(models))
    axes.barh(places, values, 0.7, color=[KINDS[_kind(model)] for model in models], log=True)
    for place, value in zip(places, values, strict=True):
        text = f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
        axes.annotate(
            text, (value, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8
        )
    axes.margins(x=0.15)
    axes.xaxis.set_major_formatter("{x:g}")
    axes.grid(axis="y", visible=False)


def _kind(model: Document) -> str:
    published, other, simplified, student = KINDS
    if model["ours"]:
        return simplified if model["weights"] == SIMPLIFIED else student
    return published if model["weights"] in PUBLISHED else other


def _slowest_first(document: Document) -> list[Document]:
    done = [model for model in document["models"] if "failed" not in model]
    return sorted(done, key=lambda model: -_setting(model, 1, 1)["ms"])


def _setting(model: Document, batch: int, threads: int) -> Document:
    """What was measured with such a batch and so many threads; empty if it was not."""
    return next(
        (s for s in model["settings"] if (s["batch"], s["threads"]) == (batch, threads)), {}
    )
