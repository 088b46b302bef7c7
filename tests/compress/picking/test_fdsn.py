"""Recordings of a data centre, from a server on this machine."""

import io
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import obspy.clients.fdsn
import pytest
import recorded
from obspy import Stream

from baseline.errors import InputError
from compress.picking.fdsn import download
from compress.picking.recordings import find_recordings

WADL = Path(obspy.clients.fdsn.__file__).parent / "tests" / "data" / "dataselect.wadl"


@pytest.fixture(scope="module")
def waveform():
    return recorded.continuous(2)[0]


@pytest.fixture
def centre(waveform):
    """A data centre with three minutes of one station; what it was asked is in `asked`."""
    whole = recorded.stream(waveform)
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/fdsnws/dataselect/1/application.wadl":
                self.answer(200, WADL.read_bytes())
            else:
                self.answer(404, b"")

        def do_POST(self):
            text = self.rfile.read(int(self.headers["Content-Length"])).decode()
            asked.append(text)
            found = Stream()
            for line in text.splitlines():
                if "=" in line:
                    continue
                network, station, _, _, start, end = line.split()
                if network == "BAD":
                    self.answer(400, b"no such network")
                    return
                found += whole.select(network, station).slice(
                    obspy.UTCDateTime(start), obspy.UTCDateTime(end)
                )
            if not found:
                self.answer(204, b"")
                return
            content = io.BytesIO()
            found.write(content, format="MSEED")
            self.answer(200, content.getvalue())

        def answer(self, code, content):
            self.send_response(code)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", asked
    server.shutdown()
    server.server_close()


def test_download(centre, tmp_path, waveform):
    address, asked = centre
    start = recorded.START
    done = []
    download(
        address, tmp_path, ["XX.ABC"], ["HH?", "EH?"], (start - 3600).datetime,
        (start + 13 * 3600).datetime, done.append,
    )  # fmt: skip
    assert len(asked) == 3  # six hours each
    assert all("XX ABC * HH?,EH? " in one for one in asked)
    assert done[-1] == 14 * 3600
    (stretch,) = find_recordings([tmp_path]).stations["XX.ABC"]
    assert stretch.start == start.ns
    assert stretch.end == (start + len(waveform) / 100).ns


def test_what_is_not_there_or_cannot_be_reached(centre, tmp_path):
    address, _ = centre
    times = recorded.START.datetime, (recorded.START + 3600).datetime
    for place, station, why in (
        (address, "XX.ZZZ", "has nothing"),
        (address, "BAD.ABC", "no such network"),
        (address, "ABC", "NETWORK.STATION"),
        ("http://127.0.0.1:9", "XX.ABC", "127.0.0.1:9"),
        ("NOWHERE", "XX.ABC", "NOWHERE"),
    ):
        with pytest.raises(InputError, match=why):
            download(place, tmp_path, [station], ["HH?"], *times)
