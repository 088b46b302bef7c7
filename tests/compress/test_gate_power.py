"""Error rates of accuracy gates: identical models pass, a known loss is found at a stated power."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.gate_power import (
    CORRELATION,
    RECALL,
    f1_of_recall,
    rates,
    recall_of_f1,
    simulate,
)
from compress.evaluation.metrics import COLUMNS, METRICS, Counts, Truths, count
from compress.evaluation.picker import Thresholds
from compress.gates import Gates, Measured, Outcome, judge


def test_the_simulated_loss_is_the_true_one():
    reference, candidate = simulate(np.random.default_rng(0), 50, 4000, loss=0.03)
    tp, fp, fn = reference.sum(axis=(0, 1))
    ours = candidate.sum(axis=(0, 1))
    f1 = 2 * tp / (2 * tp + fp + fn)
    assert f1 == pytest.approx(f1_of_recall(RECALL), abs=0.001)
    assert f1 - 2 * ours[0] / (2 * ours[0] + ours[1] + ours[2]) == pytest.approx(0.03, abs=0.001)
    assert recall_of_f1(f1_of_recall(0.8)) == pytest.approx(0.8)
    both = (reference[..., 0] == 2).mean()
    recall = tp / (tp + fn)
    assert (both - recall**2) / (recall - recall**2) == pytest.approx(CORRELATION, abs=0.01)


def test_equal_models_hardly_ever_fail():
    assert rates(200, margin=0.01, loss=0.0, sets=400, seed=1)["fail"] <= 0.01
    assert rates(800, margin=0.01, loss=0.0, sets=200, seed=1)["pass"] >= 0.4


def test_a_loss_of_five_margins_is_found():
    shares = rates(400, margin=0.01, loss=0.05, sets=200, seed=1)
    assert shares["fail"] >= 0.95
    assert shares["pass"] == 0.0


def test_a_loss_of_a_margin_rarely_passes_on_enough_records():
    assert rates(800, margin=0.01, loss=0.01, sets=400, seed=1)["pass"] <= 0.1


@settings(deadline=None, derandomize=True, max_examples=10)
@given(records=st.integers(20, 80), seed=st.integers(0, 2**32 - 1))
def test_identical_models_pass(records, seed):
    values = np.random.default_rng(seed).integers(0, 3, (records, len(COLUMNS))).astype(float)
    values[:, COLUMNS.index("noise_seconds")] = 60.0
    model = Measured(Counts(tuple(map(str, range(records))), values))
    gates = Gates.model_validate(
        {
            "accuracy": [
                {"metric": metric, "margin": 0.001, "minimum_records": 1}
                for metric in METRICS
                if not metric.endswith("_mean_s")
            ]
        }
    )
    assert {v.outcome for v in judge(gates, model, model, resamples=100)} == {Outcome.PASS}


# --- Through the picker --------------------------------------------------------------------------

RECORDS = 150
P_SAMPLE = 2000.0


def measured(p_samples, dropped=()):
    """Counts of predictions whose P peaks stand at these samples; `dropped` records have none."""
    time = np.arange(6000)
    predictions = np.zeros((RECORDS, 6000, 3), dtype=np.float32)
    predictions[:, 1900:3000, 0] = 0.9
    for index, sample in enumerate(p_samples):
        if index not in dropped:
            predictions[index, :, 1] = 0.8 * np.exp(-(((time - sample) / 10.0) ** 2))
    none = np.full(RECORDS, np.nan)
    truths = Truths(
        np.full(RECORDS, P_SAMPLE), none, np.zeros(RECORDS, dtype=bool), np.arange(RECORDS)
    )
    rows = count(predictions, truths, Thresholds())
    return Measured(Counts.by_record([f"r{i}" for i in range(RECORDS)], [(truths, rows)]))


@pytest.fixture(scope="module")
def picks():
    return P_SAMPLE + np.random.default_rng(0).normal(0, 3, RECORDS)


def outcome(metric, margin, candidate, reference):
    gates = Gates.model_validate({"accuracy": [{"metric": metric, "margin": margin}]})
    return judge(gates, candidate, reference)[0].outcome


def test_dropping_one_pick_in_twenty_fails(picks):
    dropped = set(np.random.default_rng(1).choice(RECORDS, RECORDS // 20, replace=False))
    reference, candidate = measured(picks), measured(picks, dropped)
    assert outcome("p_f1_0.5s", 0.01, reference, reference) == "pass"
    assert outcome("p_f1_0.5s", 0.01, candidate, reference) != "pass"
    assert outcome("p_recall_0.5s", 0.01, candidate, reference) == "fail"


def test_a_shift_of_three_tenths_of_a_second_fails_where_time_is_looked_at(picks):
    reference, candidate = measured(picks), measured(picks + 30)
    assert outcome("p_f1_0.5s", 0.01, candidate, reference) == "pass"
    assert outcome("p_f1_0.1s", 0.01, candidate, reference) == "fail"
    assert outcome("p_residual_mae_s", 0.02, candidate, reference) == "fail"
