"""What TFLite Micro makes of the int8 files: memory, and whether it answers what LiteRT answers.

    pip install --pre tflite-micro
    python -m benchmarks.tflite_micro artifacts/released/student-tflite-int8 \
        artifacts/released/student-small-tflite-int8 --json benchmarks/results/tflite_micro.json

Each file is taken as it is and with integer ends. TFLite Micro runs on this machine with its
reference kernels. Beside it run LiteRT's own reference kernels and those that LiteRT takes by
default (XNNPACK), over the same integers.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table
from tflite_micro import runtime

from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from compress.evaluation.agreement import compare_picks
from compress.evaluation.machine import describe_machine
from compress.evaluation.metrics import metrics_of_sums
from compress.evaluation.picker import Thresholds, pick
from compress.models import find
from compress.store import heading, write_json
from export.arena import Arena, estimate_arena, measure_arena
from export.ends import End, read_ends
from export.tflm import used_operators
from export.writers.flatbuffer import edit
from export.writers.passes.integer_ends import drop_float_ends

SEED = 11
MOST_BYTES = 2**24

COMPARED = [
    f"{what}_{share}{at}"
    for what, at in (("p", "_0.1s"), ("s", "_0.1s"), ("detection", ""))
    for share in ("recall", "precision")
]

Run = Callable[[NDArray[Any]], NDArray[Any]]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("models", nargs="+", help="bundles or .tflite files")
    parser.add_argument("--windows", type=int, default=256, help="synthetic ones")
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()
    windows = random_windows(SyntheticSource(arguments.windows, SEED), arguments.windows, SEED)
    results = []
    for name in arguments.models:
        found = find(name)
        content = found.path.read_bytes()
        for one in (content, edit(content, drop_float_ends)):
            result = measure(one, windows, found.thresholds or Thresholds())
            results.append({"model": name, **result})
    document = {
        **heading("python", "-m", "benchmarks.tflite_micro"),
        "machine": describe_machine(),
        "tflite_micro": version("tflite-micro"),
        "results": results,
    }
    show(results)
    if arguments.json:
        write_json(arguments.json, document)


def measure(content: bytes, windows: NDArray[np.float32], thresholds: Thresholds) -> dict[str, Any]:
    """Memory of one file, and its answers to normalised windows (n, 6000, 3) against LiteRT's."""
    source, result = read_ends(content)
    measured = measure_arena(content, MOST_BYTES)
    fed = quantized(windows, source)
    ours = answers(micro(content, measured), fed)
    theirs = {
        "reference": answers(litert(content, OpResolverType.BUILTIN_REF), fed),
        "default": answers(litert(content, OpResolverType.AUTO), fed),
    }
    return {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
        "integer_ends": source.integer and result.integer,
        "operators": {one.kind: one.number for one in used_operators(content)},
        "arena": {"measured": sizes(measured), "estimated": sizes(estimate_arena(content))},
        "windows": len(windows),
        "against": {
            name: compare(probabilities(ours, result), probabilities(other, result), thresholds)
            for name, other in theirs.items()
        },
    }


def sizes(arena: Arena) -> dict[str, int]:
    """In bytes."""
    return {"tensors": arena.tensors, "persistent": arena.persistent, "all": arena.bytes}


def micro(content: bytes, arena: Arena) -> Run:
    """The model in TFLite Micro, in an arena just as large as it was measured to need."""
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=arena.bytes)

    def run(window: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_input(window, 0)
        interpreter.invoke()
        return interpreter.get_output(0).copy()

    return run


def litert(content: bytes, kernels: OpResolverType) -> Run:
    """The model in LiteRT."""
    interpreter = Interpreter(
        model_content=content, experimental_op_resolver_type=kernels, num_threads=1
    )
    interpreter.allocate_tensors()
    (source,), (result,) = interpreter.get_input_details(), interpreter.get_output_details()

    def run(window: NDArray[Any]) -> NDArray[Any]:
        interpreter.set_tensor(source["index"], window)
        interpreter.invoke()
        return interpreter.get_tensor(result["index"])

    return run


def answers(run: Run, windows: NDArray[Any]) -> NDArray[Any]:
    """What comes of the windows, one after the other."""
    return np.concatenate([run(window[None]) for window in windows])


def quantized(windows: NDArray[np.float32], end: End) -> NDArray[Any]:
    """The windows as the model takes them."""
    if not end.integer:
        return windows
    return np.clip(np.rint(windows / end.scale) + end.zero_point, -128, 127).astype(np.int8)


def probabilities(answered: NDArray[Any], end: End) -> NDArray[np.float32]:
    """What the model's numbers mean."""
    if not end.integer:
        return answered
    return (answered.astype(np.float32) - end.zero_point) * np.float32(end.scale)


def compare(
    ours: NDArray[np.float32], theirs: NDArray[np.float32], thresholds: Thresholds
) -> dict[str, Any]:
    """How far two answers are the same, and what of the other's picks the first one has."""
    apart = np.abs(ours - theirs)
    rows = [
        compare_picks(pick(a, thresholds), pick(b, thresholds), len(a))
        for a, b in zip(ours, theirs, strict=True)
    ]
    metrics = metrics_of_sums(np.sum(rows, axis=0)[None])
    return {
        "equal": float((apart == 0).mean()),
        "largest": float(apart.max()),
        "rms": float(np.sqrt(np.mean(apart.astype(np.float64) ** 2))),
        "picks": {name: float(metrics[name][0]) for name in COMPARED},
    }


def show(results: list[dict[str, Any]]) -> None:
    """Print one row per file."""
    table = Table(title="int8 in TFLite Micro")
    columns = ("model", "ends", "flash", "arena", "estimated", "as reference", "as default", "P")
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    for row in results:
        reference, default = row["against"]["reference"], row["against"]["default"]
        table.add_row(
            Path(row["model"]).name,
            "int8" if row["integer_ends"] else "float32",
            f"{row['bytes']:,}",
            f"{row['arena']['measured']['all']:,}",
            f"{row['arena']['estimated']['all']:,}",
            f"{reference['equal']:.2%}",
            f"{default['equal']:.2%}",
            f"{default['picks']['p_recall_0.1s']:.3f}",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
