"""STEAD in its authors' own format."""

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from baseline.errors import InputError
from compress.data.records import Category, Source, iterate
from compress.data.stead import SteadSource

HEADER = (
    "network_code,receiver_code,receiver_type,p_arrival_sample,p_status,s_arrival_sample,snr_db,"
    "coda_end_sample,trace_category,trace_name\n"
)
EARTHQUAKE = "TA,109C,HH,500.0,manual,1200.5,[58.9 57.0 51.2],[[2800.]],earthquake_local,a_EV\n"
NOISE = "TA,109C,HH,,,,,,noise,b_NO\n"


def write(folder: Path, stem: str, rows: str, names: tuple[str, ...], header: str = HEADER) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / f"{stem}.csv").write_text(header + rows)
    with h5py.File(folder / f"{stem}.hdf5", "w") as file:
        file.create_group("data")
        for name in names:
            file["data"][name] = np.tile(np.float32([1.0, 2.0, 3.0]), (6000, 1))
    return folder


@pytest.fixture
def merged(tmp_path) -> Path:
    return write(tmp_path / "stead", "merge", EARTHQUAKE + NOISE, ("a_EV", "b_NO"))


def error_of(action) -> str:
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value)


def test_records_of_both_kinds(merged):
    source = SteadSource(merged)
    earthquake, noise = iterate(source)
    assert isinstance(source, Source)
    assert source.names() == ["stead:a_EV", "stead:b_NO"]
    assert source.categories() == [Category.EARTHQUAKE, Category.NOISE]
    assert (earthquake.p_sample, earthquake.s_sample) == (500.0, 1200.5)
    assert earthquake.station == "TA.109C"
    assert earthquake.snr_db == pytest.approx((58.9 + 57.0 + 51.2) / 3)
    assert earthquake.waveform.shape == (6000, 3)
    np.testing.assert_array_equal(earthquake.waveform[0], [1.0, 2.0, 3.0])
    assert noise.p_sample is None
    assert np.isnan(noise.snr_db)
    assert pickle.loads(pickle.dumps(source))[1].name == noise.name


def test_files_may_be_given_one_by_one(merged, tmp_path):
    elsewhere = (merged / "merge.csv").rename(tmp_path / "mine.csv")
    source = SteadSource(csv=elsewhere, hdf5=merged / "merge.hdf5")
    assert source.names()[0] == "stead:a_EV"
    assert len(list(iterate(source))) == 2


def test_chunks_are_read_in_their_order(tmp_path):
    write(tmp_path, "chunk2", EARTHQUAKE, ("a_EV",))
    write(tmp_path, "chunk1", NOISE, ("b_NO",))
    (tmp_path / "stations.csv").write_text("not,of,this\n")
    source = SteadSource(tmp_path)
    assert source.categories() == [Category.NOISE, Category.EARTHQUAKE]
    assert len(list(iterate(source))) == 2


def test_filters(merged):
    assert len(SteadSource(merged, categories=frozenset({Category.NOISE}))) == 1
    assert len(SteadSource(merged, limit=1, seed=3)) == 1
    message = error_of(lambda: SteadSource(merged, categories=frozenset({Category.UNLABELLED})))
    assert "Categories present: earthquake (1), noise (1)." in message
    assert "Column 'split' is missing" in error_of(lambda: SteadSource(merged, split="test"))


def test_fingerprint_depends_on_the_selection(merged):
    assert SteadSource(merged).fingerprint() == SteadSource(merged).fingerprint()
    assert SteadSource(merged).fingerprint() != SteadSource(merged, limit=1).fingerprint()


@pytest.mark.parametrize("arguments", [{}, {"csv": "csv"}, {"hdf5": "hdf5"}, {"csv": "folder"}])
def test_half_of_what_is_needed(merged, arguments):
    given = {key: merged / f"merge.{key}" for key in arguments}
    if arguments.get("csv") == "folder":
        given["folder"] = merged
    assert "a folder, or as both" in error_of(lambda: SteadSource(**given))


def test_merge_beside_its_own_chunks_would_count_twice(merged):
    write(merged, "chunk2", EARTHQUAKE, ("a_EV",))
    message = error_of(lambda: SteadSource(merged))
    assert "merge.csv: the trace name 'a_EV' stands in row 2 of" in message
    assert "chunk2.csv already" in message


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("p_arrival_sample,", "p_sample,", "has no column p_arrival_sample"),
        ("trace_category", "category", "has no column trace_category"),
        ("500.0", "early", "row 2 (record 'a_EV'), column p_arrival_sample: 'early' is not a num"),
        ("500.0", "-3.0", "has P at sample -3, outside of the trace"),
        ("[58.9 57.0 51.2]", "[58.9 x]", "column snr_db: '[58.9 x]' is not a number"),
        ("b_NO", "a_EV", "merge.csv: the trace name 'a_EV' stands in row 2 of"),
        ("noise,b_NO", 'noise,"b_NO', "not a readable CSV"),
    ],
)
def test_wrong_metadata(merged, old, new, words):
    csv = merged / "merge.csv"
    csv.write_text(csv.read_text().replace(old, new, 1))
    assert words in error_of(lambda: SteadSource(merged))


@pytest.mark.parametrize(
    ("waveform", "words"),
    [
        (np.zeros((3, 6000)), "Is the dimension order WC right?"),
        (np.zeros((6000, 2)), "has 2 components"),
        (np.full((6000, 3), np.nan), "is not finite"),
        (np.zeros((1000, 3)), "S at sample 1200.5 is beyond the end"),
        (None, "has no waveform data/a_EV"),
    ],
)
def test_wrong_waveforms(merged, waveform, words):
    with h5py.File(merged / "merge.hdf5", "r+") as file:
        del file["data/a_EV"]
        if waveform is not None:
            file["data/a_EV"] = waveform
    message = error_of(lambda: SteadSource(merged)[0])
    assert words in message
    assert "merge.hdf5: record 'a_EV'" in message


def test_folders_that_are_not_stead(tmp_path):
    assert "no such folder" in error_of(lambda: SteadSource(tmp_path / "nowhere"))
    assert "holds no .hdf5 file" in error_of(lambda: SteadSource(tmp_path))
    write(tmp_path, "merge", EARTHQUAKE, ("a_EV",))
    (tmp_path / "merge.csv").unlink()
    assert "merge.csv: no such file" in error_of(lambda: SteadSource(tmp_path))
    (tmp_path / "merge.hdf5").write_text("<html>")
    assert "not an HDF5 file" in error_of(lambda: SteadSource(tmp_path))
