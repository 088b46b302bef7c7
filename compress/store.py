"""The artifact store: one folder per finished stage, found again by what went into it."""

from __future__ import annotations

import hashlib
import json
import shlex
import shutil
import sys
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from baseline.files import remove_leftovers, whole_file, writing

PACKAGES = (
    "numpy",
    "tensorflow",
    "tensorflow-model-optimization",
    "tf-keras",
    "tf2onnx",
    "onnx",
    "onnxruntime",
    "ai-edge-litert",
)
"""Packages whose version may change what a stage makes or what is measured of it."""

CODE = ("baseline", "compress", "export")

STAGES_FOLDER = "stages"
PARTIAL_ENDING = ".partial"
"""Of the name of a stage's folder while the stage is being made."""
SCRATCH_FOLDER = "scratch"
"""In a stage's folder while the stage is being made: what it goes on from when interrupted."""
TARGETS_FOLDER = "targets"
"""Beside the stages until a run is through: what teachers answered, for all stages."""
KERAS_FILE = "model.keras"
TFLITE_FILE = "model.tflite"
MANIFEST_FILE = "manifest.json"
LAYERS_FILE = "layers.json"
EVALUATION_FILE = "evaluation.json"
WINDOWS_FILE = "windows.npz"
TRAINING_ENDING = ".training.json"

MAXIMUM_ARRAYS_BYTES = 500_000_000
"""Of the arrays of one file, unpacked."""


@dataclass(frozen=True)
class Artifact:
    """A finished stage on disk.

    Attributes:
        folder: holds `model.keras`, `model.tflite`, `manifest.json`, `layers.json` (what became of
            each layer) and, once measured, `evaluation.json` and `windows.npz` (window by window).
        key: hash of everything that went into the model.
    """

    folder: Path
    key: str

    @property
    def label(self) -> str:
        """What the stage is called in results."""
        return self.folder.name.rsplit("-", 1)[0]

    @property
    def keras(self) -> Path:
        """The float32 graph."""
        return self.folder / KERAS_FILE

    @property
    def tflite(self) -> Path:
        """What is deployed and measured."""
        return self.folder / TFLITE_FILE

    @property
    def weights_sha256(self) -> str:
        """Hash of the float32 graph's weights; see `baseline.checkpoint.weights_hash`."""
        return self._manifest()["weights_sha256"]

    def is_whole(self) -> bool:
        """Whether it was finished, and every file that was made then still is what it was."""
        try:
            files = self._manifest()["files"]
            return all(file_hash(self.folder / name) == known for name, known in files.items())
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return False

    def _manifest(self) -> dict[str, Any]:
        return json.loads((self.folder / MANIFEST_FILE).read_text(encoding="utf-8"))

    def layers(self) -> list[dict[str, str]]:
        """What the stage made of each layer of the graph before; nothing for the baseline."""
        path = self.folder / LAYERS_FILE
        return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else []

    def training(self) -> dict[str, dict[str, Any]]:
        """By what was trained: its steps, how long they took, and the share spent waiting."""
        return {
            path.name.removesuffix(TRAINING_ENDING): json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(self.folder.glob(f"*{TRAINING_ENDING}"))
        }

    def evaluation(self, key: str) -> dict[str, Any] | None:
        """What was measured of it under this evaluation key, or None."""
        path = self.folder / EVALUATION_FILE
        if not path.is_file():
            return None
        stored = json.loads(path.read_text(encoding="utf-8"))
        return stored["result"] if stored["key"] == key else None

    def keep_evaluation(self, key: str, result: dict[str, Any]) -> None:
        """Store what was measured of it."""
        write_json(self.folder / EVALUATION_FILE, {"key": key, "result": result})

    def windows(self, key: str) -> dict[str, NDArray[Any]] | None:
        """What was kept of every window under this evaluation key, or None."""
        path = self.folder / WINDOWS_FILE
        if not path.is_file():
            return None
        arrays = read_arrays(path)
        return arrays if str(arrays.pop("key", "")) == key else None

    def keep_windows(self, key: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Store what is to be known of every window."""
        write_arrays(self.folder / WINDOWS_FILE, {**arrays, "key": np.array(key)})


class Store:
    """The finished stages of one run folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def find(self, label: str, key: str) -> Artifact | None:
        """The finished stage with this label and key, if there is one, and it is undamaged."""
        artifact = self.get(label, key)
        return artifact if artifact.is_whole() else None

    def get(self, label: str, key: str) -> Artifact:
        """The stage with this label and key, known to be finished."""
        return Artifact(self._folder / f"{label}-{key[:12]}", key)

    @contextmanager
    def unfinished(self, label: str, key: str, manifest: dict[str, Any]) -> Iterator[Path]:
        """A folder to make a stage in, which becomes an artifact when the block ends well.

        If the block fails or the process dies, the folder stays and is handed out again to whoever
        makes the same stage, with its checkpoints; it is never taken for a finished one. The
        subfolder `scratch` is removed in the end, and not before the stage is finished: of half the
        checkpoints another model would be made.

        Args:
            label: of the stage.
            key: of the stage.
            manifest: what is to be known of it, as it is when the block ends; hashes of all files
                are added.

        Raises:
            InputError: the folder cannot be written to.
        """
        final = self.get(label, key).folder
        folder = final.with_name(final.name + PARTIAL_ENDING)
        scratch = folder / SCRATCH_FOLDER
        with writing(folder):
            scratch.mkdir(parents=True, exist_ok=True)
            remove_leftovers(folder, scratch)
        yield folder
        with writing(folder):
            files = {path.name: file_hash(path) for path in folder.iterdir() if path.is_file()}
            files.pop(MANIFEST_FILE, None)  # of a process that was killed right here
            write_json(folder / MANIFEST_FILE, manifest | {"files": files})
            if final.exists():  # damaged, or not by this program
                shutil.rmtree(final)
            folder.rename(final)
            shutil.rmtree(final / SCRATCH_FOLDER)

    def tidy(self) -> None:
        """Remove what processes that were killed left in finished stages; nobody else may run."""
        for folder in self._folder.iterdir():
            if folder.suffix != PARTIAL_ENDING:
                remove_leftovers(folder)
                shutil.rmtree(folder / SCRATCH_FOLDER, ignore_errors=True)


def write_json(path: Path, document: Any) -> None:
    """Write a JSON file whole or not at all."""
    write_text(path, json_text(document))


def json_text(document: Any) -> str:
    """A document as this program writes JSON, with the newline at the end."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with whole_file(path) as fresh:
        fresh.write_bytes(text.encode())


def write_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write an `.npz` file, compressed, whole or not at all."""
    with whole_file(path) as fresh, fresh.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """What `write_arrays` wrote.

    Raises:
        InputError: the file cannot be read, or holds something else or more than 500 MB.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MAXIMUM_ARRAYS_BYTES:
            raise InputError(f"{path}: larger than {MAXIMUM_ARRAYS_BYTES:,} bytes.")
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, MemoryError, zipfile.BadZipFile, zlib.error) as error:
        raise InputError(
            f"{path}: cannot be read ({error}).", "Remove it: the run makes it anew."
        ) from None


def content_key(*parts: Any) -> str:
    """A SHA-256 over values that JSON can hold, in a canonical form."""
    canonical = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode()).hexdigest()


def file_hash(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@cache
def versions() -> dict[str, str]:
    """Versions of this program and of the packages that matter to a result and are installed."""
    found = {}
    for package in ("eqt-compress", *PACKAGES):
        with suppress(PackageNotFoundError):  # the extra `train` is needed for some results only
            found[package] = version(package)
    return found


def heading(*program: str) -> dict[str, Any]:
    """What every JSON document of measurements begins with: how it was made, when, by what.

    Args:
        program: the words of the command before its arguments, such as `compress`.
    """
    return {
        "format": 1,
        "command": shlex.join([*program, *sys.argv[1:]]),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
    }


@cache
def code_hash() -> str:
    """A hash of this program's source, so that changed code never passes for unchanged."""
    root = Path(__file__).resolve().parents[1]
    digest = hashlib.sha256()
    for package in CODE:
        for path in sorted((root / package).rglob("*.py")):
            digest.update(str(path.relative_to(root)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()
