"""Readers of documents and archives: of any content they make what it holds, or an InputError."""

import json
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stored_models import stored

from baseline.errors import InputError
from compress.gates import Gates
from compress.measurements import StoredModel, read_stored
from compress.yaml_file import YamlFile, read_yaml, validate
from export.reference import Reference, decode, encode

WINDOWS = np.zeros((1, 6000, 3), np.float32)
REFERENCE = encode(Reference(WINDOWS, WINDOWS))
DOCUMENT = json.loads(stored(records=3).to_json())

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)
yaml_text = st.text("abc:-[]{}!&*?|>'\"#%@`,\n\t 019.~\0\x85\u2028", max_size=60)


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("any") / "content"


@given(st.binary(max_size=60) | yaml_text.map(str.encode))
@settings(max_examples=300, deadline=None)
def test_any_yaml(path, content):
    path.write_bytes(content)
    with suppress(InputError):
        file = read_yaml(path)
        assert isinstance(file, YamlFile)
        validate(file, Gates)


@given(st.sampled_from(sorted(DOCUMENT)), values)
@settings(max_examples=300, deadline=None)
def test_any_value_in_a_reference(path, key, value):
    path.write_text(json.dumps(DOCUMENT | {key: value}))
    with suppress(InputError):
        assert isinstance(read_stored(str(path)), StoredModel)


@given(st.sampled_from(["name", "cost", "records", "columns"]), st.data())
@settings(max_examples=200, deadline=None)
def test_any_value_inside_a_reference(path, key, data):
    document = json.loads(json.dumps(DOCUMENT))
    inside = document[key]
    if isinstance(inside, list):
        inside[data.draw(st.integers(0, len(inside) - 1))] = data.draw(values)
    else:
        document[key] = {data.draw(st.text(max_size=5)): data.draw(values)}
    path.write_text(json.dumps(document))
    with suppress(InputError):
        assert isinstance(read_stored(str(path)), StoredModel)


@given(st.lists(st.tuples(st.integers(0, len(REFERENCE) - 1), st.integers(0, 255)), max_size=8),
       st.integers(0, len(REFERENCE)))  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_reference_windows(changes, length):
    content = bytearray(REFERENCE)
    for place, value in changes:
        content[place] = value
    with suppress(InputError):
        found = decode(bytes(content[:length]))
        assert np.isfinite(found.windows).all()
        assert ((found.predictions >= 0) & (found.predictions <= 1)).all()
