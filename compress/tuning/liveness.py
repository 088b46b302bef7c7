"""Which process works on which trial, and whether it still does.

A process that is killed leaves its trial running in the storage for ever. Two signs tell:

- On one machine, a lock on a file that the system lets go of when the process ends.
- On others, a beat: a number in the storage that a process at work raises. How long it has stood
  still is timed by whoever looks, so that clocks need not agree.
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial
from sqlalchemy.exc import SQLAlchemyError

BEAT_S = 30.0
SILENCE_S = 300.0
"""A process whose beat has stood still for so long has ended, or its machine was cut off."""

WORKER, BEAT = "worker", "beat"


def lock_file(folder: Path) -> Path:
    """What whoever works in `folder` has locked."""
    return folder.with_name(f"{folder.name}.lock")


@contextmanager
def at_work(trial: optuna.Trial, folder: Path) -> Iterator[None]:
    """Show the others that this process works on `trial`, in `folder`.

    Raises:
        Timeout: another process works in this folder.
    """
    lock = lock_file(folder).resolve()
    # Somebody who tries whether the lock is free holds it for an instant.
    with FileLock(lock, timeout=1.0):
        worker = {"host": platform.node(), "process": os.getpid(), "lock": str(lock)}
        trial.set_user_attr(WORKER, worker)
        ended = threading.Event()
        beating = threading.Thread(target=_beat, args=(trial, ended), daemon=True)
        beating.start()
        try:
            yield
        finally:
            ended.set()
            beating.join()


def _beat(trial: optuna.Trial, ended: threading.Event) -> None:
    number = 0
    while not ended.is_set():
        try:
            trial.set_user_attr(BEAT, number)
        except optuna.exceptions.UpdateFinishedTrialError:
            return  # given up by the others, or finished this instant
        except (OSError, SQLAlchemyError, optuna.exceptions.OptunaError):
            pass  # the storage is out of reach for a while; the trial goes on
        number += 1
        ended.wait(BEAT_S)


class Watch:
    """Looks at the running trials of all processes, now and again."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._seen: dict[int, tuple[Any, float]] = {}

    def abandoned(self, trial: FrozenTrial) -> bool:
        """Whether nobody works on a running trial any more."""
        worker = trial.user_attrs.get(WORKER)
        if worker and worker["host"] == platform.node() and Path(worker["lock"]).is_file():
            return _is_free(Path(worker["lock"]))
        beat, now = trial.user_attrs.get(BEAT), self._now()
        last, since = self._seen.setdefault(trial.number, (beat, now))
        if beat != last:
            self._seen[trial.number] = (beat, now)
            return False
        return now - since > SILENCE_S


def _is_free(lock: Path) -> bool:
    try:
        with FileLock(lock, timeout=0):
            return True
    except Timeout:
        return False
