"""How time and memory grow with the length of a recording, the stations and the size of a data set.

Picking: `compress pick` with one bundle, from its start to the picks on disk, on recordings of one
station of an hour to thirty days (an SDS archive with a file for each channel and day, and one file
with all of it), and on an hour of one to fifty stations with one and with two jobs. See
`benchmarks.growth.recordings`.

Data sets: what a run does with a set of a thousand to a million records in STEAD's layout and in
SeisBench's, part by part, and `compress evaluate` on 500 of its records. See
`benchmarks.growth.data_sets` for what the records share, and `benchmarks.growth.reading` for the
parts. The evaluation itself is measured by the records that are evaluated.

Everything is measured in fresh processes of one thread; processor time is the figure to go by,
since it hardly changes when others use the machine. The growth of a part is the slope of its
processor time against the size in a plot of both as logarithms: over all sizes, and over the two
largest, where what does not grow has least weight. 1 is linear. It takes 40 minutes and 3 GB of a
temporary folder.

Repeat:
    nice python -m benchmarks.scaling artifacts/released/student-tflite-int8 \
        --json benchmarks/results/scaling.json --figure docs/images/scaling.png
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console

from benchmarks.growth.data_sets import EVALUATED, WRITERS, shared_records
from benchmarks.growth.process import command_cost, kept_from
from benchmarks.growth.recordings import make_day, write_recordings
from benchmarks.peers.process import environment
from compress.evaluation.machine import describe_machine
from compress.report.plots import COLOURS, LINES, MARKERS, STYLE
from compress.store import heading, write_json

HOURS = (1, 6, 24, 72, 240, 720)
STATIONS = (1, 2, 5, 10, 20, 50)
JOBS = (1, 2)
RECORDS = (1_000, 10_000, 100_000, 1_000_000)
EVALUATIONS = (1_000, 5_000, 20_000)
EVALUATED_OF = 100_000
"""How many records the set has of which so many are evaluated."""

PICKING = "picking"
EVALUATION = "evaluate, by records evaluated"
COMMAND = f"compress evaluate, {EVALUATED} records"

Point = dict[str, float]
"""`wall_s`, `cpu_s`, `peak_mib` and what else is known of one measurement."""

Series = dict[str, Any]
"""`sizes`, the `points` of each, and the growth, see `slope`."""

Groups = dict[str, dict[str, Series]]
"""By group and part."""


def main() -> None:
    """Measure what is asked for, write, draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("model", help="a bundle")
    parser.add_argument("--runs", type=int, default=3, help="of what takes less than a minute")
    parser.add_argument("--hours", type=int, default=HOURS[-1], help="recordings up to this")
    parser.add_argument("--records", type=int, default=RECORDS[-1], help="data sets up to this")
    parser.add_argument("--only", choices=("picking", "data-sets"), help="measure this part")
    parser.add_argument("--keep", action="store_true", help="measure only what FILE does not have")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    parser.add_argument("--figure", type=Path)
    arguments = parser.parse_args()
    file = arguments.json
    known = json.loads(file.read_text()) if arguments.keep and file.is_file() else {}
    measurements = Measurements(file, known)
    if arguments.only != "data-sets":
        measure_picking(measurements, arguments.model, arguments.hours, arguments.runs)
    if arguments.only != "picking":
        measure_data_sets(measurements, arguments.model, arguments.records, arguments.runs)
    print(tables(measurements.groups))
    if arguments.figure:
        draw(measurements.groups, arguments.figure)


class Measurements:
    """What was measured: by group, part and size. Written whenever something is added.

    Args:
        file: where it is written.
        known: the document of an earlier run whose measurements are kept; empty for none.
    """

    def __init__(self, file: Path, known: dict[str, Any]) -> None:
        self._file = file
        self._kept_from = kept_from(known)
        self.groups: Groups = known.get("groups", {})

    def has(self, group: str, part: str, size: int) -> bool:
        """Whether this is known."""
        return size in self.groups.get(group, {}).get(part, {"sizes": ()})["sizes"]

    def add(self, group: str, part: str, size: int, point: Point) -> None:
        """Keep what something took, with the load of the machine after it; sizes come in order."""
        series = self.groups.setdefault(group, {}).setdefault(part, {"sizes": [], "points": []})
        series["sizes"].append(size)
        series["points"].append(point | {"load_average": round(os.getloadavg()[0], 2)})
        costs = [one["cpu_s"] for one in series["points"]]
        series["growth"] = slope(series["sizes"], costs)
        series["growth_of_the_largest"] = slope(series["sizes"][-2:], costs[-2:])
        Console().print(f"{group}, {part}, {size:,}: {series['points'][-1]}", soft_wrap=True)
        heads = heading("python", "-m", "benchmarks.scaling") | {"machine": describe_machine()}
        write_json(self._file, heads | {"kept_from": self._kept_from, "groups": self.groups})


def tables(groups: Groups) -> str:
    """Markdown: processor time in s and peak memory in MiB by size, and the growth."""
    lines = []
    for group, parts in groups.items():
        for sizes in dict.fromkeys(tuple(series["sizes"]) for series in parts.values()):
            lines += ["", f"| {group} | {' | '.join(f'{size:,}' for size in sizes)} | growth |"]
            lines += ["|---" * (len(sizes) + 2) + "|"]
            for part, series in parts.items():
                if tuple(series["sizes"]) == sizes:
                    cells = [
                        f"{point['cpu_s']:.3g} s, {point['peak_mib']:.0f} MiB"
                        for point in series["points"]
                    ]
                    growth = f"{series['growth']}, {series['growth_of_the_largest']}"
                    lines += [f"| {part} | {' | '.join(cells)} | {growth} |"]
    return "\n".join(lines)


def measure_picking(measurements: Measurements, model: str, most_hours: int, runs: int) -> None:
    """The cost of `compress pick` by what there is to pick."""
    day = make_day()

    def measure(part: str, size: int, jobs: int, **recordings: Any) -> None:
        if measurements.has(PICKING, part, size):
            return
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "recordings"
            written = write_recordings(folder, day, **recordings)
            command = ["-m", "compress.cli", "--quiet", "pick", model, folder, "--jobs", jobs,
                       "--csv", Path(scratch) / "picks.csv"]  # fmt: skip
            point = _median(partial(command_cost, command), runs)
        measurements.add(PICKING, part, size, point | {"bytes": written})

    for hours in HOURS:
        if hours <= most_hours:
            measure("hours, a file a day", hours, 1, hours=hours)
            measure("hours, one file", hours, 1, hours=hours, one_file=True)
    for stations in STATIONS:
        measure("stations, 1 job", stations, 1, hours=1, stations=stations)
        measure("stations, 2 jobs", stations, 2, hours=1, stations=stations)


def measure_data_sets(measurements: Measurements, model: str, most_records: int, runs: int) -> None:
    """The cost of each part of a run by the size of the set, by layout."""
    shared = shared_records()
    for records in RECORDS:
        for layout, write in WRITERS.items():
            if records > most_records or measurements.has(layout, COMMAND, records):
                continue
            with tempfile.TemporaryDirectory() as scratch:
                folder = Path(scratch)
                write(folder, records, shared)
                few = runs if records < RECORDS[-1] else 1
                for part, point in _parts(few, folder).items():
                    measurements.add(layout, part, records, point)
                if records == EVALUATED_OF:
                    for number in EVALUATIONS:
                        point = _parts(1, folder, number)["evaluate"]
                        measurements.add(layout, EVALUATION, number, point)
                command = ["-m", "compress.cli", "--quiet", "evaluate", model, "--data", folder,
                           "--split", "test", "--placements", 1]  # fmt: skip
                point = _median(partial(command_cost, command), few)
                measurements.add(layout, COMMAND, records, point)


def _parts(runs: int, *arguments: object) -> dict[str, Point]:
    """What `benchmarks.growth.reading` tells, the median of some runs."""
    command = [sys.executable, "-m", "benchmarks.growth.reading", *map(str, arguments)]
    told = []
    for _ in range(runs):
        printed = subprocess.run(
            command, env=environment(threads=1), stdout=subprocess.PIPE, text=True, check=True
        ).stdout
        told.append(json.loads(printed.splitlines()[-1]))
    return {part: _middle([one[part] for one in told]) for part in told[0]}


def _median(measure: Callable[[], Point], runs: int, long_s: float = 60.0) -> Point:
    """The median of some runs; one is enough of what takes long."""
    points = [measure()]
    if points[0]["wall_s"] < long_s:
        points += [measure() for _ in range(runs - 1)]
    return _middle(points)


def _middle(points: Sequence[Point]) -> Point:
    return {
        figure: float(f"{statistics.median(point[figure] for point in points):.4g}")
        for figure in points[0]
    }


def slope(sizes: Sequence[int], costs: Sequence[float]) -> float | None:
    """The exponent of the power of the size that the cost grows with, by least squares.

    None where there are not two sizes, or something took no time that could be measured.
    """
    if len(sizes) < 2 or min(costs) <= 0.0:
        return None
    return round(float(np.polyfit(np.log(sizes), np.log(costs), 1)[0]), 2)


DRAWN = (
    "open",
    "1,000 records",
    "fingerprint",
    "no record in two sets",
    COMMAND,
)
"""Parts whose time and memory are drawn."""


def draw(groups: Groups, path: Path) -> None:
    """Time above, memory below: by length, by stations, by records."""
    columns = (
        ("hours of one station", _starting(groups[PICKING], "hours, ")),
        ("stations of one hour", _starting(groups[PICKING], "stations, ")),
        (
            "records, STEAD's layout",
            {part: groups["stead"][part] for part in DRAWN},
        ),
    )
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.5, 6.0), layout="constrained")
        FigureCanvasAgg(figure)
        rows = figure.subplots(2, len(columns), sharex="col")
        for column, (label, series) in enumerate(columns):
            _curves(rows[0, column], series, "cpu_s")
            _curves(rows[1, column], series, "peak_mib")
            rows[0, column].set_yscale("log")
            rows[0, column].legend(fontsize=7)
            rows[1, column].set_ylim(0.0)
            rows[1, column].set_xlabel(label)
        rows[0, 0].set_ylabel("processor time (s)")
        rows[1, 0].set_ylabel("peak memory (MiB)")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)


def _starting(series: dict[str, Series], start: str) -> dict[str, Series]:
    return {name.removeprefix(start): one for name, one in series.items() if name.startswith(start)}


def _curves(axes: Axes, series: dict[str, Series], figure: str) -> None:
    for number, (name, one) in enumerate(series.items()):
        axes.plot(
            one["sizes"],
            [point[figure] for point in one["points"]],
            color=COLOURS[number],
            marker=MARKERS[number],
            linestyle=LINES[number],
            label=name,
        )
    axes.set_xscale("log")


if __name__ == "__main__":
    main()
