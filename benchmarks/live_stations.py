"""How many stations one core keeps up with, picking every second as data come.

    taskset --cpu-list 0 python -m benchmarks.live_stations BUNDLE --stations 100 --json FILE

Every station sends its three components second by second. What is timed is what `compress pick
--follow` does with each piece but reading it: buffers, band-pass, model, picker. Data of a minute
come first, untimed, so that windows are full.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
from obspy import Trace, UTCDateTime

from compress.data.synthetic import SyntheticSource
from compress.evaluation.picker import Thresholds
from compress.models import open_model
from compress.picking.live import LivePicker, LiveSettings
from compress.store import heading, write_json

START = UTCDateTime(2019, 7, 6)
FULL_S = 75


def pieces(stations: int, seconds: int) -> list[list[Trace]]:
    """For each second, a trace for each component of each station."""
    source = SyntheticSource(stations, seed=8, duration_s=float(seconds))
    waveforms = [source[number].waveform for number in range(stations)]
    return [
        [
            Trace(
                np.ascontiguousarray(waveform[second * 100 : (second + 1) * 100, place]),
                {
                    "network": "XX", "station": f"S{number:03}", "channel": f"HH{letter}",
                    "sampling_rate": 100.0, "starttime": START + second,
                },
            )
            for number, waveform in enumerate(waveforms)
            for place, letter in enumerate("ENZ")
        ]
        for second in range(seconds)
    ]  # fmt: skip


def main() -> None:
    """Feed all stations, and time each second of data."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="+", help="bundles")
    parser.add_argument("--stations", type=int, default=100)
    parser.add_argument("--seconds", type=int, default=60, help="of data that are timed")
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    document = heading("python", "-m", "benchmarks.live_stations") | {"models": {}}
    data = pieces(arguments.stations, FULL_S + arguments.seconds)
    for name in arguments.models:
        model, runner = open_model(name)
        picker = LivePicker(runner, LiveSettings(model.thresholds or Thresholds()))
        took, waited = [], []
        for second, traces in enumerate(data):
            begun = time.perf_counter()
            onsets = [onset for trace in traces for onset in picker.add(trace)]
            if second >= FULL_S:
                took.append(time.perf_counter() - begun)
                waited += [onset.waited_s for onset in onsets]
        document["models"][name] = {
            "stations": arguments.stations,
            "data_s": arguments.seconds,
            "median_s_per_second": float(np.median(took)),
            "longest_s_per_second": float(np.max(took)),
            "stations_one_core_keeps_up_with": int(arguments.stations / np.max(took)),
            "onsets": len(waited),
            "median_waited_s": float(np.median(waited)) if waited else None,
        }
        write_json(arguments.json, document)


if __name__ == "__main__":
    main()
