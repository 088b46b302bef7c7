"""What this installation and this machine can do: looked at, and each runtime really tried."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from rich.progress import Progress

from baseline.processes import last_line, run_module, usable_threads
from baseline.published import PUBLISHED, cache_directory, cached, cached_file
from compress.evaluation.machine import describe_machine
from compress.store import heading, versions

TIME_LIMIT_S = 180.0
"""For one runtime to answer; TensorFlow takes seconds to import on a fast machine."""


class Outcome(StrEnum):
    """What came of trying something."""

    WORKS = "works"
    FAILS = "fails"
    ABSENT = "not installed"


@dataclass(frozen=True)
class Trial:
    """One runtime, tried in a process of its own.

    Attributes:
        name: a key of `compress.doctor_checks.CHECKS`.
        outcome: what came of it.
        seconds: from the start of the process to its end; None where none was started.
        reason: why it does not work.
    """

    name: str
    outcome: Outcome
    seconds: float | None = None
    reason: str = ""


FEATURES = {
    "avx2": "256-bit float32 and int8",
    "fma": "float32 products added in one instruction",
    "avx512f": "512-bit float32",
    "avx512_vnni": "int8 products added in one instruction (512-bit)",
    "avx_vnni": "int8 products added in one instruction (256-bit)",
    "amx_int8": "int8 products by the matrix",
    "asimd": "128-bit float32 and int8 (NEON)",
    "asimddp": "int8 products added in one instruction (NEON dot product)",
    "i8mm": "int8 products by the matrix (NEON)",
    "sve": "vectors of any length",
}
"""Instruction sets that decide how fast models run, as Linux calls them, and what they do."""

INT8 = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")
"""Those that make int8 fast."""

BASE = ("LiteRT", "ONNX Runtime")
"""What has to work: the rest takes the extra `train`."""

_MODULES = {
    "LiteRT": ("ai_edge_litert",),
    "ONNX Runtime": ("onnxruntime",),
    "Keras 2": ("tensorflow", "tf_keras"),
    "Keras to TFLite": ("tensorflow", "tf_keras"),
    "Keras to ONNX": ("tensorflow", "tf_keras", "tf2onnx"),
}


def examine(progress: Progress) -> dict[str, Any]:
    """Look at versions, processor, memory, disk and cache, and try every runtime.

    Args:
        progress: where it is shown which runtime is being tried.

    Returns:
        A JSON document. `outcome` is "works" where the base install does: LiteRT and ONNX Runtime.
    """
    runtimes = try_runtimes(progress)
    base = all(trial.outcome is Outcome.WORKS for trial in runtimes if trial.name in BASE)
    return {
        **heading("compress"),
        "outcome": (Outcome.WORKS if base else Outcome.FAILS).value,
        "python": {"version": platform.python_version(), "executable": sys.executable},
        "packages": _packages(),
        "processor": processor(),
        "memory": _memory(),
        "disk": {"folder": str(Path.cwd()), "free_bytes": shutil.disk_usage(Path.cwd()).free},
        "cache": examine_cache(),
        "runtimes": [asdict(trial) for trial in runtimes],
    }


def processor() -> dict[str, Any]:
    """The processor: what it is, cores, threads that this process may use, and what it can.

    `features` has those of FEATURES that there are, and `int8` says what they mean for int8; both
    are empty where the system does not tell, which is anywhere but on Linux.
    """
    machine = describe_machine()
    flags = str(machine["flags"]).split()
    features = {name: what for name, what in FEATURES.items() if name in flags}
    return {
        "name": machine["cpu"],
        "architecture": machine["architecture"],
        "cores": machine["cores"],
        "threads": usable_threads(),
        "features": features,
        "int8": _meaning_for_int8(features) if flags else "",
    }


def _meaning_for_int8(features: dict[str, str]) -> str:
    fast = [name for name in INT8 if name in features]
    if fast:
        return f"products are added in one instruction ({', '.join(fast)}), so int8 may be fastest"
    return (
        "no instruction adds products of int8: such models are small here, but may be slower than "
        "float32"
    )


def examine_cache() -> dict[str, Any]:
    """The folder of published weights: whether it can be written, and what each file in it is."""
    folder = cache_directory()
    existing = next(part for part in (folder, *folder.parents) if part.exists())
    models = {}
    for name in PUBLISHED:
        present = cached_file(name).exists()
        models[name] = "whole" if cached(name) else "damaged" if present else "absent"
    return {
        "folder": str(folder),
        "writable": existing.is_dir() and os.access(existing, os.W_OK),
        "models": models,
    }


def try_runtimes(progress: Progress) -> list[Trial]:
    """Try each runtime, and each conversion, in a process of its own."""
    task = progress.add_task("try runtimes", total=len(_MODULES))
    trials = []
    with tempfile.TemporaryDirectory() as folder:
        for name in _MODULES:
            progress.update(task, description=f"try {name}")
            trials.append(try_runtime(name, Path(folder)))
            progress.advance(task)
    return trials


def try_runtime(name: str, folder: Path, module: str = "compress.doctor_checks") -> Trial:
    """Have one runtime compute something in a fresh process.

    Args:
        name: a key of `compress.doctor_checks.CHECKS`.
        folder: where it may leave files, for later ones; absolute.
        module: that has the checks (tests put a crashing one in its place).
    """
    missing = [module for module in _MODULES[name] if find_spec(module) is None]
    if missing:
        return Trial(name, Outcome.ABSENT, reason=f"{', '.join(missing)}: no such package")
    begin = time.monotonic()
    try:
        done = run_module(module, name, str(folder), time_limit_s=TIME_LIMIT_S)
    except subprocess.TimeoutExpired:
        return Trial(name, Outcome.FAILS, TIME_LIMIT_S, "no answer, so it was stopped")
    seconds = round(time.monotonic() - begin, 2)
    if done.returncode == 0:
        return Trial(name, Outcome.WORKS, seconds)
    if done.returncode < 0:
        reason = f"it crashed ({signal.Signals(-done.returncode).name})"
    else:
        reason = last_line(done.stderr) or f"it ended with {done.returncode} and no word"
    return Trial(name, Outcome.FAILS, seconds, reason)


def _packages() -> dict[str, str | None]:
    """Versions of the packages that this program depends on; None for what is not installed."""
    try:
        declared = requires("eqt-compress") or []
    except PackageNotFoundError:  # run from its source
        return dict(versions())
    found: dict[str, str | None] = {}
    for requirement in declared:
        name, _, condition = requirement.partition(";")
        package = re.split(r"[^\w.-]", name, maxsplit=1)[0]
        if "dev" not in condition:
            try:
                found[package] = version(package)
            except PackageNotFoundError:
                found[package] = None
    return found


def _memory() -> dict[str, int | None]:
    """Bytes that there are and that are free for use; None where the system does not tell."""
    meminfo = Path("/proc/meminfo")
    values = {}
    if meminfo.is_file():
        for line in meminfo.read_text(encoding="ascii").splitlines():
            name, _, value = line.partition(":")
            values[name] = int(value.split()[0]) * 1024
    return {
        "total_bytes": values.get("MemTotal"),
        "available_bytes": values.get("MemAvailable"),
    }
