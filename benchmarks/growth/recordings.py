"""Recordings of any length and of any number of stations, made of one day.

Every day and every station has the motion of the same day: what is measured is how long it takes,
not what is found.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.picking_day import START, write_day

if TYPE_CHECKING:
    from obspy import Stream, UTCDateTime

HOURS_A_DAY = 24


def make_day() -> Stream:
    """Three components of 24 h at 100 Hz: noise, and an earthquake in every ten minutes."""
    from obspy import read

    with tempfile.TemporaryDirectory() as folder:
        day, start = Path(folder) / "day", Path(folder) / "start"
        write_day(day, start, HOURS_A_DAY)
        return read(str(day), format="MSEED")


def write_recordings(
    folder: Path, day: Stream, hours: int, stations: int = 1, one_file: bool = False
) -> int:
    """Write miniSEED, and tell how many bytes.

    Args:
        folder: of an SDS archive, a file for each channel and day; or of a single file.
        day: as `make_day` makes it.
        hours: how many to write, day after day.
        stations: how many have recorded that.
        one_file: whether all of it is to be one file, in order of time.
    """
    from obspy import UTCDateTime

    for first in range(0, hours, HOURS_A_DAY):
        begin = UTCDateTime(START) + first * 3600
        number = min(hours - first, HOURS_A_DAY) * 3600 * 100
        for station in range(stations):
            for original in day:
                trace = original.copy()
                trace.data = trace.data[:number]
                trace.stats.starttime = begin
                trace.stats.station = f"S{station:03}"
                path = folder / ("all.mseed" if one_file else _sds(trace.id, begin))
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("ab") as file:
                    trace.write(file, format="MSEED")
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _sds(identity: str, day: UTCDateTime) -> str:
    """Where an SDS archive has the file of a channel and a day."""
    network, station, _, channel = identity.split(".")
    number = f"{day.year}.{day.julday:03}"
    return f"{day.year}/{network}/{station}/{channel}.D/{identity}.D.{number}"
