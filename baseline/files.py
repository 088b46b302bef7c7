"""Files that are written whole or not at all, and what is said where one cannot be written."""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from baseline.errors import InputError

UNFINISHED = ".unfinished-"
"""What the names of files and folders begin with that are still being written."""

_ROOM = "Make room there, and run it again: what was finished before is kept and used."
_ELSEWHERE = "Name a place that may be written to and has room."

FULL = {
    errno.ENOSPC: _ROOM,
    errno.EDQUOT: _ROOM,
    errno.EFBIG: "No larger file is allowed here (ulimit -f): allow it, or name another place.",
    errno.EROFS: _ELSEWHERE,
}
"""What says nothing but that something cannot be written, and what to do about it."""


class WriteError(InputError):
    """A file or folder cannot be written; nothing that was there before is harmed."""


def cannot_write(path: Path | str, error: BaseException) -> WriteError:
    """What is to be told of something that cannot be written.

    Args:
        path: what should have been written.
        error: why not. Libraries in C put the system's own words somewhere into theirs.
    """
    number = error.errno if isinstance(error, OSError) else None
    if number is None:
        number = next((known for known in FULL if os.strerror(known) in str(error)), None)
    if number is None and "requested and" in str(error):  # NumPy does not pass on why
        number = errno.ENOSPC
    reason = os.strerror(number) if number else " ".join(str(error).split())[:200]
    return WriteError(f"{path}: cannot be written ({reason}).", FULL.get(number or 0, _ELSEWHERE))


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Say that it is `path` that cannot be written, where that is why the block fails.

    Raises:
        WriteError: the system refuses it; says why, and what to do.
    """
    try:
        yield
    except BrokenPipeError:  # whoever read it has seen enough
        raise
    except OSError as error:
        if _names_another(error, path):
            raise
        raise cannot_write(path, error) from None


def name_of(error: OSError) -> str | None:
    """The file that an error is about: of two, as in copying, that which is written."""
    name = error.filename2 or error.filename
    return name if isinstance(name, str) else None


def _names_another(error: OSError, path: Path) -> bool:
    """Whether an error is about a file that is neither this one, nor on its way, nor beside it."""
    name = name_of(error)
    if name is None:
        return False
    named, path = Path(name).absolute(), path.absolute()
    return not (named.parent == path.parent or named in path.parents or path in named.parents)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A file to write, which takes the place of `path` when the block ends well.

    It is in the same folder and ends alike, and is on the disk before it takes its place. Where
    `path` is a link, that which it points to is replaced; a device or a pipe is written to itself.

    Raises:
        WriteError: it cannot be written. What was there before is there still.
    """
    with writing(path):
        if path.exists() and not path.is_file():
            yield path
            return
        place = path.resolve() if path.is_symlink() else path
        descriptor, name = tempfile.mkstemp(
            prefix=UNFINISHED, suffix=place.suffix, dir=place.parent
        )
        os.close(descriptor)
        fresh = Path(name)
        try:
            yield fresh
            fresh.chmod(0o644)
            put(fresh, place)
        except BaseException:
            fresh.unlink(missing_ok=True)
            raise


def put(fresh: Path, place: Path) -> None:
    """Have a finished file on the disk, and only then in its place."""
    descriptor = os.open(fresh, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    fresh.replace(place)


def unfinished_folder(parent: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder in another for what becomes part of it once it is finished; a context."""
    return tempfile.TemporaryDirectory(dir=parent, prefix=UNFINISHED)


def remove_leftovers(*folders: Path) -> None:
    """Remove what processes that were killed had begun to write in these folders, not below."""
    for path in (path for folder in folders for path in folder.glob(f"{UNFINISHED}*")):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
