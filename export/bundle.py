"""Bundles: what a user deploys. One folder with the model, `metadata.json` and a model card."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from baseline.contract import COMPONENTS, NORMALISATION, OUTPUTS, SAMPLING_RATE_HZ, WINDOW_SAMPLES
from baseline.errors import InputError
from export.convert import Format, Precision

METADATA_FILE = "metadata.json"
COUNTS_FILE = "counts.json"
CARD_FILE = "README.md"


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
    parity: dict[str, float] = Field(
        description="Difference from the float32 Keras model it was made of."
    )
    metrics: dict[str, Any] = Field(default={}, description="As measured when it was exported.")
    counts_sha256: str | None = Field(
        default=None,
        description="Of `counts.json`, right and wrong picks by record; null where the model was "
        "exported without being measured.",
    )
    provenance: dict[str, Any] = Field(description="Baseline, stages, data, versions.")
    licence: str
    citation: str


def write_bundle(
    folder: Path, model: Path, metadata: dict[str, Any], name: str, counts: str | None = None
) -> Metadata:
    """Write a bundle, whole or not at all; one that stands there is replaced.

    Args:
        folder: the bundle.
        model: the exported `.tflite` or `.onnx` file; copied.
        metadata: the fields of `Metadata` that do not follow from the file.
        name: of the model.
        counts: what was measured of it, in JSON, for later comparisons; `read_counts` gives it
            back.
    """
    content = model.read_bytes()
    complete = Metadata(
        name=name,
        file=f"model{model.suffix}",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        counts_sha256=hashlib.sha256(counts.encode()).hexdigest() if counts else None,
        **metadata,
    )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".bundle-") as scratch:
        fresh = Path(scratch) / "bundle"
        fresh.mkdir()
        (fresh / complete.file).write_bytes(content)
        (fresh / METADATA_FILE).write_text(
            complete.model_dump_json(indent=1) + "\n", encoding="utf-8"
        )
        if counts:
            (fresh / COUNTS_FILE).write_bytes(counts.encode())
        (fresh / CARD_FILE).write_text(_card(complete), encoding="utf-8")
        if folder.exists():
            if not (folder / METADATA_FILE).is_file() and any(folder.iterdir()):
                raise InputError(
                    f"{folder}: exists and is no bundle, so it is not replaced.",
                    "Give another folder.",
                )
            shutil.rmtree(folder)
        fresh.rename(folder)
    return complete


def read_bundle(folder: Path) -> tuple[Metadata, Path]:
    """A bundle's metadata and the path of its model, whose hash is verified.

    Raises:
        InputError: not a bundle, damaged metadata, or a model that is missing or altered.
    """
    path = folder / METADATA_FILE
    try:
        metadata = Metadata.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{folder}: not a bundle ({METADATA_FILE}: {error.strerror}).") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text.") from None
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise InputError(f"{path}: {key}: {first['msg']}.") from None
    if Path(metadata.file).name != metadata.file:
        raise InputError(f"{path}: its model {metadata.file!r} is not in the bundle's folder.")
    model = folder / metadata.file
    if not model.is_file():
        raise InputError(f"{folder}: its model {metadata.file} is missing.")
    if hashlib.sha256(model.read_bytes()).hexdigest() != metadata.sha256:
        raise InputError(
            f"{model}: its SHA-256 is not the one in {METADATA_FILE}.",
            "The file was altered or cut short; export it again.",
        )
    return metadata, model


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
    path = folder / COUNTS_FILE
    if not path.is_file():
        raise InputError(f"{folder}: its {COUNTS_FILE} is missing.", "Export the model again.")
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != metadata.counts_sha256:
        raise InputError(
            f"{path}: its SHA-256 is not the one in {METADATA_FILE}.",
            "The file was altered or cut short; export the model again.",
        )
    return content.decode()


def _card(metadata: Metadata) -> str:
    """The model card, in Markdown."""
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
| file | `{metadata.file}`, {metadata.bytes:,} bytes, SHA-256 `{metadata.sha256}` |
| input | {metadata.input}; components {", ".join(metadata.component_order)} at \
{metadata.sampling_rate_hz:g} Hz; {metadata.normalisation} |
| output | {metadata.output} ({", ".join(metadata.output_order)}) |
| thresholds | {", ".join(f"{k} {v:g}" for k, v in metadata.thresholds.items())} |
| difference from the Keras model | at most {metadata.parity["maximum_difference"]:.3g} over \
{metadata.parity["windows"]:.0f} windows run in sequence |
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
