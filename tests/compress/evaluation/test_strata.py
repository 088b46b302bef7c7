"""Scores by what windows are like, and the whole-second bias."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hand_made import Records
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.records import Category, Record
from compress.data.snr import snr_db
from compress.evaluation.metrics import summarise
from compress.evaluation.protocol import Protocol, evaluate
from compress.evaluation.strata import OFFSETS, read_properties, strata, whole_second_bias
from compress.evaluation.window_scores import score_windows

NAN = float("nan")


def earthquake(name: str, p: float = 3000, s: float | None = 3600, **properties) -> Record:
    """A spike at P and one of the opposite sign at S, on next to nothing."""
    waveform = np.random.default_rng(0).normal(size=(9000, 3)).astype(np.float32) * 1e-3
    waveform[round(p)] = 100.0
    if s is not None:
        waveform[round(s)] = -80.0
    return Record(name, waveform, Category.EARTHQUAKE, p, s, **properties)


def noise(name: str) -> Record:
    waveform = np.random.default_rng(1).normal(size=(6000, 3)).astype(np.float32)
    return Record(name, waveform, Category.NOISE)


def perfect(windows: np.ndarray) -> np.ndarray:
    """Picks the spikes of `earthquake`, and nothing in `noise`."""
    predictions = np.zeros(windows.shape, dtype=np.float32)
    for window, prediction in zip(windows, predictions, strict=True):
        if np.abs(window).max() < 20:
            continue
        p, s = window[:, 0].argmax(), window[:, 0].argmin()
        prediction[p : max(p, s) + 200, 0] = 0.9
        prediction[p, 1] = 0.9
        prediction[s, 2] = 0.9
    return predictions


def snapping(windows: np.ndarray) -> np.ndarray:
    """Picks P at the nearest whole second of the window."""
    predictions = perfect(windows)
    for prediction in predictions:
        second = round(prediction[:, 1].argmax() / 100) * 100
        prediction[:, 1] = 0.0
        prediction[second, 1] = 0.9
    return predictions


def test_snr_by_hand() -> None:
    random = np.random.default_rng(0)
    waveform = random.normal(size=(6000, 3)) * 0.01 + 5.0
    waveform[3000:3300] += random.normal(size=(300, 3)) * [1.0, 0.1, 0.1]

    assert snr_db(waveform, 3000.2) == pytest.approx((40 + 20 + 20) / 3, abs=1.5)


def test_snr_that_cannot_be_known() -> None:
    moving = np.random.default_rng(0).normal(size=(6000, 3))

    assert math.isnan(snr_db(moving, 99))  # less than 1 s of noise
    assert math.isnan(snr_db(moving, 6000))
    assert math.isnan(snr_db(np.zeros((6000, 3)), 3000))
    one_dead = moving * [1.0, 1.0, 0.0]
    assert snr_db(one_dead, 3000) == pytest.approx(snr_db(moving, 3000), abs=2.0)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=st.integers(0, 1000), gain=st.floats(1e-6, 1e6), level=st.floats(-1e3, 1e3))
def test_snr_knows_no_unit_and_no_offset(seed: int, gain: float, level: float) -> None:
    waveform = np.random.default_rng(seed).normal(size=(3000, 3))

    assert snr_db((waveform + level) * gain, 1500) == pytest.approx(snr_db(waveform, 1500))


def test_scores_are_those_of_the_protocol(progress) -> None:
    source = Records(earthquake("a"), noise("n"), earthquake("b", s=None), earthquake("c", p=200))
    protocol = Protocol(placements=3, seed=4)

    scores = score_windows(perfect, source, protocol, progress)

    expected = evaluate(perfect, source, protocol, progress)
    assert scores.counts().record_names == expected.record_names
    np.testing.assert_array_equal(scores.counts().values, expected.values)
    # Of no S, S is most probable wherever, but it is no residual.
    assert np.isnan(scores.residuals_s["s"]).sum() == 4
    assert np.nanmax(np.abs(scores.residuals_s["p"])) == 0.0


def test_windows_are_in_their_strata(progress) -> None:
    source = Records(
        earthquake("near", s=3100, snr_db=5.0),
        earthquake("far", s=4500, snr_db=25.0, original_sampling_rate_hz=50.0),
        earthquake("only P", s=None, snr_db=10.0),
        noise("noise"),
    )
    scores = score_windows(perfect, source, Protocol(placements=2), progress)

    found = strata(scores, read_properties(source))

    def named(group: str) -> dict[str, tuple[str, ...]]:
        return {s.label: s.counts.record_names for s in found[group]}

    assert named("snr_db") == {"< 10": ("near",), "10–20": ("only P",), "20–30": ("far",)}
    assert named("s_minus_p_s") == {"0–2": ("near",), "10–20": ("far",)}
    assert named("original_sampling_rate_hz") == {"50": ("far",), "100": ("near", "only P")}
    assert sum(s.windows for s in found["p_position_s"]) == 6
    assert [s.windows for s in found["snr_db"]] == [2, 2, 2]
    assert summarise(found["snr_db"][0].counts)["p_recall_0.5s"] == 1.0


def test_snr_is_measured_where_the_metadata_have_none(progress) -> None:
    source = Records(earthquake("a"))

    found = strata(score_windows(perfect, source, Protocol(), progress), read_properties(source))

    assert [s.label for s in found["snr_db"]] == ["< 10"]  # a spike is no 5 % of 3 s


def test_the_bias_of_a_picker_that_snaps(progress) -> None:
    source = Records(*(earthquake(f"r{i}", p=1500 + 137 * i, s=None) for i in range(8)))

    none = whole_second_bias(perfect, source, 0, progress)
    full = whole_second_bias(snapping, source, 0, progress)

    def hits(counts) -> float:
        return summarise(counts)["p_highest_peak_recall_0.1s"]

    assert (hits(none.on), hits(none.off)) == (1.0, 1.0)
    assert hits(full.on) == 1.0
    assert {offset: hits(counts) for offset, counts in full.by_offset.items()} == {
        offset: float(offset <= 10 or offset >= 90) for offset in OFFSETS
    }
    assert hits(full.off) == pytest.approx(2 / 9)


def test_records_that_cannot_be_moved_are_left_out(progress) -> None:
    short = earthquake("short")
    still = Record("still", short.waveform[:6000], Category.EARTHQUAKE, 3000.0, 3600.0)
    no_p = Record("no P", short.waveform, Category.EARTHQUAKE, None, 3600.0)

    assert whole_second_bias(perfect, Records(still, no_p), 0, progress) is None
    moved = whole_second_bias(perfect, Records(still, short, no_p), 0, progress)
    assert moved.on.record_names == moved.off.record_names == ("short",)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(p=st.floats(0, 8999), s_minus_p=st.floats(0, 4000), seed=st.integers(0, 99))
def test_p_is_put_where_it_should_be(p: float, s_minus_p: float, seed: int) -> None:
    from compress.evaluation.strata import _on_and_off_seconds

    s = min(p + s_minus_p, 8999.0)
    places = list(_on_and_off_seconds(p, s, 9000, np.random.default_rng(seed)))

    assert len(set(places)) == len(places)
    assert len(places) % len(OFFSETS) == 0
    for offset, start in places:
        assert 0 <= start <= 3000
        assert (round(p) - start) % 100 == offset
        assert 400 <= round(p) - start < 1000
        assert s - start <= 6000 - 50
