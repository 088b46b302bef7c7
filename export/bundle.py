"""Bundles: what a user deploys. One folder with the model and all that goes with it.

`metadata.json` says what whoever runs the model has to know, and the SHA-256 of the other files:
of the model, of `counts.json` where it was measured, and of `reference.npz`, windows with what the
model answers to them. `README.md` is the model card. For microcontrollers, `model.h` and `model.c`
hold the model as C source.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from baseline.contract import COMPONENTS, NORMALISATION, OUTPUTS, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from baseline.errors import InputError
from baseline.files import unfinished_folder, writing
from export.c_source import HEADER_FILE, SOURCE_FILE, c_source
from export.convert import Format, Precision
from export.reference import MAXIMUM_BYTES, Reference, decode, encode, record
from export.runtimes import load_runner
from export.trial import MAXIMUM_BYTES as MAXIMUM_MODEL_BYTES
from export.trial import require_runnable

METADATA_FILE = "metadata.json"
COUNTS_FILE = "counts.json"
REFERENCE_FILE = "reference.npz"
CARD_FILE = "README.md"

MAXIMUM_METADATA_BYTES = 2**20
MAXIMUM_COUNTS_BYTES = 2**26

EXPORT_AGAIN = "Export the model again."


class Metadata(BaseModel):
    """What somebody who runs the model has to know, and where it comes from."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bundle_version: int = Field(default=1, description="Version of this format.")
    name: str
    file: str = Field(description="The model's file in this folder.")
    sha256: str = Field(description="Of that file.")
    bytes: int
    format: Format
    precision: Precision
    sampling_rate_hz: float = SAMPLING_RATE_HZ
    window_samples: int = WINDOW_SAMPLES
    component_order: str = COMPONENTS
    normalisation: str = NORMALISATION
    input: str = "waveform, float32 (1, 6000, 3)"
    output: str = "prediction, float32 (1, 6000, 3): probabilities in `output_order`"
    output_order: tuple[str, ...] = OUTPUTS
    thresholds: dict[str, float] = Field(
        description="Probabilities from which the metrics below count something as picked."
    )
    c_source: bool = Field(
        default=False, description="Whether `model.h` and `model.c` hold the model, too."
    )
    parity: dict[str, float] | None = Field(
        description="Difference from the float32 Keras model it was made of; null where that was "
        "not at hand."
    )
    metrics: dict[str, Any] = Field(default={}, description="As measured when it was exported.")
    counts_sha256: str | None = Field(
        default=None,
        description="Of `counts.json`, right and wrong picks by record; null where the model was "
        "exported without being measured.",
    )
    reference_sha256: str | None = Field(
        default=None,
        description="Of `reference.npz`, windows with what the model answers to them; null in "
        "bundles written before there were any.",
    )
    provenance: dict[str, Any] = Field(description="Baseline, stages, data, versions.")
    licence: str
    citation: str

    @field_validator(
        "bundle_version",
        "sampling_rate_hz",
        "window_samples",
        "component_order",
        "normalisation",
        "output_order",
    )
    @classmethod
    def _as_run_here(cls, value: Any, info: ValidationInfo) -> Any:
        """Refuse a model that would be fed or understood wrongly."""
        assert info.field_name is not None
        known = cls.model_fields[info.field_name].default
        if value != known:
            raise ValueError(f"{value!r} is not {known!r}, which is all this version can run")
        return value

    @field_validator("thresholds")
    @classmethod
    def _of_all_outputs(cls, value: dict[str, float]) -> dict[str, float]:
        if set(value) != set(OUTPUTS) or not all(0.0 < one <= 1.0 for one in value.values()):
            raise ValueError(f"{value} are not numbers above 0, up to 1, for {', '.join(OUTPUTS)}")
        return value

    def given(self) -> dict[str, Any]:
        """The fields that `write_bundle` does not work out itself."""
        return self.model_dump(
            exclude={"name", "file", "sha256", "bytes", "counts_sha256", "reference_sha256"}
        )


def write_bundle(
    folder: Path,
    model: Path,
    metadata: dict[str, Any],
    name: str,
    counts: str | None = None,
    reference: Reference | None = None,
) -> Metadata:
    """Write a bundle, whole or not at all; one that stands there is replaced.

    Args:
        folder: the bundle.
        model: the exported `.tflite` or `.onnx` file; copied.
        metadata: the fields of `Metadata` that do not follow from the file.
        name: of the model.
        counts: what was measured of it, in JSON, for later comparisons; `read_counts` gives it
            back.
        reference: windows and what that very file answers to them; `read_reference` gives it back.

    Raises:
        InputError: the folder is something else's, or cannot be written to.
    """
    content = model.read_bytes()
    answers = encode(reference) if reference else None
    complete = Metadata(
        name=name,
        file=f"model{model.suffix}",
        sha256=_sha256(content),
        bytes=len(content),
        counts_sha256=_sha256(counts.encode()) if counts else None,
        reference_sha256=_sha256(answers) if answers else None,
        **metadata,
    )
    with writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
    with writing(folder), unfinished_folder(folder.parent) as scratch:
        fresh = Path(scratch) / "bundle"
        fresh.mkdir()
        (fresh / complete.file).write_bytes(content)
        (fresh / METADATA_FILE).write_text(
            complete.model_dump_json(indent=1) + "\n", encoding="utf-8"
        )
        if counts:
            (fresh / COUNTS_FILE).write_bytes(counts.encode())
        if answers:
            (fresh / REFERENCE_FILE).write_bytes(answers)
        for file, text in (c_source(content, complete) if complete.c_source else {}).items():
            (fresh / file).write_text(text, encoding="utf-8")
        (fresh / CARD_FILE).write_text(_card(complete), encoding="utf-8")
        require_replaceable(folder)
        if folder.exists():
            folder.rename(Path(scratch) / "replaced")
        fresh.rename(folder)
    return complete


def require_replaceable(folder: Path) -> None:
    """See that a bundle can be written to a folder without harm to anything else.

    Raises:
        InputError: it is there, and neither empty nor a bundle.
    """
    if folder.is_dir() and ((folder / METADATA_FILE).is_file() or not any(folder.iterdir())):
        return
    if folder.exists():
        raise InputError(
            f"{folder}: exists and is no bundle, so it is not replaced.", "Give another folder."
        )


def read_bundle(folder: Path) -> tuple[Metadata, Path]:
    """A bundle's metadata and the path of its model, whose hash is verified.

    Raises:
        InputError: not a bundle, damaged metadata, or a model that is missing or altered.
    """
    path = folder / METADATA_FILE
    try:
        if path.stat().st_size > MAXIMUM_METADATA_BYTES:
            raise InputError(f"{path}: is larger than {MAXIMUM_METADATA_BYTES:,} bytes.")
        metadata = Metadata.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{folder}: not a bundle ({METADATA_FILE}: {error.strerror}).") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text.") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: {key}: {first['msg']}.") from None
    if metadata.file != f"model.{metadata.format.value}":
        raise InputError(
            f"{path}: its model is {metadata.file[:100]!r}, where a bundle of "
            f"{metadata.format.value} has model.{metadata.format.value}."
        )
    content = _read_part(folder, metadata.file, metadata.sha256, MAXIMUM_MODEL_BYTES)
    if len(content) != metadata.bytes:
        raise InputError(
            f"{path}: bytes: the model has {len(content):,}, not {metadata.bytes:,}.",
            f"The file was altered. {EXPORT_AGAIN}",
        )
    return metadata, folder / metadata.file


def read_counts(folder: Path) -> str:
    """What was measured of a bundle's model, as `write_bundle` was given it; its hash is verified.

    Raises:
        InputError: not a bundle, one that was not measured, or counts that are missing or altered.
    """
    metadata, _ = read_bundle(folder)
    if metadata.counts_sha256 is None:
        raise InputError(
            f"{folder}: this bundle holds no counts: it was exported without being measured.",
            f"Measure it (`compress evaluate {folder} --json FILE`), or let `compress run` export "
            "it.",
        )
    return _read_part(folder, COUNTS_FILE, metadata.counts_sha256, MAXIMUM_COUNTS_BYTES).decode()


def read_reference(folder: Path) -> Reference | None:
    """A bundle's reference windows and their answers, whose hash is verified; None if it has none.

    Raises:
        InputError: not a bundle, or reference windows that are missing, altered or something else.
    """
    metadata, _ = read_bundle(folder)
    if metadata.reference_sha256 is None:
        return None
    content = _read_part(folder, REFERENCE_FILE, metadata.reference_sha256, MAXIMUM_BYTES)
    try:
        return decode(content)
    except InputError as error:
        raise InputError(f"{folder / REFERENCE_FILE}: {error.message}", EXPORT_AGAIN) from None


def add_reference(folder: Path, windows: NDArray[np.float32]) -> Metadata:
    """Give a bundle reference windows, or other ones; the model and its counts stay as they are.

    Args:
        folder: the bundle.
        windows: normalised, (n, 6000, 3); the bundle's model answers them here and now.

    Raises:
        InputError: not a bundle, a damaged one, or a model that cannot be run.
    """
    metadata, model = read_bundle(folder)
    require_runnable(model)
    return write_bundle(
        folder,
        model,
        metadata.given(),
        metadata.name,
        read_counts(folder) if metadata.counts_sha256 else None,
        record(load_runner(model), windows),
    )


def _read_part(folder: Path, name: str, sha256: str, maximum_bytes: int) -> bytes:
    """The content of one of a bundle's files, if it is what `metadata.json` says."""
    path = folder / name
    if not path.is_file():
        raise InputError(f"{folder}: its {name} is missing.", EXPORT_AGAIN)
    if path.stat().st_size > maximum_bytes:
        raise InputError(f"{path}: is larger than {maximum_bytes:,} bytes.", EXPORT_AGAIN)
    content = path.read_bytes()
    if _sha256(content) != sha256:
        raise InputError(
            f"{path}: its SHA-256 is not the one in {METADATA_FILE}.",
            f"The file was altered or cut short. {EXPORT_AGAIN}",
        )
    return content


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _card(metadata: Metadata) -> str:
    """The model card, in Markdown."""
    checked = (
        f"\n| check | `compress verify` runs the windows of `{REFERENCE_FILE}` and compares with "
        "what this file answered when it was exported |"
        if metadata.reference_sha256
        else ""
    )
    source = (
        f"\n| C source | `{HEADER_FILE}` and `{SOURCE_FILE}`, for TensorFlow Lite for "
        "Microcontrollers |"
        if metadata.c_source
        else ""
    )
    parity = (
        f"at most {metadata.parity['maximum_difference']:.3g} over "
        f"{metadata.parity['windows']:.0f} windows run in sequence"
        if metadata.parity
        else "not measured: only the exported file was at hand"
    )
    metrics = "\n".join(
        f"| {name} | {_figure(value)} |" for name, value in sorted(metadata.metrics.items())
    )
    measured = (
        f"\n## Accuracy\n\n| metric | value (95 % interval) |\n|---|---|\n{metrics}\n"
        if metrics
        else ""
    )
    return f"""# {metadata.name}: {metadata.format.value}, {metadata.precision.value}

Detects earthquakes and picks P and S arrivals in 60 s of three-component seismograms. Made from
EQTransformer by compression.

| | |
|---|---|
| file | `{metadata.file}`, {metadata.bytes:,} bytes, SHA-256 `{metadata.sha256}` |{source}
| input | {metadata.input}; components {", ".join(metadata.component_order)} at \
{metadata.sampling_rate_hz:g} Hz; {metadata.normalisation} |
| output | {metadata.output} ({", ".join(metadata.output_order)}) |
| thresholds | {", ".join(f"{k} {v:g}" for k, v in metadata.thresholds.items())} |
| difference from the Keras model | {parity} |{checked}
| licence | {metadata.licence} |
| cite | {metadata.citation} |
{measured}
## Where it comes from

```json
{json.dumps(metadata.provenance, indent=1)}
```
"""


def _figure(value: Any) -> str:
    if isinstance(value, dict) and value.get("lower") is not None:
        return f"{value['point']:.4g} ({value['lower']:.4g} to {value['upper']:.4g})"
    if isinstance(value, dict):
        return "not measurable" if value.get("point") is None else f"{value['point']:.4g}"
    return str(value)
