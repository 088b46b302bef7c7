"""Reference windows in a file: what comes back, and all that is refused instead of believed."""

import io
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.errors import InputError
from export.reference import (
    MAXIMUM_BYTES,
    MAXIMUM_WINDOWS,
    PROBABILITY_ONE,
    decode,
    encode,
    record,
)

SHAPE = (6000, 3)


def squared(windows):
    """A model: the more motion, the more probable."""
    return (windows**2 / (1 + windows**2)).astype(np.float32)


def some(number, seed=0):
    return np.random.default_rng(seed).normal(size=(number, *SHAPE)).astype(np.float32)


@settings(max_examples=10, deadline=None)
@given(number=st.integers(1, MAXIMUM_WINDOWS), seed=st.integers(0, 2**32 - 1))
def test_what_is_recorded_comes_back(number, seed):
    recorded = record(squared, some(number, seed))
    content = encode(recorded)
    found = decode(content)
    np.testing.assert_array_equal(found.windows, recorded.windows)
    np.testing.assert_allclose(found.predictions, recorded.predictions, atol=0.51 / PROBABILITY_ONE)
    assert encode(found) == content
    assert len(content) <= MAXIMUM_BYTES
    apart = found.difference(squared)
    assert apart.windows == number
    assert apart.rms <= apart.maximum < 1e-5


def test_the_model_is_asked_about_the_very_windows_that_are_kept():
    asked = []
    recorded = record(lambda windows: squared(asked.append(windows) or windows), some(2))
    np.testing.assert_array_equal(asked[0], recorded.windows)
    assert not np.array_equal(asked[0], some(2))  # float16 has fewer digits


@pytest.mark.parametrize("answer", [np.nan, -0.1, 1.1, np.inf])
def test_answers_that_are_no_probabilities_are_not_recorded(answer):
    with pytest.raises(InputError, match="no probabilities"):
        record(lambda windows: np.where(windows > 2, answer, windows * 0), some(1))


def test_a_difference_of_nothing_but_nan_is_nan():
    recorded = record(squared, some(1))
    assert np.isnan(recorded.difference(lambda windows: windows * np.nan).maximum)


# --- What is refused -----------------------------------------------------------------------------


def archive(**arrays):
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def members(windows, predictions, second_name="predictions"):
    """An archive of two members made by hand."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
        warnings.simplefilter("ignore")  # that a name is there already
        made.writestr("windows.npy", windows)
        made.writestr(f"{second_name}.npy", predictions)
    return file.getvalue()


def claiming(shape, version=1, dtype="<f2", data=b"\0" * 36000):
    """An .npy file whose header claims this shape."""
    header = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    return b"\x93NUMPY" + bytes([version, 0]) + length + header + data


WINDOWS, ANSWERS = some(1).astype(np.float16), np.zeros((1, *SHAPE), np.uint16)
GOOD = claiming((1, *SHAPE), dtype="<u2")

HOSTILE = {
    "nothing": (b"", "Not a whole NumPy archive"),
    "text": (b"windows", "Not a whole NumPy archive"),
    "one array": (archive(windows=WINDOWS), "instead of"),
    "another name": (archive(windows=WINDOWS, prediction=ANSWERS), "instead of"),
    "one array more": (archive(windows=WINDOWS, predictions=ANSWERS, more=ANSWERS), "instead of"),
    "the same name twice": (members(GOOD, GOOD, "windows"), "instead of"),
    "float32": (archive(windows=WINDOWS.astype("f4"), predictions=ANSWERS), "float32"),
    "big-endian": (archive(windows=WINDOWS.astype(">f2"), predictions=ANSWERS), "float16"),
    "pickled objects": (
        archive(windows=np.array([print, open], dtype=object), predictions=ANSWERS),
        "object",
    ),
    "a sample less": (archive(windows=WINDOWS[:, 1:], predictions=ANSWERS), "5999"),
    "no number of windows": (archive(windows=WINDOWS[0], predictions=ANSWERS), r"\(6000, 3\)"),
    "a single number": (archive(windows=np.float16(1), predictions=ANSWERS), r"\(\)"),
    "in another order": (
        archive(windows=np.asfortranarray(np.repeat(WINDOWS, 2, 0)), predictions=ANSWERS),
        "is needed",
    ),
    "no windows": (archive(windows=WINDOWS[:0], predictions=ANSWERS[:0]), "claim to be 0"),
    "too many windows": (
        archive(windows=np.repeat(WINDOWS * 0, 17, 0), predictions=np.repeat(ANSWERS, 17, 0)),
        "claim to be 17",
    ),
    "more answers than windows": (
        archive(windows=WINDOWS, predictions=np.repeat(ANSWERS, 2, 0)),
        "1 windows have 2 predictions",
    ),
    "no number": (archive(windows=WINDOWS * np.nan, predictions=ANSWERS), "no finite numbers"),
    "infinity": (archive(windows=WINDOWS * np.inf, predictions=ANSWERS), "no finite numbers"),
    "a huge claim": (
        members(claiming((10**9, *SHAPE)), GOOD),
        "claim to be 1,000,000,000",
    ),
    "a negative claim": (members(claiming((-1, *SHAPE)), GOOD), "claim to be"),
    "less than it claims": (
        members(claiming((1, *SHAPE), data=b"\0" * 35999), GOOD),
        "Not a whole",
    ),
    "more than it claims": (
        members(claiming((1, *SHAPE), data=b"\0" * 36001), GOOD),
        "followed by something else",
    ),
    "a header of 50 MB": (
        members(b"\x93NUMPY\x02\x00" + b" " * 50_000_000, GOOD),
        "another version",
    ),
    "a bomb behind the array": (
        members(claiming((1, *SHAPE), data=b"\0" * 50_000_000), GOOD),
        "followed by something else",
    ),
    "too many bytes": (b"\0" * (MAXIMUM_BYTES + 1), "are more than"),
}


@pytest.mark.parametrize("what", HOSTILE)
def test_what_encode_did_not_write_is_refused_without_much_memory(what):
    content, said = HOSTILE[what]
    assert what == "too many bytes" or len(content) <= MAXIMUM_BYTES
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=said):
            decode(content)
        assert tracemalloc.get_traced_memory()[1] < 5_000_000
    finally:
        tracemalloc.stop()


INTACT = encode(record(squared, some(1)))


@settings(max_examples=200, deadline=None)
@given(place=st.integers(0, len(INTACT) - 1), bit=st.integers(0, 7))
def test_a_flipped_bit_is_refused_or_changes_nothing(place, bit):
    damaged = bytearray(INTACT)
    damaged[place] ^= 1 << bit
    try:
        found = decode(bytes(damaged))
    except InputError:
        return
    assert encode(found) == INTACT


@settings(max_examples=50, deadline=None)
@given(length=st.integers(0, len(INTACT) - 1))
def test_a_file_cut_short_is_refused(length):
    with pytest.raises(InputError):
        decode(INTACT[:length])
