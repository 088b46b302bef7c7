"""Recordings of an FDSN data centre, downloaded as miniSEED."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path

from baseline.errors import InputError
from compress.data.archive import utc

AT_ONCE = timedelta(hours=6)
"""Data centres refuse, or cut short, what is too much for one request."""


def download(
    centre: str,
    folder: Path,
    stations: Sequence[str],
    channels: Sequence[str],
    start: datetime,
    end: datetime,
    progress: Callable[[float], None] = lambda seconds: None,
) -> None:
    """Write what a data centre has of these stations into a folder, six hours a file.

    Args:
        centre: the name of one that ObsPy knows, such as GEOFON, or the address of one.
        folder: gains the files.
        stations: patterns of `network.station`.
        channels: patterns of channel codes.
        start: UTC where it has no time zone.
        end: likewise.
        progress: told how many seconds of recording are done.

    Raises:
        InputError: no such data centre, it cannot be reached, refuses, or has nothing of it.
    """
    from obspy import UTCDateTime
    from obspy.clients.fdsn import Client
    from obspy.clients.fdsn.header import FDSNException, FDSNNoDataException

    for pattern in stations:
        if pattern.count(".") != 1:
            raise InputError(
                f"--station {pattern}: is no NETWORK.STATION.", "Give one such as CI.CCC or 'CI.*'."
            )
    start, end = utc(start), utc(end)
    written = 0
    try:
        client = Client(centre)
        for first, last in _spans(start, end):
            path = folder / f"{first:%Y%m%dT%H%M%S}.mseed"
            times = UTCDateTime(first), UTCDateTime(last)
            wanted = [(*name.split("."), "*", ",".join(channels), *times) for name in stations]
            with suppress(FDSNNoDataException):
                client.get_waveforms_bulk(wanted, filename=str(path))
            written += path.is_file()
            progress((last - start).total_seconds())
    except (FDSNException, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:500]
        raise InputError(
            f"--fdsn {centre}: {reason}",
            "Give a data centre that ObsPy knows (GEOFON, INGV, SCEDC...) or its address.",
        ) from None
    if not written:
        raise InputError(
            f"--fdsn {centre}: has nothing of {', '.join(stations)} ({', '.join(channels)}) from "
            f"{start.isoformat()} to {end.isoformat()}."
        )


def _spans(start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    while start < end:
        yield start, min(start + AT_ONCE, end)
        start += AT_ONCE
