"""Models of any runtime timed against one of them, with the memory and start-up of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from compress.evaluation.footprint import footprint
from compress.evaluation.latency import compare_files
from compress.evaluation.machine import describe_machine
from compress.evaluation.threads import load_with_threads
from compress.models import NamedModel, find
from compress.store import file_hash, heading

_WINDOWS_SEED = 0


def bench(
    models: Sequence[str],
    against: str | None = None,
    *,
    threads: int = 1,
    batch: int = 1,
    pairs: int = 100,
    seconds: float = 30.0,
    announce: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Time `models` against a reference, and measure the footprint of each in fresh processes.

    Each model is compared with the reference in a run of its own, interleaved round by round in
    this process (see `compare_files`); both get the same synthetic windows.

    Args:
        models: as `compress.models.find` takes them.
        against: the reference. None takes the first of `models` and times the others against it; a
            model given alone is then timed against itself, opened a second time.
        threads: threads per model, in every runtime.
        batch: windows per timed call. TFLite and ONNX models run them one after the other, Keras
            models up to `export.runtimes.KERAS_BATCH` at once.
        pairs: rounds per model at most.
        seconds: time per model at most.
        announce: is told what is being measured. It is called between measurements, never while
            one is under way.

    Returns:
        A JSON document: the machine and the protocol, the reference, and per model the fields of
        LatencyRatio (milliseconds per call of `batch` windows) and of Footprint, and windows per
        second.

    Raises:
        InputError: a model cannot be found or run.
        RuntimeError: TensorFlow has started in this process with another number of threads.
    """
    if against is None:
        against, models = models[0], models[1:] or models[:1]
    reference, candidates = find(against), [find(name) for name in models]
    # Open all before measuring any: what cannot be run is said at once.
    for model in (*candidates, reference):
        load_with_threads(model.path, threads)

    measured: dict[Path, dict[str, Any]] = {}
    for model in (reference, *candidates):
        if model.path not in measured:
            announce(f"memory and start-up of {model.name}")
            measured[model.path] = _described(model, threads)

    windows = random_windows(SyntheticSource(batch, _WINDOWS_SEED), batch, _WINDOWS_SEED)
    rows: list[dict[str, Any]] = []
    for model in candidates:
        announce(f"time {model.name} against {reference.name}")
        ratio = compare_files(
            model.path,
            reference.path,
            windows,
            opening=partial(load_with_threads, threads=threads),
            pairs=pairs,
            seconds=seconds,
        )
        rows.append(
            {
                **measured[model.path],
                "name": model.name,
                "latency": asdict(ratio),
                "windows_per_second": _per_second(batch, ratio.candidate_ms),
            }
        )
    reference_ms = float(np.median([row["latency"]["reference_ms"] for row in rows]))
    return {
        **heading("compress"),
        "machine": describe_machine(),
        "protocol": {"threads": threads, "batch": batch, "pairs": pairs, "seconds": seconds},
        "reference": {
            **measured[reference.path],
            "milliseconds": reference_ms,
            "windows_per_second": _per_second(batch, reference_ms),
        },
        "models": rows,
    }


def _described(model: NamedModel, threads: int) -> dict[str, Any]:
    return {
        "name": model.name,
        "file": model.path.name,
        "sha256": file_hash(model.path),
        "bytes": model.path.stat().st_size,
        "footprint": asdict(footprint(model.path, threads)),
    }


def _per_second(batch: int, milliseconds: float) -> float:
    return batch / (milliseconds / 1e3)
