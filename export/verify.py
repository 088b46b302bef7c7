"""Whether a bundle is whole, and still answers what it answered when it was exported."""

from __future__ import annotations

import math
import re
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path
from typing import Any

from baseline.errors import InputError
from export.bundle import (
    COUNTS_FILE,
    EXPORT_AGAIN,
    REFERENCE_FILE,
    Metadata,
    read_bundle,
    read_counts,
    read_reference,
)
from export.c_source import HEADER_FILE, SOURCE_FILE
from export.convert import Format, Precision
from export.reference import Difference
from export.runtimes import load_runner
from export.trial import require_runnable

RUNTIMES = {Format.TFLITE: "ai-edge-litert", Format.ONNX: "onnxruntime"}
"""Packages that run the formats."""

FLOAT_TOLERANCE = 1e-3
"""Most by which any probability of a float model may differ; other kernels make about 1e-6."""

INTEGER_TOLERANCE = 0.015
"""Most root mean square difference of a model that computes in integers.

Kernels round differently, and one step of 256 early in the network becomes a third of a
probability on the flank of an onset: single samples say nothing. On the reference windows of the
released int8 files TFLite's plain kernels are up to 0.0083 from those of XNNPACK; the answers of
the other student are 0.022 away, answers 0.1 s late 0.034 (docs/deploy.md)."""


class Outcome(StrEnum):
    """What came of a check."""

    PASS = "pass"
    FAIL = "fail"
    NOT_CHECKED = "not checked"


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes:
        what: the file, or what was run.
        outcome: what came of it.
        detail: a sentence about it.
    """

    what: str
    outcome: Outcome
    detail: str


@dataclass(frozen=True)
class Verification:
    """What was found out about a bundle that is not damaged.

    Attributes:
        metadata: what the bundle says of itself.
        checks: one for each of its files, one for loading the model, one for its answers.
        difference: of its answers from the recorded ones; None where none are recorded.
    """

    metadata: Metadata
    checks: tuple[Check, ...]
    difference: Difference | None

    @property
    def outcome(self) -> Outcome:
        """Whether the model answers what it answered, as far as the bundle tells."""
        return self.checks[-1].outcome

    def to_dict(self) -> dict[str, Any]:
        """For JSON; a difference that is no number becomes null."""
        difference = asdict(self.difference) if self.difference else {}
        return {
            "outcome": self.outcome.value,
            "checks": [asdict(check) for check in self.checks],
            "difference": {k: v if math.isfinite(v) else None for k, v in difference.items()},
            "metadata": self.metadata.model_dump(mode="json"),
        }


def verify(folder: Path) -> Verification:
    """Compute a bundle's hashes anew, load its model, and run its reference windows in sequence.

    Raises:
        InputError: not a bundle, a damaged one, or a model that its runtime cannot run.
    """
    metadata, model = read_bundle(folder)
    as_written, absent = "SHA-256 as in metadata.json", "none in this bundle"
    checks = [Check(metadata.file, Outcome.PASS, f"{metadata.bytes:,} bytes, {as_written}")]
    if metadata.counts_sha256:
        read_counts(folder)
        checks.append(Check(COUNTS_FILE, Outcome.PASS, as_written))
    else:
        checks.append(Check(COUNTS_FILE, Outcome.NOT_CHECKED, absent))
    reference = read_reference(folder)
    if reference:
        number = len(reference.windows)
        checks.append(Check(REFERENCE_FILE, Outcome.PASS, f"{number} windows, {as_written}"))
    else:
        checks.append(Check(REFERENCE_FILE, Outcome.NOT_CHECKED, absent))
    if metadata.c_source:
        _require_source(folder, metadata, model.read_bytes())
        same = f"hold the bytes of {metadata.file} and their SHA-256"
        checks.append(Check(f"{HEADER_FILE}, {SOURCE_FILE}", Outcome.PASS, same))
    require_runnable(model)
    runner = load_runner(model)
    package = RUNTIMES[metadata.format]
    checks.append(Check("runtime", Outcome.PASS, f"{package} {version(package)} loads the model"))
    if reference is None:
        unknown = "nothing to compare with: nobody knows whether the model still answers the same"
        checks.append(Check("answers", Outcome.NOT_CHECKED, unknown))
        return Verification(metadata, tuple(checks), None)
    difference = reference.difference(runner)
    checks.append(_compare(difference, metadata.precision))
    return Verification(metadata, tuple(checks), difference)


def _require_source(folder: Path, metadata: Metadata, content: bytes) -> None:
    """See that the C source is of this very model."""
    try:
        header = (folder / HEADER_FILE).read_text(encoding="utf-8")
        source = (folder / SOURCE_FILE).read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{error.filename}: {error.strerror}.", EXPORT_AGAIN) from None
    except UnicodeDecodeError:
        raise InputError(f"{folder}: its C source is not UTF-8 text.", EXPORT_AGAIN) from None
    values = re.findall(r"\b0x([0-9a-f]{2})\b", source.partition("] = {")[2])
    for name, right in (
        (HEADER_FILE, f'"{metadata.sha256}"' in header),
        (SOURCE_FILE, bytes.fromhex("".join(values)) == content),
    ):
        if not right:
            raise InputError(f"{folder / name}: is not of {metadata.file}.", EXPORT_AGAIN)


def _compare(difference: Difference, precision: Precision) -> Check:
    found = (
        f"{difference.maximum:.2g} at most, {difference.rms:.2g} root mean square from the "
        f"recorded answers over {difference.windows} windows in sequence; "
    )
    if precision in (Precision.FLOAT32, Precision.FLOAT16):
        passed = difference.maximum <= FLOAT_TOLERANCE
        allowed = f"{FLOAT_TOLERANCE:g} at most is allowed"
    else:
        passed = difference.rms <= INTEGER_TOLERANCE
        allowed = f"{INTEGER_TOLERANCE:g} root mean square is allowed"
    return Check("answers", Outcome.PASS if passed else Outcome.FAIL, found + allowed)
