"""Commands run in forks of one warmed process: a crash, a hang or a bomb stays there.

Starting Python and importing everything takes seconds, a fork milliseconds. The server imports what
commands need, runs nothing itself, and forks for each request; the fork runs `compress.cli.main`
with the arguments it was given, in a process group of its own that is killed after the time limit.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from baseline.published import CACHE_VARIABLE
from benchmarks.forks import end_with

ROOT = Path(__file__).resolve().parents[2]

CPU_LIMIT_S = 10.0
"""That a command may take, whatever it is given."""

ENDED_AFTER_CPU_S = 20
TIME_LIMIT_S = 200.0
"""After which it is ended: on a busy machine ten seconds of work may take minutes."""

MEMORY_LIMIT_BYTES = 2 * 2**30

MAXIMUM_ERROR = 6500
"""Characters: no paragraph is longer."""


@dataclass(frozen=True)
class Outcome:
    """What came of one command.

    Attributes:
        code: exit code; None where a signal ended it.
        signal: name of that signal, "" where there was none.
        timed_out: whether the time limit ended it.
        output: standard output and standard error.
        seconds: wall-clock time.
        cpu_s: processor time of the command and what it started.
        peak_bytes: largest resident memory of the command, or of a process that it started.
    """

    code: int | None
    signal: str
    timed_out: bool
    output: str
    seconds: float
    cpu_s: float
    peak_bytes: int

    def fault(self) -> str:
        """How this breaks the promise made for any input; "" where it keeps it.

        Promised is exit code 0, 2 or 3 within the limits, without a traceback, and one paragraph
        where it is 2.
        """
        if self.timed_out:
            return f"not finished after {self.seconds:.1f} s"
        if self.signal:
            return f"ended by {self.signal}"
        if "Traceback (most recent call last)" in self.output:
            return "a traceback"
        if self.code not in (0, 2, 3):
            return f"exit code {self.code}"
        if self.cpu_s > CPU_LIMIT_S:
            return f"{self.cpu_s:.1f} s of processor time"
        if self.peak_bytes > MEMORY_LIMIT_BYTES:
            return f"{self.peak_bytes / 2**30:.1f} GiB of memory"
        if self.code == 2 and "Error:" not in self.output:
            return "exit code 2 without a reason"
        if self.code == 2 and len(self.output) > MAXIMUM_ERROR:
            return f"an error of {len(self.output):,} characters"
        return ""


class Contained:
    """The server, as a context; not to be shared by threads.

    Args:
        cache: folder that commands keep things in.
        tensorflow: import TensorFlow, too, for commands with Keras models.
    """

    def __init__(self, cache: Path, tensorflow: bool = False) -> None:
        self._environment = os.environ | {CACHE_VARIABLE: str(cache)}
        self._arguments = ["tensorflow"] if tensorflow else []

    def __enter__(self) -> Contained:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.fuzzing.contained", *self._arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=self._environment,
            text=True,
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        place: TracebackType | None,
    ) -> None:
        self._server.communicate()

    def run(self, *arguments: object, time_limit_s: float = TIME_LIMIT_S) -> Outcome:
        """Run `compress ARGUMENTS...` in a fork."""
        assert self._server.stdin is not None
        assert self._server.stdout is not None
        request = {"arguments": [str(one) for one in arguments], "time_limit_s": time_limit_s}
        self._server.stdin.write(json.dumps(request) + "\n")
        self._server.stdin.flush()
        return Outcome(**json.loads(self._server.stdout.readline()))


def _import_everything(tensorflow: bool) -> None:
    """All that commands import on their way, so that forks need not."""
    import scipy.signal  # noqa: F401
    import typer

    import compress.cli
    import compress.comparing
    import compress.config
    import compress.evaluation.inspection
    import compress.evaluation.standalone
    import compress.gating
    import compress.picking.picking
    import compress.report.junit
    import compress.report.page
    import compress.tuning.space
    import export.verify  # noqa: F401

    # Typer puts its commands together anew for each run, which takes longer than most cases.
    commands = typer.main.get_command(compress.cli.app)
    typer.main.get_command = lambda app: commands

    if tensorflow:
        import baseline.checkpoint
        import baseline.weights  # noqa: F401


def _serve(requests: Any, answers: Any) -> None:
    for line in requests:
        request = json.loads(line)
        with tempfile.TemporaryFile() as output:
            began = time.monotonic()
            child = os.fork()
            if child == 0:
                end_with(partial(_become, request["arguments"], output.fileno()))
            status, usage, timed_out = _wait(child, request["time_limit_s"])
            seconds = time.monotonic() - began
            output.seek(0)
            printed = output.read(2**20).decode("utf-8", errors="replace")
        signalled = os.WIFSIGNALED(status)
        answer = {
            "code": None if signalled else os.WEXITSTATUS(status),
            "signal": signal.Signals(os.WTERMSIG(status)).name if signalled else "",
            "timed_out": timed_out,
            "output": printed,
            "seconds": seconds,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "peak_bytes": usage.ru_maxrss * 1024,
        }
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _wait(child: int, time_limit_s: float) -> tuple[int, Any, bool]:
    """Wait for the process group of `child`, and end it after the limit."""
    timed_out = threading.Event()

    def end() -> None:
        timed_out.set()
        os.killpg(child, signal.SIGKILL)

    timer = threading.Timer(time_limit_s, end)
    timer.start()
    _, status, usage = os.wait4(child, 0)
    timer.cancel()
    timer.join()
    return status, usage, timed_out.is_set()


def _become(arguments: list[str], output: int) -> None:
    """In the fork: run the command."""
    os.setpgid(0, 0)
    resource.setrlimit(resource.RLIMIT_CPU, (ENDED_AFTER_CPU_S, ENDED_AFTER_CPU_S + 1))
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(output, 1)
    os.dup2(output, 2)
    sys.argv = ["compress", *arguments]
    from compress.cli import main

    main()


if __name__ == "__main__":
    # Answers go where nothing that is imported prints to.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    _import_everything("tensorflow" in sys.argv[1:])
    _serve(sys.stdin, answers)
