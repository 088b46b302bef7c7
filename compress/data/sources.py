"""Data sets as pipelines declare them: the configuration of each kind of source."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Mapping, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from baseline.errors import InputError
from compress.data.records import Category, Record, Source
from compress.data.seisbench import SeisBenchSource
from compress.data.stead import SteadSource
from compress.data.synthetic import SyntheticSource


def relative_to_file(path: Path | None, info: ValidationInfo) -> Path | None:
    """A path as written in a pipeline file, taken from the folder of that file."""
    folder = (info.context or {}).get("folder")
    if path is None or folder is None or path.is_absolute():
        return path
    return Path(folder) / path


class _SourceConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SyntheticConfig(_SourceConfig):
    """Synthetic earthquakes and noise, built in: no download, and the same for the same seed."""

    kind: Literal["synthetic"]
    records: int = Field(ge=1, le=10_000_000, description="Number of records.")
    seed: int = Field(
        ge=0, description="Seed of the records; sets with different seeds share none."
    )
    noise_fraction: float = Field(
        default=0.25, ge=0, le=1, description="Share of the records that hold noise only."
    )
    duration_s: float = Field(default=90, ge=60, le=600, description="Length of a record, s.")
    snr_db: tuple[float, float] = Field(
        default=(3, 35), description="Range of the signal-to-noise ratio, dB, uniform."
    )

    def open(self) -> Source:
        """The records."""
        return SyntheticSource(**self.model_dump(exclude={"kind"}))


class _FolderConfig(_SourceConfig):
    split: str | None = Field(
        default=None, description="Take only records with this `split` in the metadata."
    )
    categories: frozenset[Category] | None = Field(
        default=None, description="Take only these: earthquake, noise, unlabelled."
    )
    limit: int | None = Field(
        default=None, ge=1, description="Take at most so many records, drawn at random."
    )
    seed: int = Field(default=0, ge=0, description="Seed of that draw.")


class SeisBenchConfig(_FolderConfig):
    """A SeisBench data set: a folder of `metadata.csv` and `waveforms.hdf5`, or chunks of them."""

    kind: Literal["seisbench"]
    folder: Path = Field(description="The folder; relative to the pipeline file.")
    minimum_sampling_rate_hz: float = Field(
        default=40.0,
        gt=0,
        description="Refuse records sampled at less: they lack what the picker listens to.",
    )

    _resolve = field_validator("folder")(relative_to_file)

    def open(self) -> Source:
        """The records, read lazily."""
        return SeisBenchSource(**self.model_dump(exclude={"kind"}))


class SteadConfig(_FolderConfig):
    """STEAD as published: CSV and HDF5 pairs in a folder, or one pair."""

    kind: Literal["stead"]
    folder: Path | None = Field(
        default=None, description="Folder of `chunk*.csv` + `chunk*.hdf5` or `merge.*` pairs."
    )
    csv: Path | None = Field(default=None, description="One CSV, together with `hdf5`.")
    hdf5: Path | None = Field(default=None, description="Its HDF5.")

    _resolve = field_validator("folder", "csv", "hdf5")(relative_to_file)

    @model_validator(mode="after")
    def _folder_or_pair(self) -> Self:
        pair = self.csv is not None and self.hdf5 is not None
        neither = self.csv is None and self.hdf5 is None
        if not (pair if self.folder is None else neither):
            raise ValueError("give either `folder`, or both `csv` and `hdf5`")
        return self

    def open(self) -> Source:
        """The records, read lazily."""
        return SteadSource(**self.model_dump(exclude={"kind"}))


SourceConfig = Annotated[
    SyntheticConfig | SeisBenchConfig | SteadConfig, Field(discriminator="kind")
]


class JoinedSource:
    """Several sources, one after the other."""

    def __init__(self, parts: Sequence[Source]) -> None:
        self._parts = list(parts)
        self._ends = list(accumulate(len(part) for part in self._parts))

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int) -> Record:
        """See Source."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        part = bisect.bisect_right(self._ends, index)
        return self._parts[part][index - (self._ends[part - 1] if part else 0)]

    def names(self) -> list[str]:
        """See Source."""
        return [name for part in self._parts for name in part.names()]

    def categories(self) -> list[Category]:
        """See Source."""
        return [category for part in self._parts for category in part.categories()]

    def fingerprint(self) -> str:
        """See Source."""
        joined = "\n".join(part.fingerprint() for part in self._parts)
        return hashlib.sha256(joined.encode()).hexdigest()


def open_set(configs: Sequence[SourceConfig]) -> Source:
    """The records of all the sources of one set.

    Raises:
        InputError: a source cannot be opened, or two of them share records.
    """
    parts = [config.open() for config in configs]
    check_disjoint({f"source {number}": part for number, part in enumerate(parts)})
    return parts[0] if len(parts) == 1 else JoinedSource(parts)


def describe_set(configs: Sequence[SourceConfig]) -> list[dict[str, Any]]:
    """The sources of one set as a bundle tells of them: folders by name, not by where they lie."""
    described = []
    for config in configs:
        settings = config.model_dump(mode="json", exclude_none=True)
        for key in ("folder", "csv", "hdf5"):
            if key in settings:
                settings[key] = Path(settings[key]).name
        described.append(settings)
    return described


def open_folder(folder: Path, split: str | None = None) -> Source:
    """The records in a folder, in whichever format it has: SeisBench's or STEAD's.

    Raises:
        InputError: neither format is there, or the records cannot be used.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder.")
    if (folder / "chunks").is_file() or any(folder.glob("metadata*.csv")):
        return SeisBenchSource(folder, split=split)
    if any(path.with_suffix(".csv").is_file() for path in folder.glob("*.hdf5")):
        return SteadSource(folder, split=split)
    raise InputError(
        f"{folder}: holds no data set that is known here.",
        "Known are SeisBench's format (metadata.csv with waveforms.hdf5) and STEAD's (CSV and HDF5 "
        "files of the same name).",
    )


def check_disjoint(sets: Mapping[str, Source]) -> None:
    """Require that no record is in two of the sets.

    Raises:
        InputError: two sets share records; says which and how many.
    """
    names = {label: frozenset(source.names()) for label, source in sets.items()}
    labels = list(names)
    for index, one in enumerate(labels):
        for other in labels[index + 1 :]:
            shared = names[one] & names[other]
            if shared:
                raise InputError(
                    f"The sets {one!r} and {other!r} share {len(shared)} records, "
                    f"{min(shared)!r} among them.",
                    "Give them different splits, folders or seeds: what a model was trained or "
                    "calibrated on says nothing about how well it picks.",
                )
