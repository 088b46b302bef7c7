"""Which layers stay in float32: as few as it takes for the picks to agree."""

import numpy as np
import pytest

from compress.evaluation.picker import Thresholds
from compress.quantizing.fallback import (
    INT8_FILE,
    agreement,
    choose,
    document,
    float_layers,
    notes_of,
)
from compress.store import write_json
from export.study import Candidate, Study


def answer(p=2000, s=3000, probability=0.8):
    """One prediction with a P, an S and a detection over both."""
    prediction = np.zeros((6000, 3), np.float32)
    prediction[p : s + 400, 0] = 0.9
    for output, onset in ((1, p), (2, s)):
        slope = np.maximum(0.0, 1.0 - np.abs(np.arange(6000) - onset) / 30.0)
        prediction[:, output] = probability * slope
    return prediction


def test_the_same_picks_agree():
    answers = np.stack([answer(), answer(p=1500)])
    assert agreement(answers, answers, Thresholds()) == 1.0
    nothing = np.zeros((2, 6000, 3), np.float32)
    assert agreement(nothing, nothing, Thresholds()) == 1.0


def test_a_pick_elsewhere_or_none_at_all_does_not():
    expected = np.stack([answer()] * 4)
    moved = expected.copy()
    moved[0] = answer(p=2015)  # 0.15 s late
    assert agreement(moved, expected, Thresholds()) == pytest.approx(0.75)
    lost = expected.copy()
    lost[0] = 0.0
    assert agreement(lost, expected, Thresholds()) == pytest.approx(6 / 7)
    assert agreement(expected, lost, Thresholds()) == pytest.approx(6 / 7)


def test_what_falls_just_below_a_threshold_still_agrees():
    expected = np.stack([answer(probability=0.11)])
    below = np.stack([answer(probability=0.09)])
    assert agreement(below, expected, Thresholds()) == 1.0
    assert agreement(np.stack([answer(probability=0.04)]), expected, Thresholds()) < 1e-6


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three candidates; the first loses two picks of four, the second one, the third none."""
    made = {}
    candidates = []
    for number in range(3):
        path = tmp_path / f"{number}.tflite"
        path.write_bytes(b"x" * (10 + number))
        good = np.stack([answer()] * 4)
        good[: 2 - number] = 0.0
        made[path] = good
        candidates.append(Candidate(path, ("a", "b")[:number]))
    monkeypatch.setattr(
        "compress.quantizing.fallback.load_runner", lambda path: lambda windows: made[path]
    )
    layers = [{"layer": name, "alone": cost} for name, cost in (("a", 0.5), ("b", 0.25))]
    return Study(layers, 0.6, None, tuple(candidates))


def origin(windows):
    return np.stack([answer()] * len(windows))


def test_the_first_that_holds_is_taken(files):
    windows = np.zeros((4, 6000, 3), np.float32)
    chosen = choose(files, origin(windows), windows, 0.8)
    assert chosen.candidate.float_layers == ("a",)
    assert chosen.holds
    assert [one["float_layers"] for one in chosen.tried] == [0, 1]
    assert notes_of(files, chosen) == {
        "a": "float32: alone in int8, it moves the answers by 0.500 (relative error)"
    }


def test_the_best_is_taken_where_none_holds(files, monkeypatch):
    windows = np.zeros((4, 6000, 3), np.float32)
    short = Study(files.layers, 0.6, None, files.candidates[:2])
    chosen = choose(short, origin(windows), windows, 0.99)
    assert chosen.candidate.float_layers == ("a",)
    assert not chosen.holds


def test_what_was_chosen_is_read_by_other_exports(files, tmp_path):
    windows = np.zeros((4, 6000, 3), np.float32)
    chosen = choose(files, origin(windows), windows, 1.0)
    assert float_layers(tmp_path) == ()
    write_json(tmp_path / INT8_FILE, document(files, chosen))
    assert float_layers(tmp_path) == ("a", "b")
