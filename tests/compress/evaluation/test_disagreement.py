"""Which windows are shown does not depend on their order, and agreement never comes first."""

from __future__ import annotations

import numpy as np
import pytest
from hand_made import Records
from hypothesis import given
from hypothesis import strategies as st
from stored_models import facts

from compress.data.records import Category, Record
from compress.evaluation.disagreement import (
    ERRORS,
    NUMBERS,
    WindowFacts,
    choose,
    differences,
    rank_disagreements,
    rank_quality,
    window_facts,
)
from compress.evaluation.protocol import Protocol
from compress.evaluation.window_scores import score_windows

RECORDS = 24


@st.composite
def pairs(draw: st.DrawFn) -> tuple[WindowFacts, WindowFacts]:
    """Two models on the same windows, alike in some."""
    windows = draw(st.integers(0, 40))
    random = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shared = {
        "record_names": tuple(f"r{i}" for i in random.permutation(RECORDS)),
        "records": np.arange(windows) % RECORDS,
        "places": np.arange(windows) // RECORDS,
        "labelled": random.random((windows, 2)) < 0.8,
    }

    def model() -> WindowFacts:
        found = random.random((windows, 2)) < 0.7
        return facts(
            windows,
            **shared,
            errors=random.poisson(0.3, (windows, len(ERRORS))),
            residuals_s=np.where(found, random.normal(0, 0.1, (windows, 2)), np.nan),
            probabilities=random.random((windows, 2)),
        )

    baseline, candidate = model(), model()
    same = random.random(windows) < draw(st.sampled_from((0.0, 0.5, 1.0)))
    for name in ("errors", "residuals_s", "probabilities"):
        getattr(candidate, name)[same] = getattr(baseline, name)[same]
    return baseline, candidate


def permuted(model: WindowFacts, order: np.ndarray) -> WindowFacts:
    arrays = {name: array[order] for name, array in vars(model).items() if name != "record_names"}
    return WindowFacts(record_names=model.record_names, **arrays)


def identities(model: WindowFacts, windows: list[int]) -> list[tuple[str, int]]:
    return [(model.record_names[model.records[i]], int(model.places[i])) for i in windows]


@given(pairs(), st.randoms(use_true_random=False))
def test_the_order_of_the_windows_does_not_matter(pair, random) -> None:
    order = list(range(len(pair[0].records)))
    random.shuffle(order)
    moved = tuple(permuted(model, np.array(order, dtype=int)) for model in pair)
    assert identities(moved[0], rank_disagreements(*moved)) == identities(
        pair[0], rank_disagreements(*pair)
    )
    here, there = choose(*pair), choose(*moved)
    for kind in NUMBERS:
        assert identities(moved[0], there[kind]) == identities(pair[0], here[kind])


@given(pairs())
def test_where_both_agree_is_in_no_ranking_of_disagreements(pair) -> None:
    baseline, candidate = pair
    ranked = rank_disagreements(baseline, candidate)
    alike = [
        i
        for i in range(len(baseline.records))
        if all(
            np.array_equal(vars(baseline)[name][i], vars(candidate)[name][i], equal_nan=True)
            for name in ("errors", "residuals_s", "probabilities")
        )
    ]
    assert not set(ranked) & set(alike)
    found = differences(baseline, candidate)
    keys = [(found.outcomes[i], found.times_s[i], found.probabilities[i]) for i in ranked]
    assert keys == sorted(keys, reverse=True)


@given(pairs())
def test_no_record_is_shown_twice(pair) -> None:
    chosen = choose(*pair)
    records = [pair[0].records[window] for windows in chosen.values() for window in windows]
    assert len(records) == len(set(records))
    assert all(len(windows) <= NUMBERS[kind] for kind, windows in chosen.items())


def test_a_missed_onset_outranks_a_late_pick_and_that_a_lower_probability() -> None:
    baseline = facts(3, records=np.arange(3), record_names=("a", "b", "c"))
    candidate = facts(
        3,
        records=np.arange(3),
        record_names=("a", "b", "c"),
        errors=np.array([[0] * 6, [0] * 6, [0, 0, 1, 0, 0, 0]]),
        residuals_s=np.array([[0.0, 0.0], [0.02, 0.0], [np.nan, 0.0]]),
        probabilities=np.array([[0.1, 0.1], [0.9, 0.9], [0.9, 0.9]]),
    )
    assert rank_disagreements(baseline, candidate) == [2, 1, 0]


def test_best_and_typical_stand_at_the_head_and_in_the_middle() -> None:
    residuals = np.stack([np.linspace(0.0, 0.4, 20)] * 2, axis=1)
    names = tuple(f"r{i:02}" for i in range(20))
    model = facts(
        20, records=np.arange(20), places=np.zeros(20, int), record_names=names,
        residuals_s=residuals,
    )  # fmt: skip
    chosen = choose(model, model)
    assert chosen["worst"] == []
    assert chosen["best"] == [0, 1, 2, 3]
    assert sorted(chosen["typical"]) == [8, 9, 10, 11]


def test_windows_without_a_label_are_never_best() -> None:
    model = facts(2, labelled=np.zeros((2, 2), bool))
    assert rank_quality(model) == []
    partly = facts(2, labelled=np.array([[True, False], [True, True]]))
    assert rank_quality(partly) == [1]


def test_models_on_other_windows_are_refused() -> None:
    with pytest.raises(ValueError, match="same windows"):
        differences(facts(4), facts(2))


def test_facts_of_a_pass_are_kept_whole(progress) -> None:
    waveform = np.zeros((9000, 3), np.float32)
    waveform[3000:] = 1.0
    record = Record("one", waveform, Category.EARTHQUAKE, p_sample=3000.0, s_sample=3400.0)

    def at_p(windows: np.ndarray) -> np.ndarray:
        """P 0.1 s late, and nothing else."""
        out = np.zeros(windows.shape, np.float32)
        onset = np.diff(windows[..., 0], axis=1).argmax(axis=1) + 1
        for window, sample in enumerate(onset):
            out[window, sample - 50 : sample + 500, 0] = 0.9
            out[window, sample + 10, 1] = 0.8
        return out

    scores = score_windows(at_p, Records(record), Protocol(placements=2), progress)
    found = window_facts(scores)
    assert found.places.tolist() == [0, 1]
    assert found.labelled.all()
    assert found.residuals_s[:, 0] == pytest.approx(0.1)
    assert np.isnan(found.residuals_s[:, 1]).all()
    told = dict(zip(ERRORS, found.errors[0], strict=True))
    assert told == dict.fromkeys(ERRORS, 0) | {"s_fn_0.5s": 1}
    again = WindowFacts.from_arrays(found.to_arrays())
    for name, value in vars(found).items():
        np.testing.assert_array_equal(vars(again)[name], value)
