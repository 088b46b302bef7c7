"""Gates and their verdicts."""

from __future__ import annotations

import math
from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from baseline.errors import InputError
from compress.evaluation.latency import LatencyRatio
from compress.evaluation.metrics import COLUMNS, Counts, HigherIsBetter, LowerIsBetter
from compress.gates import Gates, Measured, Outcome, Verdict, judge

GATEABLE = get_args(HigherIsBetter) + get_args(LowerIsBetter)


def with_columns(records: int, **columns: Any) -> Counts:
    """Counts with the given columns (dots written as "_"), all others zero."""
    values = np.zeros((records, len(COLUMNS)))
    for index, name in enumerate(COLUMNS):
        values[:, index] = columns.get(name.replace(".", "_"), 0.0)
    return Counts(tuple(f"r{i}" for i in range(records)), values)


def with_p_misses(records: int, misses: int) -> Measured:
    """One labelled P per record, the first `misses` of them not found."""
    missed = np.arange(records) < misses
    return Measured(with_columns(records, p_tp_0_5s=~missed, p_fn_0_5s=missed))


def random_counts(records: int, seed: int) -> Counts:
    values = np.random.default_rng(seed).integers(1, 5, (records, len(COLUMNS)))
    return Counts(tuple(f"r{i}" for i in range(records)), values.astype(np.float64))


def accuracy(metric: str = "p_recall_0.5s", margin: float = 0.01, **more: Any) -> Gates:
    return Gates.model_validate({"accuracy": [{"metric": metric, "margin": margin, **more}]})


def cost(measure: str, **limits: float) -> Gates:
    return Gates.model_validate({"cost": [{"measure": measure, **limits}]})


def only(verdicts: list[Verdict]) -> Verdict:
    assert len(verdicts) == 1
    return verdicts[0]


@settings(deadline=None, derandomize=True, max_examples=20)
@given(
    records=st.integers(20, 60),
    seed=st.integers(0, 2**32 - 1),
    margin=st.floats(1e-6, 1.0, exclude_min=True),
)
def test_identical_models_pass_every_gate(records: int, seed: int, margin: float) -> None:
    measured = Measured(
        random_counts(records, seed), cost={"parameters": 9.0, "bytes": 5.0}, parity=0.0
    )
    gates = Gates.model_validate(
        {
            "accuracy": [{"metric": metric, "margin": margin} for metric in GATEABLE],
            "cost": [{"measure": measure, "maximum_ratio": 1.0} for measure in measured.cost],
            "parity": {"maximum_difference": 0.0},
        }
    )

    verdicts = judge(gates, measured, measured, resamples=100)

    assert len(verdicts) == len(GATEABLE) + 3
    assert {verdict.outcome for verdict in verdicts} == {Outcome.PASS}


def test_identical_models_pass_without_a_margin() -> None:
    measured = with_p_misses(100, 10)

    assert only(judge(accuracy(margin=0.0), measured, measured)).outcome is Outcome.PASS


def test_dropping_one_pick_in_twenty_fails_on_enough_records() -> None:
    verdict = only(judge(accuracy(), with_p_misses(1000, 50), with_p_misses(1000, 0)))

    assert verdict.outcome is Outcome.FAIL
    assert verdict.measured == pytest.approx(-0.05)
    assert verdict.bound == -0.01
    assert verdict.interval is not None
    assert verdict.interval[0] < -0.05 < verdict.interval[1] < -0.01
    assert verdict.rule == "p_recall_0.5s is worse by no more than 0.01"
    assert "0.95" in verdict.reason
    assert "worse than the margin" in verdict.reason


def test_few_records_are_inconclusive_and_say_how_many_would_do() -> None:
    verdict = only(judge(accuracy(), with_p_misses(40, 2), with_p_misses(40, 0)))

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "reaches across the margin" in verdict.reason
    assert "further records would settle it (fail)" in verdict.reason


def test_the_estimated_number_of_records_does_settle_it() -> None:
    reason = only(judge(accuracy(), with_p_misses(40, 2), with_p_misses(40, 0))).reason
    further = int(reason.split("about ")[1].split(" ")[0].replace(",", ""))
    records = round(1.1 * (40 + further))

    verdict = only(
        judge(accuracy(), with_p_misses(records, records // 20), with_p_misses(records, 0))
    )

    assert 0 < further < 400
    assert verdict.outcome is Outcome.FAIL


def test_a_loss_within_the_margin_that_is_not_shown_asks_for_records_to_pass() -> None:
    verdict = only(judge(accuracy(margin=0.06), with_p_misses(40, 2), with_p_misses(40, 0)))

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "further records would settle it (pass)" in verdict.reason


def test_a_loss_equal_to_the_margin_is_never_settled() -> None:
    verdict = only(judge(accuracy(margin=0.05), with_p_misses(40, 2), with_p_misses(40, 0)))

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "no number of records" in verdict.reason


@pytest.mark.parametrize(("records", "outcome"), [(19, "inconclusive"), (20, "pass")])
def test_no_pass_rests_on_too_few_records(records: int, outcome: str) -> None:
    measured = with_p_misses(records, 0)

    assert only(judge(accuracy(), measured, measured)).outcome == outcome


def test_only_records_that_bear_on_the_metric_count() -> None:
    found = np.arange(100) < 10
    measured = Measured(with_columns(100, p_tp_0_5s=found, noise_seconds=60.0 * ~found))

    verdict = only(judge(accuracy(), measured, measured))

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "10 records" in verdict.reason


def test_a_model_that_finds_nothing_fails_even_on_few_records() -> None:
    verdict = only(judge(accuracy(), with_p_misses(5, 5), with_p_misses(5, 0)))

    assert verdict.outcome is Outcome.FAIL


def test_a_better_candidate_passes() -> None:
    verdict = only(judge(accuracy(), with_p_misses(100, 0), with_p_misses(100, 30)))

    assert verdict.outcome is Outcome.PASS
    assert verdict.measured == pytest.approx(0.3)


@pytest.mark.parametrize(("alarms", "outcome"), [(0, "pass"), (2, "pass"), (4, "fail")])
def test_of_false_alarms_fewer_are_better(alarms: int, outcome: str) -> None:
    def noise(picks: int) -> Measured:
        return Measured(with_columns(50, noise_seconds=3600.0, noise_p_picks=picks))

    verdict = only(judge(accuracy("false_p_per_hour", 1.5), noise(alarms), noise(1)))

    assert verdict.outcome == outcome
    assert verdict.measured == alarms - 1.0
    assert verdict.bound == 1.5


def test_of_residuals_smaller_are_better() -> None:
    def residuals(absolute: float) -> Measured:
        return Measured(
            with_columns(50, p_residual_count=1.0, p_residual_sum_absolute=absolute, p_tp_0_5s=1.0)
        )

    gates = accuracy("p_residual_mae_s", 0.01)

    assert only(judge(gates, residuals(0.05), residuals(0.02))).outcome is Outcome.FAIL
    assert only(judge(gates, residuals(0.02), residuals(0.05))).outcome is Outcome.PASS


def test_what_cannot_be_measured_is_inconclusive() -> None:
    verdict = only(
        judge(accuracy("false_p_per_hour", 1.0), with_p_misses(50, 0), with_p_misses(50, 0))
    )

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert math.isnan(verdict.measured)
    assert verdict.interval is None
    assert "the candidate and the reference" in verdict.reason


def test_a_candidate_without_picks_has_no_precision() -> None:
    verdict = only(judge(accuracy("p_precision_0.5s"), with_p_misses(50, 50), with_p_misses(50, 0)))

    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "for the candidate on" in verdict.reason


def test_a_higher_confidence_is_harder_to_satisfy() -> None:
    candidate, reference = with_p_misses(200, 4), with_p_misses(200, 0)

    easy, hard = judge(
        Gates.model_validate(
            {
                "accuracy": [
                    {"metric": "p_recall_0.5s", "margin": 0.035, "confidence": c}
                    for c in (0.8, 0.999)
                ]
            }
        ),
        candidate,
        reference,
    )

    assert easy.outcome is Outcome.PASS
    assert hard.outcome is Outcome.INCONCLUSIVE
    assert "60% interval" in easy.reason


def test_different_records_are_not_judged() -> None:
    with pytest.raises(InputError, match="same records"):
        judge(accuracy(), with_p_misses(30, 0), with_p_misses(31, 0))


@pytest.mark.parametrize(("parameters", "outcome"), [(49.0, "pass"), (50.0, "pass"), (51, "fail")])
def test_cost_relative_to_the_reference(parameters: float, outcome: str) -> None:
    counts = with_p_misses(1, 0).counts

    verdict = only(
        judge(
            cost("parameters", maximum_ratio=0.5),
            Measured(counts, {"parameters": parameters}),
            Measured(counts, {"parameters": 100.0}),
        )
    )

    assert verdict.outcome == outcome
    assert verdict.measured == parameters / 100.0
    assert verdict.bound == 0.5
    assert verdict.rule == "parameters is at most 0.5 times the reference's"


def test_two_limits_give_two_verdicts() -> None:
    counts = with_p_misses(1, 0).counts

    relative, absolute = judge(
        cost("bytes", maximum_ratio=0.5, maximum=10.0),
        Measured(counts, {"bytes": 20.0}),
        Measured(counts, {"bytes": 100.0}),
    )

    assert (relative.outcome, absolute.outcome) == (Outcome.PASS, Outcome.FAIL)
    assert (absolute.measured, absolute.bound) == (20.0, 10.0)


@pytest.mark.parametrize("ours", [{}, {"bytes": 5.0}])
@pytest.mark.parametrize("theirs", [{}, {"bytes": 0.0}])
def test_a_cost_that_was_not_measured_is_inconclusive(
    ours: dict[str, float], theirs: dict[str, float]
) -> None:
    counts = with_p_misses(1, 0).counts

    verdict = only(
        judge(cost("bytes", maximum_ratio=2.0), Measured(counts, ours), Measured(counts, theirs))
    )

    assert verdict.outcome is Outcome.INCONCLUSIVE


def timed(lower: float, ratio: float, upper: float, floor: float = 0.0) -> Measured:
    latency = LatencyRatio(
        ratio, lower, upper, 10.0 * ratio, 10.0, 1.0, 1.0 - floor, 1.0 + floor, 100
    )
    return Measured(with_p_misses(1, 0).counts, latency=latency)


@pytest.mark.parametrize(
    ("candidate", "outcome"),
    [
        (timed(0.40, 0.42, 0.45), "pass"),
        (timed(0.40, 0.48, 0.55), "inconclusive"),
        (timed(0.52, 0.55, 0.60), "fail"),
        (timed(0.48, 0.485, 0.49, floor=0.05), "inconclusive"),
        (timed(0.51, 0.52, 0.53, floor=0.05), "inconclusive"),
    ],
)
def test_latency_is_judged_by_its_interval_and_the_floor(candidate: Measured, outcome: str) -> None:
    verdict = only(judge(cost("latency", maximum_ratio=0.5), candidate, candidate))

    assert verdict.outcome == outcome
    assert verdict.interval is not None
    assert "ms against" in verdict.reason


def test_latency_in_milliseconds() -> None:
    candidate = timed(0.40, 0.42, 0.45)

    assert only(judge(cost("latency", maximum=5.0), candidate, candidate)).outcome is Outcome.PASS
    assert only(judge(cost("latency", maximum=4.0), candidate, candidate)).outcome is Outcome.FAIL


@pytest.mark.parametrize("limits", [{"maximum_ratio": 0.5}, {"maximum": 5.0}])
def test_latency_that_was_not_measured_is_inconclusive(limits: dict[str, float]) -> None:
    measured = with_p_misses(1, 0)

    verdict = only(judge(cost("latency", **limits), measured, measured))

    assert verdict.outcome is Outcome.INCONCLUSIVE


@pytest.mark.parametrize(
    ("parity", "outcome"),
    [(1e-6, "pass"), (1e-5, "pass"), (1e-4, "fail"), (math.nan, "fail"), (None, "inconclusive")],
)
def test_parity(parity: float | None, outcome: str) -> None:
    candidate = Measured(with_p_misses(1, 0).counts, parity=parity)
    gates = Gates.model_validate({"parity": {"maximum_difference": 1e-5}})

    assert only(judge(gates, candidate, candidate)).outcome == outcome


def test_no_gates_give_no_verdicts() -> None:
    measured = with_p_misses(1, 0)

    assert judge(Gates(), measured, measured) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"accuracy": [{"metric": "p_recall", "margin": 0.01}]},
        {"accuracy": [{"metric": "p_residual_mean_s", "margin": 0.01}]},
        {"accuracy": [{"metric": "p_recall_0.5s"}]},
        {"accuracy": [{"metric": "p_recall_0.5s", "margin": -0.01}]},
        {"accuracy": [{"metric": "p_recall_0.5s", "margin": math.inf}]},
        {"accuracy": [{"metric": "p_recall_0.5s", "margin": 0.01, "confidence": 0.5}]},
        {"accuracy": [{"metric": "p_recall_0.5s", "margin": 0.01, "sure": True}]},
        {"cost": [{"measure": "weight", "maximum": 1.0}]},
        {"cost": [{"measure": "bytes"}]},
        {"cost": [{"measure": "bytes", "maximum": 0.0}]},
        {"parity": {}},
        {"speed": []},
    ],
)
def test_gates_that_make_no_sense_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Gates.model_validate(wrong)
