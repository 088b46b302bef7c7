"""Where the state of a search is kept: a journal file, or a database that machines share."""

from __future__ import annotations

import io
import json
import os
import re
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend, JournalFileSymlinkLock
from sqlalchemy.exc import SQLAlchemyError

from baseline.errors import InputError
from baseline.files import writing

JOURNAL_FILE = "journal.log"


def open_storage(where: str | None, output: Path) -> BaseStorage:
    """The storage that `--storage` names.

    Args:
        where: the URL of a database, the path of a journal file, or None for a journal in `output`.
        output: the search's folder.

    Raises:
        InputError: it cannot be opened, or a file is something else.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
    if where is not None and "://" in where:
        return _database(where)
    path = Path(where) if where is not None else output / JOURNAL_FILE
    try:
        return JournalStorage(_Journal(path))
    except OSError as error:
        raise InputError(
            f"--storage {path}: cannot be used ({error.strerror or error}).",
            "Give a file in a folder that can be written to, or the URL of a database.",
        ) from None
    except (ValueError, KeyError, TypeError):
        raise InputError(
            f"--storage {path}: is no journal of a search.",
            "Give another file, or none for one in the output folder.",
        ) from None


class _Journal(JournalFileBackend):
    """A journal that has whole lines only.

    Of a line that a full disk cut short Optuna would leave the beginning, write the next one behind
    it, and be able to read neither, nor anything after them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._mutex = JournalFileSymlinkLock(str(path))
        super().__init__(str(path), self._mutex)

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """See JournalFileBackend.

        Raises:
            InputError: it cannot be written; nothing is added then.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        with writing(self._path):
            self._mutex.acquire()
            try:
                with self._path.open("r+b", buffering=0) as file:
                    end = _end_of_lines(file)
                    file.truncate(end)
                    file.seek(end)
                    try:
                        rest = memoryview(lines.encode())
                        while rest:
                            rest = rest[file.write(rest) :]
                        os.fsync(file.fileno())
                    except OSError:
                        file.truncate(end)
                        raise
            finally:
                self._mutex.release()


def _end_of_lines(file: io.FileIO) -> int:
    """Where the last whole line of a file ends."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return size
    file.seek(0)
    return file.read().rfind(b"\n") + 1


def _database(url: str) -> BaseStorage:
    try:
        return RDBStorage(url)
    except (SQLAlchemyError, ImportError, RuntimeError, ValueError) as error:
        reason = without_password(str(error).strip().partition("\n")[0])
        raise InputError(
            f"--storage {without_password(url)}: cannot be opened ({reason}).",
            "Give a URL as SQLAlchemy takes them, such as sqlite:///tune.db or "
            "postgresql://user:password@host/database, and install that database's driver.",
        ) from None


def without_password(text: str) -> str:
    """A text with `***` in place of the user and password of any URL in it."""
    return re.sub(r"://[^/\s@]*@", "://***@", text)
