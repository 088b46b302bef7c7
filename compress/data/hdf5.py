"""Reading waveforms from HDF5 files that may be anything: every fault becomes an InputError."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from compress.data.identity import hash_of_ends

MAXIMUM_NUMBERS = 10_000_000
"""Of one trace: 9 hours of three components at 100 Hz, where records have minutes."""

MAXIMUM_CHUNK_BYTES = 2**28
"""Which HDF5 unpacks whole, however little of it is asked for."""

MAXIMUM_TEXT_BYTES = 1000

_INDEX_BYTES = 128 << 20
"""What HDF5 may keep of an index, its greatest; it takes what the file has, not this much."""

_DATA = "data"
_IDENTITY_BYTES = 1 << 20


@contextmanager
def _h5py_errors(path: Path, what: str) -> Iterator[None]:
    """Turns whatever h5py raises while `what` of `path` is read into an InputError."""
    try:
        yield
    except (OSError, LookupError, RuntimeError, ValueError, TypeError, MemoryError) as error:
        raise InputError(
            f"{path}: {what} cannot be read: {error}.",
            "The file may be damaged or cut short: compare its size with the original's.",
        ) from error


def open_waveforms(path: Path) -> h5py.File:
    """The HDF5 file at `path`, open for reading, with a group `data` in it.

    Raises:
        InputError: no such file, not HDF5, cut short, or without the group `data`.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file.", "The waveforms of the data set are missing.")
    with _h5py_errors(path, "the file"):
        path.open("rb").close()  # is_hdf5 also says no where reading is not permitted
        if not h5py.is_hdf5(path):
            raise InputError(
                f"{path}: not an HDF5 file.",
                "Was the download cut short, or is it a web page or a Git LFS pointer?",
            )
        file = h5py.File(path, "r")
        keep_index(file)
    if not isinstance(member(file, path, _DATA), h5py.Group):
        file.close()
        raise InputError(f"{path}: has no group '{_DATA}'.", "Waveforms are read from data/<name>.")
    return file


def keep_index(file: h5py.File) -> None:
    """Let HDF5 keep the index of an open file in memory.

    The names of a group are one block. STEAD's, of a million traces, is larger than what HDF5
    keeps by default: it would read, or write, all of it again for every trace.
    """
    settings = file.id.get_mdc_config()
    settings.set_initial_size = True
    settings.initial_size = settings.max_size = _INDEX_BYTES
    file.id.set_mdc_config(settings)


def member(file: h5py.File, path: Path, *names: str) -> h5py.Group | h5py.Dataset | None:
    """The group or dataset reached through `names`, or None where there is none.

    Only what is stored in the file itself is followed. External links, virtual datasets and
    external storage would read other files of the machine; soft links, which may lead through
    those, are refused with them (neither SeisBench nor STEAD writes any).

    Raises:
        InputError: a link other than a hard one on the way, or the file is damaged.
    """
    here: Any = file
    with _h5py_errors(path, "/".join(names)):
        for name in names:
            link = here.get(name, getlink=True) if isinstance(here, h5py.Group) else None
            if link is None:
                return None
            here = None if not isinstance(link, h5py.HardLink) else here[name]
            if here is None or (
                isinstance(here, h5py.Dataset) and (here.is_virtual or here.external)
            ):
                raise InputError(
                    f"{path}: {'/'.join(names)} is a link and not stored in the file itself.",
                    "Write the waveforms themselves into the file.",
                )
    return here


def read_scalar(file: h5py.File, path: Path, *names: str) -> str | float | None:
    """The one text or number stored in the dataset reached through `names`; None without it.

    Raises:
        InputError: it holds something else.
    """
    dataset = member(file, path, *names)
    if dataset is None:
        return None
    with _h5py_errors(path, "/".join(names)):
        if (
            isinstance(dataset, h5py.Dataset)
            and dataset.size == 1
            and dataset.nbytes <= MAXIMUM_TEXT_BYTES
            and _chunk_bytes(dataset) <= MAXIMUM_TEXT_BYTES
        ):
            value = np.asarray(dataset[()]).item()
            if isinstance(value, bytes):
                return value.decode("utf-8")
            if isinstance(value, str | int | float):
                return value
    raise InputError(f"{path}: {'/'.join(names)} holds neither one text nor one number.")


def read_trace(file: h5py.File, path: Path, trace_name: str) -> NDArray[np.generic]:
    """The two-dimensional array that `trace_name` stands for, in the axis order of the file.

    A plain name is the dataset `data/<name>`. A name such as `bucket3$17,:3,:6000` is a part of
    one: SeisBench joins traces into datasets with one more axis, padded to their longest, and
    gives after the `$` what to take along each axis, in numpy's notation (an index into the
    bucket, then the true extent of the trace).

    Raises:
        InputError: there is no such dataset, or it is not two-dimensional, not numeric, empty,
            damaged or a link.
    """
    block, dollar, location = trace_name.partition("$")
    selection = _parse_location(location, path, trace_name) if dollar else ()
    dataset = member(file, path, _DATA, *block.split("/"))
    record = f"{path}: record '{trace_name}'"
    if not isinstance(dataset, h5py.Dataset):
        raise InputError(
            f"{record} is in the metadata but has no waveform {_DATA}/{block}.",
            "Metadata and waveforms must belong together: was one of them replaced or cut short?",
        )
    with _h5py_errors(path, f"record '{trace_name}'"):
        dimensions = dataset.ndim - sum(isinstance(part, int) for part in selection)
        if dimensions != 2:
            raise InputError(
                f"{record} has {dimensions} dimensions (dataset of shape {dataset.shape}).",
                "Two are needed: components and samples.",
            )
        if dataset.dtype.kind not in "iuf":
            raise InputError(f"{record} holds {dataset.dtype}, not numbers.")
        numbers = math.prod(_selected(dataset.shape, selection))
        if numbers > MAXIMUM_NUMBERS or _chunk_bytes(dataset) > MAXIMUM_CHUNK_BYTES:
            raise InputError(
                f"{record} claims {numbers:,} numbers, read in chunks of "
                f"{_chunk_bytes(dataset):,} bytes (dataset of shape {dataset.shape}).",
                f"A record may have {MAXIMUM_NUMBERS:,} numbers and chunks of "
                f"{MAXIMUM_CHUNK_BYTES:,} bytes.",
            )
        waveform: NDArray[np.generic] = dataset[selection]
    if waveform.size == 0:
        raise InputError(f"{record} has no samples (shape {waveform.shape}).")
    return waveform


def _chunk_bytes(dataset: h5py.Dataset) -> int:
    """Of one chunk; 0 where the dataset is stored in one piece."""
    return math.prod(dataset.chunks) * dataset.dtype.itemsize if dataset.chunks else 0


def _selected(shape: tuple[int, ...], selection: tuple[int | slice, ...]) -> list[int]:
    """The extent along each axis that a selection leaves."""
    whole = [slice(None)] * (len(shape) - len(selection))
    return [
        len(range(*part.indices(size)))
        for size, part in zip(shape, (*selection, *whole), strict=True)
        if isinstance(part, slice)
    ]


def _parse_location(location: str, path: Path, trace_name: str) -> tuple[int | slice, ...]:
    """What stands after the `$` of a trace name, as a selection of the dataset."""
    try:
        return tuple(
            slice(*(int(bound) if bound.strip() else None for bound in part.split(":")))
            if ":" in part
            else int(part)
            for part in location.split(",")
        )
    except (ValueError, TypeError) as error:
        raise InputError(
            f"{path}: record '{trace_name}': '{location}' after the $ is not a place in a bucket.",
            "Expected index,:components,:samples, such as bucket0$5,:3,:6000.",
        ) from error


def content_identity(path: Path) -> str:
    """A hash of the size and of the first and the last MiB of the file.

    Reading the 85 GB of STEAD for each run would take minutes, and the time of modification
    changes with every copy. The ends hold HDF5's own index of what was written first and last, so
    that an appended, rewritten or truncated file is noticed; samples changed in place in the
    middle of a file of more than 2 MiB are not.

    Raises:
        InputError: the file cannot be read.
    """
    with _h5py_errors(path, "the file"):
        return hash_of_ends(path, _IDENTITY_BYTES)


class OpenFiles:
    """HDF5 files that are opened when first asked for and stay open, one handle each.

    Handles are never shared between processes: pickling drops them, and after a fork the child
    opens its own.
    """

    def __init__(self) -> None:
        self._handles: dict[Path, h5py.File] = {}
        self._process = os.getpid()

    def __getitem__(self, path: Path) -> h5py.File:
        """The open file; raises InputError as `open_waveforms` does."""
        if self._process != os.getpid():
            self._handles, self._process = {}, os.getpid()
        if path not in self._handles:
            self._handles[path] = open_waveforms(path)
        return self._handles[path]

    def __getstate__(self) -> dict[str, object]:
        return {"_handles": {}, "_process": 0}
