"""What do the choices in a student's design cost, in time rather than in multiply-adds?

First single layers, as they stand in a student: depthwise-separable and full convolutions of
several widths at 750, 375 and 125 steps, the first layer as it is and over blocks of samples. Each
is a model of `LAYERS` equal ones, timed against the same model without them, so that what is left
is theirs. Then whole students, untrained, that differ from the released standard one in one choice.
Time against what the machine's arithmetic gives tells which multiply-adds are cheap.

All files are timed as `compress bench` does, one thread, against one reference: the model without
layers, or the student as it is.

Repeat, on a machine that does nothing else (ten minutes):
    python -m benchmarks.student_shapes --json benchmarks/results/student_shapes.json \
        --plot docs/images/student_shapes.png
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from baseline.contract import WINDOW_SAMPLES, WINDOW_SHAPE
from compress.config import load_pipeline
from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from compress.evaluation.cost import keras_multiply_adds
from compress.evaluation.latency import compare_files
from compress.evaluation.machine import describe_machine
from compress.report.plots import COLOURS, MARKERS, STYLE
from compress.stages.distill import Distill
from compress.store import heading, write_json
from compress.students import UNetStudent
from export.convert import Format, Precision, convert

if TYPE_CHECKING:
    from baseline.keras import keras

LAYERS = 6
"""Equal layers in one timed model."""

SIZES = ((750, 24), (375, 48), (125, 144))
"""Steps and channels with the 18,000 values of a window."""

FILES = (
    (Format.TFLITE, Precision.FLOAT32),
    (Format.TFLITE, Precision.INT8),
    (Format.ONNX, Precision.FLOAT32),
)

ROOT = Path(__file__).resolve().parents[1]

STUDENTS: dict[str, dict[str, Any]] = {
    "as released": {},
    "first layer: its own block alone": {"stem_kernel": 1},
    "first layer: five blocks": {"stem_kernel": 5},
    "first layer: overlapping strides": {"stem": "overlapping", "stem_kernel": None},
    "separable convolutions": {"separable": "all"},
    "separable convolutions, kernel 7": {"separable": "all", "kernel": 7, "head_kernel": 3},
    "kernel 5": {"kernel": 5},
    "head kernel 1": {"head_kernel": 1},
    "head kernel 7": {"head_kernel": 7},
    "channels 24, 64": {"channels": (24, 64)},
    "channels 28, 60": {"channels": (28, 60)},
    "channels 32, 48": {"channels": (32, 48)},
    "channels 32, 80": {"channels": (32, 80)},
    "channels 48, 64": {"channels": (48, 64)},
    "two context blocks": {"dilations": (1, 9)},
    "six context blocks": {"dilations": (1, 2, 4, 9, 18, 29)},
    "context kernel 5": {"context_kernel": 5},
    "context kernel 9": {"context_kernel": 9},
    "context kernel 15": {"context_kernel": 15},
    "attention": {"context": "attention"},
    "refined": {"refine": True},
    "no saturation": {"saturation": None},
    "blocks of 8, channels 24, 32, 80": {"stem_stride": 8, "channels": (24, 32, 80)},
    "blocks of 8, channels 16, 32, 64": {"stem_stride": 8, "channels": (16, 32, 64)},
    "strides of 8, kernel 7, separable, channels 24, 32, 80": {
        "stem": "overlapping", "stem_kernel": None, "stem_stride": 8, "channels": (24, 32, 80),
        "separable": "all", "kernel": 7, "head_kernel": 3,
    },
    "the fast one": {
        "stem_kernel": 1, "channels": (24, 48), "context_kernel": 9, "dilations": (2, 7, 22),
        "head_kernel": 1, "separable": "all",
    },
}  # fmt: skip


@dataclass(frozen=True)
class Shape:
    """A model to time: its name, what it is compared with, and how often its layer stands in it."""

    name: str
    model: keras.Model
    reference: keras.Model
    times: int


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--seconds", type=float, default=3.0, help="of rounds for each file")
    parser.add_argument("--json", type=Path, help="where to write the result")
    parser.add_argument("--plot", type=Path, help="where to draw the figure, as PNG")
    arguments = parser.parse_args()
    load = os.getloadavg()[0]
    with Progress() as progress:
        results = measure(arguments.seconds, progress)
    document = {
        **heading("python", "-m", "benchmarks.student_shapes"),
        "machine": describe_machine(),
        "load_average_before": load,
        **results,
    }
    show(document)
    if arguments.json:
        write_json(arguments.json, document)
    if arguments.plot:
        draw(document, arguments.plot)


def measure(seconds: float, progress: Progress) -> dict[str, Any]:
    """Time every layer and every student: what was added to the reference, and the whole."""
    windows = random_windows(SyntheticSource(64, seed=0), 64, seed=0)
    shapes = {"layers": list(layers()), "students": list(students())}
    task = progress.add_task("time", total=len(FILES) * sum(map(len, shapes.values())))
    results: dict[str, Any] = {}
    reference_ms = defaultdict[Path, list[float]](list)
    with tempfile.TemporaryDirectory() as folder:
        files = _Files(Path(folder), windows)
        for kind, found in shapes.items():
            results[kind] = []
            for shape in found:
                row: dict[str, Any] = {
                    "name": shape.name,
                    "multiply_adds": (
                        keras_multiply_adds(shape.model) - keras_multiply_adds(shape.reference)
                    )
                    // shape.times
                    if kind == "layers"
                    else keras_multiply_adds(shape.model),
                    "parameters": shape.model.count_params(),
                }
                for format, precision in FILES:
                    reference = files.of(shape.reference, format, precision)
                    ratio = compare_files(
                        files.of(shape.model, format, precision),
                        reference,
                        windows[:1],
                        pairs=2000,
                        seconds=seconds,
                    )
                    reference_ms[reference].append(ratio.reference_ms)
                    row[f"{format.value} {precision.value}"] = {
                        "ratio": ratio.ratio,
                        "interval": [ratio.lower, ratio.upper],
                        "floor": ratio.floor,
                    }
                    progress.advance(task)
                results[kind].append(row)
        # A machine is faster in one minute than in the next; ratios are not touched by that. So
        # each is of one and the same time of its reference.
        for kind, found in shapes.items():
            for shape, row in zip(found, results[kind], strict=True):
                for format, precision in FILES:
                    of_one = median(reference_ms[files.of(shape.reference, format, precision)])
                    timed = row[f"{format.value} {precision.value}"]
                    times = (
                        (timed["ratio"] - 1) / shape.times if kind == "layers" else timed["ratio"]
                    )
                    timed["microseconds"] = 1e3 * times * of_one
    return results


class _Files:
    """Models, written once each, in every format."""

    def __init__(self, folder: Path, windows: Any) -> None:
        self._folder = folder
        self._windows = windows
        self._names: dict[int, str] = {}

    def of(self, model: keras.Model, format: Format, precision: Precision) -> Path:
        """The file of a model."""
        from baseline.checkpoint import save_keras

        name = self._names.setdefault(id(model), f"{len(self._names)}")
        path = self._folder / f"{name}-{precision.value}.{format.value}"
        if not path.exists():
            kept = self._folder / f"{name}.keras"
            if not kept.exists():
                save_keras(model, kept)
            convert(kept, path, format, precision, self._windows if precision.calibrated else None)
        return path


def layers() -> Iterator[Shape]:
    """Single layers, several of each in one model."""
    from baseline.keras import keras

    for steps, channels in SIZES:
        empty = _chain(steps, channels, [])
        for name, layer, kernels in (
            ("separable", keras.layers.SeparableConv1D, (3, 5, 7, 9, 11)),
            ("full", keras.layers.Conv1D, (1, 3, 5)),
        ):
            for kernel in kernels:
                made = [
                    layer(channels, kernel, padding="same", activation="relu")
                    for _ in range(LAYERS)
                ]
                yield Shape(
                    f"{name}, kernel {kernel}, {steps} x {channels}",
                    _chain(steps, channels, made),
                    empty,
                    LAYERS,
                )
    empty = _chain(750, 24, [])
    for name, block, kernel in (
        ("first layer, stride 8, kernel 15", None, 15),
        ("first layer, blocks of 8, kernel 3", 8, 3),
        ("first layer, blocks of 8", 8, 1),
        ("first layer, blocks of 16", 16, 1),
    ):
        yield Shape(name, _stem(block, kernel), empty, 1)


def _chain(steps: int, channels: int, made: list[keras.layers.Layer]) -> keras.Model:
    from baseline.keras import keras

    waveform = x = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.Reshape((steps, channels))(x)
    x = keras.layers.ReLU()(x)
    for layer in made:
        x = layer(x)
    x = keras.layers.Reshape(WINDOW_SHAPE)(x)
    return keras.Model(waveform, keras.layers.Activation("sigmoid", name="prediction")(x))


def _stem(block: int | None, kernel: int) -> keras.Model:
    """The first layer of a student, strided by eight or over blocks of so many samples.

    It begins as `_chain` does, so that what it takes longer is that layer, which gives 18,000
    values.
    """
    from baseline.keras import keras

    waveform = x = keras.Input(WINDOW_SHAPE, name="waveform")
    x = keras.layers.ReLU()(x)
    if block is None:
        x = keras.layers.Conv1D(24, kernel, strides=8, padding="same", activation="relu")(x)
    else:
        x = keras.layers.Reshape((WINDOW_SAMPLES // block, 3 * block))(x)
        x = keras.layers.Conv1D(3 * block, kernel, padding="same", activation="relu")(x)
    x = keras.layers.Reshape(WINDOW_SHAPE)(x)
    return keras.Model(waveform, keras.layers.Activation("sigmoid", name="prediction")(x))


def students() -> Iterator[Shape]:
    """Whole students, the released one first."""
    from compress.students.unet import build_unet

    standard = load_pipeline(ROOT / "pipelines/student.yaml").stages[0]
    assert isinstance(standard, Distill)
    declared = standard.student.model_dump(exclude_unset=True)
    reference = build_unet(UNetStudent.model_validate(declared))
    for name, changes in STUDENTS.items():
        config = UNetStudent.model_validate({**declared, **changes})
        model = build_unet(config) if changes else reference
        yield Shape(name, model, reference, 1)


def show(document: dict[str, Any]) -> None:
    """Print both tables."""
    names = [f"{format.value} {precision.value}" for format, precision in FILES]
    for kind in ("layers", "students"):
        table = Table(kind, "M mult.-adds", *(f"{name}, us (G mult.-adds/s)" for name in names))
        for row in document[kind]:
            table.add_row(
                row["name"],
                f"{row['multiply_adds'] / 1e6:.2f}",
                *(f"{row[name]['microseconds']:.0f} ({_rate(row, name):.1f})" for name in names),
            )
        Console(width=130).print(table)


def _rate(row: dict[str, Any], name: str) -> float:
    """Billions of multiply-adds a second."""
    microseconds = row[name]["microseconds"]
    return row["multiply_adds"] / microseconds / 1e3 if microseconds > 0 else float("nan")


def draw(document: dict[str, Any], path: Path) -> None:
    """Time over multiply-adds of layers and of students."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(11, 4.8), layout="constrained")
        FigureCanvasAgg(figure)
        panels = figure.subplots(1, 2)
        for axes, kind in zip(panels, ("layers", "students"), strict=True):
            for number, (format, precision) in enumerate(FILES):
                name = f"{format.value} {precision.value}"
                axes.plot(
                    [row["multiply_adds"] / 1e6 for row in document[kind]],
                    [row[name]["microseconds"] for row in document[kind]],
                    MARKERS[number],
                    color=COLOURS[number],
                    label=name,
                )
            axes.set_xlabel("multiply-adds in millions")
            axes.set_ylabel("microseconds, one thread")
            axes.set_title("One layer" if kind == "layers" else "Whole students")
            axes.set_ylim(bottom=0)
            axes.legend()
        figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
