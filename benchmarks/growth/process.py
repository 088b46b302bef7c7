"""What a process takes: time, memory, open files."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.peers.process import environment

POLL_S = 0.05


def command_cost(arguments: Sequence[object]) -> dict[str, float]:
    """Time and memory of a Python program with all processes that it starts.

    Args:
        arguments: of Python, such as `-m`, `compress.cli` and what follows.

    Returns:
        `wall_s`; `cpu_s`, of the processor; `peak_mib`, the sum of each process's own peak
        (VmHWM, looked at every 50 ms), which is no less than what all had at once.

    Raises:
        SystemExit: it failed.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        env=environment(threads=1),
        stdout=subprocess.DEVNULL,
    )
    peaks: dict[int, list[int]] = {}
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(POLL_S):
            for number in _family(process.pid):
                with suppress(OSError, KeyError):
                    peaks.setdefault(number, []).append(status_kib(number)["VmHWM"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    ended.set()
    watcher.join()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{arguments}: ended with {process.returncode}.")
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        # A child that has not yet become its own program still shows its parent's memory.
        "peak_mib": round(sum(seen[-1] for seen in peaks.values() if len(seen) > 1) / 1024, 1),
    }


def status_kib(process: int | str = "self") -> dict[str, int]:
    """The numbers of `/proc/<process>/status`; memory in KiB (VmRSS, VmHWM), and `Threads`."""
    text = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace")
    lines = (line.partition(":") for line in text.splitlines())
    return {
        key: int(words[0])
        for key, _, value in lines
        if (words := value.split()) and words[0].isdigit()
    }


def held(process: int | str = "self") -> dict[str, float]:
    """What a process holds now: `rss_mib`, open file `handles` and `threads`."""
    status = status_kib(process)
    return {
        "rss_mib": round(status["VmRSS"] / 1024, 2),
        "handles": len(os.listdir(f"/proc/{process}/fd")),  # noqa: PTH208
        "threads": status["Threads"],
    }


def trimmed_mib() -> float:
    """Memory resident in this process once the allocator has given back what it only keeps."""
    ctypes.CDLL(None).malloc_trim(0)
    return held()["rss_mib"]


def kept_from(document: dict[str, Any]) -> list[dict[str, str]]:
    """Command and date of the runs that made a document, for one that keeps some of it."""
    own = {key: document[key] for key in ("command", "date") if key in document}
    return [*document.get("kept_from", []), *([own] if own else [])]


def _family(process: int) -> list[int]:
    """A process and all that come from it."""
    found = [process]
    for number in found:
        with suppress(OSError):
            for task in Path(f"/proc/{number}/task").iterdir():
                found += map(int, (task / "children").read_text().split())
    return found
