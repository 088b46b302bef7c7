"""Where the state of a search is kept: a journal file, or a database that machines share."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import optuna
from optuna.storages import BaseStorage, JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend
from sqlalchemy.exc import SQLAlchemyError

from baseline.errors import InputError

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
        return JournalStorage(JournalFileBackend(str(path)))
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
