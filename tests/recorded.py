"""Continuous recordings made of synthetic earthquakes, as files that ObsPy writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from obspy import Stream, Trace, UTCDateTime

from compress.data.synthetic import SyntheticSource

START = UTCDateTime(2019, 7, 6, 0, 0, 0)
RECORD_S = 90
COUNTS = 1000.0

RELEASED = Path(__file__).parents[1] / "artifacts" / "released"
STUDENT = RELEASED / "student-tflite-int8"
"""A bundle that picks them in little time."""


def continuous(
    records: int, seed: int = 5
) -> tuple[NDArray[np.float64], list[tuple[float, float]]]:
    """Clear earthquakes on steady noise, one every 90 s, and P and S of each in seconds.

    The waveform is (samples, 3), in counts, E, N, Z at 100 Hz.
    """
    random = np.random.default_rng(seed)
    source = SyntheticSource(records, seed, noise_fraction=0.0, snr_db=(20, 30))
    length = RECORD_S * 100
    waveform = random.normal(0, 0.5, (records * length, 3))
    ramp = 0.5 - 0.5 * np.cos(np.pi * np.minimum(np.arange(length) / 300, 1))
    onsets = []
    for number in range(records):
        record = source[number]
        assert record.p_sample is not None and record.s_sample is not None
        noise = record.waveform[: int(record.p_sample) - 50].std(axis=0)
        event = record.waveform / noise * (ramp * ramp[::-1])[:, np.newaxis]
        waveform[number * length :][:length] += event
        begin = number * RECORD_S
        onsets.append((begin + record.p_sample / 100, begin + record.s_sample / 100))
    return COUNTS + 100 * waveform, onsets


def stream(
    waveform: NDArray[np.float64],
    station: str = "XX.ABC.",
    letters: str = "ENZ",
    start: UTCDateTime = START,
    rate: float = 100.0,
) -> Stream:
    """One trace a component, of whole counts."""
    network, code, location = station.split(".")
    return Stream(
        [
            Trace(
                np.rint(waveform[:, place]).astype(np.int32),
                {
                    "network": network, "station": code, "location": location,
                    "channel": f"HH{letter}", "starttime": start, "sampling_rate": rate,
                },
            )
            for place, letter in enumerate(letters)
        ]
    )  # fmt: skip


def write(path: Path, *streams: Stream, **options: object) -> Path:
    """All of them in one file of miniSEED."""
    whole = Stream([trace for one in streams for trace in one])
    whole.write(str(path), format="MSEED", **options)
    return path
