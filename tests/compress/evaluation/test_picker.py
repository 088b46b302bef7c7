"""Picking rules, corner by corner."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from baseline.errors import InputError
from compress.evaluation.picker import Event, Pick, Thresholds, WindowPicks, highest_peaks, pick

SAMPLES = 6000


def traces(
    detection: dict[tuple[int, int], float] | None = None,
    p: dict[int, float] | None = None,
    s: dict[int, float] | None = None,
) -> np.ndarray:
    """A prediction with boxes of detection probability and single-sample P and S peaks."""
    prediction = np.zeros((SAMPLES, 3), dtype=np.float32)
    for (start, end), probability in (detection or {}).items():
        prediction[start:end, 0] = probability
    for column, peaks in ((1, p), (2, s)):
        for sample, probability in (peaks or {}).items():
            prediction[sample, column] = probability
    return prediction


def picked(prediction: np.ndarray, **thresholds: float) -> list[tuple[float | None, float | None]]:
    """P and S samples of each event."""
    events = pick(prediction, Thresholds(**thresholds)).events
    return [
        (event.p.sample if event.p else None, event.s.sample if event.s else None)
        for event in events
    ]


def detected(prediction: np.ndarray, **thresholds: float) -> list[tuple[int, int]]:
    return [(e.start, e.end) for e in pick(prediction, Thresholds(**thresholds)).events]


def test_silence_holds_no_event() -> None:
    assert pick(traces(), Thresholds()) == WindowPicks(())


def test_a_plain_earthquake() -> None:
    found = pick(traces({(1000, 2000): 0.75}, p={1005: 0.5}, s={1500: 0.25}), Thresholds())

    assert found.events == (Event(1000, 2000, 0.75, Pick(1005.0, 0.5), Pick(1500.0, 0.25)),)
    assert found.p_picks == (Pick(1005.0, 0.5),)
    assert found.s_picks == (Pick(1500.0, 0.25),)


@pytest.mark.parametrize(("length", "events"), [(9, 0), (10, 1), (11, 1)])
def test_a_detection_lasts_ten_samples(length: int, events: int) -> None:
    assert len(detected(traces({(1000, 1000 + length): 0.9}))) == events


def test_a_detection_may_touch_both_edges() -> None:
    assert detected(traces({(0, SAMPLES): 0.9})) == [(0, SAMPLES)]
    assert detected(traces({(0, 20): 0.9, (5980, 6000): 0.9})) == [(0, 20), (5980, 6000)]


@pytest.mark.parametrize("threshold", [0.1, 0.3, 0.7])
def test_a_threshold_is_reached_by_the_float32_nearest_to_it(threshold: float) -> None:
    prediction = traces({(1000, 2000): threshold}, p={1010: threshold}, s={1500: threshold})

    found = picked(prediction, detection=threshold, p=threshold, s=threshold)

    assert found == [(1010.0, 1500.0)]


def test_one_sample_below_the_threshold_splits_a_detection() -> None:
    prediction = traces({(1000, 2000): 0.9})
    prediction[1500, 0] = 0.29

    assert detected(prediction) == [(1000, 1500), (1501, 2000)]


def test_a_detection_without_peaks_is_an_event_without_picks() -> None:
    found = pick(traces({(1000, 2000): 0.9}, p={1100: 0.09}, s={1500: 0.09}), Thresholds())

    assert [(event.p, event.s) for event in found.events] == [(None, None)]
    assert found.p_picks == found.s_picks == ()


def test_peaks_outside_detections_are_no_picks() -> None:
    assert picked(traces({(1000, 2000): 0.9}, p={3000: 0.9}, s={3500: 0.9})) == [(None, None)]


@pytest.mark.parametrize(("sample", "expected"), [(899, None), (900, 900.0), (1999, 1999.0)])
def test_p_lies_between_a_second_before_the_detection_and_its_end(
    sample: int, expected: float | None
) -> None:
    assert picked(traces({(1000, 2000): 0.9}, p={sample: 0.9})) == [(expected, None)]


def test_p_at_the_end_of_the_detection_is_outside() -> None:
    assert picked(traces({(1000, 2000): 0.9}, p={2000: 0.9})) == [(None, None)]


@pytest.mark.parametrize(
    ("sample", "expected"), [(999, None), (1000, 1000.0), (1999, 1999.0), (2000, None)]
)
def test_s_lies_inside_the_detection(sample: int, expected: float | None) -> None:
    assert picked(traces({(1000, 2000): 0.9}, s={sample: 0.9})) == [(None, expected)]


@pytest.mark.parametrize(("p", "expected"), [(1490, 1490.0), (1491, None), (1600, None)])
def test_p_lies_a_tenth_of_a_second_before_s(p: int, expected: float | None) -> None:
    found = picked(traces({(1000, 2000): 0.9}, p={p: 0.9}, s={1500: 0.9}))

    assert found == [(expected, 1500.0)]


def test_the_most_probable_peaks_are_taken() -> None:
    prediction = traces(
        {(1000, 2000): 0.9}, p={1010: 0.3, 1100: 0.8, 1200: 0.5}, s={1150: 0.2, 1500: 0.9}
    )

    assert picked(prediction) == [(1100.0, 1500.0)]


def test_of_close_peaks_the_higher_is_kept() -> None:
    assert picked(traces({(1000, 2000): 0.9}, p={1100: 0.8, 1130: 0.9})) == [(1130.0, None)]
    assert picked(traces({(1000, 2000): 0.9}, p={1100: 0.9, 1130: 0.8})) == [(1100.0, None)]


def test_a_peak_that_cannot_be_taken_hides_no_other() -> None:
    found = picked(traces({(1000, 2000): 0.9}, p={1480: 0.3, 1500: 0.9}, s={1500: 0.9}))

    assert found == [(1480.0, 1500.0)]


def test_of_equal_peaks_the_earliest_is_taken() -> None:
    prediction = traces({(1000, 2000): 0.9}, p={1100: 0.8, 1200: 0.8}, s={1500: 0.5, 1600: 0.5})

    assert picked(prediction) == [(1100.0, 1500.0)]


def test_of_equal_peaks_on_one_onset_the_middle_is_taken() -> None:
    tops = {1500: 0.5, 1504: 0.5, 1520: 0.5, 1521: 0.4, 1530: 0.5}
    prediction = traces({(1000, 2000): 0.9}, p={1100: 0.8, 1121: 0.8}, s=tops)

    assert picked(prediction) == [(1100.0, 1510.0)]
    highest = highest_peaks(prediction[np.newaxis])
    assert (highest.p_sample[0], highest.s_sample[0]) == (1100, 1510)
    assert pick(prediction, Thresholds()).s_picks[0].probability == 0.5


@settings(deadline=None, derandomize=True, max_examples=40)
@given(levels=st.integers(8, 256), width=st.floats(8, 40), onset=st.integers(500, 5500))
def test_quantized_probabilities_do_not_move_a_symmetric_onset(
    levels: int, width: float, onset: int
) -> None:
    bump = 0.8 * np.exp(-(((np.arange(SAMPLES) - onset) / width) ** 2))
    prediction = traces({(onset - 200, onset + 200): 0.9})
    prediction[:, 2] = np.round(bump * levels) / levels

    (event,) = pick(prediction, Thresholds()).events
    assert event.s is not None
    at_highest = np.flatnonzero(prediction[:, 2] == prediction[:, 2].max())
    if at_highest[-1] - at_highest[0] <= 20:
        assert event.s.sample == onset
        assert highest_peaks(prediction[np.newaxis]).s_sample[0] == onset


@pytest.mark.parametrize(("width", "middle"), [(2, 1100.0), (3, 1101.0), (4, 1101.0)])
def test_a_plateau_counts_at_its_middle(width: int, middle: float) -> None:
    plateau = dict.fromkeys(range(1100, 1100 + width), 1.0)

    assert picked(traces({(1000, 2000): 0.9}, p=plateau)) == [(middle, None)]


def test_a_shoulder_is_not_a_peak() -> None:
    assert picked(traces({(1000, 2000): 0.9}, p={1100: 0.4, 1101: 0.4, 1102: 0.8})) == [
        (1102.0, None)
    ]


@pytest.mark.parametrize("p", [{0: 0.9}, {0: 0.9, 1: 0.9}, {5999: 0.9}])
def test_a_maximum_at_the_edge_is_not_a_peak(p: dict[int, float]) -> None:
    assert picked(traces({(0, SAMPLES): 0.9}, p=p)) == [(None, None)]


def test_two_earthquakes_do_not_share_a_peak() -> None:
    between = picked(traces({(1000, 1500): 0.9, (1550, 2000): 0.9}, p={1520: 0.9}))
    within_the_first = picked(traces({(1000, 1500): 0.9, (1550, 2000): 0.9}, p={1480: 0.9}))

    assert between == [(None, None), (1520.0, None)]
    assert within_the_first == [(1480.0, None), (None, None)]


def test_another_shape_is_refused() -> None:
    with pytest.raises(ValueError, match="shape"):
        pick(np.zeros((3, SAMPLES)), Thresholds())
    with pytest.raises(ValueError, match="shape"):
        highest_peaks(np.zeros((SAMPLES, 3)))


@pytest.mark.parametrize("strange", [np.nan, np.inf])
def test_what_is_not_finite_is_refused(strange: float) -> None:
    prediction = traces()
    prediction[5, 1] = strange

    with pytest.raises(InputError, match="1 of 18000"):
        pick(prediction, Thresholds())
    with pytest.raises(InputError, match="not finite"):
        highest_peaks(prediction[None])


def test_thresholds_are_probabilities_and_known_by_name() -> None:
    for wrong in ({"p": 0.0}, {"s": 1.1}, {"P": 0.5}):
        with pytest.raises(ValidationError):
            Thresholds.model_validate(wrong)


def test_highest_peaks_need_no_threshold_and_no_detection() -> None:
    batch = np.stack([traces({(5, 9): 0.125}, p={0: 0.0625}, s={77: 0.5, 99: 0.5}), traces()])

    highest = highest_peaks(batch)

    np.testing.assert_array_equal(highest.p_sample, [0, 10])
    np.testing.assert_array_equal(highest.p_probability, [0.0625, 0.0])
    np.testing.assert_array_equal(highest.s_sample, [77, 10])
    np.testing.assert_array_equal(highest.s_probability, [0.5, 0.0])
    np.testing.assert_array_equal(highest.detection, [0.125, 0.0])


def rough_prediction(seed: int, knots: int) -> np.ndarray:
    """Probabilities that wander between random knots; with few knots they have few peaks."""
    random = np.random.default_rng(seed)
    at = np.linspace(0, SAMPLES - 1, knots)
    columns = [np.interp(np.arange(SAMPLES), at, random.random(knots) ** 2) for _ in range(3)]
    # Rounding makes plateaus and equal heights.
    return np.round(np.stack(columns, axis=1), 2).astype(np.float32)


@settings(deadline=None, derandomize=True, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), knots=st.integers(2, 1500))
def test_what_holds_for_any_prediction(seed: int, knots: int) -> None:
    prediction = rough_prediction(seed, knots)

    found = pick(prediction, Thresholds())

    for event in found.events:
        assert event.end - event.start >= 10
        assert (prediction[event.start : event.end, 0] >= np.float32(0.3)).all()
        if event.p is not None:
            assert event.start - 100 <= event.p.sample < event.end
            around = prediction[max(int(event.p.sample) - 10, 0) : int(event.p.sample) + 11, 1]
            assert event.p.probability in around
        if event.s is not None:
            assert event.start <= event.s.sample < event.end
        if event.p is not None and event.s is not None:
            assert event.s.sample - event.p.sample >= 10
    for picks in (found.p_picks, found.s_picks):
        samples = [one.sample for one in picks]
        assert samples == sorted(set(samples))
        assert all(one.probability >= 0.1 - 1e-7 for one in picks)
    starts = [event.start for event in found.events]
    assert starts == sorted(starts)


@settings(deadline=None, derandomize=True, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), threshold=st.floats(0.2, 0.9))
def test_a_higher_threshold_detects_no_more(seed: int, threshold: float) -> None:
    prediction = rough_prediction(seed, 40)

    def samples_detected(detection: float) -> int:
        return sum(end - start for start, end in detected(prediction, detection=detection))

    assert samples_detected(threshold) <= samples_detected(threshold - 0.1)


def test_picking_is_fast() -> None:
    prediction = traces({(1000, 2000): 0.9}, p={1010: 0.9}, s={1500: 0.9})
    thresholds = Thresholds()
    times = []
    for _ in range(50):
        begin = time.perf_counter()
        pick(prediction, thresholds)
        times.append(time.perf_counter() - begin)

    assert np.median(times) < 2e-3  # about 0.1 ms; the rest is for busy machines


def test_evaluation_does_not_import_tensorflow() -> None:
    program = (
        "import sys, compress.gates, compress.evaluation.metrics, compress.evaluation.latency; "
        "sys.exit('tensorflow' in sys.modules or 'tf_keras' in sys.modules)"
    )

    subprocess.run([sys.executable, "-c", program], check=True)
