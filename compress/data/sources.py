"""Data sets as pipelines declare them: the configuration of each kind of source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
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
from compress.data.archive import CHANNELS
from compress.data.miniseed import MiniseedSource, holds_miniseed
from compress.data.mixture import Mixture, Share
from compress.data.records import Category, Source
from compress.data.seisbench import SeisBenchSource
from compress.data.stead import SteadSource
from compress.data.synthetic import SyntheticSource


def relative_to_file(path: Path | None, info: ValidationInfo) -> Path | None:
    """A path as written in a pipeline file, taken from the folder of that file."""
    folder = (info.context or {}).get("folder")
    if path is None or folder is None or path.is_absolute():
        return path
    return Path(folder) / path


LabelWeight = Annotated[float, Field(ge=0, le=1)]


class _SourceConfig(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    weight: float | None = Field(
        default=None,
        ge=0,
        le=1e9,
        description="For training: how often its records are drawn altogether, relative to the "
        "other sources; null for as many times as it has records.",
    )
    label_weight: LabelWeight | tuple[LabelWeight, LabelWeight, LabelWeight] = Field(
        default=0.0,
        description="For training: how much its own labels count against the teacher's answers, "
        "where a record has both onsets: one number, or one each for detection, P and S.",
    )

    @property
    def share(self) -> Share:
        """What it counts for in training."""
        weights = self.label_weight
        return Share(self.weight, weights if isinstance(weights, tuple) else (weights,) * 3)

    def settings(self) -> dict[str, Any]:
        """What the source itself is made of."""
        return self.model_dump(exclude={"kind", "weight", "label_weight"})


class SyntheticConfig(_SourceConfig):
    """Synthetic earthquakes and noise, built in: no download, and the same for the same seed."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [{"kind": "synthetic", "records": 2000, "seed": 1, "noise_fraction": 0.35}]
        }
    )

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
        return SyntheticSource(**self.settings())


class _FolderConfig(_SourceConfig):
    split: str | None = Field(
        default=None, description="Take only records with this `split` in the metadata."
    )
    categories: frozenset[Category] | None = Field(
        default=None, description="Take only records of these categories."
    )
    limit: int | None = Field(
        default=None, ge=1, description="Take at most so many records, drawn at random."
    )
    seed: int = Field(default=0, ge=0, description="Seed of that draw.")


class SeisBenchConfig(_FolderConfig):
    """A SeisBench data set: a folder of `metadata.csv` and `waveforms.hdf5`, or chunks of them."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "seisbench", "folder": "my-network", "split": "dev", "limit": 500}
            ]
        }
    )

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
        return SeisBenchSource(**self.settings())


class SteadConfig(_FolderConfig):
    """STEAD as published: CSV and HDF5 pairs in a folder, or one pair."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"kind": "stead", "folder": "subset", "split": "train", "label_weight": 0.5}
            ]
        }
    )

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
        return SteadSource(**self.settings())


class MiniseedConfig(_SourceConfig):
    """Continuous recordings without labels: an SDS archive or any folder of miniSEED files."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "kind": "miniseed",
                    "folder": "archive",
                    "stations": ["CI.*"],
                    "channels": ["HH?", "EH?"],
                    "start": "2019-07-06",
                    "end": "2019-07-07",
                }
            ]
        }
    )

    kind: Literal["miniseed"]
    folder: Path = Field(description="The archive or folder; relative to the pipeline file.")
    files: str = Field(
        default="**",
        min_length=1,
        pattern="^[^/]",
        description='Which files in the folder, as a glob pattern in quotes (`"2019/CI/**"`, '
        '`"*.mseed"`); `**` is any depth. What is not miniSEED is passed over.',
    )
    channels: tuple[str, ...] = Field(
        default=CHANNELS,
        min_length=1,
        description="Patterns of channel codes, in quotes, in order of preference: where several "
        "instruments of a station recorded at once, the first one is taken.",
    )
    stations: tuple[str, ...] = Field(
        default=("*",), min_length=1, description='Patterns of network.station, such as `"CI.*"`.'
    )
    start: datetime | None = Field(
        default=None, description="Take records from this time on (ISO 8601, UTC)."
    )
    end: datetime | None = Field(default=None, description="Take records up to this time.")
    duration_s: float = Field(default=90, ge=60, le=600, description="Length of a record, s.")
    step_s: float | None = Field(
        default=None,
        ge=1,
        le=86400,
        description="From the start of a record to that of the next, s; as long as a record where "
        "nothing is said. Less overlaps them, more leaves out what is between.",
    )
    maximum_gap_s: float = Field(
        default=0,
        ge=0,
        le=10,
        description="Fill gaps up to this by a straight line, s; longer ones end a stretch.",
    )
    missing_components: Literal["skip", "zero"] = Field(
        default="skip",
        description="Leave out what lacks a horizontal component, or take it with zeros instead. "
        "The vertical one is always needed.",
    )
    minimum_sampling_rate_hz: float = Field(
        default=40.0,
        gt=0,
        description="Leave out channels sampled at less: they lack what the picker listens to.",
    )
    limit: int | None = Field(
        default=None, ge=1, description="Take at most so many records, drawn at random."
    )
    seed: int = Field(default=0, ge=0, description="Seed of that draw.")

    _resolve = field_validator("folder")(relative_to_file)

    @field_validator("start", "end", mode="before")
    @classmethod
    def _no_number(cls, value: Any) -> Any:
        if value is not None and not isinstance(value, date) and "-" not in str(value):
            raise ValueError("give a date and time such as 2019-07-06T03:19:53")
        return value

    def open(self) -> Source:
        """The records, read lazily."""
        return MiniseedSource(**self.settings())


SourceConfig = Annotated[
    SyntheticConfig | SeisBenchConfig | SteadConfig | MiniseedConfig, Field(discriminator="kind")
]


def open_set(configs: Sequence[SourceConfig]) -> Source:
    """The records of all the sources of one set.

    Raises:
        InputError: a source cannot be opened, or two of them share records.
    """
    parts = [config.open() for config in configs]
    check_disjoint({f"source {number}": part for number, part in enumerate(parts)})
    if len(parts) == 1 and configs[0].share == Share():
        return parts[0]
    return Mixture(parts, [config.share for config in configs])


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
    """The records in a folder, in whichever format it has: SeisBench's, STEAD's or miniSEED.

    Raises:
        InputError: no such format is there, or the records cannot be used.
    """
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder.")
    if (folder / "chunks").is_file() or any(folder.glob("metadata*.csv")):
        return SeisBenchSource(folder, split=split)
    if any(path.with_suffix(".csv").is_file() for path in folder.glob("*.hdf5")):
        return SteadSource(folder, split=split)
    if holds_miniseed(folder):
        if split is not None:
            raise InputError(
                f"{folder}: miniSEED has no split '{split}'.", "Ask for no split of recordings."
            )
        return MiniseedSource(folder)
    raise InputError(
        f"{folder}: holds no data set that is known here.",
        "Known are SeisBench's format (metadata.csv with waveforms.hdf5), STEAD's (CSV and HDF5 "
        "files of the same name) and miniSEED.",
    )


def check_disjoint(sets: Mapping[str, Source]) -> None:
    """Require that no record is in two of the sets.

    Raises:
        InputError: two sets share records; says which and how many.
    """
    if len(sets) < 2:
        return
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
