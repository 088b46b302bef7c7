"""Bad bundles, made of a released one."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fuzzing.cases import Arguments, Case, damaged
from benchmarks.fuzzing.contained import ROOT
from export.bundle import METADATA_FILE, REFERENCE_FILE

BUNDLE = ROOT / "artifacts/released/student-small-tflite-float32"
MODEL_FILE = "model.tflite"


def _verified(folder: Path, change: Callable[[Path], None]) -> Arguments:
    bundle = folder / "bundle"
    shutil.copytree(BUNDLE, bundle)
    change(bundle)
    return ["verify", bundle]


def _metadata(**changes: Any) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        path = bundle / METADATA_FILE
        metadata = json.loads(path.read_text(encoding="utf-8")) | changes
        path.write_text(json.dumps(metadata), encoding="utf-8")

    return change


def _content(name: str, content: bytes, key: str | None = None) -> Callable[[Path], None]:
    """Replaces a file, and its hash in the metadata where that has a key."""

    def change(bundle: Path) -> None:
        (bundle / name).write_bytes(content)
        if key:
            hashed = {key: hashlib.sha256(content).hexdigest()}
            sized = {"bytes": len(content)} if key == "sha256" else {}
            _metadata(**hashed, **sized)(bundle)

    return change


def _linked(name: str, target: str) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        (bundle / name).unlink()
        (bundle / name).symlink_to(target)

    return change


def _loop(bundle: Path) -> None:
    (bundle / MODEL_FILE).unlink()
    (bundle / MODEL_FILE).symlink_to(MODEL_FILE)


def _sparse(name: str, size: int) -> Callable[[Path], None]:
    def change(bundle: Path) -> None:
        os.truncate(bundle / name, size)

    return change


def _pipe(bundle: Path) -> None:
    (bundle / MODEL_FILE).unlink()
    os.mkfifo(bundle / MODEL_FILE)


def _array(shape: tuple[int, ...], dtype: str = "<f2", data: bytes = b"") -> bytes:
    """An `.npy` whose header claims what its data need not be."""
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + data


def _arrays(**members: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def _reference(content: bytes) -> Callable[[Path], None]:
    return _content(REFERENCE_FILE, content, "reference_sha256")


ZEROS = bytes(2 * 6000 * 3)
GOOD = _array((1, 6000, 3), "<u2", ZEROS)

CHANGES: dict[str, Callable[[Path], None]] = {
    "a model of another hash": _content(MODEL_FILE, b"another model"),
    "a hash of another model": _metadata(sha256="0" * 64),
    "a hash that is none": _metadata(sha256="../../etc/passwd"),
    "a size that is not the model's": _metadata(bytes=1),
    "a negative size": _metadata(bytes=-1),
    "no model": lambda bundle: (bundle / MODEL_FILE).unlink(),
    "a model outside": _metadata(file="../../../../etc/passwd"),
    "a model by its whole path": _metadata(file="/etc/passwd"),
    "a model in a folder": _metadata(file="sub/model.tflite"),
    "a model named by a NUL": _metadata(file="model\0.tflite"),
    "a model named ..": _metadata(file=".."),
    "the metadata for a model": _metadata(file=METADATA_FILE),
    "a link to /etc/passwd": _linked(MODEL_FILE, "/etc/passwd"),
    "a link to an endless device": _linked(MODEL_FILE, "/dev/zero"),
    "a link to itself": _loop,
    "a pipe for a model": _pipe,
    "a model of 1 TB": _sparse(MODEL_FILE, 2**40),
    "a bundle of tomorrow": _metadata(bundle_version=99),
    "another sampling rate": _metadata(sampling_rate_hz=50.0),
    "components in another order": _metadata(component_order="ZNE"),
    "thresholds above 1": _metadata(thresholds={"detection": 2, "p": 0.1, "s": 0.1}),
    "thresholds that are no numbers": _metadata(
        thresholds={"detection": float("nan"), "p": 0.1, "s": 0.1}
    ),
    "no thresholds": _metadata(thresholds={}),
    "a key that nobody knows": _metadata(execute="rm -rf /"),
    "a number for a name": _metadata(name=3),
    "metadata that are a list": _content(METADATA_FILE, b"[]"),
    "metadata nested 100,000 deep": _content(METADATA_FILE, b"[" * 100_000),
    "metadata of 1 GB": _sparse(METADATA_FILE, 2**30),
    "metadata in Latin-1": _content(METADATA_FILE, b'{"name": "\xe9"}'),
    "metadata cut short": _content(METADATA_FILE, b'{"bundle_version": 1,'),
    "no metadata": lambda bundle: (bundle / METADATA_FILE).unlink(),
    "counts that are missing": _metadata(counts_sha256="0" * 64),
    "reference windows that are missing": lambda bundle: (bundle / REFERENCE_FILE).unlink(),
    "reference windows of 1 TB": _sparse(REFERENCE_FILE, 2**40),
    "reference windows of objects": _reference(
        _arrays(windows=_array((1,), "|O", b"x"), predictions=GOOD)
    ),
    "10**12 reference windows": _reference(
        _arrays(windows=_array((10**12, 6000, 3)), predictions=GOOD)
    ),
    "reference windows of negative size": _reference(
        _arrays(windows=_array((-1, 6000, 3)), predictions=GOOD)
    ),
    "reference windows as a bomb": _reference(
        _arrays(windows=_array((1, 6000, 3)) + bytes(2**28), predictions=GOOD)
    ),
    "reference windows and more": _reference(
        _arrays(windows=_array((1, 6000, 3), "<f2", ZEROS), predictions=GOOD, more=GOOD)
    ),
    "a header with code": _reference(
        _arrays(windows=b"\x93NUMPY\x01\x00\x40\x00" + b"__import__('os')".ljust(64),
                predictions=GOOD)
    ),
}  # fmt: skip


def cases() -> Iterator[Case]:
    """See `benchmarks.fuzzing.cases.named`."""
    for name, change in CHANGES.items():
        yield Case("bundle", name, lambda folder, change=change: _verified(folder, change))


def _one_file(random: np.random.Generator, folder: Path) -> Arguments:
    def change(bundle: Path) -> None:
        path = bundle / str(random.choice([METADATA_FILE, MODEL_FILE, REFERENCE_FILE]))
        path.write_bytes(damaged(path.read_bytes(), random))

    return _verified(folder, change)


RANDOM: dict[str, Callable[[np.random.Generator, Path], Arguments]] = {"bundle": _one_file}
