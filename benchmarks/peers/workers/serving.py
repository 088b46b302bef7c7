"""The worker's side of the measurement: one way to run one network, in a process of its own.

A worker is a script beside this file. It says how its model is loaded and called, and `serve` does
the rest. It needs NumPy and its own runtime, and nothing of this project:

    from serving import Way, serve

    def load(model, threads): ...
        return Way(run)

    serve(load)

It is started as `SCRIPT [ARGUMENTS] MODEL WINDOWS THREADS`, where WINDOWS is a `.npy` file of
normalised windows (n, 6000, 3). Once the first window is answered it writes a line
`{"ready_ns", "peak_bytes"}`, and then answers requests, a JSON object on a line each, until its
standard input ends. While it waits for one it sleeps.

- `{"ask": "time", "batch": n}`: `{"ns"}` of one call with n windows, after untimed calls.
- `{"ask": "answers", "path": p}`: writes what it makes of all windows, (n, 6000, 3), to p.
- `{"ask": "facts"}`: `{"versions", "peak_bytes"}`, and what `Way.facts` adds.

What libraries print goes to standard error.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

WARM_NS = 20_000_000
"""Untimed calls before a timed one take so long at least: others have used the caches since."""

FloatArray = NDArray[np.float32]


@dataclass(frozen=True)
class Way:
    """A loaded model.

    Attributes:
        run: one call, from what `prepare` made of a batch to its answers as a NumPy array.
        prepare: brings normalised windows (batch, 6000, 3) into the shape that the model takes; is
            not timed.
        packages: whose versions matter.
        facts: finds what is to be known of the model besides, by name.
    """

    run: Callable[[Any], NDArray[Any]]
    prepare: Callable[[FloatArray], Any] = np.ascontiguousarray
    packages: tuple[str, ...] = ()
    facts: Callable[[], dict[str, Any]] = dict


def serve(load: Callable[..., Way]) -> None:
    """Load the model and answer requests until there are no more.

    Args:
        load: takes the script's own arguments, the model and the number of threads.
    """
    # A line that a library prints must not be taken for an answer.
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", buffering=1)
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    *own, model, path, threads = sys.argv[1:]
    windows = np.load(path, mmap_mode="r")
    way = load(*own, model, int(threads))
    way.run(way.prepare(windows[:1]))
    ready = time.monotonic_ns()
    print(json.dumps({"ready_ns": ready, "peak_bytes": peak_bytes()}), file=answers)
    inputs = {1: way.prepare(windows[:1])}
    for line in sys.stdin:
        request = json.loads(line)
        match request["ask"]:
            case "time":
                batch = request["batch"]
                if batch not in inputs:
                    inputs[batch] = way.prepare(windows[:batch])
                answer: dict[str, Any] = {"ns": time_call(way.run, inputs[1], inputs[batch])}
            case "answers":
                np.save(request["path"], np.concatenate([one_answer(way, w) for w in windows]))
                answer = {}
            case "facts":
                versions = {name: version(name) for name in way.packages}
                answer = {"versions": versions, "peak_bytes": peak_bytes(), **way.facts()}
        print(json.dumps(answer), file=answers)


def time_call(run: Callable[[Any], object], one: Any, timed: Any) -> int:
    """Nanoseconds of one call with `timed`, after calls with `one`, without garbage collection."""
    gc.collect()
    gc.disable()
    try:
        begin = time.perf_counter_ns()
        run(one)
        while time.perf_counter_ns() - begin < WARM_NS:
            run(one)
        begin = time.perf_counter_ns()
        run(timed)
        return time.perf_counter_ns() - begin
    finally:
        gc.enable()


def one_answer(way: Way, window: FloatArray) -> NDArray[Any]:
    """What the model makes of one window (6000, 3)."""
    return np.array(way.run(way.prepare(window[None])))


def peak_bytes() -> int:
    """The most memory that this process has had resident (`VmHWM`); Linux only."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/self/status names no VmHWM")
