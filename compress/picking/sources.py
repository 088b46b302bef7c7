"""Where live data come from: miniSEED files that grow, and SeedLink servers."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from baseline.errors import InputError

if TYPE_CHECKING:
    from obspy import Trace

Handle = Callable[["Trace"], None]

POLL_S = 0.2
ANSWER_S = 30
FOREVER_S = 1e9
RECORD_HEADER_BYTES = 64
"""The fixed header of a miniSEED record and its blockette 1000, which tells its length."""

SEEDLINK = "seedlink://"


def follow_files(paths: Sequence[Path], handle: Handle, idle_s: float | None = None) -> None:
    """Hand on what miniSEED files hold and what is appended to them, record by record.

    Args:
        paths: the files; one that is not there yet is waited for.
        handle: takes each record.
        idle_s: end when nothing came for so long; None goes on until it is interrupted.

    Raises:
        InputError: a file cannot be read, became shorter, or is no miniSEED.
    """
    places = dict.fromkeys(paths, 0)
    last = time.monotonic()
    while True:
        came = False
        for path in paths:
            number = _hand_on(path, places[path], handle)
            places[path] += number
            came = came or number > 0
        if came:
            last = time.monotonic()
        elif idle_s is not None and time.monotonic() - last >= idle_s:
            return
        else:
            time.sleep(POLL_S)


def follow_seedlink(
    address: str, stations: Sequence[str], channels: str, handle: Handle, idle_s: float | None
) -> None:
    """Hand on what a SeedLink server sends, packet by packet; a lost connection is made again.

    Args:
        address: `host:port`.
        stations: `network.station` each.
        channels: SeedLink selectors, such as `HH?`.
        handle: takes each packet.
        idle_s: end when nothing came for so long; None goes on until it is interrupted.

    Raises:
        InputError: the server cannot be reached or refuses.
    """
    from obspy.clients.seedlink.seedlinkexception import SeedLinkException
    from obspy.clients.seedlink.slclient import SLClient
    from obspy.clients.seedlink.slpacket import SLPacket

    def packet(_: int, received: SLPacket) -> bool:
        if received.get_type() not in (SLPacket.TYPE_SLINF, SLPacket.TYPE_SLINFT):
            handle(received.get_trace())
        return False

    client = SLClient(timeout=ANSWER_S)
    try:
        client.slconn.set_sl_address(address)
        client.slconn.set_net_timeout(ANSWER_S)
        client.multiselect = ",".join(f"{name.replace('.', '_')}:{channels}" for name in stations)
        client.initialize()
        client.slconn.connect()
        client.slconn.config_link()
        # From here on the time that a packet may take.
        client.slconn.timeout = idle_s or FOREVER_S
        client.run(packet)
    except (SeedLinkException, OSError) as error:
        raise InputError(
            f"{SEEDLINK}{address}: {error}.", "Is the server's address right, host and port?"
        ) from None


def _hand_on(path: Path, place: int, handle: Handle) -> int:
    """Hand on the whole records from a place in a file on; how many bytes they were."""
    from obspy import read
    from obspy.io.mseed.util import get_record_information

    if not path.exists():
        return 0
    try:
        if path.stat().st_size < place:
            raise InputError(
                f"{path}: became shorter while it was followed.", "Follow files that only grow."
            )
        with path.open("rb") as stream:
            stream.seek(place)
            content = stream.read()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
    done = 0
    records = io.BytesIO(content)
    while len(content) - done >= RECORD_HEADER_BYTES:
        try:
            length = int(get_record_information(records, offset=done)["record_length"])
            if len(content) - done < length:
                break
            traces = read(io.BytesIO(content[done : done + length]), format="MSEED")
        except Exception as error:  # ObsPy raises plain Exception, among others
            raise InputError(
                f"{path}: byte {place + done} begins no miniSEED record ({error})."
            ) from None
        for trace in traces:
            handle(trace)
        done += length
    return done
