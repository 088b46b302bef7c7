"""Programs in processes of their own, forked from one that has imported TensorFlow.

To import it takes longer than most of what tests have such programs do. TensorFlow starts its
threads with the first operation, which happens in the forks alone.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["baseline.keras"])


class Forked:
    """A program that runs, with what it prints in a file.

    Args:
        program: its file, or the name of a module.
        arguments: its own.
        folder: where it works.
        environment: variables that it has besides.
    """

    def __init__(
        self,
        program: Path | str,
        *arguments: object,
        folder: Path | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._output = tempfile.NamedTemporaryFile(suffix=".log")  # noqa: SIM115
        words = [str(program), *map(str, arguments)]
        self._process = _CONTEXT.Process(
            target=_work,
            args=(words, str(folder or Path.cwd()), dict(environment or {}), self._output.name),
            daemon=True,
        )
        self._process.start()

    @property
    def code(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    @property
    def output(self) -> str:
        """What it has printed so far."""
        return Path(self._output.name).read_text()

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        os.kill(self._process.pid, number)

    def wait(self, seconds: float) -> int:
        """Its exit code; it is killed, and the test fails, if it does not end in time."""
        self._process.join(seconds)
        if self.code is None:
            self._process.kill()
            raise TimeoutError(self.output)
        return self.code


def _work(words: list[str], folder: str, environment: dict[str, str], output: str) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_APPEND)
    for stream in (sys.stdout, sys.stderr):
        os.dup2(descriptor, stream.fileno())
    # Whatever was started in the background by a shell ignores Ctrl-C, and so would the program.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = words
    program = words[0]
    if Path(program).is_file():
        sys.path.insert(0, str(Path(program).parent))
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
