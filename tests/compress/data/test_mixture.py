"""Mixtures: who is drawn how often, and what changes the hash of what was mixed."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.mixture import Mixture, Share, as_mixture
from compress.data.records import Source
from compress.data.synthetic import SyntheticSource


class Sized:
    """So many records that nobody reads."""

    def __init__(self, records):
        self._records = records

    def __len__(self):
        return self._records


WEIGHT = st.one_of(st.none(), st.sampled_from([0.0, 1e-3, 0.4, 1.0, 1e6]))
PARTS = st.lists(st.tuples(st.integers(1, 40), WEIGHT), min_size=1, max_size=4)


def mixture(parts):
    return Mixture([Sized(size) for size, _ in parts], [Share(weight) for _, weight in parts])


def totals(parts, indices, weights):
    """The weight of each part's records among `indices`, together."""
    ends = np.cumsum([size for size, _ in parts])
    part = np.searchsorted(ends, indices, side="right")
    return np.bincount(part, weights, minlength=len(parts))


@given(PARTS, st.integers(1, 200), st.integers(0, 5))
@settings(max_examples=60, deadline=None)
def test_draws_are_different_records_of_the_sources_that_have_weight(parts, number, seed):
    mixed = mixture(parts)
    drawn = mixed.draw(number, np.random.default_rng(seed))
    usable = sum(size for size, weight in parts if weight != 0)
    assert len(drawn) == len(set(drawn.tolist())) == min(number, usable)
    assert all(0 <= index < len(mixed) for index in drawn)
    counts = totals(parts, drawn, np.ones(len(drawn)))
    assert not any(n for n, (_, weight) in zip(counts, parts, strict=True) if weight == 0)
    np.testing.assert_array_equal(drawn, mixed.draw(number, np.random.default_rng(seed)))


@given(PARTS, st.integers(1, 200))
@settings(max_examples=60, deadline=None)
def test_records_of_a_source_together_have_its_weight(parts, number):
    mixed = mixture(parts)
    drawn = mixed.draw(number, np.random.default_rng(0))
    together = totals(parts, drawn, mixed.weights_of(drawn))
    present = totals(parts, drawn, np.ones(len(drawn))) > 0
    expected = [size if weight is None else weight for size, weight in parts]
    np.testing.assert_allclose(together[present], np.array(expected)[present])


def test_shares_of_draws_follow_the_weights():
    parts = [(20_000, 1.0), (3000, 0.5), (500_000, 0.25)]
    drawn = mixture(parts).draw(1750, np.random.default_rng(1))
    counts = totals(parts, drawn, np.ones(len(drawn)))
    # Three standard deviations of a draw of 1750 are 62.
    np.testing.assert_allclose(counts, [1000, 500, 250], atol=62)


def test_without_weights_every_record_is_as_likely():
    parts = [(3000, None), (1000, None)]
    mixed = mixture(parts)
    drawn = mixed.draw(2000, np.random.default_rng(1))
    np.testing.assert_allclose(totals(parts, drawn, np.ones(2000)), [1500, 500], atol=60)
    np.testing.assert_allclose(mixed.weights_of(np.arange(4000)), 1.0)


def test_a_source_without_weight_counts_as_often_as_it_has_records():
    """Whatever part of its records is drawn: ten sources of a hundred outweigh it as before."""
    parts = [(100_000, None), (100, 50_000.0)]
    mixed = mixture(parts)
    drawn = mixed.draw(300, np.random.default_rng(0))
    np.testing.assert_allclose(totals(parts, drawn, mixed.weights_of(drawn)), [100_000, 50_000])


def test_a_source_that_is_used_up_leaves_the_rest_to_the_others():
    parts = [(10, 1e6), (1000, 1.0)]
    drawn = mixture(parts).draw(500, np.random.default_rng(0))
    np.testing.assert_array_equal(totals(parts, drawn, np.ones(500)), [10, 490])


def test_sources_of_millions_are_drawn_from_without_their_records():
    mixed = mixture([(1_000_000, 1.0), (200_000, 0.4)])
    drawn = mixed.draw(12_000, np.random.default_rng(0))
    assert len(np.unique(drawn)) == 12_000


def test_records_and_label_weights_are_those_of_their_source():
    parts = [SyntheticSource(3, seed=1), SyntheticSource(2, seed=2)]
    mixed = Mixture(parts, [Share(), Share(2.0, (0.7, 0.7, 0.1))])
    assert isinstance(mixed, Source)
    assert [mixed.label_weight(index) for index in range(5)] == [(0.0,) * 3] * 3 + [
        (0.7, 0.7, 0.1)
    ] * 2
    np.testing.assert_array_equal(mixed[3].waveform, parts[1][0].waveform)


def test_a_source_alone_is_a_mixture_of_one():
    source = SyntheticSource(3, seed=1)
    alone = as_mixture(source)
    assert alone.names() == source.names()
    assert alone.label_weight(2) == (0.0, 0.0, 0.0)
    assert as_mixture(alone) is alone


def test_fingerprint_changes_with_every_share_and_is_as_before_without():
    parts = [SyntheticSource(3, seed=1), SyntheticSource(2, seed=2)]
    plain = Mixture(parts).fingerprint()
    joined = "\n".join(part.fingerprint() for part in parts)
    assert plain == hashlib.sha256(joined.encode()).hexdigest()
    assert plain == Mixture(parts, [Share(), Share()]).fingerprint()
    others = {
        Mixture(parts, shares).fingerprint()
        for shares in (
            [Share(1.0), Share()],
            [Share(), Share(1.0)],
            [Share(), Share(2.0)],
            [Share(), Share(None, (0.0, 1.0, 0.0))],
        )
    }
    assert len(others | {plain}) == 5


@pytest.mark.parametrize("index", [-1, 5])
def test_there_is_nothing_beyond_the_last(index):
    with pytest.raises(IndexError):
        Mixture([SyntheticSource(3, seed=1), SyntheticSource(2, seed=2)])[index]
