"""How far from 1 is a model timed against itself?

Times a file against itself as `compress bench` does, every side of the comparison opened anew, and
repeats that: on the machine as it is, and with one core kept busy by a loop. The claim to check is
that at least nine of ten calls stay within 3 % of 1, quiet or loaded.

Repeat (after `compress run`, which makes the models):
    python -m benchmarks.latency_floor artifacts/default/exports/default-tflite-int8 \
        artifacts/default/exports/default-onnx-float32 artifacts/default/stages/0-baseline-* \
        --json benchmarks/results/latency_floor.json
"""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from baseline.errors import InputError
from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from compress.evaluation.latency import compare
from compress.evaluation.machine import describe_machine
from compress.evaluation.threads import load_with_threads
from compress.models import find
from compress.store import file_hash, heading, write_json

CLAIMED = 0.03
"""Most that the ratio of a model to itself may be off 1."""

CLAIMED_SHARE = 0.9
SETTLE_S = 1.0
"""Time for the busy loop to start, and for what ran before to end."""


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("models", nargs="+", help="files, bundles, stage folders")
    parser.add_argument("--calls", type=int, default=10, help="comparisons per model and load")
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()

    try:
        results = [
            measure(name, busy_cores, arguments.calls)
            for busy_cores in (0, 1)
            for name in arguments.models
        ]
    except InputError as error:
        parser.error(str(error))
    document = {
        **heading("python", "-m", "benchmarks.latency_floor"),
        "machine": describe_machine(),
        "claim": {"off_at_most": CLAIMED, "share_of_calls": CLAIMED_SHARE},
        "results": results,
    }
    show(results)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.json, document)


def measure(name: str, busy_cores: int, calls: int) -> dict[str, Any]:
    """Compare a model with itself `calls` times, while `busy_cores` processes do nothing but run.

    All copies are opened anew for each call: where they come to lie in memory is part of what makes
    two equal models differ.
    """
    path = find(name).path
    window = random_windows(SyntheticSource(1, 0), 1, 0)
    ratios = []
    with busy(busy_cores):
        load_average = os.getloadavg()[0]
        for _ in range(calls):
            one, other, other_copy, one_copy = (
                partial(load_with_threads(path, 1), window) for _ in range(4)
            )
            ratio = compare(one, other, copies=(one_copy, other_copy))
            ratios.append(asdict(ratio))
    off = [abs(ratio["ratio"] - 1.0) for ratio in ratios]
    within = sum(value <= CLAIMED for value in off)
    return {
        "model": name,
        "sha256": file_hash(path),
        "busy_cores": busy_cores,
        "load_average_before": round(load_average, 2),
        "within_claim": within,
        "holds": within >= CLAIMED_SHARE * calls,
        "largest_off": max(off),
        "calls": ratios,
    }


@contextlib.contextmanager
def busy(cores: int) -> Iterator[None]:
    """Keep this many cores busy meanwhile."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(cores)]
    try:
        time.sleep(SETTLE_S)
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


def show(results: list[dict[str, Any]]) -> None:
    """Print one row per model and load."""
    table = Table(title="A model timed against itself")
    for column in ("model", "busy cores", "ms", "within 3 %", "largest off", "claim"):
        table.add_column(column, justify="right", overflow="fold")
    for row in results:
        table.add_row(
            row["model"],
            str(row["busy_cores"]),
            f"{min(call['reference_ms'] for call in row['calls']):.3g}",
            f"{row['within_claim']} of {len(row['calls'])}",
            f"{row['largest_off']:.2%}",
            "holds" if row["holds"] else "fails",
        )
    Console().print(table)


if __name__ == "__main__":
    main()
