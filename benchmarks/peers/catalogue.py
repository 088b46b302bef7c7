"""Every way to run the network that is measured, and in which environment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from baseline.errors import InputError
from baseline.published import fetch
from benchmarks.peers.models import PUBLISHED
from export.bundle import read_bundle
from export.convert import Format, Precision

WORKERS = Path(__file__).parent / "workers"
RELEASED = Path("artifacts/released")

REFERENCE = "seisbench-eqtransformer"
"""What all others are compared with: the network as most who pick with Python run it."""

SIMPLIFIED = "simplified"
RANDOM = "random"
COMPARED = (PUBLISHED, SIMPLIFIED)
"""Weights with which every way has to give the same answers."""

INTEGER = (Precision.INT8.value, Precision.DYNAMIC.value)
"""Precisions whose arithmetic is held against the machine's integer arithmetic."""


@dataclass(frozen=True)
class Peer:
    """One way to run one network.

    Attributes:
        name: in results and in `--only`.
        title: in tables and figures.
        environment: of `requirements/`; None for this project's own.
        script: the worker.
        arguments: of the script, before the model.
        model: a model's file, or what the worker makes one of.
        weights: whose they are: the published model's, simplified, a bundle's name, or random.
        precision: in which it computes.
        counted: the file whose graph is counted for multiply-adds; None where the worker counts.
    """

    name: str
    title: str
    environment: str | None
    script: Path
    model: Path | str
    weights: str
    precision: str = Precision.FLOAT32.value
    arguments: tuple[str, ...] = ()
    counted: Path | None = None

    @property
    def ours(self) -> bool:
        """Whether this project made the file."""
        return self.weights not in (PUBLISHED, RANDOM)


def catalogue(models: Path, bundles: Iterable[Path]) -> list[Peer]:
    """All of them.

    Args:
        models: the folder that `benchmarks.peers.models` filled.
        bundles: folders of exported models of this project.

    Raises:
        InputError: a file is missing, or a bundle is damaged.
    """
    ways = [*_published(models), *_seisbench(), *_simplified(models)]
    return [*ways, *(peer for folder in bundles for peer in _bundle(folder))]


def _published(models: Path) -> list[Peer]:
    counted = _made(models / "published-float32.tflite")
    ways = [
        ("keras-predict", "tf_keras, predict", "tensorflow", "keras_model.py", "predict"),
        ("keras-function", "tf_keras, tf.function", "tensorflow", "keras_model.py", "function"),
    ]
    keras = [
        Peer(name, title, environment, WORKERS / script, fetch(PUBLISHED), PUBLISHED,
             arguments=(mode,), counted=counted)
        for name, title, environment, script, mode in ways
    ]  # fmt: skip
    files = [
        ("tflite", "TFLite", "litert", "tflite_model.py", ".tflite", "float32"),
        ("tflite", "TFLite", "litert", "tflite_model.py", ".tflite", "dynamic"),
        ("onnxruntime", "ONNX Runtime", "onnxruntime", "onnx_model.py", ".onnx", "float32"),
        ("onnxruntime", "ONNX Runtime", "onnxruntime", "onnx_model.py", ".onnx", "dynamic"),
        ("openvino", "OpenVINO", "openvino", "openvino_model.py", ".onnx", "float32"),
    ]
    return keras + [
        Peer(f"{runtime}-{precision}", f"{title}, {_spoken(precision)}", environment,
             WORKERS / script, _made(models / f"published-{precision}{ending}"), PUBLISHED,
             precision, counted=counted)
        for runtime, title, environment, script, ending, precision in files
    ]  # fmt: skip


def _seisbench() -> list[Peer]:
    return [
        Peer(f"seisbench-{name.lower()}", f"SeisBench {name}, PyTorch", "seisbench",
             WORKERS / "seisbench_model.py", name, RANDOM)
        for name in ("EQTransformer", "PhaseNet", "PhaseNetLight")
    ]  # fmt: skip


def _simplified(models: Path) -> list[Peer]:
    peers = []
    for title, ending in (("TFLite", ".tflite"), ("ONNX Runtime", ".onnx")):
        file = _made(models / f"simplified-float32{ending}")
        peers.append(
            Peer(f"simplified-{ending[1:]}-float32", f"simplified, {title}, float32", None,
                 WORKERS / "own_model.py", file, SIMPLIFIED, counted=file)
        )  # fmt: skip
    return peers


def _bundle(folder: Path) -> list[Peer]:
    """As this project runs it, and float32 ONNX in OpenVINO as well."""
    metadata, file = read_bundle(folder)
    precision = metadata.precision.value
    runtimes = {"tflite": "TFLite", "onnx": "ONNX Runtime"}
    ways: list[tuple[str, str, str | None, str]] = [
        ("", runtimes[metadata.format.value], None, "own_model.py")
    ]
    if metadata.format is Format.ONNX and metadata.precision is Precision.FLOAT32:
        ways.append(("-openvino", "OpenVINO", "openvino", "openvino_model.py"))
    return [
        Peer(f"{folder.name}{ending}", f"{metadata.name}, {runtime}, {_spoken(precision)}",
             environment, WORKERS / script, file, metadata.name, precision, counted=file)
        for ending, runtime, environment, script in ways
    ]  # fmt: skip


def released() -> list[Path]:
    """The bundles that this project ships."""
    return sorted(path.parent for path in RELEASED.glob("*/metadata.json"))


def _made(path: Path) -> Path:
    if not path.is_file():
        raise InputError(
            f"{path}: there is no such file.", "Run `python -m benchmarks.peers.models` first."
        )
    return path


def _spoken(precision: str) -> str:
    return "dynamic int8" if precision == Precision.DYNAMIC else precision
