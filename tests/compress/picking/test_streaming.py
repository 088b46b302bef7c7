"""The picker on a stream: the same picks as on all of it at once, wherever the parts end."""

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from compress.evaluation.picker import Thresholds, pick
from compress.picking.streaming import StreamPicker

THRESHOLDS = Thresholds(detection=0.3, p=0.1, s=0.1)


@st.composite
def streams(draw):
    """Probabilities with bumps of all lengths, some close together, some at the ends."""
    length = draw(st.integers(1, 6000))
    bumps = draw(
        st.lists(
            st.tuples(
                st.integers(0, 2),
                st.integers(-50, 6000),
                st.integers(1, 400),
                st.sampled_from([0.05, 0.1, 0.3, 0.5, 1.0]),
                st.booleans(),
            ),
            max_size=25,
        )
    )
    values = np.zeros((length, 3), np.float32)
    for column, place, half, height, flat in bumps:
        for sample in range(max(place - half, 0), min(place + half, length)):
            slope = 1.0 if flat else 1.0 - abs(sample - place) / half
            values[sample, column] = max(values[sample, column], height * slope)
    return values


@settings(max_examples=150, deadline=None)
@given(values=streams(), step=st.integers(1, 2000))
@example(values=np.zeros((1, 3), np.float32), step=1)
def test_the_picks_are_those_of_the_whole(values, step):
    picker = StreamPicker(THRESHOLDS, least=0)
    found = []
    for first in range(0, len(values), step):
        found += picker.add(values[first : first + step])
    found += picker.finish()
    expected = pick(values, THRESHOLDS).events
    assert len(found) == len(expected)
    for one, event in zip(found, expected, strict=True):
        assert (one.event.start, one.event.end) == (event.start, event.end)
        assert (one.event.p, one.event.s) == (event.p, event.s)
        np.testing.assert_allclose(one.event.probability, event.probability, rtol=1e-6)


@settings(max_examples=50, deadline=None)
@given(values=streams())
def test_an_onset_spans_the_samples_that_reach_the_threshold(values):
    for found in StreamPicker(THRESHOLDS).finish():
        raise AssertionError(found)
    picker = StreamPicker(THRESHOLDS, least=0)
    for found in [*picker.add(values), *picker.finish()]:
        for onset in found.onsets:
            column = values[:, {"p": 1, "s": 2}[onset.phase]]
            assert onset.start <= onset.pick.sample < onset.end
            assert (column[onset.start : onset.end] >= np.float32(0.1)).all()
            assert not onset.start or column[onset.start - 1] < np.float32(0.1)
            assert onset.end == len(column) or column[onset.end] < np.float32(0.1)


def test_what_is_quiet_is_not_kept():
    picker = StreamPicker(THRESHOLDS, least=0)
    for _ in range(50):
        assert not list(picker.add(np.zeros((1000, 3), np.float32)))
    assert sum(map(len, picker._held)) < 1200
