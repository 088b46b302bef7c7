"""Biases of an int8 TFLite file that make up for what rounding shifts, on average.

Rounded weights and activations move the mean of what a convolution makes. The difference of that
mean from the float model's, channel by channel, can be put into the bias (Nagel et al. 2019,
"Data-free quantization through weight equalization and bias correction", section 4.2, here with
windows instead of statistics). From the first operator to the last each is tried, in the file as
corrected so far; what brings the answers nearer to those of the float model stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from export.writers.calibration import computed_values
from export.writers.flatbuffer import edit, operator_kind
from export.writers.ranges import LEAST_GAIN, answers, relative_error

WINDOWS = 96
"""Of the calibration windows, so many at most are answered at every trial."""

MEAN_WINDOWS = 32
"""Of these, so many at most tell the means, which take the slower way through the graph."""

BIASED = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})
BIAS_INPUT = 2

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Correction:
    """What was changed.

    Attributes:
        corrected: names of what the operators make whose biases were.
        error_before: relative error of the answers (`relative_error`) without.
        error_after: with them.
        trials: how many operators were tried.
    """

    corrected: tuple[str, ...]
    error_before: float
    error_after: float
    trials: int

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def correct_biases(
    calibrated: bytes, quantized: bytes, windows: FloatArray
) -> tuple[bytes, Correction]:
    """The int8 file with better biases, and which they are.

    Args:
        calibrated: the float32 file, whose tensors carry their names.
        quantized: the int8 file made of it, with the same names and float32 input and output.
        windows: normalised, (n, 6000, 3).
    """
    windows = windows[:WINDOWS]
    expected = answers(calibrated, windows)
    before = best = relative_error(answers(quantized, windows), expected)
    corrected = []
    names = list(_biased(quantized))
    for name in names:
        shift = _mean_error(calibrated, quantized, name, windows[:MEAN_WINDOWS])
        tried = _with_shift(quantized, name, shift)
        error = relative_error(answers(tried, windows), expected)
        if error < (1.0 - LEAST_GAIN) * best:
            best, quantized = error, tried
            corrected.append(name)
    return quantized, Correction(tuple(corrected), before, best, len(names))


def _biased(quantized: bytes) -> Iterator[str]:
    """What the operators with an int32 bias make, by name, in order."""
    model = schema.ModelT.InitFromPackedBuf(quantized, 0)
    graph = model.subgraphs[0]
    for operator in graph.operators:
        if operator_kind(model, operator) not in BIASED or len(operator.inputs) <= BIAS_INPUT:
            continue
        bias, made = operator.inputs[BIAS_INPUT], graph.tensors[operator.outputs[0]]
        if bias >= 0 and graph.tensors[bias].type == schema.TensorType.INT32:
            yield made.name.decode()


def _mean_error(
    calibrated: bytes, quantized: bytes, name: str, windows: FloatArray
) -> NDArray[np.float64]:
    """How far below the float model's the mean of each channel of a tensor is."""
    tensor = next(
        t
        for t in schema.ModelT.InitFromPackedBuf(quantized, 0).subgraphs[0].tensors
        if t.name is not None and t.name.decode() == name
    )
    scale, zero = float(tensor.quantization.scale[0]), int(tensor.quantization.zeroPoint[0])
    limits = np.iinfo(np.int8)
    low, high = ((limit - zero) * scale for limit in (limits.min, limits.max))
    total = np.zeros(int(tensor.shape[-1]))
    for ours, theirs in zip(
        *(computed_values(f, windows, name.__eq__) for f in (calibrated, quantized)), strict=True
    ):
        (exact,), (rounded,) = ours.values(), theirs.values()
        missing = np.clip(exact, low, high) - (rounded.astype(np.float64) - zero) * scale
        total += missing.reshape(-1, len(total)).mean(axis=0)
    return total / len(windows)


def _with_shift(quantized: bytes, name: str, shift: NDArray[np.float64]) -> bytes:
    """The file with a shift of each channel, in numbers, added to the bias of one operator."""

    def change(model: schema.ModelT) -> None:
        graph = model.subgraphs[0]
        (operator,) = (
            one
            for one in graph.operators
            if (graph.tensors[one.outputs[0]].name or b"").decode() == name
        )
        tensor = graph.tensors[operator.inputs[BIAS_INPUT]]
        bias = np.frombuffer(bytes(model.buffers[tensor.buffer].data), np.int32)
        steps = np.rint(shift / np.asarray(tensor.quantization.scale))
        limits = np.iinfo(np.int32)
        moved = np.clip(bias + steps, limits.min, limits.max).astype(np.int32)
        # A buffer of its own: equal biases of other operators may stand in the same.
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(moved.tobytes(), np.uint8)
        model.buffers.append(buffer)
        tensor.buffer = len(model.buffers) - 1

    return edit(quantized, change)
