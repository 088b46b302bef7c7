"""Example windows as training sees them, before and after each augmentation."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.contract import P, S
from baseline.errors import InputError
from compress.data.augmentation import Augmentation, window_at
from compress.data.records import Category, Record, Source
from compress.data.sources import open_folder, open_set
from compress.data.targets import label_target

TRIES = 200
"""How many records, and places in one, are tried for a window that holds both onsets."""

DRAWS = 2
"""Examples of each augmentation."""

MARGIN_SAMPLES = 300
"""Onsets of the example stand at least 3 s inside its window."""

FloatArray = NDArray[np.float32]


Window = tuple[FloatArray, FloatArray]
"""Not normalised, with its target; shape (6000, 3) each."""


@dataclass(frozen=True)
class Examples:
    """One window of a record, changed in several ways.

    Attributes:
        record: name of the record.
        original: the window as it was recorded.
        changed: by title, `DRAWS` windows each: after each augmentation alone, always applied, and
            last after all of them with their own probabilities.
    """

    record: str
    original: Window
    changed: dict[str, list[Window]]


@dataclass(frozen=True)
class LabelledDonors:
    """Records to superpose: those that their source calls earthquake or noise."""

    source: Source
    earthquakes: NDArray[np.intp]
    noises: NDArray[np.intp]

    @classmethod
    def of(cls, source: Source) -> LabelledDonors:
        """Those of a source, without reading a waveform."""
        categories = np.array(source.categories())
        return cls(
            source,
            np.flatnonzero(categories == Category.EARTHQUAKE),
            np.flatnonzero(categories == Category.NOISE),
        )

    def earthquake(self, random: np.random.Generator) -> tuple[FloatArray, FloatArray] | None:
        """See Donors."""
        if not len(self.earthquakes):
            return None
        record = self.source[int(random.choice(self.earthquakes))]
        return record.waveform, label_target(record, len(record.waveform))

    def noise(self, random: np.random.Generator) -> FloatArray | None:
        """See Donors."""
        return self.source[int(random.choice(self.noises))].waveform if len(self.noises) else None


def open_shown(path: Path) -> tuple[Source, Augmentation]:
    """The training records and the augmentation of a pipeline file, or a folder's records.

    Raises:
        InputError: neither is there, or the pipeline trains nothing on augmented windows.
    """
    if path.is_dir():
        return open_folder(path), Augmentation()
    if not path.exists():
        raise InputError(
            f"{path}: there is no such file or folder.",
            "Give a pipeline file, or a folder of records in SeisBench's or STEAD's format.",
        )
    from compress.config import load_pipeline
    from compress.stages.distill import Distill

    pipeline = load_pipeline(path)
    stage = next((stage for stage in pipeline.stages if isinstance(stage, Distill)), None)
    if stage is None:
        raise InputError(
            f"{path}: has no stage of kind distill, which is what augments.",
            "Give a folder of records to see the defaults.",
        )
    return open_set(pipeline.data.train), stage.augmentation


def draw_examples(
    source: Source, config: Augmentation, *, seed: int = 0, record: int | None = None
) -> Examples:
    """A window of a record, and what each augmentation makes of it.

    All start at the same place of the record, as far as stretching leaves it the same. Targets are
    made from the labels; the teacher, who is asked when training begins, is not needed.

    Args:
        source: the records; superposed earthquakes and noise come from it too.
        config: the augmentation; what it never does is drawn all the same, and says so.
        seed: draws everything.
        record: index of the record; without it, a random one with both onsets, if there is one.

    Raises:
        InputError: there is no such record.
    """
    if record is not None and not 0 <= record < len(source):
        raise InputError(
            f"--record {record}: the data hold {len(source)} records.",
            f"Give 0 to {len(source) - 1}.",
        )
    donors = LabelledDonors.of(source)
    random = np.random.default_rng(seed)
    shown = _draw_record(source, donors, random) if record is None else source[record]
    target = label_target(shown, len(shown.waveform))
    where = _good_place(shown, target, donors, random)

    def windows(own: Augmentation, draws: int) -> list[Window]:
        return [window_at(where, shown.waveform, target, random, own, donors) for _ in range(draws)]

    (original,) = windows(Augmentation.none(), 1)
    changed = {
        _title(name, getattr(config, name), donors): windows(config.only(name), DRAWS)
        for name in Augmentation.model_fields
    }
    changed["all, each with its own probability"] = windows(config, DRAWS)
    return Examples(shown.name, original, changed)


def _draw_record(source: Source, donors: LabelledDonors, random: np.random.Generator) -> Record:
    candidates = donors.earthquakes if len(donors.earthquakes) else np.arange(len(source))
    for index in random.permutation(candidates)[:TRIES]:
        drawn = source[int(index)]
        if drawn.p_sample is not None and drawn.s_sample is not None:
            return drawn
    return drawn


def _good_place(
    record: Record, target: FloatArray, donors: LabelledDonors, random: np.random.Generator
) -> float:
    """Where a window holds the record's onsets, or as many of them as can be had."""

    def held(where: float) -> int:
        _, truth = window_at(where, record.waveform, target, random, Augmentation.none(), donors)
        inner = truth[MARGIN_SAMPLES:-MARGIN_SAMPLES]
        return int(inner[:, P].any()) + int(inner[:, S].any())

    return float(max(random.random(TRIES), key=held))


def _title(name: str, settings: Any, donors: LabelledDonors) -> str:
    missing = {
        "second_event": "no earthquake" if not len(donors.earthquakes) else "",
        "real_noise": "no noise" if not len(donors.noises) else "",
    }.get(name)
    ranges = [_range(field, value) for field, value in settings if field != "kinds"]
    lines = [f"{name.replace('_', ' ')}: " + ", ".join(ranges)]
    if hasattr(settings, "kinds"):
        lines.append("of " + ", ".join(kind.replace("_", " ") for kind in settings.kinds))
    if missing:
        lines.append(f"(the records hold {missing} to add)")
    return "\n".join(lines)


def _range(field: str, value: Any) -> str:
    shown = f"{value[0]:g} to {value[1]:g}" if isinstance(value, tuple) else f"{value:g}"
    if field.endswith("_hz"):
        field, shown = field.removesuffix("_hz"), f"{shown} Hz"
    return f"{field.replace('_', ' ')} {shown}"
