"""What is picked of files and folders, and what they are prepared to."""

import pickle

import numpy as np
import obspy
import pytest
import recorded
from obspy import Stream

from baseline.errors import InputError
from compress.data import archive
from compress.data.band_pass import band_pass
from compress.data.resampling import resample
from compress.picking.preparation import (
    BAND_HZ,
    BLOCK_SAMPLES,
    Preparation,
    length,
    prepared,
    time_ns,
)
from compress.picking.recordings import find_recordings

NOTHING_DONE = Preparation(None, taper=False)
START_NS = recorded.START.ns


@pytest.fixture(scope="module")
def waveform():
    return recorded.continuous(16)[0]  # 24 minutes: three blocks


def all_of(found, preparation=NOTHING_DONE, blocks=6):
    (stretches,) = found.stations.values()
    return [
        np.concatenate(list(prepared(found.archive, one, preparation, blocks))) for one in stretches
    ]


def test_what_was_recorded_comes_out(tmp_path, waveform):
    found = find_recordings([recorded.write(tmp_path / "a.mseed", recorded.stream(waveform))])
    (out,) = all_of(found)
    assert out.dtype == np.float32
    assert np.array_equal(out, np.rint(waveform).astype(np.float32))
    (stretch,) = found.stations["XX.ABC"]
    assert time_ns(stretch, 123.5) == START_NS + 1_235_000_000


@pytest.mark.parametrize("rate", [100.0, 200.0, 62.5, 40.0])
@pytest.mark.parametrize("preparation", [NOTHING_DONE, Preparation()])
def test_how_much_is_read_at_once_changes_nothing(tmp_path, waveform, rate, preparation):
    resampled = waveform if rate == 100 else resampled_to(waveform, rate)
    path = recorded.write(tmp_path / "a.mseed", recorded.stream(resampled, rate=rate))
    found = find_recordings([path])
    (once,), (often,), (two,) = (all_of(found, preparation, blocks) for blocks in (100, 1, 2))
    assert np.array_equal(once, often)
    assert np.array_equal(once, two)
    (stretch,) = found.stations["XX.ABC"]
    assert len(once) == length(stretch)
    assert abs(len(once) - len(waveform)) <= 100 / rate + 1


def resampled_to(waveform, rate):
    """As a digitizer of that rate would have recorded it."""
    from fractions import Fraction

    return resample(waveform, Fraction(rate / 100).limit_denominator(100)).astype(np.float64)


def test_a_recording_at_another_rate_is_the_same_motion(tmp_path, waveform):
    short = waveform[:60_000]
    path = recorded.write(
        tmp_path / "a.mseed", recorded.stream(resampled_to(short, 200.0), rate=200.0)
    )
    (out,) = all_of(find_recordings([path]), Preparation(taper=False))
    same = recorded.write(tmp_path / "b.mseed", recorded.stream(short))
    (expected,) = all_of(find_recordings([same]), Preparation(taper=False))
    error = (out - expected)[500:-500]
    assert np.sqrt((error**2).mean()) < 0.03 * expected.std()


def test_blocks_leave_no_seam(tmp_path, waveform):
    path = recorded.write(tmp_path / "a.mseed", recorded.stream(waveform))
    (out,) = all_of(find_recordings([path]), Preparation(taper=False))
    whole = band_pass(np.rint(waveform), BAND_HZ)
    near = slice(BLOCK_SAMPLES - 2000, BLOCK_SAMPLES + 2000)
    np.testing.assert_allclose(out[near], whole[near], atol=1e-3 * whole.std())


def test_the_ends_are_tapered_as_the_original_predictor_does(tmp_path, waveform):
    path = recorded.write(tmp_path / "a.mseed", recorded.stream(waveform))
    found = find_recordings([path])
    (plain,), (tapered,) = (all_of(found, Preparation(None, taper)) for taper in (False, True))
    ends = 144  # a thousandth of 24 minutes
    assert np.array_equal(plain[ends:-ends], tapered[ends:-ends])
    assert not tapered[0].any()
    assert not tapered[-1].any()
    assert (np.abs(tapered[: ends - 1]) < np.abs(plain[: ends - 1])).all()


def test_gaps_are_filled_or_end_a_stretch(tmp_path, waveform):
    short = waveform[:30_000]
    before, after = short[:10_000], short[10_050:]
    path = recorded.write(
        tmp_path / "a.mseed",
        recorded.stream(before),
        recorded.stream(after, start=recorded.START + 100.5),
    )
    (out,) = all_of(find_recordings([path], maximum_gap_s=1.0))
    assert len(out) == 30_000
    line = np.linspace(np.rint(before[-1]), np.rint(after[0]), 52)[1:-1]
    np.testing.assert_allclose(out[10_000:10_050], line, rtol=1e-6)
    first, second = all_of(find_recordings([path], maximum_gap_s=0.1))
    assert (len(first), len(second)) == (10_000, 19_950)


def test_samples_that_are_not_finite_are_a_gap(tmp_path, waveform):
    traces = recorded.stream(waveform[:20_000])
    for trace in traces:
        trace.data = trace.data.astype(np.float32)
    traces[2].data[5_000:5_300] = np.nan
    traces[2].data[0] = np.inf
    (out,) = all_of(find_recordings([recorded.write(tmp_path / "a.mseed", traces)]))
    assert np.isfinite(out).all()


def test_missing_horizontals_are_zeros_or_left_out(tmp_path, waveform):
    vertical = Stream([recorded.stream(waveform[:20_000])[2]])
    path = recorded.write(tmp_path / "a.mseed", vertical)
    (out,) = all_of(find_recordings([path]))
    assert not out[:, :2].any()
    assert out[:, 2].any()
    with pytest.raises(InputError, match="nothing to pick"):
        find_recordings([path], zeros=False)


def test_a_time_is_picked_once_whatever_stands_at_a_station(tmp_path, waveform):
    short = waveform[:20_000]
    strong = recorded.stream(short)
    for trace in strong:
        trace.stats.channel = "HN" + trace.stats.channel[-1]
    broken = recorded.stream(short[:12_000])
    path = recorded.write(tmp_path / "a.mseed", strong, broken)
    stretches = find_recordings([path]).stations["XX.ABC"]
    assert [one.instrument.name for one in stretches] == ["XX.ABC..HH", "XX.ABC..HN"]
    assert stretches[0].end == stretches[1].start


def test_one_and_two_stand_for_north_and_east(tmp_path, waveform):
    path = recorded.write(tmp_path / "a.mseed", recorded.stream(waveform[:20_000], letters="21Z"))
    (out,) = all_of(find_recordings([path]))
    assert np.array_equal(out, np.rint(waveform[:20_000]).astype(np.float32))


@pytest.mark.parametrize("format", ["SAC", "GSE2", "SLIST"])
def test_other_formats(tmp_path, waveform, format):
    for trace in recorded.stream(waveform[:20_000]):
        trace.write(str(tmp_path / f"{trace.id}.{format.lower()}"), format=format)
    (out,) = all_of(find_recordings([tmp_path]))
    np.testing.assert_allclose(out, np.rint(waveform[:20_000]), rtol=1e-6)


def test_a_folder_may_hold_other_things_and_a_named_file_may_not(tmp_path, waveform):
    recorded.write(tmp_path / "a.mseed", recorded.stream(waveform[:20_000]))
    note = tmp_path / "README.txt"
    note.write_text("station visited in May\n")
    found = find_recordings([tmp_path])
    assert found.passed_over == 1
    with pytest.raises(InputError, match="no recording"):
        find_recordings([tmp_path, note])


def test_a_pickle_is_not_opened(tmp_path):
    class Trap:
        def __reduce__(self):
            return (open, (str(tmp_path / "sprung"), "w"))

    for name, content in (("trap", Trap()), ("stream", obspy.read())):
        (tmp_path / f"{name}.pickle").write_bytes(pickle.dumps(content))
    with pytest.raises(InputError):
        find_recordings([tmp_path / "trap.pickle"])
    with pytest.raises(InputError):
        find_recordings([tmp_path])
    assert not (tmp_path / "sprung").exists()


def test_times_and_stations(tmp_path, waveform):
    short = waveform[:30_000]
    path = recorded.write(
        tmp_path / "a.mseed", recorded.stream(short), recorded.stream(short, station="YY.DEF.00")
    )
    found = find_recordings(
        [path],
        stations=["YY.*"],
        start=(recorded.START + 50).datetime,
        end=(recorded.START + 250).datetime,
    )
    (out,) = all_of(found)
    assert list(found.stations) == ["YY.DEF"]
    assert np.array_equal(out, np.rint(short[5_000:25_000]).astype(np.float32))
    for nothing in ({"stations": ["ZZ.*"]}, {"start": (recorded.START + 400).datetime}):
        with pytest.raises(InputError, match="nothing to pick"):
            find_recordings([path], **nothing)


def test_a_damaged_file_is_named(tmp_path, waveform):
    path = recorded.write(tmp_path / "a.mseed", recorded.stream(waveform[:20_000]))
    content = bytearray(path.read_bytes())
    content[48:64] = bytes(16)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.mseed"):
        all_of(find_recordings([path]))
    with pytest.raises(InputError, match="no such file"):
        find_recordings([tmp_path / "b.mseed"])


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("rate", [100.0, 62.5])
def test_a_long_file_is_read_by_parts_and_the_same(tmp_path, monkeypatch, waveform, rate, together):
    """Its channels one after the other, or taking turns; with a gap of ten seconds in all."""
    resampled = waveform if rate == 100 else resampled_to(waveform, rate)
    gap = slice(40_000, 40_000 + round(10 * rate))
    pieces = [
        recorded.stream(resampled[: gap.start], rate=rate),
        recorded.stream(resampled[gap.stop :], start=recorded.START + gap.stop / rate, rate=rate),
    ]
    if not together:
        cuts = [recorded.START + seconds for seconds in range(0, 1500, 60)]
        pieces = [part.slice(begin, begin + 60 - 1 / rate) for part in pieces for begin in cuts]
    path = recorded.write(tmp_path / "a.mseed", *pieces, reclen=512)
    whole = find_recordings([path])
    monkeypatch.setattr(archive, "PART_BYTES", 30_000)
    parts = find_recordings([path])
    assert len(whole.archive.parts) == 1
    assert len(parts.archive.parts) == -(-path.stat().st_size // (30_000 // 512 * 512))
    for one, other in zip(whole.stations["XX.ABC"], parts.stations["XX.ABC"], strict=True):
        assert (one.start, one.end) == (other.start, other.end)
    for one, other in zip(all_of(whole, blocks=1), all_of(parts, blocks=1), strict=True):
        assert np.array_equal(one, other)


def test_only_the_parts_of_the_time_asked_for_are_read(tmp_path, monkeypatch, waveform):
    path = recorded.write(tmp_path / "a.mseed", recorded.stream(waveform), reclen=512)
    monkeypatch.setattr(archive, "PART_BYTES", 2**15)
    found = find_recordings([path])
    read = []
    original = archive.read_stream
    monkeypatch.setattr(
        archive, "read_stream", lambda part, **times: read.append(part) or original(part, **times)
    )
    (stretch,) = found.stations["XX.ABC"]
    for channel in stretch.instrument.present():
        archive.read_values(found.archive, channel, stretch.start, 60_000, 6_000)
    assert 3 <= len(read) <= 9
    assert len(found.archive.parts) > 20


def test_a_long_file_with_records_of_two_lengths_stays_whole(tmp_path, monkeypatch, waveform):
    path = tmp_path / "a.mseed"
    with path.open("wb") as file:
        for half, length_bytes in ((slice(None, 70_000), 512), (slice(70_000, None), 4096)):
            start = recorded.START + (half.start or 0) / 100
            recorded.stream(waveform[half], start=start).write(
                file, format="MSEED", reclen=length_bytes
            )
    monkeypatch.setattr(archive, "PART_BYTES", 30_000)
    found = find_recordings([path])
    assert [part.size for part in found.archive.parts] == [None]
    (out,) = all_of(found)
    assert np.array_equal(out, np.rint(waveform).astype(np.float32))
