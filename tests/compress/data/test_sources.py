import numpy as np
import pytest
from pydantic import TypeAdapter

from baseline.errors import InputError
from compress.data.mixture import Mixture
from compress.data.records import Category, Source, iterate
from compress.data.sources import (
    SourceConfig,
    check_disjoint,
    describe_set,
    open_folder,
    open_set,
)
from compress.data.synthetic import SyntheticSource

CONFIG = TypeAdapter(SourceConfig)


def synthetic(records, seed):
    return CONFIG.validate_python({"kind": "synthetic", "records": records, "seed": seed})


def test_joined_sources_are_one_after_the_other():
    parts = [SyntheticSource(3, seed=1), SyntheticSource(2, seed=2)]
    joined = Mixture(parts)
    assert isinstance(joined, Source)
    assert len(joined) == 5
    assert joined.names() == parts[0].names() + parts[1].names()
    assert joined.categories() == parts[0].categories() + parts[1].categories()
    assert [record.name for record in iterate(joined)] == joined.names()
    np.testing.assert_array_equal(joined[3].waveform, parts[1][0].waveform)
    for outside in (-1, 5):
        with pytest.raises(IndexError):
            joined[outside]


def test_fingerprint_changes_with_the_parts():
    one = open_set([synthetic(3, 1), synthetic(2, 2)])
    same = open_set([synthetic(3, 1), synthetic(2, 2)])
    other = open_set([synthetic(3, 1), synthetic(2, 3)])
    assert one.fingerprint() == same.fingerprint() != other.fingerprint()


def test_sets_that_share_records_are_refused():
    train, evaluation = SyntheticSource(10, seed=1), SyntheticSource(4, seed=1)
    with pytest.raises(InputError, match=r"'train' and 'evaluation' share 4 records"):
        check_disjoint({"train": train, "evaluation": evaluation})
    check_disjoint({"train": train, "evaluation": SyntheticSource(4, seed=2)})
    with pytest.raises(InputError, match="share 2 records"):
        open_set([synthetic(3, 1), synthetic(2, 1)])


def test_folder_of_an_unknown_format_is_refused(tmp_path):
    with pytest.raises(InputError, match="no data set that is known"):
        open_folder(tmp_path)
    with pytest.raises(InputError, match="no such folder"):
        open_folder(tmp_path / "nothing")


def test_synthetic_settings_reach_the_source():
    source = CONFIG.validate_python(
        {"kind": "synthetic", "records": 4, "seed": 1, "noise_fraction": 1.0, "duration_s": 60}
    ).open()
    assert set(source.categories()) == {Category.NOISE}
    assert source[0].waveform.shape == (6000, 3)


def test_description_tells_no_place():
    config = CONFIG.validate_python(
        {"kind": "seisbench", "folder": "/home/somebody/network", "categories": ["noise"]}
    )
    (described,) = describe_set([config])
    assert described["folder"] == "network"
    assert described["categories"] == ["noise"]
    assert "somebody" not in str(described)
