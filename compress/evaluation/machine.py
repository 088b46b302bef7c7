"""The machine that something was measured on, as far as it explains a figure."""

from __future__ import annotations

import os
import platform
from pathlib import Path

_MODEL_KEYS = ("model name", "Hardware", "Model")
_FLAG_KEYS = ("flags", "Features")
"""What `/proc/cpuinfo` calls them on x86 and on Arm."""


def describe_machine() -> dict[str, str | int]:
    """Processor, its instruction-set flags, cores, system and Python; no name, user or path."""
    return {
        "cpu": _cpuinfo(_MODEL_KEYS) or platform.processor() or platform.machine(),
        "flags": _cpuinfo(_FLAG_KEYS),
        "architecture": platform.machine(),
        "cores": os.cpu_count() or 1,
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _cpuinfo(keys: tuple[str, ...]) -> str:
    """The first value in `/proc/cpuinfo` under any of `keys`; empty where there is none."""
    path = Path("/proc/cpuinfo")
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() in keys:
                return value.strip()
    return ""
