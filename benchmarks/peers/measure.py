"""All ways measured, block by block, and what is known of them as one document.

In each block and for each number of threads every way gets a fresh process; that is timed as its
start-up. Then they sleep, but for the two of a pair. The reference gets one process more, so that
it is compared with itself as every other way is with it: the floor of the procedure.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.peers.catalogue import COMPARED, INTEGER, WORKERS, Peer
from benchmarks.peers.process import Worker, WorkerFailed, environment
from benchmarks.peers.rounds import Times, summarise, time_rounds
from compress.evaluation.cost import onnx_multiply_adds, tflite_multiply_adds
from compress.evaluation.machine import describe_machine
from compress.store import file_hash, heading

BATCHES = {1: 2, 64: 1}
"""Windows in one call, and how often each side of a pair is timed: a long call needs it once."""

THREADS = (1, 2)
WARM_CALLS = 2
REFERENCE_PROCESS = ""
"""Name of the reference's second process."""

COUNTS = {".tflite": cache(tflite_multiply_adds), ".onnx": cache(onnx_multiply_adds)}


@dataclass(frozen=True)
class Settings:
    """How much is measured.

    Attributes:
        windows: `.npy` file of at least as many normalised windows as the largest batch.
        answers: `.npy` file of what the published model makes of them.
        venvs: folder of the environments.
        blocks: how often all processes are started anew, for each number of threads.
        seconds: of rounds, for each batch and number of threads, over all blocks.
        batches: windows in one call, and timings of each side of a pair.
        threads: numbers of threads.
        arithmetic_seconds: for each size of matrices that the machine's arithmetic is timed with.
        seed: of every order.
    """

    windows: Path
    answers: Path
    venvs: Path
    blocks: int
    seconds: float
    batches: dict[int, int] = field(default_factory=BATCHES.copy)
    threads: tuple[int, ...] = THREADS
    arithmetic_seconds: float = 0.4
    seed: int = 0


@dataclass
class Measured:
    """What is known of one way so far.

    Attributes:
        startup_s: of each start with the first number of threads.
        peak_bytes: of the same processes, after the first window.
        last_peak_bytes: of the same processes, after all batches.
        times: of each block, by batch and number of threads.
        facts: what the worker says of itself.
        difference: largest of any of its answers from the published model's, where it is to give
            the same.
        failed: why it cannot be measured, where it cannot.
    """

    startup_s: list[float] = field(default_factory=list)
    peak_bytes: list[int] = field(default_factory=list)
    last_peak_bytes: list[int] = field(default_factory=list)
    times: dict[tuple[int, int], list[Times]] = field(default_factory=lambda: defaultdict(list))
    facts: dict[str, Any] = field(default_factory=dict)
    difference: float | None = None
    failed: str = ""


def measure(peers: Sequence[Peer], reference: Peer, settings: Settings) -> Iterator[dict[str, Any]]:
    """Measure all of them, and say after every block what is known by then.

    A way that cannot be started or does not get through its first calls is left out from there on,
    and the document says why.

    Args:
        peers: with the reference among them.
        reference: what all are compared with.
        settings: how much.

    Raises:
        WorkerFailed: the reference cannot be run, or a worker stopped between two rounds.
    """
    random = np.random.default_rng(settings.seed)
    measured = {peer.name: Measured() for peer in peers}
    arithmetic: dict[int, list[dict[str, float]]] = {t: [] for t in settings.threads}
    loads = []
    parts = settings.threads * settings.blocks
    for part, threads in enumerate(parts, 1):
        loads.append(round(os.getloadavg()[0], 2))
        arithmetic[threads].append(peak_arithmetic(threads, settings.arithmetic_seconds))
        first = threads == settings.threads[0]
        with started(peers, reference, settings, threads, measured, random) as workers:
            if first:
                for name, worker in _ways(workers):
                    measured[name].startup_s.append(worker.startup_s)
                    measured[name].peak_bytes.append(worker.first_peak_bytes)
            if part == 1:
                describe(peers, workers, measured, np.load(settings.answers))
            for batch, repeats in settings.batches.items():
                warm(workers, batch, measured)
                times = time_rounds(
                    {name: partial(_nanoseconds, worker, batch) for name, worker in _ways(workers)},
                    partial(_nanoseconds, workers[REFERENCE_PROCESS], batch),
                    repeats=repeats,
                    seconds=settings.seconds / settings.blocks,
                    random=random,
                )
                for name, each in times.items():
                    measured[name].times[batch, threads].append(each)
            if first:
                for name, worker in _ways(workers):
                    measured[name].last_peak_bytes.append(worker.ask("facts")["peak_bytes"])
        best = {
            count: {what: max(run[what] for run in runs) for what in runs[0]}
            for count, runs in arithmetic.items()
            if runs
        }
        yield {
            **heading("python", "-m", "benchmarks.peers.run"),
            "machine": describe_machine(),
            "finished": part == len(parts),
            "load_average_before": loads.copy(),
            "reference": reference.name,
            "blocks": settings.blocks,
            "seconds": settings.seconds,
            "operations_per_second": {str(count): of for count, of in best.items()},
            "environments": _versions(peers, measured),
            "models": [_entry(peer, measured[peer.name], best) for peer in peers],
        }


@contextmanager
def started(
    peers: Sequence[Peer],
    reference: Peer,
    settings: Settings,
    threads: int,
    measured: dict[str, Measured],
    random: np.random.Generator,
) -> Iterator[dict[str, Worker]]:
    """A process of each way that has not failed, by name, and the reference's second one.

    Raises:
        WorkerFailed: the latter cannot be started.
    """
    wanted = [(peer.name, peer) for peer in peers if not measured[peer.name].failed]
    wanted.append((REFERENCE_PROCESS, reference))
    workers: dict[str, Worker] = {}
    with ExitStack() as stack:
        for index in random.permutation(len(wanted)):
            name, peer = wanted[index]
            with _left_out(name, measured, workers):
                workers[name] = Worker(peer, settings.windows, threads, settings.venvs)
                stack.callback(workers[name].close)
        yield workers


def describe(
    peers: Sequence[Peer],
    workers: dict[str, Worker],
    measured: dict[str, Measured],
    expected: NDArray[np.float32],
) -> None:
    """Ask what there is to know besides times, and compare answers with those expected."""
    for peer in peers:
        one = measured[peer.name]
        with _left_out(peer.name, measured, workers), tempfile.TemporaryDirectory() as folder:
            if one.failed:
                continue
            one.facts = workers[peer.name].ask("facts")
            if peer.weights in COMPARED:
                path = Path(folder) / "answers.npy"
                workers[peer.name].ask("answers", path=str(path))
                one.difference = float(np.abs(np.load(path) - expected).max())


def warm(workers: dict[str, Worker], batch: int, measured: dict[str, Measured]) -> None:
    """Untimed calls, in which much is compiled and allocated once."""
    for name, worker in list(workers.items()):
        with _left_out(name, measured, workers):
            for _ in range(WARM_CALLS):
                worker.ask("time", batch=batch)


def peak_arithmetic(threads: int, seconds: float) -> dict[str, float]:
    """Operations per second that the best libraries reach here now; see `workers/peak.py`."""
    done = subprocess.run(
        [sys.executable, str(WORKERS / "peak.py"), str(threads), str(seconds)],
        env=environment(threads),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    reached: dict[str, float] = json.loads(done.stdout)
    return reached


@contextmanager
def _left_out(
    name: str, measured: dict[str, Measured], workers: dict[str, Worker]
) -> Iterator[None]:
    """Note that a way has failed and go on without it; the reference's process has to work."""
    try:
        yield
    except WorkerFailed as failure:
        if name == REFERENCE_PROCESS:
            raise
        measured[name].failed = str(failure)
        workers.pop(name, None)


def _ways(workers: dict[str, Worker]) -> list[tuple[str, Worker]]:
    return [(name, worker) for name, worker in workers.items() if name != REFERENCE_PROCESS]


def _nanoseconds(worker: Worker, batch: int) -> int:
    return int(worker.ask("time", batch=batch)["ns"])


def _versions(peers: Sequence[Peer], measured: dict[str, Measured]) -> dict[str, dict[str, str]]:
    versions: dict[str, dict[str, str]] = defaultdict(dict)
    for peer in peers:
        versions[peer.environment or "own"] |= measured[peer.name].facts.get("versions", {})
    return dict(versions)


def _entry(peer: Peer, one: Measured, best: dict[int, dict[str, float]]) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": peer.name,
        "title": peer.title,
        "ours": peer.ours,
        "environment": peer.environment,
        "weights": peer.weights,
        "precision": peer.precision,
    }
    if one.failed:
        return entry | {"failed": one.failed}
    facts = one.facts
    if isinstance(peer.model, Path):
        facts = facts | {"file_bytes": peer.model.stat().st_size, "sha256": file_hash(peer.model)}
    if peer.counted:
        facts = facts | {"multiply_adds": COUNTS[peer.counted.suffix](peer.counted)}
    entry |= {
        name: facts[name] for name in ("sha256", "file_bytes", "multiply_adds") if name in facts
    }
    entry |= {
        "startup_s": statistics.median(one.startup_s),
        "peak_bytes": round(statistics.median(one.peak_bytes)),
        "last_peak_bytes": round(statistics.median(one.last_peak_bytes)),
        "starts": len(one.startup_s),
    }
    if one.difference is not None:
        entry["difference"] = one.difference
    entry["settings"] = []
    for (batch, threads), blocks in one.times.items():
        summary = summarise(blocks)
        seconds = summary["ms"] / 1e3
        reachable = best[threads]["int8" if peer.precision in INTEGER else "float32"]
        entry["settings"].append(
            {
                "batch": batch,
                "threads": threads,
                **summary,
                "windows_per_second": batch / seconds,
                "share_of_peak": 2 * entry["multiply_adds"] * batch / seconds / reachable,
            }
        )
    return entry
