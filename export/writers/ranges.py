"""Narrower ranges for int8 activations than calibration finds.

Calibration takes the smallest and the largest value that a tensor ever had. int8 spreads 255 steps
over them, and one loud sample in a few hundred windows makes all steps wide. Cutting such a value
costs little where it occurs, and everything else gains. How far to cut depends on what later layers
make of it, so it is tried: of each tensor several narrower ranges, from the input to the output;
what brings the answers of the int8 model nearer to those of the float model stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from baseline.processes import usable_threads
from export.runtimes import ParallelRunner
from export.writers.flatbuffer import edit, operator_kind

SHARES = (0.85, 0.7, 0.55, 0.4, 0.25)
"""Of a bound that calibration found: what is tried in its place."""

LEAST_GAIN = 0.002
"""Share of the error that a narrower range must save to be taken."""

WINDOWS = 256
"""Of the calibration windows, so many at most are answered at every trial. Errors lie in few of
them: with 64 some outputs of a student came out worse on others, with 192 all came out better."""

ONE_SCALE = frozenset(
    {
        *("RESHAPE", "EXPAND_DIMS", "SQUEEZE", "TRANSPOSE", "PAD", "SPLIT", "STRIDED_SLICE"),
        *("MAX_POOL_2D", "CONCATENATION", "MINIMUM", "MAXIMUM", "PACK", "UNPACK"),
    }
)
"""Operators whose int8 output has the scale of its inputs."""

FloatArray = NDArray[np.float32]
Bounds = tuple[float, float]


@dataclass(frozen=True)
class Narrowed:
    """One tensor whose range was changed.

    Attributes:
        tensor: its name, or the first of several that share a scale.
        found: the range that calibration found.
        taken: the range in its place.
    """

    tensor: str
    found: Bounds
    taken: Bounds


@dataclass(frozen=True)
class Search:
    """What was found.

    Attributes:
        narrowed: the tensors with another range.
        error_before: relative error of the answers (`relative_error`) with the ranges of
            calibration.
        error_after: with those in their place.
        trials: how many models were tried.
    """

    narrowed: tuple[Narrowed, ...]
    error_before: float
    error_after: float
    trials: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def narrow_ranges(
    calibrated: bytes,
    quantize: Callable[[bytes], bytes],
    windows: FloatArray,
) -> tuple[bytes, Search]:
    """The calibrated model with the ranges that serve it best, and what was changed.

    Args:
        calibrated: a float TFLite file whose tensors carry the range that they were seen in.
        quantize: makes the int8 file of it.
        windows: normalised, (n, 6000, 3).
    """
    windows = windows[:WINDOWS]
    expected = answers(calibrated, windows)
    groups = list(_groups(calibrated))
    taken: dict[str, Bounds] = {}

    def error_with(ranges: dict[str, Bounds]) -> float:
        return relative_error(
            answers(quantize(_with_ranges(calibrated, ranges)), windows), expected
        )

    before = best = error_with({})
    trials = 1
    for names, bounds in groups:
        for end in (0, 1):
            if not bounds[end]:
                continue  # after a ReLU, and nothing to save
            for share in SHARES:
                now = taken.get(names[0], bounds)
                cut = (now[0] if end else share * bounds[0], share * bounds[1] if end else now[1])
                tried = taken | dict.fromkeys(names, cut)
                error = error_with(tried)
                trials += 1
                if error < (1.0 - LEAST_GAIN) * best:
                    best, taken = error, tried
    narrowed = tuple(
        Narrowed(names[0], bounds, taken[names[0]]) for names, bounds in groups if names[0] in taken
    )
    return _with_ranges(calibrated, taken), Search(narrowed, before, best, trials)


def _groups(calibrated: bytes) -> Iterator[tuple[list[str], Bounds]]:
    """Names of the tensors of each scale, in order of the graph, and the range of them all."""
    model = schema.ModelT.InitFromPackedBuf(calibrated, 0)
    graph = model.subgraphs[0]
    scale_of = list(range(len(graph.tensors)))
    for operator in graph.operators:
        if operator_kind(model, operator) in ONE_SCALE:
            joined = {scale_of[i] for i in (*operator.inputs, *operator.outputs) if _seen(graph, i)}
            scale_of = [min(joined) if scale in joined else scale for scale in scale_of]
    order = [*graph.inputs, *(i for operator in graph.operators for i in operator.outputs)]
    members: dict[int, list[int]] = {}
    for index in dict.fromkeys(int(i) for i in order):
        if _seen(graph, index):
            members.setdefault(scale_of[index], []).append(index)
    for indices in members.values():
        ranges = [graph.tensors[i].quantization for i in indices]
        yield (
            [graph.tensors[i].name.decode() for i in indices],
            (min(float(r.min[0]) for r in ranges), max(float(r.max[0]) for r in ranges)),
        )


def _seen(graph: schema.SubGraphT, index: int) -> bool:
    """Whether calibration found a range for a tensor."""
    if index < 0:
        return False
    quantization = graph.tensors[index].quantization
    return quantization is not None and quantization.min is not None and len(quantization.min) == 1


def _with_ranges(calibrated: bytes, ranges: dict[str, Bounds]) -> bytes:
    def change(model: schema.ModelT) -> None:
        for tensor in model.subgraphs[0].tensors:
            bounds = ranges.get((tensor.name or b"").decode())
            if bounds is not None:
                tensor.quantization.min = np.array(bounds[:1], np.float32)
                tensor.quantization.max = np.array(bounds[1:], np.float32)

    return edit(calibrated, change) if ranges else calibrated


def answers(model: bytes, windows: FloatArray) -> FloatArray:
    """What a TFLite model with float32 input and output says of windows, (n, 6000, 3)."""
    return ParallelRunner([partial(_answers_of_one, model)] * usable_threads())(windows)


def _answers_of_one(model: bytes, windows: FloatArray) -> FloatArray:
    """The same, by a single interpreter."""
    interpreter = Interpreter(model_content=model, num_threads=1)
    interpreter.allocate_tensors()
    input_index = interpreter.get_input_details()[0]["index"]
    output_index = interpreter.get_output_details()[0]["index"]
    answers = []
    for window in windows:
        interpreter.reset_all_variables()
        interpreter.set_tensor(input_index, window[None])
        interpreter.invoke()
        answers.append(interpreter.get_tensor(output_index)[0].copy())
    return np.stack(answers)


def relative_error(answers: FloatArray, expected: FloatArray) -> float:
    """How far answers are from what is expected, relative to that, as a mean over the outputs.

    Root mean squares of the difference and of the expected probabilities: P and S are rare, and
    would not be heard beside detections otherwise.
    """
    squares = np.mean((answers - expected).astype(np.float64) ** 2, axis=(0, 1))
    scale = np.mean(expected.astype(np.float64) ** 2, axis=(0, 1))
    return float(np.mean(np.sqrt(squares / np.maximum(scale, np.finfo(float).tiny))))
