"""The memory TFLite Micro takes for a model: measured where it is installed, else estimated."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from baseline.errors import InputError
from export.writers.flatbuffer import operator_kind

ALIGNMENT = 16
"""Of every tensor's place in the arena, in bytes."""

PACKAGE = "tflite_micro"
WORKER = Path(__file__).with_name("tflm_worker.py")
TIME_LIMIT_S = 300

FIXED_BYTES = 768
TENSOR_BYTES = 24
NODE_BYTES = 64
CHANNEL_BYTES = 8
"""What TFLite Micro keeps on a machine of 64 bits beside the tensors: for itself; for each tensor;
for each operator; for each channel of a convolution, and of a kernel quantized by channel."""

KERNEL_BYTES = {
    "ADD": 72,
    "BATCH_MATMUL": 280,
    "CONCATENATION": 88,
    "CONV_2D": 112,
    "DEPTHWISE_CONV_2D": 112,
    "FULLY_CONNECTED": 136,
    "SOFTMAX": 88,
    "STRIDED_SLICE": 120,
    "SUB": 72,
    "SUM": 72,
    "UNIDIRECTIONAL_SEQUENCE_LSTM": 736,
}
OTHER_KERNEL_BYTES = 56
"""What the reference kernel of each operator keeps beyond that, measured one by one with
tflite-micro 0.dev20261023182759; others for which that was done keep less than 56."""

CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D", "TRANSPOSE_CONV")

ITEM_BYTES = {
    schema.TensorType.INT8: 1,
    schema.TensorType.UINT8: 1,
    schema.TensorType.BOOL: 1,
    schema.TensorType.INT16: 2,
    schema.TensorType.FLOAT16: 2,
    schema.TensorType.INT64: 8,
    schema.TensorType.FLOAT64: 8,
}
"""Of one value; 4 where it is not here."""


@dataclass(frozen=True)
class Arena:
    """What the tensor arena has to hold, in bytes.

    Attributes:
        tensors: everything computed, each for as long as it is needed.
        persistent: what TFLite Micro notes of the graph.
        measured: whether TFLite Micro's own interpreter told so; else both are estimates.
    """

    tensors: int
    persistent: int
    measured: bool

    @property
    def bytes(self) -> int:
        """The whole arena."""
        return _aligned(self.tensors) + _aligned(self.persistent)


def find_arena(content: bytes) -> Arena:
    """What a TFLite file's arena has to hold.

    Raises:
        InputError: TFLite Micro is installed and cannot run the file.
    """
    estimate = estimate_arena(content)
    if importlib.util.find_spec(PACKAGE) is None:
        return estimate
    return measure_arena(content, 4 * estimate.bytes + 2**20)


def measure_arena(content: bytes, most: int) -> Arena:
    """What TFLite Micro takes of an arena of `most` bytes; its interpreter has to be installed.

    Measured on this machine, with the reference kernels. It runs in a process of its own, since it
    aborts on some of what it does not know.

    Raises:
        InputError: it cannot run the file.
    """
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        file.write(content)
        file.flush()
        try:
            done = subprocess.run(
                [sys.executable, str(WORKER), file.name, str(most)],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=TIME_LIMIT_S,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise InputError(
                f"TFLite Micro has not answered one window after {TIME_LIMIT_S} s."
            ) from None
    told = dict(re.findall(r"Arena allocation (head|tail) (\d+) bytes", done.stderr))
    if done.returncode or len(told) != 2:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise InputError(
            "TFLite Micro cannot run the model: "
            f"{' '.join(lines[-2:])[-500:] or f'it ended with {done.returncode}'}.",
            "docs/microcontroller.md lists what it has operators for.",
        )
    return Arena(int(told["head"]), int(told["tail"]), measured=True)


def estimate_arena(content: bytes) -> Arena:
    """The same from the file alone, without scratch memory that single kernels ask for.

    Bodies of loops are counted as if nothing else were kept meanwhile.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    tensors = persistent = 0
    for graph in model.subgraphs:
        spans = _lifetimes(graph)
        sizes = [_bytes(graph.tensors[index]) for index in spans]
        tensors += planned(sizes, list(spans.values()))
        persistent += TENSOR_BYTES * len(graph.tensors)
        persistent += sum(_bytes(tensor) for tensor in graph.tensors if tensor.isVariable)
        persistent += sum(_operator_bytes(model, graph, one) for one in graph.operators)
    return Arena(tensors, FIXED_BYTES + persistent, measured=False)


def planned(sizes: Sequence[int], spans: Sequence[tuple[int, int]]) -> int:
    """Bytes that tensors take if the larger ones choose their place first, as TFLite Micro plans.

    Args:
        sizes: of the tensors, in bytes.
        spans: first and last step at which each is needed.
    """
    return max((place + sizes[i] for i, place in enumerate(places(sizes, spans))), default=0)


def places(sizes: Sequence[int], spans: Sequence[tuple[int, int]]) -> list[int]:
    """Where each tensor lies: see `planned`. Those needed at the same time lie apart."""
    found = [0] * len(sizes)
    done: list[int] = []
    for index in sorted(range(len(sizes)), key=lambda i: (-sizes[i], -i)):
        first, last = spans[index]
        place = 0
        for other in sorted(done, key=found.__getitem__):
            if spans[other][0] > last or spans[other][1] < first:
                continue
            if found[other] - place >= sizes[index]:
                break
            place = max(place, found[other] + sizes[other])
        found[index] = place
        done.append(index)
    return found


def _lifetimes(graph: schema.SubGraphT) -> dict[int, tuple[int, int]]:
    """First and last operator, counted from 1, that needs each tensor which is no constant."""
    spans = {int(index): (0, 0) for index in graph.inputs}
    for step, operator in enumerate(graph.operators, start=1):
        for index in map(int, operator.outputs):
            spans[index] = (step, step)
        for index in map(int, operator.inputs):
            if index in spans:
                spans[index] = (spans[index][0], step)
    for index in map(int, graph.outputs):
        spans[index] = (spans.get(index, (0, 0))[0], len(graph.operators))
    return {i: span for i, span in spans.items() if not graph.tensors[i].isVariable}


def _operator_bytes(
    model: schema.ModelT, graph: schema.SubGraphT, operator: schema.OperatorT
) -> int:
    """What TFLite Micro keeps for one operator."""
    kind = operator_kind(model, operator)
    channels = 0
    if kind in CONVOLUTIONS:
        channels = int(graph.tensors[operator.outputs[0]].shape[-1])
    elif kind == "FULLY_CONNECTED":
        quantization = graph.tensors[operator.inputs[1]].quantization
        scales = None if quantization is None else quantization.scale
        channels = 0 if scales is None or len(scales) == 1 else len(scales)
    kept = KERNEL_BYTES.get(kind, OTHER_KERNEL_BYTES)
    return NODE_BYTES + kept + CHANNEL_BYTES * channels


def _bytes(tensor: schema.TensorT) -> int:
    """Size of a tensor, up to the next place where another may begin."""
    size = int(np.prod([] if tensor.shape is None else tensor.shape, dtype=np.int64))
    return _aligned(size * ITEM_BYTES.get(tensor.type, 4))


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
