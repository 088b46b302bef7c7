"""Windows along a stretch: none of it is left out, and how it comes in parts does not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.errors import InputError
from compress.data.windows import cut
from compress.picking.stacking import SHIFT_SAMPLES, Stack, Stacking, probabilities

EDGE = 300


def answer_of(windows):
    """A model whose answer tells window and place apart: the waveform, and where in the window."""
    place = np.linspace(0.0, 1.0, windows.shape[1], dtype=np.float32)
    answers = np.abs(windows)
    answers[:, :, 0] = place
    return answers.astype(np.float32)


def whole(waveform, parts, stacking):
    given_out = list(probabilities(iter(parts), len(waveform), answer_of, stacking))
    return np.concatenate(given_out)


def by_hand(waveform, stacking):
    """The same over all windows at once, sample by sample."""
    last = max(len(waveform) - 6000, 0)
    starts = [*range(0, last, stacking.hop), last]
    groups = []
    for start in starts:
        shifted = sorted({min(start + offset, last) for offset in stacking.offsets})
        stack = np.full((len(shifted), len(waveform), 3), np.nan)
        for row, s in enumerate(shifted):
            answer = answer_of(cut(waveform, s)[np.newaxis])[0][: len(waveform) - s]
            stack[row, s : s + 6000] = answer
        mean = np.nanmean(stack, axis=0) if len(shifted) > 1 else stack[0]
        first, end = shifted[0], shifted[-1] + 6000
        if first:
            mean[: first + stacking.edge] = np.nan
        if end < len(waveform):
            mean[end - stacking.edge :] = np.nan
        groups.append(mean)
    return (np.nanmean if stacking.stack is Stack.MEAN else np.nanmax)(groups, axis=0)


@pytest.fixture(scope="module")
def waveform():
    return np.random.default_rng(1).normal(size=(31_234, 3)).astype(np.float32)


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
@pytest.mark.parametrize("stack", list(Stack))
@pytest.mark.parametrize("length", [1, 99, 5999, 6000, 6001, 9000, 12_345])
def test_every_sample_gets_what_its_windows_say(waveform, stack, length):
    stacking = Stacking(0.5, stack, edge_s=3.0)
    found = whole(waveform[:length], [waveform[:length]], stacking)
    assert found.shape == (length, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, by_hand(waveform[:length], stacking), atol=1e-6)


@settings(max_examples=25, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 31_000), max_size=12, unique=True),
    length=st.integers(1, 31_234),
    stack=st.sampled_from(list(Stack)),
    overlap=st.sampled_from([0.2, 0.3, 0.5, 0.75]),
)
def test_parts_do_not_matter(waveform, cuts, length, stack, overlap):
    stacking = Stacking(overlap, stack, edge_s=3.0)
    here = waveform[:length]
    parts = np.split(here, sorted(cut for cut in cuts if cut < length))
    assert np.array_equal(whole(here, parts, stacking), whole(here, [here], stacking))


def test_a_consensus_asks_about_shifted_windows(waveform):
    asked = []

    def runner(windows):
        asked.extend(windows[:, 0, 0])
        return answer_of(windows)

    list(
        probabilities([waveform], len(waveform), runner, Stacking(stack=Stack.CONSENSUS, shifts=3))
    )
    expected = [cut(waveform, n * SHIFT_SAMPLES)[0, 0] for n in range(3)]
    assert asked[:3] == expected


@pytest.mark.parametrize(
    ("overlap", "edge_s"), [(1.0, 0), (-0.1, 0), (0.0, 0.1), (0.5, 15.1), (0.5, -1)]
)
def test_no_sample_may_be_left_between_windows(overlap, edge_s):
    with pytest.raises(InputError):
        Stacking(overlap, edge_s=edge_s)
