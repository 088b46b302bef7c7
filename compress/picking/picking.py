"""Picking of what was recorded: every station, every stretch, in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from baseline.contract import SAMPLING_RATE_HZ, WINDOW_SAMPLES
from baseline.errors import InputError
from baseline.processes import end_with_parent
from compress.data.archive import NS, Archive, nanoseconds, utc
from compress.evaluation.answers import load_numeric_runner
from compress.evaluation.picker import Thresholds
from compress.picking.picks import Detection, Phase
from compress.picking.preparation import Preparation, length, prepared, time_ns
from compress.picking.recordings import Recordings, Stretch
from compress.picking.stacking import Stacking, probabilities
from compress.picking.streaming import Found, StreamPicker
from export.runtimes import Runner

FloatArray = NDArray[np.float32]

BEFORE_PICK_S = 10
"""Where the first pick stands in a picture."""

Progress = Callable[[float], None]
"""Told how many seconds of recording are done, more and more."""


@dataclass(frozen=True)
class Settings:
    """How recordings are picked.

    Attributes:
        thresholds: of the model.
        preparation: what is done to recordings.
        stacking: how windows are put together.
        blocks_at_once: of ten minutes, read at once.
    """

    thresholds: Thresholds
    preparation: Preparation = field(default_factory=Preparation)
    stacking: Stacking = field(default_factory=Stacking)
    blocks_at_once: int = 6


def pick_recordings(
    model: Path,
    recordings: Recordings,
    settings: Settings,
    jobs: int = 1,
    progress: Progress = lambda seconds: None,
    streams: Path | None = None,
) -> list[Detection]:
    """Pick all stations.

    Args:
        model: a file that `export.runtimes.load_runner` takes.
        recordings: what is picked.
        settings: how.
        jobs: processes, each of which takes one station after the other.
        progress: told after each station, with more than one process; of parts of it otherwise.
        streams: a folder that gains the probabilities, see `write_probabilities`.

    Returns:
        In order of time and then of instrument.

    Raises:
        InputError: a file cannot be read, or the model cannot be run.
    """
    stations = list(recordings.stations.values())
    found: list[Detection] = []
    done = 0.0
    if jobs == 1 or len(stations) == 1:
        runner = load_numeric_runner(model)
        for stretches in stations:
            for stretch in stretches:
                for detection, seconds in pick_stretch(
                    runner, recordings.archive, stretch, settings, streams
                ):
                    progress(done + seconds)
                    if detection:
                        found.append(detection)
                done += length(stretch) / SAMPLING_RATE_HZ
                progress(done)
    else:
        # Spawned, since a runtime's threads do not survive a fork. The archive, which grows with
        # the stations, is handed over once to each process and not with every station.
        with ProcessPoolExecutor(
            jobs, get_context("spawn"), _prepare, (model, recordings.archive, settings, streams)
        ) as pool:
            for stretches, detections in zip(stations, pool.map(_station, stations), strict=True):
                found += detections
                done += sum(map(length, stretches)) / SAMPLING_RATE_HZ
                progress(done)
    return sorted(found)


def seconds_of(recordings: Recordings) -> float:
    """How much there is to be picked, s."""
    every = (stretch for stretches in recordings.stations.values() for stretch in stretches)
    return sum(map(length, every)) / SAMPLING_RATE_HZ


def pick_stretch(
    runner: Runner,
    archive: Archive,
    stretch: Stretch,
    settings: Settings,
    streams: Path | None = None,
) -> Iterator[tuple[Detection | None, float]]:
    """Detections of one stretch, in order of time, and how many seconds of it are done.

    Args:
        runner: the model.
        archive: where the stretch is from.
        stretch: the stretch.
        settings: how.
        streams: see `pick_recordings`.
    """
    picker = StreamPicker(settings.thresholds)
    done = 0
    for part in annotate(runner, archive, stretch, settings):
        if streams:
            write_probabilities(streams, stretch, done, part)
        done += len(part)
        for found in picker.add(part):
            yield _detection(stretch, found), done / SAMPLING_RATE_HZ
        yield None, done / SAMPLING_RATE_HZ
    for found in picker.finish():
        yield _detection(stretch, found), done / SAMPLING_RATE_HZ


def annotate(
    runner: Runner, archive: Archive, stretch: Stretch, settings: Settings
) -> Iterator[FloatArray]:
    """Probabilities along a stretch, in parts in order of time; see `stacking.probabilities`."""
    waveform = prepared(archive, stretch, settings.preparation, settings.blocks_at_once)
    return probabilities(waveform, length(stretch), runner, settings.stacking)


def window_of(
    model: Path,
    recordings: Recordings,
    settings: Settings,
    at: datetime | None,
    detections: Sequence[Detection],
) -> tuple[str, NDArray[np.int64], FloatArray, FloatArray]:
    """What a picture of 60 s shows.

    Args:
        model: as `pick_recordings` takes it.
        recordings: what was picked.
        settings: how.
        at: where the window begins; None for 10 s before the first pick, or the first sample.
        detections: what was found.

    Returns:
        Instrument, times of the samples in ns, the waveform and the probabilities, both of shape
        (samples, 3).

    Raises:
        InputError: nothing was recorded at that time.
    """
    stretches = [one for stretches in recordings.stations.values() for one in stretches]
    first = next((one for one in detections if one.phases), None)
    if at is not None:
        name, start = None, nanoseconds(utc(at))
    elif first is not None:
        name, start = first.instrument, first.phases[0].time - BEFORE_PICK_S * NS
    else:
        name, start = None, stretches[0].start
    end = start + round(WINDOW_SAMPLES / SAMPLING_RATE_HZ) * NS
    for stretch in stretches:
        if stretch.start < end and stretch.end > start and name in (None, stretch.instrument.name):
            break
    else:
        raise InputError(f"--at {at}: nothing was recorded then.")
    # With what its windows reach into, so that the probabilities are those that were picked.
    around = round(2 * WINDOW_SAMPLES / SAMPLING_RATE_HZ) * NS
    part = replace(
        stretch, start=max(start - around, stretch.start), end=min(end + around, stretch.end)
    )
    waveform = np.concatenate(list(prepared(recordings.archive, part, settings.preparation)))
    answers = np.concatenate(
        list(annotate(load_numeric_runner(model), recordings.archive, part, settings))
    )
    times = np.array([time_ns(part, sample) for sample in range(len(answers))], np.int64)
    inside = (times >= start) & (times < end)
    return stretch.instrument.name, times[inside], waveform[inside], answers[inside]


def write_probabilities(folder: Path, stretch: Stretch, first: int, part: FloatArray) -> None:
    """Append probabilities to a miniSEED file of the stretch's instrument.

    Its channels are called after what they hold, with the band and instrument code before: HHD,
    HHP and HHS are detection, P and S of HH?.

    Args:
        folder: of one file for each instrument.
        stretch: what they are of.
        first: sample of the stretch at which the part begins.
        part: (samples, 3).

    Raises:
        InputError: the file cannot be written.
    """
    from obspy import Stream, Trace, UTCDateTime

    network, station, location, code = stretch.instrument.name.split(".")
    header = {
        "network": network, "station": station, "location": location,
        "sampling_rate": SAMPLING_RATE_HZ, "starttime": UTCDateTime(ns=time_ns(stretch, first)),
    }  # fmt: skip
    traces = [
        Trace(np.ascontiguousarray(part[:, column]), header | {"channel": code + letter})
        for column, letter in enumerate("DPS")
    ]
    path = folder / f"{stretch.instrument.name}.mseed"
    try:
        with path.open("ab") as file:
            Stream(traces).write(file, format="MSEED", encoding="FLOAT32")
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror or error}).") from None


def _detection(stretch: Stretch, found: Found) -> Detection:
    def at(sample: float) -> int:
        return time_ns(stretch, sample)

    event = found.event
    phases = tuple(
        Phase(
            at(one.pick.sample), one.phase.upper(), one.pick.probability, at(one.start), at(one.end)
        )
        for one in found.onsets
    )
    return Detection(
        at(event.start), at(event.end), stretch.instrument.name, event.probability, phases
    )


_COMMON: list[tuple[Path, Archive, Settings, Path | None]] = []
"""In a process that picks stations: model, archive, settings and streams of all of them."""


def _prepare(model: Path, archive: Archive, settings: Settings, streams: Path | None) -> None:
    """Make this a process that picks stations."""
    end_with_parent()
    _COMMON[:] = [(model, archive, settings, streams)]


@lru_cache(maxsize=1)
def _runner(model: Path) -> Runner:
    return load_numeric_runner(model)


def _station(stretches: Sequence[Stretch]) -> list[Detection]:
    """One station, in a process that keeps the model for the next."""
    model, archive, settings, streams = _COMMON[0]
    return [
        detection
        for stretch in stretches
        for detection, _ in pick_stretch(_runner(model), archive, stretch, settings, streams)
        if detection
    ]
