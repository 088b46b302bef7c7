"""Work in a process of its own, bounded in time and memory.

TensorFlow's converter can take the process along (int8 GRU loops: tensorflow#62281), run for very
long, or blow a small model up to many times its size; here each becomes an error with a reason.
Workers are forked from `export.foreman`, which this process starts with the first one and keeps.
"""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from baseline.errors import InputError
from baseline.processes import SOURCE_ROOT, last_line

TIME_LIMIT_S = 900.0

MEMORY_LIMIT_BYTES = 12 * 2**30
"""Address space, of which TensorFlow alone maps several GB without using them."""


class ConversionError(InputError):
    """A model cannot be converted: the converter refused, crashed, hung or ran out of memory."""


def run_worker(
    what: str,
    module: str,
    arguments: Sequence[str],
    time_limit_s: float = TIME_LIMIT_S,
    memory_limit_bytes: int = MEMORY_LIMIT_BYTES,
) -> None:
    """Run a module as a program in a process of its own, and wait for it.

    Args:
        what: is converted, for errors.
        module: the worker. The last line that it writes to standard error says what went wrong.
        arguments: its arguments.
        time_limit_s: it is killed after this time.
        memory_limit_bytes: bound on its address space.

    Raises:
        ConversionError: it failed, crashed, or took too long; says converting what.
    """
    with tempfile.NamedTemporaryFile(prefix="worker-", suffix=".log") as errors, _LOCK:
        try:
            code = _foreman().order(
                module, arguments, errors.name, time_limit_s, memory_limit_bytes
            )
        except TimeoutError:
            raise ConversionError(
                f"Converting {what}: not finished after {time_limit_s:g} s, so it was stopped."
            ) from None
        except EOFError as error:
            raise ConversionError(f"Converting {what}: {error}") from None
        said = Path(errors.name).read_text(encoding="utf-8", errors="replace")
    if code < 0:
        name = signal.Signals(-code).name
        raise ConversionError(
            f"Converting {what}: the converter crashed ({name}).",
            "TFLite's converters are known to crash on recurrent layers kept as loops; replace "
            "them first (`substitute` with `cell: conv`, or a distilled student), or export "
            "another format or precision.",
        )
    if code:
        last = last_line(said)
        raise ConversionError(f"Converting {what}: {last or 'the converter failed silently'}")


def prepare() -> None:
    """Start what workers are forked from, if it does not run: it has its imports done meanwhile."""
    with _LOCK:
        _foreman()


class _Foreman:
    """The process that workers are forked from, and the pipes to it.

    Attributes:
        owner: the process that started it: a fork of that one must not write into its pipes.
    """

    def __init__(self) -> None:
        self.owner = os.getpid()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(
            [sys.executable, "-m", "export.foreman"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,  # what it has said is never hidden in a buffer, where select does not see it
            cwd=SOURCE_ROOT,
        )
        self._ready = False

    def order(
        self, module: str, arguments: Sequence[str], errors: str, time_limit_s: float, memory: int
    ) -> int:
        """Have a worker do something: its exit code, or minus the signal that ended it.

        Raises:
            TimeoutError: it did not end in time, and was killed.
            EOFError: the foreman itself is gone; says why, as far as it is known.
        """
        worker = None
        path = [str(SOURCE_ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
        order = {
            "module": module,
            "arguments": list(arguments),
            "errors": errors,
            "environment": dict(os.environ),
            "folder": str(Path.cwd()),
            "path": [place for place in path if place],
            "memory": memory,
        }
        try:
            if not self._ready:
                self._ready = self._hear()
            self._say(order)
            worker = self._hear()
            return self._hear(time_limit_s)
        except BaseException:  # out of step with what it says, it is of no more use
            if worker is not None:
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            self.end()
            raise

    def alive(self) -> bool:
        """Whether it can take orders from this process."""
        return self.owner == os.getpid() and self._process.poll() is None

    def end(self) -> None:
        """End it, and a worker's wait with it."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _say(self, order: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
        except BrokenPipeError:
            raise EOFError(self._obituary()) from None

    def _hear(self, time_limit_s: float | None = None) -> Any:
        """What it says next."""
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], time_limit_s)[0]:
            raise TimeoutError
        line = self._process.stdout.readline()
        if not line:
            raise EOFError(self._obituary())
        return json.loads(line)

    def _obituary(self) -> str:
        code = self._process.wait()
        self._errors.seek(0)
        said = last_line(self._errors.read().decode(errors="replace"))
        return f"the process that starts converters ended (exit code {code}). {said}".strip()


_LOCK = threading.Lock()
_RUNNING: list[_Foreman] = []
"""The foreman of this process, once there is one."""


def _foreman() -> _Foreman:
    """The foreman that runs, or a new one."""
    if not (_RUNNING and _RUNNING[0].alive()):
        _RUNNING[:] = [_Foreman()]
    return _RUNNING[0]


@atexit.register
def _end_foreman() -> None:
    if _RUNNING and _RUNNING[0].alive():
        _RUNNING[0].end()
