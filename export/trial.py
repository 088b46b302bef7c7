"""Model files that anybody may have made, tried in a process of their own before they are used.

LiteRT, ONNX Runtime and HDF5 are native code, and a file can make them crash, run for ever or ask
for all memory there is. The trial (`export.trial_worker`) opens a file and runs one window through
it, within limits; whatever becomes of that process becomes an error of one paragraph. A file that
passed is remembered by its content and the runtimes' versions, so that the trial costs its half
second once.

This keeps a command from being taken down. It does not make it safe to run a file that was built
to take over a runtime: see SECURITY.md.
"""

from __future__ import annotations

import hashlib
import signal
import subprocess
from importlib.metadata import version
from pathlib import Path

from baseline.errors import InputError
from baseline.processes import last_line, run_module
from baseline.published import cache_directory
from export.trial_worker import CPU_LIMIT_S, REFUSED

MAXIMUM_BYTES = 2**28
"""Of a model's file; EQTransformer has 1.5 MB."""

TIME_LIMIT_S = 60.0
"""For all of it, on a slow or busy machine, too."""

RUNTIMES = ("ai-edge-litert", "h5py", "numpy", "onnx", "onnxruntime")
ENDINGS = (".tflite", ".onnx", ".keras", ".h5", ".hdf5")
TRIED_FOLDER = "tried"


def require_runnable(path: Path) -> None:
    """See that a `.tflite` or `.onnx` file can be opened and run, and the weights of others read.

    Args:
        path: the file; nothing is said of one with another ending than a model's.

    Raises:
        InputError: too large, refused by its runtime, or it crashes, hangs or takes too much
            memory.
    """
    if path.suffix not in ENDINGS:
        return
    try:
        size = path.stat().st_size
        if size > MAXIMUM_BYTES:
            raise InputError(
                f"{path}: has {size:,} bytes; models of up to {MAXIMUM_BYTES:,} are read."
            )
        with path.open("rb") as file:
            content = hashlib.file_digest(file, "sha256")
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
    content.update(" ".join((path.suffix, *map(version, RUNTIMES))).encode())
    passed = cache_directory() / TRIED_FOLDER / content.hexdigest()
    if passed.is_file():
        return
    _try(path)
    try:
        passed.parent.mkdir(parents=True, exist_ok=True)
        passed.touch()
    except OSError:
        return  # it is tried again next time


def _try(path: Path) -> None:
    try:
        done = run_module("export.trial_worker", str(path.resolve()), time_limit_s=TIME_LIMIT_S)
    except subprocess.TimeoutExpired:
        raise InputError(
            f"{path}: was not opened and run once within {TIME_LIMIT_S:g} s, so it is not used."
        ) from None
    advice = "The file may be damaged: export the model again, or compare its hash."
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        raise InputError(
            f"{path}: opening it and running one window takes more than {CPU_LIMIT_S} s of "
            "processor time, or all memory.",
            advice,
        )
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise InputError(f"{path}: crashes what runs it ({name}), so it is not used.", advice)
    reason = last_line(done.stderr)
    if done.returncode == REFUSED:
        raise InputError(f"{path}: {reason}")
    if done.returncode:
        raise RuntimeError(f"the trial of {path} failed: {reason or done.returncode}")
