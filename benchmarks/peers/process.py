"""A worker (`workers/serving.py`) as the one who asks sees it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from benchmarks.peers.catalogue import Peer
from benchmarks.peers.environments import python_of

PROJECT = Path(__file__).resolve().parents[2]
ANSWER_LIMIT_S = 600.0


class WorkerFailed(Exception):  # noqa: N818 - it says what happened
    """A worker has ended, or said nothing for too long; says why."""


class Worker:
    """One started process, which computes only while it is asked.

    Attributes:
        startup_s: from starting it to its first answer.
        first_peak_bytes: most memory resident until then.
    """

    def __init__(self, peer: Peer, windows: Path, threads: int, venvs: Path) -> None:
        """Start a worker and wait for its first answer.

        Args:
            peer: what it runs.
            windows: the `.npy` file of windows.
            threads: that it may compute with.
            venvs: folder of the environments.

        Raises:
            WorkerFailed: it did not give one.
        """
        python = python_of(peer.environment, venvs) if peer.environment else Path(sys.executable)
        command = [python, peer.script, *peer.arguments, peer.model, windows, threads]
        # A file, since nobody reads while a worker works, and a full pipe would stop it.
        self._errors = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115
        begin = time.monotonic_ns()
        self._process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=environment(threads),
        )
        try:
            ready = self._answer()
        except BaseException:
            self.close()
            raise
        self.startup_s = (ready["ready_ns"] - begin) / 1e9
        self.first_peak_bytes = int(ready["peak_bytes"])

    def ask(self, what: str, **more: Any) -> dict[str, Any]:
        """Its answer to a request.

        Raises:
            WorkerFailed: there is none.
        """
        assert self._process.stdin
        with suppress(BrokenPipeError):  # its end is told below
            self._process.stdin.write(json.dumps({"ask": what, **more}) + "\n")
            self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout
        limit = threading.Timer(ANSWER_LIMIT_S, self._process.kill)
        limit.start()
        try:
            line = self._process.stdout.readline()
        finally:
            limit.cancel()
        if line:
            answer: dict[str, Any] = json.loads(line)
            return answer
        code = self._process.wait()
        self._errors.seek(0)
        said = [text.strip() for text in self._errors if text.strip()]
        raise WorkerFailed(said[-1][:500] if said else f"it ended with {code} and said nothing")


def environment(threads: int) -> Mapping[str, str]:
    """Variables by which libraries take so many threads, which sleep while they wait."""
    paths = [str(PROJECT), os.environ.get("PYTHONPATH", "")]
    return os.environ | {
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": str(threads),
        "OPENBLAS_NUM_THREADS": str(threads),
        "MKL_NUM_THREADS": str(threads),
        "OMP_WAIT_POLICY": "passive",
        "KMP_BLOCKTIME": "0",
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
