"""Data as they come: the same onsets as afterwards, from growing files and from SeedLink."""

import io
import socketserver
import threading
import time

import numpy as np
import pytest
import recorded
from obspy import Stream, read
from obspy.io.mseed.util import get_record_information

from baseline.errors import InputError
from compress.evaluation.picker import Thresholds
from compress.picking.follow import COLUMNS, follow_inputs
from compress.picking.live import LivePicker, LiveSettings
from compress.picking.picking import Settings, pick_recordings
from compress.picking.recordings import find_recordings
from compress.picking.sources import follow_files
from export.bundle import read_bundle
from export.runtimes import load_runner

RECORDS = 4


@pytest.fixture(scope="module")
def model():
    return read_bundle(recorded.STUDENT)


@pytest.fixture(scope="module")
def runner(model):
    return load_runner(model[1])


@pytest.fixture(scope="module")
def thresholds(model):
    return Thresholds(**model[0].thresholds)


@pytest.fixture(scope="module")
def motion():
    return recorded.continuous(RECORDS)


def packets(stream, length=512):
    """The records of a stream as a digitizer sends them: in order of when they end."""
    file = io.BytesIO()
    stream.write(file, format="MSEED", reclen=length)
    content = file.getvalue()
    pieces = [content[at : at + length] for at in range(0, len(content), length)]
    return sorted(pieces, key=lambda piece: get_record_information(io.BytesIO(piece))["endtime"])


def traces_of(pieces):
    return [trace for piece in pieces for trace in read(io.BytesIO(piece), format="MSEED")]


def live_picks(runner, settings, traces):
    picker = LivePicker(runner, settings)
    return [onset for trace in traces for onset in picker.add(trace)]


def seconds(onsets, phase):
    return np.array([o.time / 1e9 - recorded.START.timestamp for o in onsets if o.phase == phase])


@pytest.mark.parametrize(("rate", "letters"), [(100.0, "ENZ"), (200.0, "21Z")])
def test_onsets_are_those_found_afterwards(
    runner, model, thresholds, motion, tmp_path, rate, letters
):
    waveform = np.repeat(motion[0], round(rate / 100), axis=0)
    stream = recorded.stream(waveform, letters=letters, rate=rate)
    onsets = live_picks(runner, LiveSettings(thresholds), traces_of(packets(stream)))
    path = recorded.write(tmp_path / "a.mseed", stream)
    afterwards = pick_recordings(model[1], find_recordings([path]), Settings(thresholds))
    for phase in "PS":
        expected = [
            p.time / 1e9 - recorded.START.timestamp
            for one in afterwards
            for p in one.phases
            if p.phase == phase
        ]
        found = seconds(onsets, phase)
        assert len(expected) >= RECORDS - 1
        assert len(found) <= len(expected) + 1
        near = [np.abs(found - one).min() <= 0.1 for one in expected]
        assert sum(near) >= len(expected) - 1
    assert np.median([onset.waited_s for onset in onsets]) < 3.5  # of which 2 s are the delay
    assert len({(o.phase, o.time) for o in onsets}) == len(onsets)


def test_a_longer_delay_waits_longer(runner, thresholds, motion):
    traces = traces_of(packets(recorded.stream(motion[0])))
    waited = []
    for delay_s in (1.0, 6.0):
        onsets = live_picks(runner, LiveSettings(thresholds, delay_s=delay_s), traces)
        assert min(onset.waited_s for onset in onsets) >= delay_s
        waited.append(np.median([onset.waited_s for onset in onsets]))
    assert waited[1] > waited[0] + 3


def test_after_a_gap_it_begins_anew(runner, thresholds, motion):
    waveform, expected = motion
    first = recorded.stream(waveform[:18_000])
    second = recorded.stream(waveform[18_500:], start=recorded.START + 185)
    traces = traces_of(packets(first)) + traces_of(packets(second))
    found = seconds(live_picks(runner, LiveSettings(thresholds), traces), "P")
    for p, _ in expected[:1] + expected[3:]:
        assert np.abs(found - p).min() < 0.5


def test_a_component_that_stays_away_is_not_waited_for(runner, thresholds, motion):
    waveform, expected = motion
    stream = recorded.stream(waveform)
    stream[0].data = stream[0].data[:9_000]  # E fails after 90 s
    onsets = live_picks(runner, LiveSettings(thresholds), traces_of(packets(stream)))
    found = seconds(onsets, "P")
    assert np.abs(found - expected[0][0]).min() < 0.5
    assert np.abs(found - expected[-1][0]).min() < 0.5


def test_logs_and_odd_channels_are_passed_over(runner, thresholds, motion):
    stream = recorded.stream(motion[0][:9_000])
    odd = stream[2].copy()
    odd.stats.channel = "LCQ"
    assert not live_picks(runner, LiveSettings(thresholds), [odd])


def test_a_growing_file(model, thresholds, motion, tmp_path):
    path = tmp_path / "live.mseed"
    pieces = packets(recorded.stream(motion[0]), 4096)
    content = b"".join(pieces)

    def grow():
        with path.open("wb") as file:
            for at in range(0, len(content), 30_000):  # ends within records
                file.write(content[at : at + 30_000])
                file.flush()
                time.sleep(0.05)

    writer = threading.Thread(target=grow)
    writer.start()
    out = io.StringIO()
    follow_inputs(model[1], [str(path)], LiveSettings(thresholds), None, ["HH?"], 2.0, [out])
    writer.join()
    lines = out.getvalue().splitlines()
    assert lines[0] == ",".join(COLUMNS)
    assert sum(",P," in line for line in lines) >= RECORDS - 1
    fields = lines[1].split(",")
    assert float(fields[5]) > float(fields[4])  # by the clock, these data are years late


def test_a_file_that_is_no_miniseed(tmp_path):
    path = tmp_path / "live.mseed"
    path.write_bytes(b"not at all, and this for more than sixty-four bytes in a row, certainly so")
    with pytest.raises(InputError, match="byte 0"):
        follow_files([path], lambda trace: None, idle_s=0.1)


def test_a_file_that_became_shorter(tmp_path, motion):
    path = tmp_path / "live.mseed"
    pieces = packets(recorded.stream(motion[0][:9_000]))
    path.write_bytes(b"".join(pieces))

    def handle(trace):
        path.write_bytes(pieces[0])

    with pytest.raises(InputError, match="shorter"):
        follow_files([path], handle, idle_s=1.0)


class SeedLinkServer(socketserver.ThreadingTCPServer):
    """As much of SeedLink 3 as a client needs: it greets, agrees, and sends what it has."""

    allow_reuse_address = True
    daemon_threads = True


def seedlink_handler(pieces, refuse=False):
    class Handler(socketserver.StreamRequestHandler):
        def command(self):
            """Up to the next carriage return."""
            read = b""
            while (byte := self.rfile.read(1)) not in (b"", b"\r"):
                read += byte
            return read.strip().upper()

        def handle(self):
            while command := self.command():
                if command == b"HELLO":
                    self.wfile.write(b"SeedLink v3.1 (2020.075)\r\ntest\r\n")
                elif command == b"BYE":
                    return
                elif command == b"END":
                    for number, piece in enumerate(pieces):
                        self.wfile.write(b"SL%06X" % number + piece)
                    self.wfile.write(b"END")
                    return
                elif command.startswith(b"INFO"):
                    continue
                else:
                    self.wfile.write(b"ERROR\r\n" if refuse else b"OK\r\n")

    return Handler


@pytest.fixture
def seedlink():
    servers = []

    def serve(pieces, refuse=False):
        server = SeedLinkServer(("127.0.0.1", 0), seedlink_handler(pieces, refuse))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"seedlink://127.0.0.1:{server.server_address[1]}"

    yield serve
    for server in servers:
        server.shutdown()
        server.server_close()


def test_seedlink(model, thresholds, motion, seedlink):
    address = seedlink(packets(recorded.stream(motion[0], "XX.ABC.")))
    out = io.StringIO()
    follow_inputs(model[1], [address], LiveSettings(thresholds), ["XX.ABC"], ["HH?"], 5.0, [out])
    lines = out.getvalue().splitlines()
    assert sum(line.startswith("XX.ABC..HH,P,") for line in lines) >= RECORDS - 1
    assert sum(line.startswith("XX.ABC..HH,S,") for line in lines) >= RECORDS - 1


def test_a_server_that_is_not_there_or_refuses(model, thresholds, seedlink):
    for address in ("seedlink://127.0.0.1:9", seedlink([], refuse=True)):
        with pytest.raises(InputError, match="seedlink://"):
            follow_inputs(
                model[1], [address], LiveSettings(thresholds), ["XX.ABC"], None, 1.0,
                [io.StringIO()],
            )  # fmt: skip


def test_what_cannot_be_followed(model, thresholds, tmp_path):
    for inputs, stations in (
        ([], None),
        (["seedlink://a:1", "b.mseed"], ["XX.A"]),
        (["seedlink://a:1"], None),
    ):
        with pytest.raises(InputError):
            follow_inputs(
                model[1], inputs, LiveSettings(thresholds), stations, None, 1.0, [io.StringIO()]
            )


def test_many_stations_do_not_disturb_each_other(runner, thresholds, motion):
    """What each of several interleaved stations gives is what it gives alone."""
    waveform = motion[0][:18_000]
    streams = [
        recorded.stream(waveform[offset:], f"XX.S{offset:04}.") for offset in (0, 1000, 2500)
    ]
    together = live_picks(
        runner,
        LiveSettings(thresholds),
        traces_of(packets(Stream([trace for one in streams for trace in one]))),
    )
    for one in streams:
        alone = live_picks(runner, LiveSettings(thresholds), traces_of(packets(one)))
        name = one[0].id[:-1]
        assert [o for o in together if o.instrument == name] == alone
        assert alone
