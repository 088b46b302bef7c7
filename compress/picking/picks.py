"""Picks as they are handed on: one onset or one detection at one station, and files of them.

Files hold nothing of when or where they were made, so that equal picks give equal bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from baseline.files import whole_file
from compress.data.archive import NS

if TYPE_CHECKING:
    from obspy.core.event import Catalog

PICK_COLUMNS = (
    *("network", "station", "location", "channel", "phase", "time", "probability"),
    *("detection_start", "detection_end", "detection_probability"),
)
DETECTION_COLUMNS = (
    *("network", "station", "location", "channel", "start", "end", "probability", "p", "s"),
)
SEISBENCH_COLUMNS = ("station", "time", "start_time", "end_time", "probability", "phase")
"""What SeisBench's `PickList.to_dataframe` has, but for polarity."""


@dataclass(frozen=True, order=True)
class Phase:
    """One onset.

    Attributes:
        time: of its peak, ns since 1970.
        phase: P or S.
        probability: there.
        start: when the probability reached the threshold before it, ns.
        end: when it fell below again, ns.
    """

    time: int
    phase: str
    probability: float
    start: int
    end: int


@dataclass(frozen=True, order=True)
class Detection:
    """One event at one station, with the onsets that go with it.

    Attributes:
        start: ns since 1970.
        end: when the probability fell below the threshold again, ns.
        instrument: network, station, location, band and instrument code, joined by dots.
        probability: mean of the detection over the event.
        phases: P before S, as far as they were found.
    """

    start: int
    end: int
    instrument: str
    probability: float
    phases: tuple[Phase, ...]

    @property
    def codes(self) -> list[str]:
        """Network, station, location, and the channel code without its component."""
        return self.instrument.split(".")


def iso(time: int) -> str:
    """A time in UTC, to the millisecond."""
    rounded = (time + NS // 2000) // 1_000_000
    return f"{np.datetime64(rounded, 'ms')}Z"


def detections_document(detections: Iterable[Detection]) -> list[dict[str, Any]]:
    """Detections for JSON: codes, times in UTC, probabilities, and each onset or null."""
    return [
        {
            **dict(zip(("network", "station", "location", "channel"), one.codes, strict=True)),
            "start": iso(one.start),
            "end": iso(one.end),
            "probability": round(one.probability, 4),
            **dict.fromkeys(("p", "s")),
            **{
                phase.phase.lower(): {
                    "time": iso(phase.time),
                    "probability": round(phase.probability, 4),
                }
                for phase in one.phases
            },
        }
        for one in detections
    ]


def write_picks(path: Path, detections: Iterable[Detection]) -> None:
    """A CSV file with a row for each onset."""
    _write_csv(
        path,
        PICK_COLUMNS,
        (
            [
                *(*one.codes, phase.phase, iso(phase.time), f"{phase.probability:.4f}"),
                *(iso(one.start), iso(one.end), f"{one.probability:.4f}"),
            ]
            for one in detections
            for phase in one.phases
        ),
    )


def write_detections(path: Path, detections: Iterable[Detection]) -> None:
    """A CSV file with a row for each detection, whether or not it has onsets."""

    def rows() -> Iterable[list[str]]:
        for one in detections:
            times = {phase.phase: iso(phase.time) for phase in one.phases}
            yield [
                *(*one.codes, iso(one.start), iso(one.end), f"{one.probability:.4f}"),
                *(times.get("P", ""), times.get("S", "")),
            ]

    _write_csv(path, DETECTION_COLUMNS, rows())


def write_seisbench(path: Path, detections: Iterable[Detection]) -> None:
    """A CSV file as SeisBench's picks come, `station` being network, station and location."""
    phases = sorted((phase, ".".join(one.codes[:3])) for one in detections for phase in one.phases)
    _write_csv(
        path,
        SEISBENCH_COLUMNS,
        (
            [
                *(trace, *map(_plain, (phase.time, phase.start, phase.end))),
                *(f"{phase.probability:.4f}", phase.phase),
            ]
            for phase, trace in phases
        ),
    )


def write_quakeml(path: Path, detections: Sequence[Detection]) -> None:
    """A QuakeML file: an event for each detection with onsets, at one station, not located."""
    with whole_file(path) as fresh:
        catalogue(detections).write(str(fresh), format="QUAKEML")


def catalogue(detections: Sequence[Detection]) -> Catalog:
    """The detections with onsets as ObsPy's events; their ids follow from station and time."""
    from obspy import UTCDateTime
    from obspy.core.event import Catalog, Comment, Event, Pick, ResourceIdentifier, WaveformStreamID

    def identity(*parts: object) -> ResourceIdentifier:
        return ResourceIdentifier("smi:local/eqt-compress/" + "/".join(map(str, parts)))

    events = []
    for one in detections:
        network, station, location, channel = one.codes
        place = (one.instrument.replace("..", ".-."), one.start)
        picks = [
            Pick(
                resource_id=identity("pick", *place, phase.phase),
                time=UTCDateTime(ns=phase.time),
                phase_hint=phase.phase,
                evaluation_mode="automatic",
                waveform_id=WaveformStreamID(network, station, location, channel + "Z"),
                comments=[
                    Comment(
                        text=f"probability {phase.probability:.4f}",
                        resource_id=identity("comment", *place, phase.phase),
                        force_resource_id=True,
                    )
                ],
            )
            for phase in one.phases
        ]
        if picks:
            events.append(Event(resource_id=identity("event", *place), picks=picks))
    return Catalog(events, resource_id=identity("catalog"))


def _plain(time: int) -> str:
    """As pandas writes a time without its zone."""
    return iso(time).removesuffix("Z").replace("T", " ")


def _write_csv(path: Path, columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    with whole_file(path) as fresh, fresh.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(rows)
