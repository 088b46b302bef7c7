"""Where the time of a run went, by what its progress showed."""

from __future__ import annotations

from typing import Any

from rich.progress import Progress

LEAST = 0.01
"""Share of the whole below which a part is told among the others."""


def time_shares(progress: Progress, seconds: float) -> list[dict[str, Any]]:
    """The parts that were shown and ended, by when they began; then all the rest as one.

    Parts of one name are one. They never overlap: a run does one thing at a time.

    Args:
        progress: which showed them.
        seconds: that the whole took.

    Returns:
        Of each part its name, its seconds, and its share of the whole.
    """
    parts: dict[str, float] = {}
    for task in progress.tasks:
        if task.finished_time is not None:
            parts[task.description] = parts.get(task.description, 0.0) + task.finished_time
    told = {name: spent for name, spent in parts.items() if spent >= LEAST * seconds}
    told["all else"] = max(seconds - sum(told.values()), 0.0)
    return [
        {"part": name, "seconds": round(spent, 1), "share": round(spent / max(seconds, 1e-9), 4)}
        for name, spent in told.items()
    ]
