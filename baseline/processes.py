"""Modules of this program run as programs of their own, so that what happens there stays there."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
from pathlib import Path

SOURCE_ROOT = Path(__file__).resolve().parents[1]


def run_module(
    module: str, *arguments: str, time_limit_s: float, keep_output: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a module in a fresh process, and wait for its end.

    It starts where this program's source is, so that nothing in the folder of whoever runs this is
    imported in place of a module: paths among the arguments have to be absolute. What it writes to
    standard error is kept, what it prints only with `keep_output`.

    Raises:
        subprocess.TimeoutExpired: it did not end in time, and was killed.
    """
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if keep_output else subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        timeout=time_limit_s,
        cwd=SOURCE_ROOT,
        check=False,
    )


def usable_threads() -> int:
    """How many threads of this process can run at once."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux tells of what it may use
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def end_with_parent() -> None:
    """Let this process, which multiprocessing started, end when the one that started it does.

    One of a pool would wait for work for ever where that was killed.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def last_line(text: str) -> str:
    """The last line that a process wrote, where it says what went wrong; "" if it wrote none."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:500] if lines else ""
