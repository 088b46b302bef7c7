"""SeisBench's three tasks: the target windows, and what is read inside them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hand_made import Records
from hypothesis import given, settings
from hypothesis import strategies as st

import compress.evaluation.bootstrap as bootstrap
from compress.data.records import Category, Record
from compress.data.windows import WINDOW_SAMPLES
from compress.evaluation.seisbench_tasks import Target, _model_window, run_tasks, targets


def earthquake(p: float | None, s: float | None, samples: int = 9000, name: str = "e") -> Record:
    waveform = np.full((samples, 3), 1e-6, dtype=np.float32)
    for onset, height in ((p, 10.0), (s, -8.0)):
        if onset is not None:
            waveform[round(onset)] = height
    return Record(name, waveform, Category.EARTHQUAKE, p, s)


def spikes(windows: np.ndarray) -> np.ndarray:
    """P where the waveform is greatest, S where it is least, in proportion to either."""
    predictions = np.zeros(windows.shape, dtype=np.float32)
    for window, prediction in zip(windows, predictions, strict=True):
        trace = window[:, 0] / max(np.abs(window).max(), 1.0)
        prediction[:, 0] = np.abs(trace)
        prediction[:, 1] = np.maximum(trace, 0.0)
        prediction[:, 2] = np.maximum(-trace, 0.0)
    return predictions


@pytest.fixture(autouse=True, scope="module")
def few_draws():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bootstrap, "RESAMPLES", 50)
        yield


onsets = st.one_of(st.none(), st.floats(0, 8999))


@settings(deadline=None, derandomize=True, max_examples=200)
@given(p=onsets, s=onsets, seed=st.integers(0, 99))
def test_targets_hold_what_they_should(p, s, seed) -> None:
    known = {phase: onset for phase, onset in (("p", p), ("s", s)) if onset is not None}
    if not known:
        return
    first = min(known.values())

    found = list(targets(earthquake(p, s), np.random.default_rng(seed)))

    for target in found:
        assert 0 <= target.start < target.end <= 9000
        inside = {name for name, o in known.items() if target.start <= o < target.end}
        if target.earthquake:
            assert target.end - target.start == 3000
            assert target.start + 100 <= first <= target.end - 100
        elif target.earthquake is False:
            assert target.end - target.start == 3000
            assert not inside
        else:
            assert target.end - target.start == 1000
            assert inside == {target.phase}
            assert target.onset == known[target.phase]
            assert target.start + 50 <= target.onset <= target.end - 50
            assert all(
                o <= target.start - 49 or o >= target.end + 50
                for name, o in known.items()
                if name != target.phase
            )


def test_what_a_record_gives() -> None:
    def kinds(record: Record) -> list[bool | str | None]:
        found = targets(record, np.random.default_rng(0))
        return [t.earthquake if t.phase is None else t.phase for t in found]

    assert kinds(earthquake(3500, 5000)) == [True, False, "p", "s"]
    assert kinds(earthquake(2500, 5000)) == [True, "p", "s"]  # no 30 s of noise before P
    assert kinds(earthquake(40, 5000)) == ["s"]  # P too close to the start of the record
    assert kinds(earthquake(None, 5000)) == [True, False, "s"]
    # 2 s of S minus P: the window before P and the one after S lie on their own sides.
    assert kinds(earthquake(4000, 4200)) == [True, False, "p", "s"]
    quiet = Record("n", np.zeros((6000, 3), dtype=np.float32), Category.NOISE)
    assert kinds(quiet) == [False]


@pytest.mark.parametrize(
    ("start", "end", "samples", "expected"),
    [(4000, 5000, 9000, 1500), (0, 3000, 9000, 0), (8000, 9000, 9000, 3000), (100, 1100, 6000, 0)],
)
def test_the_target_is_in_the_middle(start, end, samples, expected) -> None:
    found = _model_window(Target(start, end), samples)

    assert found == expected
    assert found <= start
    assert end <= found + WINDOW_SAMPLES


def test_a_picker_that_is_right(progress) -> None:
    records = [earthquake(3500 + 7 * i, 5000, name=f"e{i}") for i in range(6)]
    quiet = [
        Record(f"n{i}", np.zeros((6000, 3), dtype=np.float32), Category.NOISE) for i in range(3)
    ]

    found = run_tasks(spikes, Records(*records, *quiet), 0, progress)

    # The 30 s before each P are noise as well.
    assert (found.earthquake_windows, found.noise_windows) == (6, 9)
    assert found.detection_auc.point == 1.0
    assert found.phase_mcc.point == found.phase_mcc.lower == 1.0
    for phase in "ps":
        assert found.onset[phase].windows == 6
        assert found.onset[phase].rmse_s.point == 0.0
        assert found.onset[phase].median_absolute_s.upper == 0.0


def test_a_picker_that_exchanges_p_and_s_late(progress) -> None:
    def wrong(windows: np.ndarray) -> np.ndarray:
        return np.roll(spikes(windows)[:, :, [0, 2, 1]], 20, axis=1)

    def late(windows: np.ndarray) -> np.ndarray:
        return np.roll(spikes(windows), 20, axis=1)

    records = Records(*(earthquake(3500, 5000, name=f"e{i}") for i in range(4)))

    assert run_tasks(wrong, records, 0, progress).phase_mcc.point == -1.0
    onset = run_tasks(late, records, 0, progress).onset
    for phase in "ps":
        for measure in (onset[phase].rmse_s, onset[phase].mae_s, onset[phase].median_absolute_s):
            assert measure.point == pytest.approx(0.2)


def test_one_class_alone_cannot_be_measured(progress) -> None:
    found = run_tasks(spikes, Records(earthquake(2000, None)), 0, progress)

    assert math.isnan(found.detection_auc.point)
    assert math.isnan(found.phase_mcc.point)
    assert list(found.onset) == ["p"]
