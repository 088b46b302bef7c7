"""SeisBench data sets: what is read, in which order, and what is refused with which words."""

import multiprocessing
import os
import pickle
import shutil
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
import pytest

from baseline.errors import InputError
from compress.data.hdf5 import content_identity
from compress.data.records import Category, Source, iterate
from compress.data.seisbench import SeisBenchSource

DATA = Path(__file__).resolve().parents[4] / "shared" / "data"
CW = {"dimension_order": "CW", "component_order": "ENZ", "sampling_rate": 100.0}


def ramps(samples: int = 300, components: int = 3) -> np.ndarray:
    """Shape (components, samples); component c counts up from 1000 * (c + 1)."""
    return np.arange(samples, dtype=np.float32) + 1000.0 * (np.arange(components)[:, None] + 1)


def write(folder: Path, rows, waveforms, data_format=CW, chunk: str = "") -> Path:
    folder.mkdir(exist_ok=True)
    pd.DataFrame(rows).to_csv(folder / f"metadata{chunk}.csv", index=False)
    with h5py.File(folder / f"waveforms{chunk}.hdf5", "w") as file:
        file.create_group("data")
        for name, waveform in waveforms.items():
            file["data"][name] = waveform
        for key, value in (data_format or {}).items():
            file[f"data_format/{key}"] = value
    return folder


def write_one(folder: Path, waveform=None, data_format=CW, **columns) -> Path:
    """A data set of one record named x."""
    return write(
        folder,
        [{"trace_name": "x", **columns}],
        {"x": ramps() if waveform is None else waveform},
        data_format,
    )


@pytest.fixture
def mixed(tmp_path) -> Path:
    """Ten records: six earthquakes (four of split train), three of noise, one unlabelled."""
    rows = [
        {
            "trace_name": f"r{i}",
            "trace_category": "noise" if i >= 7 else "earthquake",
            "split": "train" if i < 4 else "test",
            "trace_p_arrival_sample": 20 + i if i < 6 else None,
        }
        for i in range(10)
    ]
    return write(tmp_path / "mixed", rows, {row["trace_name"]: ramps() for row in rows})


def identity(folder: Path, chunk: str = "") -> str:
    """What the names of its records start with, wherever the folder is."""
    return content_identity(folder / f"waveforms{chunk}.hdf5")[:12]


def error_of(action) -> str:
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value)


def read_all(folder: Path, **options):
    return list(iterate(SeisBenchSource(folder, **options)))


# What is read


def test_a_record_is_read_with_all_that_is_known(tmp_path):
    folder = write_one(
        tmp_path / "set",
        trace_category="earthquake_local",
        trace_p_arrival_sample=50.5,
        trace_s_arrival_sample=120,
        station_network_code="NA",
        station_code="SABA",
        trace_snr_db="[10.0 20.0 nan]",
        trace_original_sampling_rate_hz=40.0,
    )
    source = SeisBenchSource(folder)
    record = source[0]
    assert isinstance(source, Source)
    assert source.names() == [record.name] == [f"{identity(folder)}:x"]
    assert source.categories() == [record.category] == [Category.EARTHQUAKE]
    assert record.waveform.dtype == np.float32
    np.testing.assert_array_equal(record.waveform, ramps().T)
    assert (record.p_sample, record.s_sample) == (50.5, 120.0)
    assert record.station == "NA.SABA"
    assert record.snr_db == 15.0
    assert record.original_sampling_rate_hz == 40.0


def test_a_record_of_which_nothing_is_known(tmp_path):
    record = read_all(write_one(tmp_path / "set"))[0]
    assert record.category is Category.UNLABELLED
    assert record.p_sample is None
    assert record.s_sample is None
    assert record.station == ""
    assert np.isnan(record.snr_db)
    assert record.original_sampling_rate_hz == 100.0


@pytest.mark.parametrize(
    ("order", "e_n_z"),
    [
        ("ENZ", (0, 1, 2)),
        ("ZNE", (2, 1, 0)),
        ("NEZ", (1, 0, 2)),
        ("Z12", (2, 1, 0)),
        ("12Z", (1, 0, 2)),
        ("21Z", (0, 1, 2)),
    ],
)
@pytest.mark.parametrize("where", ["data_format", "row"])
def test_components_come_out_as_e_n_z(tmp_path, order, e_n_z, where):
    if where == "row":
        folder = write_one(tmp_path / "set", trace_component_order=order)
    else:
        folder = write_one(tmp_path / "set", data_format={**CW, "component_order": order})
    np.testing.assert_array_equal(
        read_all(folder)[0].waveform[0], [1000.0 * (index + 1) for index in e_n_z]
    )


@pytest.mark.parametrize("order", ["WC", "NWC", "WCN"])
def test_samples_may_come_first(tmp_path, order):
    folder = write_one(
        tmp_path / "set", waveform=ramps().T, data_format={**CW, "dimension_order": order}
    )
    np.testing.assert_array_equal(read_all(folder)[0].waveform, ramps().T)


@pytest.mark.parametrize("dtype", ["<i2", ">i4", "<f8", ">f4", "<f2"])
def test_any_number_type_is_read(tmp_path, dtype):
    folder = write_one(tmp_path / "set", waveform=ramps(100).astype(dtype))
    np.testing.assert_allclose(read_all(folder)[0].waveform, ramps(100).T, rtol=1e-3)


def test_traces_in_buckets_are_cut_out_of_them(tmp_path):
    bucket = np.zeros((2, 4, 500), dtype=np.float32)
    bucket[0, :3, :200], bucket[1, :3, :500] = ramps(200), -ramps(500)
    names = ["bucket0$0,:3,:200", "bucket0$1, :3, :500", "bucket0$1,0:3,100:400", "alone"]
    folder = write(
        tmp_path / "set",
        [{"trace_name": name} for name in names],
        {"bucket0": bucket, "alone": ramps(50)},
    )
    waveforms = [record.waveform for record in read_all(folder)]
    np.testing.assert_array_equal(waveforms[0], ramps(200).T)
    np.testing.assert_array_equal(waveforms[1], -ramps(500).T)
    np.testing.assert_array_equal(waveforms[2], -ramps(500).T[100:400])
    np.testing.assert_array_equal(waveforms[3], ramps(50).T)


def test_traces_may_lie_in_groups(tmp_path):
    folder = write(tmp_path / "set", [{"trace_name": "2019/x"}], {"2019/x": ramps()})
    assert len(read_all(folder)) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"trace_sampling_rate_hz": 50.0},
        {"trace_dt_s": 0.02},
        {"trace_sampling_rate_hz": None, "trace_dt_s": 0.02},
        {"data_format": {**CW, "sampling_rate": 50}},
        {"data_format": {**CW, "sampling_rate": 50}, "trace_sampling_rate_hz": None},
    ],
)
def test_other_rates_are_resampled_and_picks_scaled(tmp_path, given):
    times = np.arange(600) / 50.0
    pulse = 1e4 + np.exp(-(((times - 5.0) / 0.1) ** 2)) * np.ones((3, 1))
    record = read_all(
        write_one(
            tmp_path / "set",
            waveform=pulse,
            trace_p_arrival_sample=250,
            trace_s_arrival_sample=300.5,
            **given,
        )
    )[0]
    assert record.waveform.shape == (1200, 3)
    assert np.argmax(record.waveform[:, 2]) == record.p_sample == 500.0
    assert record.s_sample == 601.0
    assert record.original_sampling_rate_hz == 50.0


@pytest.mark.parametrize(
    ("columns", "p", "s"),
    [
        ({"trace_P_arrival_sample": 10, "trace_S_arrival_sample": 90}, 10, 90),
        ({"trace_Pg_arrival_sample": 12, "trace_Pn_arrival_sample": 10}, 10, None),
        ({"trace_Sg_arrival_sample": 95, "trace_Sn_arrival_sample": 99}, None, 95),
        ({"trace_p_arrival_sample": 20, "trace_Pn_arrival_sample": 10}, 20, None),
        ({"trace_p_arrival_sample": "nan", "trace_Pn_arrival_sample": 10}, 10, None),
        ({"trace_p_arrival_sample": 0, "trace_s_arrival_sample": 299}, 0, 299),
    ],
)
def test_picks_by_their_several_names(tmp_path, columns, p, s):
    record = read_all(write_one(tmp_path / "set", **columns))[0]
    assert (record.p_sample, record.s_sample) == (p, s)
    assert record.category is Category.EARTHQUAKE


@pytest.mark.parametrize(
    ("snr", "mean"),
    [
        ("12.5", 12.5),
        ("[1.0 2.0 6.0]", 3.0),
        ("[1.0, inf, 3.0]", 2.0),
        ("[nan nan nan]", np.nan),
        ("[]", np.nan),
        ("None", np.nan),
        ("", np.nan),
    ],
)
def test_snr_is_the_mean_of_what_is_finite(tmp_path, snr, mean):
    np.testing.assert_equal(read_all(write_one(tmp_path / "set", trace_snr_db=snr))[0].snr_db, mean)


@pytest.mark.parametrize("listed", [True, False])
def test_chunks_with_equal_trace_names(tmp_path, listed):
    for chunk, sign in (("_b", -1), ("_a", 1)):
        folder = write(tmp_path / "set", [{"trace_name": "x"}], {"x": sign * ramps()}, chunk=chunk)
    if listed:
        (folder / "chunks").write_text("_b\n_a\n\n")
    source = SeisBenchSource(folder)
    assert source.names() == [f"{identity(folder, chunk)}{chunk}:x" for chunk in ("_a", "_b")]
    assert [record.waveform[0, 0] for record in iterate(source)] == [1000.0, -1000.0]


def test_only_listed_chunks_are_read(tmp_path):
    for chunk in ("a", "b"):
        folder = write(tmp_path / "set", [{"trace_name": chunk}], {chunk: ramps()}, chunk=chunk)
    (folder / "chunks").write_text("b\n")
    assert SeisBenchSource(folder).names() == [f"{identity(folder, 'b')}b:b"]


def test_metadata_longer_than_one_stretch_keep_their_row_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("compress.data.metadata._ROWS_AT_ONCE", 3)
    rows = [{"trace_name": f"r{i}", "trace_p_arrival_sample": i} for i in range(8)]
    folder = write(tmp_path / "set", rows, {f"r{i}": ramps() for i in range(8)})
    assert [record.p_sample for record in read_all(folder)] == list(range(8))
    rows[7]["trace_p_arrival_sample"] = "soon"
    pd.DataFrame(rows).to_csv(folder / "metadata.csv", index=False)
    assert "row 9 (record 'r7')" in error_of(lambda: SeisBenchSource(folder))


# Filters


def test_filters_by_split_and_category(mixed):
    def short(**options):
        return [n.rsplit(":", 1)[1] for n in SeisBenchSource(mixed, **options).names()]

    assert short(split="train") == ["r0", "r1", "r2", "r3"]
    assert short(categories=frozenset({Category.NOISE})) == ["r7", "r8", "r9"]
    assert short(split="test", categories=frozenset({Category.EARTHQUAKE})) == ["r4", "r5"]
    assert short(categories=frozenset({Category.UNLABELLED})) == ["r6"]
    assert len(short(categories=frozenset(Category))) == 10


def test_limit_draws_with_a_seed_and_keeps_the_order(mixed):
    every = SeisBenchSource(mixed).names()
    drawn = [SeisBenchSource(mixed, limit=4, seed=seed).names() for seed in range(5)]
    assert all(names == sorted(names) and set(names) < set(every) for names in drawn)
    assert len({tuple(names) for names in drawn}) > 1
    assert SeisBenchSource(mixed, limit=4, seed=3).names() == drawn[3]
    assert SeisBenchSource(mixed, limit=11).names() == every


def test_rows_that_are_filtered_out_may_be_unusable(tmp_path):
    rows = [
        {"trace_name": "x", "split": "train", "trace_component_order": "Z"},
        {"trace_name": "y", "split": "test", "trace_component_order": "ENZ"},
    ]
    folder = write(tmp_path / "set", rows, {"x": ramps(), "y": ramps()})
    assert len(read_all(folder, split="test")) == 1


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "dev"}, ["no record has split 'dev'", "Splits present: test, train."]),
        (
            {"split": "train", "categories": frozenset({Category.NOISE})},
            ["no record of split 'train' is of category noise", "present: earthquake (4)."],
        ),
        ({"categories": frozenset()}, ["none asked for", "noise (3)"]),
        ({"limit": 0}, ["limit of 0"]),
    ],
)
def test_filters_that_leave_nothing_say_what_there_is(mixed, options, words):
    message = error_of(lambda: SeisBenchSource(mixed, **options))
    assert all(word in message for word in words), message


def test_a_split_where_there_is_none(tmp_path):
    message = error_of(lambda: SeisBenchSource(write_one(tmp_path / "set"), split="test"))
    assert "Column 'split' is missing or empty" in message


# Being the same everywhere


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_pickled_and_used_in_a_process_that_was_forked(mixed):
    source = SeisBenchSource(mixed)
    before = source[3].waveform
    copy = pickle.loads(pickle.dumps(source))
    np.testing.assert_array_equal(copy[3].waveform, before)
    fork = multiprocessing.get_context("fork")
    receiver, sender = fork.Pipe(duplex=False)
    child = fork.Process(target=lambda: sender.send(source[3].waveform))
    child.start()
    np.testing.assert_array_equal(receiver.recv(), before)
    child.join()
    np.testing.assert_array_equal(source[3].waveform, before)


def test_one_handle_serves_all_records(mixed, monkeypatch):
    source = SeisBenchSource(mixed)
    opened = []
    monkeypatch.setattr(h5py, "File", lambda *args, to=h5py.File: opened.append(args) or to(*args))
    assert len(list(iterate(source)) + list(iterate(source))) == 20
    assert opened == [(mixed / "waveforms.hdf5", "r")]


@pytest.mark.parametrize("index", [10, -1])
def test_index_out_of_range(mixed, index):
    with pytest.raises(IndexError):
        SeisBenchSource(mixed)[index]


def test_fingerprint_survives_a_move_and_sees_every_change(mixed, tmp_path):
    original = SeisBenchSource(mixed).fingerprint()
    moved = Path(shutil.copytree(mixed, tmp_path / "moved"))
    os.utime(moved / "waveforms.hdf5", (0, 0))
    assert SeisBenchSource(moved).fingerprint() == original
    assert SeisBenchSource(mixed, split="train").fingerprint() != original

    table = pd.read_csv(moved / "metadata.csv")
    table.assign(source_magnitude=1.0).to_csv(moved / "metadata.csv", index=False)
    assert SeisBenchSource(moved).fingerprint() == original, "a column that is not used"
    table.assign(trace_snr_db=3.0).to_csv(moved / "metadata.csv", index=False)
    assert SeisBenchSource(moved).fingerprint() != original

    shutil.copy(mixed / "metadata.csv", moved)
    with h5py.File(moved / "waveforms.hdf5", "r+") as file:
        file["data/r9"][0, 5] = 7.0
    assert SeisBenchSource(moved).fingerprint() != original


def test_fingerprint_is_computed_once(mixed):
    source = SeisBenchSource(mixed)
    once = source.fingerprint()
    (mixed / "waveforms.hdf5").unlink()
    assert source.fingerprint() == once


# What is refused


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"trace_component_order": "ZN"}, "has components Z, N: three are needed (E, N, Z)"),
        ({"trace_component_order": "Z12H"}, "has components Z, 1, 2, H: three are needed"),
        ({"trace_component_order": "EEZ"}, "has components E, E, Z"),
        ({"trace_component_order": "1NZ"}, "has components 1, N, Z"),
        ({"trace_sampling_rate_hz": 20}, "sampling rate of 20 Hz"),
        ({"trace_sampling_rate_hz": 0}, "sampling rate of 0 Hz"),
        ({"trace_sampling_rate_hz": -100}, "sampling rate of -100 Hz"),
        ({"trace_sampling_rate_hz": "inf"}, "sampling rate of inf Hz"),
        ({"trace_sampling_rate_hz": 1.6e9}, "sampling rate of 1.6e+09 Hz"),
        ({"trace_dt_s": 0}, "sampling rate of inf Hz"),
        ({"trace_sampling_rate_hz": "fast"}, "column trace_sampling_rate_hz: 'fast' is not a num"),
        ({"trace_p_arrival_sample": -1}, "P at sample -1, outside"),
        ({"trace_s_arrival_sample": "inf"}, "S at sample inf, outside"),
        ({"trace_p_arrival_sample": "abc"}, "column trace_p_arrival_sample: 'abc' is not a number"),
        ({"trace_Sg_arrival_sample": "1;2"}, "column trace_Sg_arrival_sample: '1;2' is not a"),
        ({"trace_snr_db": "[loud]"}, "column trace_snr_db: '[loud]' is not a number"),
        ({"trace_category": "noise", "trace_p_arrival_sample": 9}, "is noise by its trace_categor"),
    ],
)
def test_wrong_metadata_are_refused_at_once(tmp_path, columns, words):
    folder = write_one(tmp_path / "set", **columns)
    message = error_of(lambda: SeisBenchSource(folder))
    assert words in message
    assert f"{folder / 'metadata.csv'}: row 2 (record 'x')" in message


@pytest.mark.parametrize(
    ("waveform", "columns", "words"),
    [
        (ramps(), {"trace_p_arrival_sample": 300}, "P at sample 300 is beyond the end"),
        (ramps(), {"trace_s_arrival_sample": 1e9}, "S at sample 1e+09 is beyond the end"),
        (ramps(components=2), {}, "has 2 components in a waveform of 300 samples"),
        (ramps(components=4), {}, "has 4 components"),
        (ramps().T, {}, "Is the dimension order CW right?"),
        (ramps()[0], {}, "has 1 dimensions (dataset of shape (300,))"),
        (np.zeros((2, 3, 50)), {}, "has 3 dimensions"),
        (np.float32(3.0), {}, "has 0 dimensions"),
        (np.zeros((3, 0)), {}, "has no samples"),
        (np.full((3, 50), b"a"), {}, "not numbers"),
        (np.zeros((3, 50), dtype=complex), {}, "not numbers"),
        (np.where(ramps() == 2007, np.nan, ramps()), {}, "sample 7 of component N is not finite"),
        (np.where(ramps() == 1299, np.inf, ramps()), {}, "sample 299 of component E is not finit"),
        (1e300 * ramps().astype(float), {}, "sample 0 of component E is not finite"),
    ],
)
def test_wrong_waveforms_are_refused_when_read(tmp_path, waveform, columns, words):
    source = SeisBenchSource(write_one(tmp_path / "set", waveform=waveform, **columns))
    message = error_of(lambda: source[0])
    assert words in message
    assert f"{tmp_path / 'set' / 'waveforms.hdf5'}: record 'x'" in message


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing", "has no waveform data/missing"),
        ("group", "has no waveform data/group"),
        ("/data/bucket0", "has no waveform"),
        ("bucket0", "has 3 dimensions"),
        ("bucket0$9,:3,:50", "cannot be read"),
        ("bucket0$:1,:3,:50", "has 3 dimensions"),
        ("bucket0$0,:3,5:5", "has no samples"),
        ("bucket0$0,:3,::-1", "cannot be read"),
        ("bucket0$0,:3,:50,:2", "cannot be read"),
        ("bucket0$", "is not a place in a bucket"),
        ("bucket0$a,:3,:50", "'a,:3,:50' after the $ is not a place in a bucket"),
        ("bucket0$0,1:2:3:4", "is not a place in a bucket"),
        ("bucket0$0$1", "is not a place in a bucket"),
    ],
)
def test_names_that_lead_to_no_waveform(tmp_path, name, words):
    waveforms = {"bucket0": np.zeros((2, 3, 50)), "group/x": ramps()}
    folder = write(tmp_path / "set", [{"trace_name": name}], waveforms)
    assert words in error_of(lambda: read_all(folder))


@pytest.mark.parametrize(
    "link",
    [
        h5py.ExternalLink("elsewhere.hdf5", "/data/x"),
        h5py.ExternalLink("not-there.hdf5", "/data/x"),
        h5py.SoftLink("/out/x"),
        h5py.SoftLink("/data/y"),
    ],
)
@pytest.mark.parametrize("of", ["trace", "group"])
def test_links_are_refused(tmp_path, link, of):
    write_one(tmp_path / "other")
    folder = write_one(tmp_path / "set")
    (tmp_path / "other" / "waveforms.hdf5").rename(folder / "elsewhere.hdf5")
    with h5py.File(folder / "waveforms.hdf5", "r+") as file:
        file["out"] = h5py.ExternalLink("elsewhere.hdf5", "/data")
        target = "data/x" if of == "trace" else "data"
        del file[target]
        file[target] = link
    assert "is a link and not stored in the file itself" in error_of(lambda: read_all(folder))


def test_waveforms_stored_in_other_files_are_refused(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(3600))
    folder = write(tmp_path / "set", [{"trace_name": "x"}, {"trace_name": "y"}], {})
    layout = h5py.VirtualLayout(shape=(3, 300), dtype="<f4")
    layout[:] = h5py.VirtualSource(str(folder / "elsewhere.hdf5"), "x", shape=(3, 300))
    with h5py.File(folder / "waveforms.hdf5", "r+") as file:
        file["data"].create_dataset("x", (3, 300), "<f4", external=[(str(secret), 0, 3600)])
        file["data"].create_virtual_dataset("y", layout)
    source = SeisBenchSource(folder)
    for index in range(2):
        assert "is a link and not stored" in error_of(lambda index=index: source[index])


@pytest.mark.parametrize(
    ("data_format", "words"),
    [
        (None, "has no sampling rate"),
        ({"sampling_rate": 100}, "has no component order"),
        ({**CW, "dimension_order": "CHW"}, "dimension_order is 'CHW'"),
        ({**CW, "dimension_order": 5}, "dimension_order is '5'"),
        ({**CW, "sampling_rate": "fast"}, "sampling_rate is 'fast'"),
        ({**CW, "sampling_rate": [100, 200]}, "data_format/sampling_rate holds neither"),
        ({**CW, "component_order": b"\xff"}, "data_format/component_order cannot be read"),
    ],
)
def test_wrong_data_format(tmp_path, data_format, words):
    folder = write_one(tmp_path / "set", data_format=data_format)
    assert words in error_of(lambda: SeisBenchSource(folder))


@pytest.mark.parametrize("value", ["100", [100], np.float32(100), 100])
def test_sampling_rate_in_any_form(tmp_path, value):
    folder = write_one(tmp_path / "set", data_format={**CW, "sampling_rate": value})
    assert len(read_all(folder)) == 1


def test_minimum_sampling_rate_may_be_lowered(tmp_path):
    folder = write_one(tmp_path / "set", trace_sampling_rate_hz=20)
    assert read_all(folder, minimum_sampling_rate_hz=20.0)[0].waveform.shape == (1500, 3)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize(
    ("name", "damage", "words"),
    [
        ("metadata.csv", Path.unlink, "metadata.csv: no such file"),
        ("waveforms.hdf5", Path.unlink, "waveforms.hdf5: no such file"),
        ("waveforms.hdf5", cut_short, "waveforms.hdf5: the file cannot be read"),
        ("waveforms.hdf5", lambda p: p.write_text("version https://git-lfs"), "not an HDF5 file"),
        ("waveforms.hdf5", lambda p: p.write_bytes(b""), "not an HDF5 file"),
        ("waveforms.hdf5", lambda p: h5py.File(p, "w").close(), "has no group 'data'"),
        ("metadata.csv", lambda p: p.write_bytes(b""), "not a readable CSV"),
        ("metadata.csv", lambda p: p.write_text("trace_name,split\n"), "has no records"),
        ("metadata.csv", lambda p: p.write_text("name,split\nx,a\n"), "has no column trace_name"),
        ("metadata.csv", lambda p: p.write_text("trace_name,a\n,1\n"), "row 2 has no trace_name"),
        ("metadata.csv", lambda p: p.write_text("trace_name\nx\nx,1\n"), "not a readable CSV"),
        ("metadata.csv", lambda p: p.write_text("trace_name\nx,1\ny,1\n"), "not a readable CSV"),
        ("metadata.csv", lambda p: p.write_text('trace_name\n"x\n'), "not a readable CSV"),
        ("metadata.csv", lambda p: p.write_bytes(b"trace_name\n\xe9\n"), "not text in UTF-8"),
        ("metadata.csv", lambda p: p.write_bytes(b"\x89PNG\r\n\x1a\n\x00"), "not text in UTF-8"),
        ("metadata.csv", lambda p: p.write_text("trace_name\nx\ny\nx\n"), "'x' stands in row 2 of"),
    ],
)
def test_damaged_files(tmp_path, name, damage, words):
    folder = write_one(tmp_path / "set")
    damage(folder / name)
    message = error_of(lambda: SeisBenchSource(folder))
    assert words in message
    assert str(folder) in message


def test_damage_inside_the_waveforms(tmp_path):
    folder = write_one(tmp_path / "set")
    with h5py.File(folder / "waveforms.hdf5", "r+") as file:
        del file["data/x"]
        file["data"].create_dataset(
            "x", data=np.random.default_rng(0).random((3, 5000)), compression="gzip"
        )
        start = file["data/x"].id.get_chunk_info(0).byte_offset
    with (folder / "waveforms.hdf5").open("r+b") as stream:
        stream.seek(start)
        stream.write(bytes(200))
    assert "record 'x' cannot be read" in error_of(lambda: read_all(folder))


def test_folders_that_are_no_data_set(tmp_path):
    assert "no such folder" in error_of(lambda: SeisBenchSource(tmp_path / "nowhere"))
    assert "holds neither" in error_of(lambda: SeisBenchSource(tmp_path))
    write(tmp_path, [{"trace_name": "x"}], {"x": ramps()}, chunk="a")
    (tmp_path / "metadatab.csv").write_text("trace_name\ny\n")
    assert "waveformsb.hdf5: no such file" in error_of(lambda: SeisBenchSource(tmp_path))
    (tmp_path / "chunks").write_bytes(b"\xff\xfe")
    assert "chunks: cannot be read" in error_of(lambda: SeisBenchSource(tmp_path))


@pytest.mark.development_data
@pytest.mark.skipif(not DATA.is_dir(), reason="no development data")
def test_development_data():
    labelled = SeisBenchSource(DATA / "labelled")
    records = list(iterate(labelled))
    assert len(records) == 213
    assert sum(record.category is Category.EARTHQUAKE for record in records) == 108
    assert sum(record.category is Category.NOISE for record in records) == 105
    assert all(record.waveform.shape[1] == 3 for record in records)
    assert all(record.s_sample > record.p_sample for record in records if record.s_sample)
    assert len(SeisBenchSource(DATA / "labelled", split="dev")) == 50
    assert len(SeisBenchSource(DATA / "unlabelled")) == 1542
    assert len(SeisBenchSource(DATA / "autopicked")) == 313
