import json

import numpy as np
import pytest

from baseline.errors import InputError
from compress.store import Store, code_hash, content_key, versions, write_json


def make(store, label="1-distill", key="a" * 64):
    with store.unfinished(label, key, {"label": label}) as folder:
        (folder / "model.keras").write_text("weights")
        (folder / "scratch" / "checkpoint").write_text("half way")
    return store.find(label, key)


def test_finished_stage_is_found_without_its_scratch(tmp_path):
    store = Store(tmp_path)
    assert store.find("1-distill", "a" * 64) is None
    artifact = make(store)
    assert sorted(p.name for p in artifact.folder.iterdir()) == ["manifest.json", "model.keras"]
    assert Store(tmp_path).find("1-distill", "a" * 64) == artifact
    assert store.find("1-distill", "b" * 64) is None


def test_interrupted_stage_is_no_artifact_and_keeps_its_checkpoint(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(KeyboardInterrupt), store.unfinished("1-distill", "a" * 64, {}) as folder:
        (folder / "scratch" / "checkpoint").write_text("half way")
        raise KeyboardInterrupt
    assert store.find("1-distill", "a" * 64) is None
    with store.unfinished("1-distill", "a" * 64, {}) as folder:
        assert (folder / "scratch" / "checkpoint").read_text() == "half way"


def test_folder_without_manifest_is_made_again(tmp_path):
    store = Store(tmp_path)
    stray = store.get("1-distill", "a" * 64).folder
    stray.mkdir()
    (stray / "model.keras").write_text("from somewhere")
    assert store.find("1-distill", "a" * 64) is None
    assert (make(store).folder / "model.keras").read_text() == "weights"


def test_evaluation_is_kept_under_its_key(tmp_path):
    artifact = make(Store(tmp_path))
    assert artifact.evaluation("k") is None
    artifact.keep_evaluation("k", {"f1": 0.9})
    assert artifact.evaluation("k") == {"f1": 0.9}
    assert artifact.evaluation("other") is None


def test_json_is_written_whole_or_not_at_all(tmp_path):
    path = tmp_path / "results.json"
    write_json(path, {"f1": 0.9})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"f1": float("nan")})
    assert json.loads(path.read_text()) == {"f1": 0.9}
    assert list(tmp_path.iterdir()) == [path]


def test_keys_depend_on_values_and_not_on_order():
    assert content_key({"a": 1, "b": 2}) == content_key({"b": 2, "a": 1})
    assert content_key({"a": 1}) != content_key({"a": 2})
    assert content_key("a", "b") != content_key("ab")


def test_code_and_versions_are_known():
    assert len(code_hash()) == 64
    assert versions()["tensorflow"].startswith("2.")


def test_windows_are_found_by_the_key_they_were_measured_under(tmp_path):
    artifact = make(Store(tmp_path))
    assert artifact.windows("1" * 64) is None
    artifact.keep_windows("1" * 64, {"errors": np.arange(6), "names": np.array(["é", "b"])})
    found = artifact.windows("1" * 64)
    assert set(found) == {"errors", "names"}
    assert found["names"].tolist() == ["é", "b"]
    assert artifact.windows("2" * 64) is None
    assert sorted(p.name for p in artifact.folder.iterdir() if p.name.startswith(".")) == []


def test_damaged_windows_are_refused(tmp_path):
    artifact = make(Store(tmp_path))
    (artifact.folder / "windows.npz").write_bytes(b"PK, but no more")
    with pytest.raises(InputError, match=r"windows\.npz: cannot be read"):
        artifact.windows("1" * 64)
