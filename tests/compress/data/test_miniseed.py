"""Continuous recordings: what is cut from miniSEED files, and what is refused."""

import os
import pickle
import shutil
import subprocess
import sys
import textwrap
import tracemalloc
import warnings
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import obspy
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from obspy import Stream, Trace, UTCDateTime, read
from pydantic import TypeAdapter, ValidationError

from baseline.errors import InputError
from compress.config import load_pipeline
from compress.data.miniseed import MiniseedSource, holds_miniseed
from compress.data.records import Category, Source
from compress.data.sources import SourceConfig, check_disjoint, describe_set, open_folder

DAY = UTCDateTime(2019, 7, 6)
CONFIG = TypeAdapter(SourceConfig)


def noise(seconds, rate=100.0, seed=0):
    """Counts with an offset, as a digitizer gives them."""
    samples = round(seconds * rate)
    return np.random.default_rng(seed).integers(4000, 6000, samples).astype(np.int32)


def write(path, channel, data, start=DAY, rate=100.0, station="CI.CCC.", **options):
    """One trace in one file; `station` is network.station.location."""
    network, code, location = station.split(".")
    header = {
        "network": network, "station": code, "location": location, "channel": channel,
        "sampling_rate": rate, "starttime": start,
    }  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    Trace(data, header).write(str(path), format="MSEED", **options)
    return path


def write_three(folder, seconds, start=DAY, band="HH", letters="ENZ", rate=100.0, **options):
    """Three components in one file each; returns their samples by letter."""
    data = {c: noise(seconds, rate, seed) for seed, c in enumerate(letters)}
    for letter, samples in data.items():
        name = f"{options.get('station', 'CI.CCC.')}{band}{letter}.{start.timestamp:.3f}.mseed"
        write(folder / name, band + letter, samples, start, rate, **options)
    return data


def starts(source):
    """Seconds after the start of the day."""
    return [UTCDateTime(name.partition(":")[2]) - DAY for name in source.names()]


def test_sds_archive(tmp_path):
    whole = {c: noise(400, seed=seed) for seed, c in enumerate("ENZ")}
    for letter, data in whole.items():
        # A day ends in the middle of the recording.
        for day, part, start in (
            (187, data[:20_000], DAY - 200),
            (188, data[20_000:], DAY),
        ):
            folder = tmp_path / "2019" / "CI" / "CCC" / f"HH{letter}.D"
            write(folder / f"CI.CCC..HH{letter}.D.2019.{day}", f"HH{letter}", part, start)
    source = MiniseedSource(tmp_path, duration_s=60)
    assert isinstance(source, Source)
    assert len(source) == 6
    assert source.names()[0] == "CI.CCC..HH:2019-07-05T23:56:40.00"
    assert source.categories() == [Category.UNLABELLED] * 6
    for index in range(6):
        record = source[index]
        assert record.name == source.names()[index]
        assert (record.station, record.category) == ("CI.CCC", Category.UNLABELLED)
        assert record.original_sampling_rate_hz == 100.0
        assert record.waveform.dtype == np.float32
        expected = np.stack([whole[c][index * 6000 :][:6000] for c in "ENZ"], axis=1)
        np.testing.assert_array_equal(record.waveform, expected)
        np.testing.assert_array_equal(source[index].waveform, record.waveform)
    for outside in (-1, 6):
        with pytest.raises(IndexError):
            source[outside]


def test_sds_files_that_nobody_asked_for_are_not_opened(tmp_path):
    for day, start in ((187, DAY - 86400), (188, DAY)):
        for letter in "ENZ":
            folder = tmp_path / "2019" / "CI" / "CCC" / f"HH{letter}.D"
            write(folder / f"CI.CCC..HH{letter}.D.2019.{day}", f"HH{letter}", noise(100), start)
    damaged = write(tmp_path / "2019/CI/CCC/HHZ.D/CI.CCC..HHZ.D.2019.100", "HHZ", noise(100))
    shutil.copy(damaged, tmp_path / "2019/CI/CCC/HHZ.D/CI.DDD..HHZ.D.2019.188")
    (tmp_path / "2019/CI/CCC/LHZ.D").mkdir()
    shutil.copy(damaged, tmp_path / "2019/CI/CCC/LHZ.D/CI.CCC..LHZ.D.2019.188")
    for path in tmp_path.rglob("*"):
        if path.name.endswith((".100", "CI.DDD..HHZ.D.2019.188", "LHZ.D.2019.188")):
            os.truncate(path, 700)
    source = MiniseedSource(
        tmp_path, start=datetime(2019, 7, 5), end=datetime(2019, 7, 8), stations=("CI.CCC",)
    )
    assert starts(source) == [-86400, 0]
    later = MiniseedSource(tmp_path, start=datetime(2019, 7, 6, tzinfo=UTC), stations=["CI.CCC"])
    assert starts(later) == [0]
    with pytest.raises(InputError, match="3 damaged files"):
        MiniseedSource(tmp_path, channels=("HH?", "LH?"))


def test_flat_folder_and_glob(tmp_path):
    write_three(tmp_path / "a" / "deep", 95)
    write_three(tmp_path / "b", 95, start=DAY + 500)
    (tmp_path / "a" / "station.xml").write_text("<FDSNStationXML/>")
    (tmp_path / "a" / "log").write_text("000001 started\n" * 20)
    (tmp_path / "a" / "empty.mseed").touch()
    (tmp_path / "b" / "again").symlink_to(tmp_path / "a")
    assert starts(MiniseedSource(tmp_path)) == [0, 500]
    assert starts(MiniseedSource(tmp_path, files="a/**/*.mseed")) == [0]
    assert starts(MiniseedSource(tmp_path / "b")) == [0, 500]  # through the link
    with pytest.raises(InputError, match=r"no file is miniSEED.*\(2 matching"):
        MiniseedSource(tmp_path, files="a/[sl]*")


def test_one_file_with_everything(tmp_path):
    """Names that mean something to ObsPy's own pattern matching, and several channels in a file."""
    stream = Stream()
    for letter in "ENZ":
        header = {"network": "CI", "station": "CCC", "channel": f"HH{letter}", "starttime": DAY}
        stream += Trace(noise(100), {**header, "sampling_rate": 100.0})
    stream.write(str(tmp_path / "all[1]*.mseed"), format="MSEED", reclen=4096)
    source = MiniseedSource(tmp_path)
    np.testing.assert_array_equal(source[0].waveform[:, 2], noise(100)[:9000])


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    pieces=st.lists(
        st.tuples(st.integers(20_00, 200_00), st.integers(1, 30_00)), min_size=1, max_size=4
    ),
    offset_us=st.integers(0, 4000),
    one_file=st.booleans(),
    order=st.randoms(use_true_random=False),
)
def test_stretches_are_covered_up_to_a_remainder(
    tmp_path_factory, pieces, offset_us, one_file, order
):
    """Pieces of (samples, missing samples after them), in a file each or in one, in any order."""
    folder = tmp_path_factory.mktemp("pieces")
    total = sum(samples + gap for samples, gap in pieces)
    written = np.stack([noise(total / 100, seed=seed) for seed in range(3)], axis=1)
    begin = DAY + offset_us / 1e6
    at, expected, traces = 0, [], []
    for samples, gap in pieces:
        for column, letter in enumerate("ENZ"):
            header = {
                "network": "CI", "station": "CCC", "channel": f"HH{letter}",
                "sampling_rate": 100.0, "starttime": begin + at / 100,
            }  # fmt: skip
            traces.append(Trace(written[at : at + samples, column].copy(), header))
        expected += list(range(at, at + samples - 5999, 6000))
        at += samples + gap
    order.shuffle(traces)
    for number, part in enumerate([traces] if one_file else [[trace] for trace in traces]):
        Stream(part).write(str(folder / str(number)), format="MSEED", reclen=512)
    if not expected:
        with pytest.raises(InputError, match="no record of 60 s"):
            MiniseedSource(folder, duration_s=60)
        return
    source = MiniseedSource(folder, duration_s=60)
    assert [round((s - offset_us / 1e6) * 100) for s in starts(source)] == expected
    for index, first in enumerate(expected):
        np.testing.assert_array_equal(source[index].waveform, written[first : first + 6000])


def test_steps_and_times(tmp_path):
    data = write_three(tmp_path, 300)
    overlapping = MiniseedSource(tmp_path, step_s=30)
    assert starts(overlapping) == list(range(0, 211, 30))
    np.testing.assert_array_equal(overlapping[1].waveform[:, 2], data["Z"][3000:12000])
    assert starts(MiniseedSource(tmp_path, step_s=200)) == [0, 200]
    between = MiniseedSource(
        tmp_path, step_s=30, start=datetime(2019, 7, 6, 0, 0, 30), end=datetime(2019, 7, 6, 0, 3)
    )
    assert starts(between) == [30, 60, 90]
    with pytest.raises(InputError, match="There are 3, but none between"):
        MiniseedSource(tmp_path, start=datetime(2020, 1, 1))


@pytest.mark.parametrize("gap", [1, 150])
def test_gaps(tmp_path, gap):
    """A gap of some samples in one component at 100 s."""
    data = write_three(tmp_path, 200)
    path = next(tmp_path.glob("*HHN*"))
    write(path, "HHN", data["N"][:10_000])
    write(tmp_path / "rest", "HHN", data["N"][10_000 + gap :], DAY + 100 + gap / 100)
    assert starts(MiniseedSource(tmp_path, duration_s=60)) == [0, 100 + gap / 100]

    filled = MiniseedSource(tmp_path, duration_s=60, maximum_gap_s=2)
    assert starts(filled) == [0, 60, 120]
    waveform = filled[1].waveform
    line = np.interp(np.arange(gap), [-1, gap], data["N"][[9_999, 10_000 + gap]])
    np.testing.assert_allclose(waveform[4000 : 4000 + gap, 1], line, rtol=1e-6)
    np.testing.assert_array_equal(waveform[:4000, 1], data["N"][6000:10_000])
    np.testing.assert_array_equal(waveform[4000 + gap :, 1], data["N"][10_000 + gap : 12_000])
    np.testing.assert_array_equal(waveform[:, 0], data["E"][6000:12_000])


def test_filled_gap_across_the_end_of_a_record(tmp_path):
    data = write_three(tmp_path, 200)
    write(next(tmp_path.glob("*HHZ*")), "HHZ", data["Z"][:5_950])
    write(tmp_path / "rest", "HHZ", data["Z"][6_050:], DAY + 60.5)
    source = MiniseedSource(tmp_path, duration_s=60, maximum_gap_s=1)
    line = np.interp(np.arange(5_950, 6_050), [5_949, 6_050], data["Z"][[5_949, 6_050]])
    np.testing.assert_allclose(source[0].waveform[5_950:, 2], line[:50], rtol=1e-6)
    np.testing.assert_allclose(source[1].waveform[:50, 2], line[50:], rtol=1e-6)


def test_overlapping_recordings(tmp_path):
    """What begins later counts, as when ObsPy merges with method 1."""
    data = write_three(tmp_path, 100)
    other = noise(100, seed=9)
    write(tmp_path / "later", "HHE", other, DAY + 50)
    stream = read(str(next(tmp_path.glob("*HHE*")))) + read(str(tmp_path / "later"))
    merged = stream.merge(method=1)[0].data
    source = MiniseedSource(tmp_path)
    assert len(source) == 1
    np.testing.assert_array_equal(source[0].waveform[:, 0], merged[:9000])
    np.testing.assert_array_equal(merged[5000:9000], other[:4000])
    np.testing.assert_array_equal(source[0].waveform[:, 1], data["N"][:9000])


def test_missing_components(tmp_path):
    data = write_three(tmp_path, 200)
    write(next(tmp_path.glob("*HHE*")), "HHE", data["E"][:10_000])
    assert starts(MiniseedSource(tmp_path)) == [0]
    source = MiniseedSource(tmp_path, missing_components="zero")
    assert starts(source) == [0, 90]
    np.testing.assert_array_equal(source[0].waveform[:, 0], data["E"][:9000])
    assert not source[1].waveform[:, 0].any()
    np.testing.assert_array_equal(source[1].waveform[:, 1], data["N"][9000:18000])


def test_vertical_alone(tmp_path):
    data = noise(100)
    write(tmp_path / "z", "EHZ", data)
    with pytest.raises(InputError, match=r"CI.CCC..EH \(has only Z\).*missing_components: zero"):
        MiniseedSource(tmp_path)
    record = MiniseedSource(tmp_path, missing_components="zero")[0]
    assert not record.waveform[:, :2].any()
    np.testing.assert_array_equal(record.waveform[:, 2], data[:9000])

    (tmp_path / "z").unlink()
    write(tmp_path / "n", "EHN", data)
    with pytest.raises(InputError, match="has only N"):
        MiniseedSource(tmp_path, missing_components="zero")


def test_horizontals_named_1_and_2(tmp_path):
    data = write_three(tmp_path, 100, letters="12Z")
    waveform = MiniseedSource(tmp_path)[0].waveform
    for column, letter in enumerate("21Z"):
        np.testing.assert_array_equal(waveform[:, column], data[letter][:9000])


def test_renamed_horizontals_are_not_mixed(tmp_path):
    write_three(tmp_path, 100, letters="12Z")
    write_three(tmp_path, 100, letters="ENZ", start=DAY + 100)
    source = MiniseedSource(tmp_path)
    assert starts(source) == [0, 100]


def test_other_components_are_left_out_with_the_reason(tmp_path):
    write_three(tmp_path, 100, letters="UVW")
    write_three(tmp_path, 100, band="BH", rate=20.0)
    with pytest.raises(InputError, match="component U is none of") as refused:
        MiniseedSource(tmp_path)
    assert "CI.CCC..BHE (20 Hz, below 40 Hz)" in str(refused.value)
    write_three(tmp_path, 100, band="EH")
    with pytest.warns(UserWarning, match="component U is none of"):
        source = MiniseedSource(tmp_path)
    assert source.names() == ["CI.CCC..EH:2019-07-06T00:00:00.00"]
    assert len(source.left_out) == 6
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        MiniseedSource(tmp_path, channels=("EH?",))


def test_the_same_ground_motion_is_taken_once(tmp_path):
    """HH for 200 s, BH and the accelerometer for longer, another location all along."""
    write_three(tmp_path, 200)
    write_three(tmp_path, 400, band="BH", rate=40.0)
    write_three(tmp_path, 400, band="HN")
    write_three(tmp_path, 400, station="CI.CCC.10")
    write_three(tmp_path, 200, station="CI.DDD.")
    source = MiniseedSource(tmp_path, duration_s=60)
    instruments = [name.partition(":")[0] for name in source.names()]
    assert instruments == ["CI.CCC..HH"] * 3 + ["CI.CCC.10.HH"] * 3 + ["CI.DDD..HH"] * 3
    assert starts(source) == [0, 60, 120, 180, 240, 300, 0, 60, 120]
    accelerometer = MiniseedSource(tmp_path, duration_s=60, channels=("HN?", "HH?"))
    assert {name.partition(":")[0] for name in accelerometer.names()} == {
        "CI.CCC..HN",
        "CI.DDD..HH",
    }
    broadband = MiniseedSource(tmp_path, channels=("BH?",))
    assert broadband[0].original_sampling_rate_hz == 40.0


@pytest.mark.parametrize("rate", [40.0, 62.5, 200.0, 250.0])
def test_other_sampling_rates(tmp_path, rate):
    """A sine keeps its phase, and the rates of the components may differ."""
    for letter, own in (("E", rate), ("N", 100.0), ("Z", rate)):
        times = np.arange(round(100 * own)) / own
        sine = (1e5 * np.sin(2 * np.pi * 3.0 * times) + 5000).astype(np.int32)
        write(tmp_path / letter, f"HH{letter}", sine, rate=own)
    record = MiniseedSource(tmp_path)[0]
    assert record.waveform.shape == (9000, 3)
    assert record.original_sampling_rate_hz == min(rate, 100.0)
    expected = 1e5 * np.sin(2 * np.pi * 3.0 * np.arange(9000) / 100) + 5000
    inner = slice(100, -100)
    for column in range(3):
        assert np.abs(record.waveform[inner, column] - expected[inner]).max() < 500


def test_a_change_of_the_sampling_rate(tmp_path):
    write_three(tmp_path, 150)
    write_three(tmp_path, 150, start=DAY + 150, rate=200.0)
    source = MiniseedSource(tmp_path, duration_s=60)
    assert starts(source) == [0, 60, 150, 210]
    assert [source[i].original_sampling_rate_hz for i in range(4)] == [100, 100, 200, 200]


def test_components_between_each_others_samples(tmp_path):
    """A record of exactly the files' length, with the components' clocks apart."""
    data = {}
    for seed, (letter, shift) in enumerate((("E", 0.0), ("N", 0.003), ("Z", -0.0015))):
        data[letter] = noise(90, seed=seed)
        write(tmp_path / letter, f"HH{letter}", data[letter], DAY + shift)
    source = MiniseedSource(tmp_path)
    assert len(source) == 1
    for column, letter in enumerate("ENZ"):
        np.testing.assert_array_equal(source[0].waveform[:, column], data[letter])


def test_small_time_jumps_are_no_gaps(tmp_path):
    data = write_three(tmp_path, 200)
    for letter in "ENZ":
        (path,) = tmp_path.glob(f"*HH{letter}*")
        path.unlink()
        for number in range(4):  # 4 ms later each time
            part = data[letter][number * 5000 :][:5000]
            write(tmp_path / f"{letter}{number}", f"HH{letter}", part, DAY + number * 50.004)
    source = MiniseedSource(tmp_path, duration_s=180)
    assert len(source) == 1
    waveform = source[0].waveform
    assert np.isfinite(waveform).all()
    np.testing.assert_array_equal(waveform[:10_000, 0], data["E"][:10_000])
    np.testing.assert_array_equal(waveform[15_001:, 0], data["E"][15_000:17_999])
    assert waveform.min() >= 4000


@pytest.mark.parametrize(
    ("encoding", "dtype"),
    [
        ("STEIM1", np.int32),
        ("STEIM2", np.int32),
        ("INT16", np.int16),
        ("INT32", np.int32),
        ("FLOAT32", np.float32),
        ("FLOAT64", np.float64),
    ],
)
def test_encodings_and_byte_orders(tmp_path, encoding, dtype):
    data = {}
    for seed, (letter, order) in enumerate((("E", "<"), ("N", ">"), ("Z", ">"))):
        data[letter] = noise(90, seed=seed).astype(dtype)
        write(tmp_path / letter, f"HH{letter}", data[letter], encoding=encoding, byteorder=order)
    assert holds_miniseed(tmp_path)
    waveform = MiniseedSource(tmp_path)[0].waveform
    for column, letter in enumerate("ENZ"):
        np.testing.assert_array_equal(waveform[:, column], data[letter])


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_samples_that_are_not_finite(tmp_path, value):
    write_three(tmp_path, 90)
    floats = noise(90).astype(np.float64)
    floats[4000:4020] = value
    write(next(tmp_path.glob("*HHZ*")), "HHZ", floats)
    with pytest.raises(InputError, match=r"HHZ.*20 samples of CI.CCC..HHZ in a row"):
        MiniseedSource(tmp_path)[0]
    waveform = MiniseedSource(tmp_path, maximum_gap_s=0.2)[0].waveform
    line = np.interp(np.arange(4000, 4020), [3999, 4020], floats[[3999, 4020]])
    np.testing.assert_allclose(waveform[4000:4020, 2], line, rtol=1e-6)


def test_dead_channel_is_kept(tmp_path):
    for letter in "ENZ":
        write(tmp_path / letter, f"HH{letter}", np.full(9000, 77, np.int32))
    assert (MiniseedSource(tmp_path)[0].waveform == 77).all()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda b: b[:-300], "Unexpected end of file"),
        (lambda b: b[:-500], "Last record only has 12 byte"),
        (lambda b: b[:200], "cannot be read as miniSEED"),
        (lambda b: b[:5120] + b"\0" * 512 + b[5632:], "Not a SEED record"),
        (lambda b: b[:52] + b"\x4d" + b[53:], "not a valid MiniSEED encoding"),
    ],
)
def test_damaged_headers(tmp_path, damage, told):
    write_three(tmp_path, 100, reclen=512)
    path = next(tmp_path.glob("*HHN*"))
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=told) as refused:
        MiniseedSource(tmp_path)
    assert path.name in str(refused.value)
    assert "1 damaged file:" in str(refused.value)


def test_damaged_samples(tmp_path):
    write_three(tmp_path, 100, reclen=512)
    path = next(tmp_path.glob("*HHN*"))
    whole = path.read_bytes()
    path.write_bytes(whole[:5220] + np.random.default_rng(0).bytes(300) + whole[5520:])
    source = MiniseedSource(tmp_path)
    with pytest.raises(InputError, match=r"HHN.*record 'CI.CCC..HH:2019-07-06T00:00:00.00'"):
        source[0]


@settings(max_examples=60, deadline=None)
@given(
    changes=st.lists(
        st.tuples(st.integers(0, 90), st.integers(0, 63), st.integers(0, 255)),
        min_size=1,
        max_size=3,
    ),
    gap=st.sampled_from([0, 1]),
)
@example(changes=[(0, 52, 0)], gap=0)  # the encoding says text
def test_changed_headers_are_refused_or_read(tmp_path_factory, changes, gap):
    """Bytes changed in headers anywhere: (miniSEED record, place, value)."""
    folder = tmp_path_factory.mktemp("changed")
    write_three(folder, 200, reclen=512)
    path = next(folder.glob("*HHN*"))
    content = bytearray(path.read_bytes())
    for number, place, value in changes:
        content[number * 512 + place] = value
    path.write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a channel, now of another name, is left out
        try:
            source = MiniseedSource(folder, duration_s=60, maximum_gap_s=gap)
            waveforms = [source[index].waveform for index in range(len(source))]
        except InputError as error:
            assert str(folder) in error.message
            return
    assert len(set(source.names())) == len(source)
    assert all(w.shape == (6000, 3) and np.isfinite(w).all() for w in waveforms)


def test_codes_that_are_not_ascii(tmp_path):
    data = write_three(tmp_path, 100, reclen=512)
    path = next(tmp_path.glob("*HHN*"))
    content = bytearray(path.read_bytes())
    content[11::512] = b"\xb0" * len(content[11::512])  # fills the station code up
    path.write_bytes(content)
    np.testing.assert_array_equal(MiniseedSource(tmp_path)[0].waveform[:, 1], data["N"][:9000])


def test_file_that_goes_away(tmp_path):
    write_three(tmp_path, 100)
    source = MiniseedSource(tmp_path)
    next(tmp_path.glob("*HHN*")).unlink()
    with pytest.raises(InputError, match="HHN"):
        source[0]
    with pytest.raises(InputError, match="HHN"):
        source.fingerprint()


def test_nothing_to_read(tmp_path):
    with pytest.raises(InputError, match="no such folder"):
        MiniseedSource(tmp_path / "nowhere")
    with pytest.raises(InputError, match="no file is miniSEED"):
        MiniseedSource(tmp_path)
    write_three(tmp_path, 100, band="LH", rate=1.0)
    with pytest.raises(InputError, match=r"none of the channels is asked for, CI.CCC..LHE"):
        MiniseedSource(tmp_path)
    write_three(tmp_path, 50)
    with pytest.raises(InputError, match="no stretch that long"):
        MiniseedSource(tmp_path, channels=("HH?",))


def test_limit_and_pickling(tmp_path):
    write_three(tmp_path, 1300)
    source = MiniseedSource(tmp_path, duration_s=60)
    drawn = MiniseedSource(tmp_path, duration_s=60, limit=5, seed=3)
    assert len(source) == 21
    assert drawn.names() == MiniseedSource(tmp_path, duration_s=60, limit=5, seed=3).names()
    assert drawn.names() == [name for name in source.names() if name in drawn.names()]
    assert len(drawn) == 5
    assert drawn.names() != MiniseedSource(tmp_path, duration_s=60, limit=5, seed=4).names()
    copy = pickle.loads(pickle.dumps(drawn))
    np.testing.assert_array_equal(copy[4].waveform, drawn[4].waveform)
    whole = source[source.names().index(drawn.names()[4])]
    np.testing.assert_array_equal(whole.waveform, drawn[4].waveform)


def test_fingerprint(tmp_path):
    data = write_three(tmp_path / "a", 300)
    shutil.copytree(tmp_path / "a", tmp_path / "elsewhere")
    before = MiniseedSource(tmp_path / "a").fingerprint()
    assert before == MiniseedSource(tmp_path / "elsewhere").fingerprint()
    assert before != MiniseedSource(tmp_path / "a", limit=2).fingerprint()
    assert before != MiniseedSource(tmp_path / "a", duration_s=100).fingerprint()
    # A later file of another day changes nothing where it is not asked for.
    write_three(tmp_path / "a", 300, start=DAY + 5000)
    end = datetime(2019, 7, 6, 0, 30)
    assert before == MiniseedSource(tmp_path / "a", end=end).fingerprint()
    assert before != MiniseedSource(tmp_path / "a").fingerprint()
    data["Z"][5] += 1
    write(next((tmp_path / "elsewhere").glob("*HHZ*")), "HHZ", data["Z"])
    assert before != MiniseedSource(tmp_path / "elsewhere").fingerprint()


def test_fingerprint_is_computed_once(tmp_path):
    write_three(tmp_path, 300)
    source = MiniseedSource(tmp_path)
    once = source.fingerprint()
    next(tmp_path.glob("*HHZ*")).unlink()
    assert source.fingerprint() == once


def test_sets_of_one_archive_are_kept_apart(tmp_path):
    write_three(tmp_path, 400)
    noon = datetime(2019, 7, 6, 0, 3)
    first, second = MiniseedSource(tmp_path, end=noon), MiniseedSource(tmp_path, start=noon)
    check_disjoint({"train": first, "calibration": second})
    with pytest.raises(InputError, match="share 2 records"):
        check_disjoint({"train": first, "calibration": MiniseedSource(tmp_path)})


def test_index_holds_no_samples(tmp_path):
    """60 hours in 180 files, of 84 MB as they are read."""
    data = noise(3600)
    first = write(tmp_path / "HHZ000", "HHZ", data)
    size = first.stat().st_size
    for hour in range(60):
        for letter in "ENZ":
            write(tmp_path / f"HH{letter}{hour:03}", f"HH{letter}", data, DAY + 3600 * hour)
    tracemalloc.start()
    source = MiniseedSource(tmp_path)
    source[0]
    peak = 0
    tracemalloc.reset_peak()
    for index in range(0, len(source), 200):
        source[index]
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(source) == 2400
    assert size > 500_000
    assert peak < 6e6  # a record is 0.1 MB, all samples are 260 MB as int32


def test_waveforms_that_come_with_obspy():
    """Real files; some of them are damaged on purpose."""
    data = Path(obspy.__file__).parent / "io" / "mseed" / "tests" / "data"
    if not data.is_dir():
        pytest.skip("this ObsPy comes without its test data")
    with pytest.raises(InputError, match=r"damaged.*brokenlastrecord"):
        MiniseedSource(data)
    with pytest.raises(InputError, match=r"NL.HGN.00.BH \(has only Z\)"):
        MiniseedSource(data, files="test.mseed")
    record = MiniseedSource(data, files="test.mseed", missing_components="zero")[0]
    recorded = read(str(data / "test.mseed"))[0].data  # at 40 Hz: every second sample
    vertical = record.waveform[::5, 2]
    assert np.abs(vertical - recorded[:3600:2])[10:-10].max() < 0.02 * np.ptp(recorded)


def test_open_folder(tmp_path):
    with pytest.raises(InputError, match="and miniSEED"):
        open_folder(tmp_path)
    write_three(tmp_path / "2019", 100)
    assert isinstance(open_folder(tmp_path), MiniseedSource)
    with pytest.raises(InputError, match="no split 'dev'"):
        open_folder(tmp_path, "dev")


def test_configuration(tmp_path):
    write_three(tmp_path, 400)
    settings = {"kind": "miniseed", "folder": str(tmp_path), "step_s": 30, "stations": ["CI.*"]}
    config = CONFIG.validate_python({**settings, "start": "2019-07-06T00:01:00Z"})
    assert starts(config.open())[:2] == [60, 90]
    (described,) = describe_set([config])
    assert described["folder"] == tmp_path.name
    assert described["start"] == "2019-07-06T00:01:00Z"
    for wrong in ({"start": 2019}, {"end": "2019"}, {"files": "/etc/*"}, {"step_s": 0}):
        with pytest.raises(ValidationError):
            CONFIG.validate_python({**settings, **wrong})


def test_pipeline_file(tmp_path):
    write_three(tmp_path / "archive", 400)
    path = tmp_path / "pipeline.yaml"
    path.write_text(
        textwrap.dedent("""\
        version: 1
        name: own-network
        output: out
        data:
          train:
            - kind: miniseed
              folder: archive
              channels: ["HH?", "EH?"]
              end: 2019-07-06T00:03:00
          calibration:
            - {kind: miniseed, folder: archive, start: 2019-07-06, step_s: 30, limit: 3}
          evaluation:
            - {kind: synthetic, records: 4, seed: 1}
        stages:
          - {kind: simplify}
        """)
    )
    pipeline = load_pipeline(path)
    (train,), (calibration,) = pipeline.data.train, pipeline.data.calibration
    assert starts(train.open()) == [0, 90]
    assert len(calibration.open()) == 3


def test_obspy_is_not_imported_by_the_configuration():
    program = "import sys, compress.config, compress.cli; print('obspy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "False", done.stderr


def test_agreement_on_recordings(tmp_path, monkeypatch, run_cli):
    """`compress agree` on a folder of miniSEED, with a model that calls loud samples picks."""
    import json

    import onnx
    from onnx import helper

    from baseline.contract import WINDOW_SHAPE
    from compress.evaluation import bootstrap

    monkeypatch.setattr(bootstrap, "RESAMPLES", 20)
    shape = [1, *WINDOW_SHAPE]
    nodes = [
        helper.make_node("Abs", ["waveform"], ["loud"]),
        helper.make_node("Sigmoid", ["loud"], ["prediction"]),
    ]
    tensors = [
        helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)
        for name in ("waveform", "prediction")
    ]
    graph = helper.make_graph(nodes, "loud", tensors[:1], tensors[1:])
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=9), tmp_path / "model.onnx")
    archive = tmp_path / "archive"
    write_three(archive, 400)

    code, printed = run_cli(
        "agree", tmp_path / "model.onnx", tmp_path / "model.onnx", "--data", archive,
        "--json", tmp_path / "out.json",
    )  # fmt: skip
    assert code == 0, printed
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["data"]["records"] == 4
    assert document["counts"]["records"] == MiniseedSource(archive).names()
    assert document["agreement"]["p_probability_rmse"]["point"] < 1e-6

    code, printed = run_cli("evaluate", tmp_path / "model.onnx", "--data", archive)
    assert code == 2
    assert "Accuracy needs labelled records" in " ".join(printed.split())
