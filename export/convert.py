"""Conversion of a Keras graph to a file of another format, in a process of its own."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from baseline.files import put, unfinished_folder, writing
from export.workers import MEMORY_LIMIT_BYTES, TIME_LIMIT_S, ConversionError, run_worker

SEARCH_TIME_LIMIT_S = 7200.0
"""For a search of ranges, which takes half a minute for a student: the larger the model, the longer
each of its answers, and the more tensors it has."""

NOTES_ENDING = ".notes.json"
"""Beside its result a worker may leave a file with this ending: what it has to say of it."""


class Format(StrEnum):
    """What a model is exported to; also the ending of the file."""

    TFLITE = "tflite"
    ONNX = "onnx"


class Precision(StrEnum):
    """How an exported model computes."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    """Weights of half the size, computed with in float32 where the processor has no float16."""
    DYNAMIC = "dynamic"
    """int8 weights; activations in float32, rounded to int8 on the fly where that is faster."""
    INT16 = "int16x8"
    """int8 weights and int16 activations: for what int8 activations are too coarse."""
    INT8 = "int8"

    @property
    def calibrated(self) -> bool:
        """Whether the ranges of its activations are found on windows beforehand."""
        return self in (Precision.INT8, Precision.INT16)


class Ranges(StrEnum):
    """Where the ranges of int8 activations come from."""

    EXTREMES = "extremes"
    """The smallest and the largest value on the calibration windows."""
    SEARCHED = "searched"
    """Narrower ones that bring the answers nearer to the float model's; see
    `export.writers.ranges`. TFLite int8 only."""
    ENTROPY = "entropy"
    """Those that lose least information (Kullback-Leibler divergence). ONNX int8 only."""
    PERCENTILE = "percentile"
    """Those that hold 99.999 % of the values. ONNX int8 only."""


@dataclass(frozen=True)
class Int8:
    """How an int8 export is made.

    Attributes:
        ranges: where those of activations come from.
        float_layers: Keras layers that stay float32.
        loops: keep recurrent layers that TFLite has no operator for as loops, which are smaller
            and slower, instead of unrolling them. TFLite only.
        integer_ends: whether input and output are int8, too, with scales and zero points in the
            file, instead of float32. TFLite only.
        correct_biases: whether biases make up for what rounding shifts; see
            `export.writers.biases`. TFLite only.
    """

    ranges: Ranges = Ranges.EXTREMES
    float_layers: tuple[str, ...] = ()
    loops: bool = False
    integer_ends: bool = False
    correct_biases: bool = False

    def to_json(self) -> str:
        """For another process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Int8:
        """What `to_json` wrote."""
        values = json.loads(text)
        ranges, layers = Ranges(values.pop("ranges")), tuple(values.pop("float_layers"))
        return cls(ranges=ranges, float_layers=layers, **values)


RANGES = {
    Format.TFLITE: (Ranges.EXTREMES, Ranges.SEARCHED),
    Format.ONNX: (Ranges.EXTREMES, Ranges.ENTROPY, Ranges.PERCENTILE),
}
"""Where each format can have its ranges from."""

PRECISIONS = {
    Format.TFLITE: tuple(Precision),
    # On a CPU ONNX Runtime has few float16 operators and converts around all others; what dynamic
    # quantization gives its convolutions was not measured.
    Format.ONNX: (Precision.FLOAT32, Precision.INT16, Precision.INT8),
}
"""What each format can be written in."""


FLOAT32_TOLERANCE = 1e-3
"""Most that a float32 export may differ in any probability; what rounding makes is far below."""


def convert(
    model: Path,
    output: Path,
    format: Format,
    precision: Precision = Precision.FLOAT32,
    calibration: NDArray[np.float32] | None = None,
    int8: Int8 | None = None,
    *,
    time_limit_s: float | None = None,
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
    worker: str = "export.worker",
) -> dict[str, Any] | None:
    """Convert a `.keras` file and write `output`, whole or not at all.

    Args:
        model: the `.keras` file.
        output: the file to write.
        format: TFLite or ONNX.
        precision: one that the format has.
        calibration: normalised windows (n, 6000, 3) if the precision is a calibrated one.
        int8: how, if it is that precision; None for the defaults.
        time_limit_s: the converter is killed after this time; None for a usual one.
        memory_limit_bytes: bound on the converter's address space.
        worker: the module that converts (tests put a misbehaving one in its place).

    Returns:
        What a search of ranges changed (`export.writers.ranges.Search`), and under `biases` what
        became of these (`export.writers.biases.Correction`); None without either.

    Raises:
        InputError: the format does not have the precision, or not made in this way.
        ConversionError: the conversion failed in any way; `output` is then untouched.
        WriteError: `output` cannot be written, and is untouched.
    """
    int8 = int8 or Int8()
    require_way(format, precision, int8)
    if precision.calibrated != (calibration is not None):
        raise ValueError(f"{precision.value} {'needs' if precision.calibrated else 'takes no'} "
                         "calibration windows")  # fmt: skip
    with writing(output), unfinished_folder(output.parent) as scratch:
        result = Path(scratch) / "result"
        arguments = [str(model.resolve()), format.value, precision.value, str(result)]
        if calibration is not None:
            windows = Path(scratch) / "calibration.npy"
            np.save(windows, calibration, allow_pickle=False)
            arguments += [str(windows), int8.to_json()]
        what = f"{model.name} to {format.value} ({precision.value})"
        if time_limit_s is None:
            searched = int8.ranges is Ranges.SEARCHED or int8.correct_biases
            time_limit_s = SEARCH_TIME_LIMIT_S if searched else TIME_LIMIT_S
        run_worker(what, worker, arguments, time_limit_s, memory_limit_bytes)
        if not result.is_file() or not result.stat().st_size:
            raise ConversionError(f"Converting {what}: the converter ended without a result.")
        notes = result.with_suffix(NOTES_ENDING)
        found = json.loads(notes.read_text(encoding="utf-8")) if notes.is_file() else None
        put(result, output)
    return found


def require_way(format: Format, precision: Precision, int8: Int8) -> None:
    """Refuse what a format cannot be written in.

    Raises:
        InputError: it does not have the precision, or an int8 way is asked of another precision or
            of a format that does not have it.
    """
    if precision not in PRECISIONS[format]:
        known = ", ".join(one.value for one in PRECISIONS[format])
        raise InputError(
            f"{format.value} is not written in {precision.value}.",
            f"{format.value} has {known}.",
        )
    if precision is not Precision.INT8 and int8 != Int8():
        raise InputError(
            "ranges, layers in float, loops, integer ends and corrected biases are for int8, not "
            f"{precision.value}."
        )
    if int8.ranges not in RANGES[format]:
        known = ", ".join(one.value for one in RANGES[format])
        raise InputError(
            f"{format.value} int8 has no ranges by {int8.ranges.value}.", f"It has {known}."
        )
    if format is not Format.TFLITE and (int8.loops or int8.integer_ends or int8.correct_biases):
        raise InputError(
            f"loops, integer ends and corrected biases are for tflite, not {format.value}."
        )
