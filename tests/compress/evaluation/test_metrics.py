"""From picks and truths to counts, and from counts to metrics."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from baseline.errors import InputError
from compress.evaluation.metrics import (
    COLUMNS,
    METRICS,
    TOLERANCES_S,
    Counts,
    Truths,
    count,
    metrics_of_sums,
    summarise,
)
from compress.evaluation.picker import Thresholds

SAMPLES = 6000
NAN = float("nan")


def window(*events: tuple[int, int, int | None, int | None]) -> np.ndarray:
    """A prediction with one detection (start, end) and its P and S peaks for each event."""
    prediction = np.zeros((SAMPLES, 3), dtype=np.float32)
    for start, end, p, s in events:
        prediction[start:end, 0] = 0.9
        for column, sample in ((1, p), (2, s)):
            if sample is not None:
                prediction[sample, column] = 0.8
    return prediction


def truths(*windows: tuple[float, float, int], noise: bool = False) -> Truths:
    """P, S and record of each window."""
    p, s, records = zip(*windows, strict=True)
    return Truths(
        np.array(p, dtype=np.float64),
        np.array(s, dtype=np.float64),
        np.full(len(windows), noise),
        np.array(records, dtype=np.intp),
    )


def counted(
    predictions: np.ndarray, windows: Truths, names: Sequence[str], p: float = 0.1
) -> Counts:
    """Counts by record, at a threshold of P."""
    return Counts.by_record(names, [(windows, count(predictions, windows, Thresholds(p=p)))])


def score(
    prediction: np.ndarray, p: float = NAN, s: float = NAN, *, noise: bool = False
) -> dict[str, float]:
    """The counts of one window, zeros left out."""
    row = count(prediction[None], truths((p, s, 0), noise=noise), Thresholds())[0]
    return {name: value for name, value in zip(COLUMNS, row.tolist(), strict=True) if value != 0.0}


def test_a_right_answer() -> None:
    found = score(window((1000, 2000, 1000, 1500)), p=1005, s=1500)

    assert found == {
        **{f"p_{what}_{t}": 1.0 for what in ("tp", "highest_peak_hits") for t in TOLERANCES_S},
        **{f"s_{what}_{t}": 1.0 for what in ("tp", "highest_peak_hits") for t in TOLERANCES_S},
        "p_residual_count": 1.0,
        "p_residual_sum": -0.05,
        "p_residual_sum_squares": pytest.approx(0.0025),
        "p_residual_sum_absolute": 0.05,
        "s_residual_count": 1.0,
        "detection_tp": 1.0,
    }


@pytest.mark.parametrize(
    ("off", "half_second", "fifth", "tenth"),
    [
        (0, 1, 1, 1),
        (10, 1, 1, 1),
        (-10, 1, 1, 1),
        (11, 1, 1, 0),
        (20, 1, 1, 0),
        (-20, 1, 1, 0),
        (21, 1, 0, 0),
        (50, 1, 0, 0),
        (-50, 1, 0, 0),
        (51, 0, 0, 0),
    ],
)
def test_tolerances_are_inclusive(off: int, half_second: int, fifth: int, tenth: int) -> None:
    found = score(window((1000, 2000, 1200 + off, None)), p=1200)

    for tolerance, hit in (("0.5s", half_second), ("0.2s", fifth), ("0.1s", tenth)):
        assert found.get(f"p_tp_{tolerance}", 0) == hit
        assert found.get(f"p_highest_peak_hits_{tolerance}", 0) == hit
        assert found.get(f"p_fp_{tolerance}", 0) == 1 - hit
        assert found.get(f"p_fn_{tolerance}", 0) == 1 - hit
    assert found.get("p_residual_count", 0) == half_second


def test_a_miss_is_a_false_negative() -> None:
    found = score(window(), p=1000, s=1500)

    missed = {f"{phase}_fn_{t}": 1.0 for phase in "ps" for t in TOLERANCES_S}
    assert found == {**missed, "detection_fn": 1.0}


def test_a_highest_peak_counts_without_detection() -> None:
    prediction = window()
    prediction[1003, 1] = 0.01

    found = score(prediction, p=1000)

    assert found["p_highest_peak_hits_0.1s"] == 1.0
    assert found["p_fn_0.1s"] == 1.0


def test_the_nearest_pick_matches_and_the_others_are_false() -> None:
    prediction = window((1000, 1040, 1010, None), (1060, 1100, 1070, None), (3000, 3100, 3005, 0))

    found = score(prediction, p=1065)

    assert found["p_tp_0.5s"] == 1.0
    assert found["p_fp_0.5s"] == 2.0
    assert found["p_residual_sum"] == pytest.approx(0.05)


def test_a_phase_without_label_is_not_scored() -> None:
    found = score(window((1000, 2000, 1000, 1500)), p=1000)

    assert not [name for name in found if name.startswith("s_")]


def test_an_earthquake_window_without_labels_is_not_scored() -> None:
    assert score(window((1000, 2000, 1000, 1500))) == {}


@pytest.mark.parametrize(
    ("start", "end", "p", "s", "right"),
    [
        (1000, 2000, 1500.0, 1700.0, True),  # around the signal
        (1600, 1650, 1500.0, 1700.0, True),  # inside
        (1300, 1501, 1500.0, 1700.0, True),  # its last sample is P
        (1300, 1500, 1500.0, 1700.0, False),  # ends before P
        (1700, 1800, 1500.0, 1700.0, True),  # begins at S
        (1701, 1800, 1500.0, 1700.0, False),  # begins after S
        (2000, 2100, 1500.0, NAN, True),  # begins 5 s after P
        (2001, 2100, 1500.0, NAN, False),
        (1600, 1800, NAN, 1700.0, True),  # P unknown: contains S
        (1600, 1700, NAN, 1700.0, False),
    ],
)
def test_a_detection_overlaps_the_signal(
    start: int, end: int, p: float, s: float, right: bool
) -> None:
    found = score(window((start, end, None, None)), p=p, s=s)

    expected = {"detection_tp": 1.0} if right else {"detection_fp": 1.0, "detection_fn": 1.0}
    assert {name: n for name, n in found.items() if name.startswith("detection")} == expected


def test_two_detections_of_one_earthquake_are_one_true_positive() -> None:
    found = score(window((1000, 1200, None, None), (1210, 1500, None, None)), p=1010, s=1400)

    assert found["detection_tp"] == 1.0
    assert "detection_fp" not in found


def test_everything_in_noise_is_false() -> None:
    found = score(window((1000, 2000, 1000, 1500), (3000, 3100, None, None)), noise=True)

    assert found == {
        "noise_seconds": 60.0,
        "noise_detections": 2.0,
        "noise_p_picks": 1.0,
        "noise_s_picks": 1.0,
        "detection_fp": 2.0,
        **{f"{phase}_fp_{t}": 1.0 for phase in "ps" for t in TOLERANCES_S},
    }


def test_thresholds_decide_what_is_picked() -> None:
    prediction = window((1000, 2000, 1000, 1500))

    strict = counted(prediction[None], truths((1000, 1500, 0)), ["one"], p=0.9)

    assert summarise(strict)["p_recall_0.5s"] == 0.0
    assert summarise(strict)["s_recall_0.5s"] == 1.0


def test_windows_add_up_by_record() -> None:
    predictions = np.stack([window((1000, 2000, 1000, 1500))] * 3)

    counts = counted(
        predictions, truths((1000, 1500, 2), (1000, 1500, 0), (1000, 1500, 2)), ["a", "b", "c"]
    )

    assert counts.record_names == ("a", "b", "c")
    assert counts.values[:, COLUMNS.index("p_tp_0.5s")].tolist() == [1.0, 0.0, 2.0]


def test_metrics_by_hand() -> None:
    sums = dict.fromkeys(COLUMNS, 0.0)
    sums |= {"p_tp_0.5s": 6, "p_fp_0.5s": 2, "p_fn_0.5s": 4, "p_highest_peak_hits_0.5s": 9}
    sums |= {"p_residual_count": 2, "p_residual_sum": 0.2, "p_residual_sum_absolute": 0.4}
    sums |= {"p_residual_sum_squares": 0.1, "detection_tp": 1, "detection_fp": 1}
    sums |= {"noise_seconds": 1800, "noise_detections": 3, "noise_p_picks": 1}

    metrics = summarise(Counts(("all",), np.array([[sums[name] for name in COLUMNS]])))

    assert tuple(metrics) == METRICS
    assert metrics["p_precision_0.5s"] == 0.75
    assert metrics["p_recall_0.5s"] == 0.6
    assert metrics["p_f1_0.5s"] == pytest.approx(2 / 3)
    assert metrics["p_highest_peak_recall_0.5s"] == 0.9
    assert metrics["p_residual_mean_s"] == 0.1
    assert metrics["p_residual_std_s"] == pytest.approx(0.2)
    assert metrics["p_residual_mae_s"] == 0.2
    assert metrics["detection_precision"] == 0.5
    assert metrics["detection_recall"] == 1.0
    assert metrics["false_detections_per_hour"] == 6.0
    assert metrics["false_p_per_hour"] == 2.0
    assert metrics["false_s_per_hour"] == 0.0
    assert math.isnan(metrics["s_recall_0.5s"])


def test_what_cannot_be_measured_is_nan() -> None:
    metrics = summarise(Counts(("empty",), np.zeros((1, len(COLUMNS)))))

    assert tuple(metrics) == METRICS
    assert all(math.isnan(value) for value in metrics.values())


def test_finding_nothing_is_an_f1_of_zero() -> None:
    counts = counted(window()[None], truths((1000, 1500, 0)), ["one"])

    metrics = summarise(counts)

    assert metrics["p_f1_0.5s"] == metrics["p_recall_0.5s"] == metrics["detection_f1"] == 0.0
    assert math.isnan(metrics["p_precision_0.5s"])


def random_windows(seed: int, n: int) -> tuple[np.ndarray, Truths]:
    """Events at random places and truths near some of them, on quarters of a sample."""
    random = np.random.default_rng(seed)
    predictions, p_samples, s_samples = [], [], []
    for _ in range(n):
        p = int(random.integers(600, 2500))
        s = p + int(random.integers(20, 800))
        other = int(random.integers(3600, 4500))
        events = [(p, s + 200, p, s), (other, other + 100, other, None)]
        predictions.append(window(*[event for event in events if random.random() < 0.8]))
        p_samples.append(p + random.integers(-250, 250) / 4 if random.random() < 0.9 else NAN)
        s_samples.append(s + random.integers(-250, 250) / 4 if random.random() < 0.9 else NAN)
    noise = random.random(n) < 0.3
    return np.stack(predictions), Truths(
        np.where(noise, NAN, p_samples),
        np.where(noise, NAN, s_samples),
        noise,
        random.integers(0, 3, n),
    )


def part(windows: Truths, which: slice) -> Truths:
    return Truths(
        windows.p_samples[which],
        windows.s_samples[which],
        windows.noise[which],
        windows.records[which],
    )


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), split=st.integers(0, 6))
def test_counts_are_additive_over_windows(seed: int, split: int) -> None:
    predictions, windows = random_windows(seed, 6)

    together = counted(predictions, windows, "abc")
    batches = [
        (part(windows, which), count(predictions[which], part(windows, which), Thresholds()))
        for which in (slice(None, split), slice(split, None))
    ]
    apart = Counts.by_record("abc", batches)

    np.testing.assert_allclose(apart.values, together.values, rtol=0, atol=1e-12)


@settings(deadline=None, derandomize=True, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), shift=st.integers(-500, 1300))
def test_shifting_picks_and_truths_together_changes_nothing(seed: int, shift: int) -> None:
    predictions, windows = random_windows(seed, 6)
    moved = Truths(
        windows.p_samples + shift, windows.s_samples + shift, windows.noise, windows.records
    )

    before = counted(predictions, windows, "abc")
    after = counted(np.roll(predictions, shift, axis=1), moved, "abc")

    thresholded = [i for i, name in enumerate(COLUMNS) if "highest" not in name]
    np.testing.assert_allclose(
        after.values[:, thresholded], before.values[:, thresholded], rtol=0, atol=1e-12
    )


@settings(deadline=None, derandomize=True, max_examples=25)
@given(
    onsets=st.lists(
        st.tuples(st.integers(300, 3000), st.integers(10, 2500)), min_size=1, max_size=6
    )
)
def test_a_perfect_predictor_scores_one(onsets: list[tuple[int, int]]) -> None:
    pairs = [(p, p + s_minus_p) for p, s_minus_p in onsets]
    predictions = np.stack([window((p, s + 100, p, s)) for p, s in pairs])

    metrics = summarise(counted(predictions, truths(*((p, s, 0) for p, s in pairs)), ["one"]))

    for name in METRICS:
        if "f1" in name or "recall" in name or "precision" in name:
            assert metrics[name] == 1.0
        elif "residual" in name:
            assert metrics[name] == 0.0


def test_metrics_are_vectorised_over_leading_axes() -> None:
    sums = np.random.default_rng(1).integers(1, 50, (4, 5, len(COLUMNS))).astype(np.float64)

    metrics = metrics_of_sums(sums)

    single = metrics_of_sums(sums[2, 3])
    assert all(metrics[name].shape == (4, 5) for name in METRICS)
    np.testing.assert_array_equal([metrics[name][2, 3] for name in METRICS], list(single.values()))


def test_json_restores_every_bit() -> None:
    predictions, windows = random_windows(7, 6)
    counts = counted(predictions, windows, ["a", "b", "ü"])

    restored = Counts.from_json(counts.to_json())

    assert restored.record_names == counts.record_names
    np.testing.assert_array_equal(restored.values, counts.values)
    assert ".0," not in counts.to_json()  # whole numbers are written as such


def test_counts_of_no_record_survive_json() -> None:
    empty = Counts((), np.zeros((0, len(COLUMNS))))

    assert Counts.from_json(empty.to_json()).values.shape == (0, len(COLUMNS))


def edited(**changes: Any) -> str:
    document = json.loads(Counts(("a", "b"), np.ones((2, len(COLUMNS)))).to_json())
    return json.dumps(document | changes)


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        "[]",
        "{}",
        edited(values=[[1, 2], [3]]),
        edited(records=["a", "a"]),
        edited(records=["a"]),
        edited(values=None),
        edited(columns=["p_tp_0.5s", "luck"]),
        edited(columns=COLUMNS[::-1]),
        edited().replace("1]", "NaN]"),
    ],
)
def test_other_json_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Counts.from_json(text)


def test_what_does_not_fit_together_is_refused() -> None:
    prediction = window()[None]
    with pytest.raises(ValueError, match="do not fit"):
        count(prediction, truths((1, 2, 0), (1, 2, 0)), Thresholds())
    with pytest.raises(ValueError, match="record index 3"):
        counted(prediction, truths((1, 2, 3)), ["one"])
    with pytest.raises(ValueError, match="noise window 0"):
        truths((1, 2, 0), noise=True)
    with pytest.raises(ValueError, match="one length"):
        Truths(np.zeros(2), np.zeros(3), np.zeros(2, bool), np.zeros(2, np.intp))
