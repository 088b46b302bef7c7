"""How accurate is a published model after structured pruning, at ever fewer multiply-adds?

Simplifies the model exactly, then prunes its channels to each reduction in turn, every point
continuing from the one before, and fine-tunes each against the published model on the training
records. Each point is exported to TFLite; that file is evaluated on the labelled records, paired
with the published model's, timed against it, and weighed. A reduction that simplification alone
exceeds has no point of its own: the simplified model stands for it.

Half an hour with 900 steps per point and 2,500 records, on two cores that had other work too.

Repeat:
    python -m benchmarks.pruning_pareto --data LABELLED --split test --train RECORDS \
        --steps 900 --records 2500 --shifts 3 \
        --json benchmarks/results/pruning_pareto.json --plot docs/images/pruning_pareto.png
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from baseline.errors import InputError
from compress.data.mixture import Mixture
from compress.data.records import Source
from compress.data.sources import check_disjoint, open_folder
from compress.data.synthetic import SyntheticSource
from compress.evaluation.cost import Cost, file_bytes, keras_multiply_adds
from compress.evaluation.latency import compare_files
from compress.evaluation.machine import describe_machine
from compress.evaluation.metrics import Counts
from compress.evaluation.protocol import Protocol, evaluate, labelled, labelled_windows
from compress.models import find_keras
from compress.pruning.structured import StructuredPruning, Target
from compress.report.plots import COLOURS, LINES, MARKERS, STYLE
from compress.report.table import interval, times
from compress.results import differences_document, metrics_document
from compress.stages.base import Context, StageModel
from compress.stages.prune import Prune
from compress.stages.simplify import Simplify
from compress.store import TARGETS_FOLDER, heading, write_json
from export.convert import Format, convert
from export.runtimes import KerasRunner, load_runner

if TYPE_CHECKING:
    from baseline.keras import keras

METRICS = {
    "p_f1_0.5s": "P F1 (0.5 s)",
    "s_f1_0.5s": "S F1 (0.5 s)",
    "detection_f1": "Detection F1",
    "p_highest_peak_recall_0.5s": "P highest peak (0.5 s)",
    "s_highest_peak_recall_0.5s": "S highest peak (0.5 s)",
    "p_highest_peak_recall_0.1s": "P highest peak (0.1 s)",
    "s_highest_peak_recall_0.1s": "S highest peak (0.1 s)",
}
DRAWN = ("p_f1_0.5s", "s_f1_0.5s", "detection_f1")
LATENCY_SECONDS = 20.0

Point = dict[str, Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--model", default="eqt-conservative", help="published name or .h5 file")
    parser.add_argument("--data", type=Path, required=True, help="folder of labelled records")
    parser.add_argument("--split", help="take only this split of --data")
    parser.add_argument(
        "--train", type=Path, action="append", default=[], help="folder of training records"
    )
    parser.add_argument(
        "--synthetic", type=int, default=2000, help="synthetic training records besides"
    )
    parser.add_argument(
        "--reductions", default="1.3,2,3,5,7,10", help="times fewer multiply-adds, rising"
    )
    parser.add_argument("--steps", type=int, default=1500, help="fine-tuning steps per point")
    parser.add_argument("--rounds", type=int, default=3, help="rounds per point")
    parser.add_argument("--records", type=int, default=4000, help="training records at most")
    parser.add_argument("--shifts", type=int, default=4, help="windows in the teacher's consensus")
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument(
        "--importance", default="taylor", choices=("taylor", "norm_scale", "l1"), help="of channels"
    )
    parser.add_argument("--multiple-of", type=int, default=1, help="keep multiples of it")
    parser.add_argument("--maximum-rate", type=float, default=0.9, help="per layer and point")
    parser.add_argument("--placements", type=int, default=5, help="evaluated windows per record")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--work", type=Path, default=Path("artifacts/pruning_pareto"), help="keeps the models"
    )
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--plot", type=Path, help="where to draw the figure, as PNG")
    arguments = parser.parse_args()

    try:
        with Progress() as progress:
            points = measure(arguments, progress)
    except InputError as error:
        parser.error(f"{error.message} {error.hint or ''}")
    document = {
        **heading("python", "-m", "benchmarks.pruning_pareto"),
        "machine": describe_machine(),
        "settings": {name: _plain(value) for name, value in vars(arguments).items()},
        "points": points,
    }
    show(points)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.json, document)
    if arguments.plot:
        draw(points, arguments.plot)


def measure(arguments: argparse.Namespace, progress: Progress) -> list[Point]:
    """The published model, the simplified one, and one point per reduction beyond that.

    Raises:
        InputError: the model or the data cannot be used, or a reduction cannot be reached.
    """
    test = open_folder(arguments.data, arguments.split)
    parts: list[Source] = [open_folder(folder) for folder in arguments.train]
    if arguments.synthetic:
        parts.append(SyntheticSource(arguments.synthetic, arguments.seed))
    train = Mixture(parts)
    check_disjoint({"--data": test, "training": train})
    runner = load_runner(find_keras(arguments.model).path)
    assert isinstance(runner, KerasRunner)
    baseline = runner.model
    whole = keras_multiply_adds(baseline)
    protocol = Protocol(placements=arguments.placements, seed=arguments.seed)
    evaluation = _Evaluation(arguments.work, test, protocol, progress)

    def context(name: str) -> Context:
        folder = arguments.work / name
        for part in ("scratch", "products"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        return Context(
            baseline,
            train,
            train,
            arguments.seed,
            folder / "scratch",
            folder / "products",
            progress,
            targets=arguments.work / TARGETS_FOLDER,
        )

    points = [evaluation.point("baseline", baseline)]
    simplified = Simplify(kind="simplify").apply(StageModel(baseline), context("simplified"))
    points.append(evaluation.point("simplified", simplified.keras))
    current = simplified
    for reduction in sorted(float(part) for part in arguments.reductions.split(",")):
        ratio = whole / reduction / keras_multiply_adds(current.keras)
        name = f"{reduction:g}x"
        if ratio >= 1.0:
            progress.console.print(f"{name}: exceeded without pruning")
            continue
        stage = Prune(
            kind="prune",
            method=StructuredPruning(
                kind="structured",
                importance=arguments.importance,
                target=Target(ratio=ratio),
                rounds=arguments.rounds,
                multiple_of=arguments.multiple_of,
                maximum_rate=arguments.maximum_rate,
            ),
            records=arguments.records,
            shifts=arguments.shifts,
            steps=arguments.steps,
            learning_rate=arguments.learning_rate,
        )
        own = context(name)
        current = stage.apply(current, own)
        points.append(evaluation.point(name, current.keras))
        show(points[-1:])
    return points


class _Evaluation:
    """Measures models as deployed: their TFLite files, against that of the first one."""

    def __init__(self, work: Path, source: Source, protocol: Protocol, progress: Progress) -> None:
        self._work, self._source, self._protocol = work, source, protocol
        self._progress = progress
        self._window = next(labelled_windows(source, protocol)).waveforms[:1]
        self._reference: tuple[Path, Counts] | None = None

    def point(self, name: str, model: keras.Model) -> Point:
        """Cost, accuracy, differences from the first model, and the latency ratio to it."""
        from baseline.checkpoint import save_keras

        self._work.mkdir(parents=True, exist_ok=True)
        graph, file = self._work / f"{name}.keras", self._work / f"{name}.tflite"
        save_keras(model, graph)
        convert(graph, file, Format.TFLITE)
        counts = evaluate(
            load_runner(file), self._source, self._protocol, self._progress, f"evaluate {name}"
        )
        cost = Cost(model.count_params(), keras_multiply_adds(model), *file_bytes(file))
        metrics = metrics_document(counts)
        point: Point = {
            "name": name,
            "records": len(labelled(self._source)),
            "cost": cost.to_dict(),
            "metrics": {metric: metrics[metric] for metric in METRICS},
            "widths": _widths(model),
        }
        if self._reference is None:
            self._reference = (file, counts)
            return point
        reference, theirs = self._reference
        differences = differences_document(counts, theirs)
        ratio = compare_files(file, reference, self._window, seconds=LATENCY_SECONDS)
        return point | {
            "differences": {metric: differences[metric] for metric in METRICS},
            "latency": asdict(ratio),
        }


def _widths(model: keras.Model) -> dict[str, int]:
    """Channels of each dimension, by the name of the first layer that makes it."""
    from compress.graphs.channels import trace

    return {d.name: len(d.groups) for d in trace(model).dimensions}


def _plain(value: object) -> Any:
    """A setting as JSON holds it; folders by name only."""
    if isinstance(value, Path):
        return value.name
    return [_plain(part) for part in value] if isinstance(value, list) else value


def show(points: Sequence[Point]) -> None:
    """A row per point: cost, latency, accuracy."""
    table = Table()
    for column in ("point", "multiply-adds", "parameters", "file", "latency"):
        table.add_column(column, justify="left" if column == "point" else "right")
    for metric in DRAWN:
        table.add_column(METRICS[metric], justify="right")
    for point in points:
        cost = point["cost"]
        table.add_row(
            point["name"],
            f"{cost['multiply_adds'] / 1e6:.1f} M",
            f"{cost['parameters'] / 1e3:.1f} k",
            f"{cost['bytes'] / 1e3:.0f} kB",
            times(point["latency"]["ratio"]) if "latency" in point else "1",
            *(interval(point["metrics"][metric]) for metric in DRAWN),
        )
    Console().print(table)


def draw(points: Sequence[Point], path: Path) -> None:
    """F1 against multiply-adds, and the latency ratio below, as PNG."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.5, 6.0), layout="constrained")
        FigureCanvasAgg(figure)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
        cost = [point["cost"]["multiply_adds"] / 1e6 for point in points]
        for index, metric in enumerate(DRAWN):
            values = [point["metrics"][metric] for point in points]
            middle = [value["point"] for value in values]
            # Apart by 2 %, so that intervals do not hide each other.
            above.errorbar(
                [x * 1.02 ** (index - 1) for x in cost],
                middle,
                yerr=[
                    [value["point"] - value["lower"] for value in values],
                    [value["upper"] - value["point"] for value in values],
                ],
                color=COLOURS[index],
                marker=MARKERS[index],
                linestyle=LINES[index],
                capsize=2,
                label=METRICS[metric],
            )
        above.set_ylabel("F1, with 95 % intervals")
        figure.legend(loc="outside upper center", ncols=len(DRAWN))
        ratios = [point["latency"]["ratio"] if "latency" in point else 1.0 for point in points]
        below.plot(cost, ratios, color="black", marker="o")
        below.set_ylabel("time of a window\n(baseline 1)")
        below.set_ylim(0.0, 1.1)
        below.set_xscale("log")
        below.set_xlabel("multiply-adds per window (millions)")
        below.set_xticks(
            cost, [f"{x:.3g}\n{point['name']}" for x, point in zip(cost, points, strict=True)]
        )
        below.minorticks_off()
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


if __name__ == "__main__":
    main()
