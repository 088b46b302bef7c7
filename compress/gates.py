"""Gates: rules that a compressed model has to keep, and what came of each.

A gate compares a candidate with a reference that was measured on the same windows: the model that a
pipeline started from, or the one before this stage.
Accuracy is gated by non-inferiority (one-sided, on the paired difference; see e.g. Piaggio et al.
2012, JAMA 308(24), 2594-2604): the candidate may be worse by no more than a margin, and that has
to be *shown*. Where the interval of the difference reaches across the margin, the outcome is
neither pass nor fail but inconclusive, and so it is wherever something was not or cannot be
measured. Nothing passes in silence.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, get_args

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

from compress.evaluation.confidence import DEFAULT_RESAMPLES, Interval, paired_differences
from compress.evaluation.latency import LatencyRatio
from compress.evaluation.metrics import (
    Counts,
    HigherIsBetter,
    LowerIsBetter,
    metrics_of_sums,
    summarise,
)

Cost = Literal["parameters", "multiply_adds", "bytes", "gzip_bytes"]


class _Gate(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AccuracyGate(_Gate):
    """The candidate is not worse than the reference in one metric, but for a margin."""

    metric: Literal[HigherIsBetter, LowerIsBetter] = Field(
        description="What is compared; docs/method.md says how it is measured."
    )
    margin: float = Field(
        ge=0.0,
        description="How much worse the candidate may be, in the metric's own unit: a fraction for "
        "precision, recall and F1, seconds for residuals, false alarms per hour for rates.",
    )
    confidence: float = Field(
        default=0.95,
        gt=0.5,
        lt=1.0,
        description="Confidence of a verdict, one-sided: 0.95 decides by the ends of the two-sided "
        "90 % interval.",
    )
    minimum_records: int = Field(
        default=20,
        ge=1,
        description="Records that the metric has to rest on for a pass. With fewer, the interval "
        "is narrower than what is known.",
    )
    against: Literal["baseline", "previous"] = Field(
        default="baseline",
        description="What the candidate is compared with: the model the pipeline started from, or "
        "the one that this stage was applied to.",
    )


class CostGate(_Gate):
    """The candidate costs at most so much, absolutely or relative to the reference."""

    measure: Cost | Literal["latency"] = Field(
        description="What is limited. Latency is the time for one window at batch 1 on one thread."
    )
    maximum_ratio: float | None = Field(
        default=None, gt=0.0, description="Most that candidate divided by reference may be."
    )
    maximum: float | None = Field(
        default=None,
        gt=0.0,
        description="Most that the candidate may cost: a number of parameters, multiply-adds or "
        "bytes, or milliseconds of latency (which hold for one machine only).",
    )

    @model_validator(mode="after")
    def _limits_something(self) -> CostGate:
        if self.maximum_ratio is None and self.maximum is None:
            raise ValueError(f"a gate on {self.measure} needs a maximum_ratio, a maximum or both")
        return self


class ParityGate(_Gate):
    """The exported model computes what the model that it was exported from computes."""

    maximum_difference: float = Field(
        ge=0.0, description="Greatest absolute difference of any probability on any window."
    )


class Gates(_Gate):
    """Rules. Those under a stage hold for it alone, beside those of the whole pipeline."""

    accuracy: tuple[AccuracyGate, ...] = Field(default=(), description="Rules on accuracy.")
    cost: tuple[CostGate, ...] = Field(default=(), description="Rules on size and speed.")
    parity: ParityGate | None = Field(default=None, description="Rule on exported models.")


@dataclass(frozen=True)
class Measured:
    """What was measured of one model.

    Attributes:
        counts: its right and wrong picks.
        cost: its cost by measure (`Cost`); measures that were not taken are absent.
        latency: the candidate's time against the reference's; None for the reference itself and
            where nothing was timed.
        parity: greatest absolute difference between the exported model and its origin; None where
            nothing was exported.
        fault: why its answers are none of a model that works (`compress.evaluation.answers`); ""
            where nothing is known against them.
    """

    counts: Counts
    cost: dict[str, float] = field(default_factory=dict)
    latency: LatencyRatio | None = None
    parity: float | None = None
    fault: str = ""


class Outcome(StrEnum):
    """What came of a gate."""

    PASS = "pass"
    FAIL = "fail"
    INCONCLUSIVE = "inconclusive"


def all_pass(outcomes: Iterable[str], inconclusive: Literal["fail", "warn"]) -> bool:
    """Whether every rule passed, or could only not be decided where that is a warning."""
    tolerated = {Outcome.PASS} | ({Outcome.INCONCLUSIVE} if inconclusive == "warn" else set())
    return all(outcome in tolerated for outcome in outcomes)


@dataclass(frozen=True)
class Verdict:
    """One rule, what came of it and why.

    Attributes:
        rule: what was demanded.
        outcome: pass, fail or inconclusive.
        measured: the number that was held against the bound; NaN where there is none. For accuracy
            the difference candidate minus reference.
        bound: the limit for that number.
        interval: lower and upper end of `measured`, where it has an uncertainty.
        reason: one or two sentences for people.
    """

    rule: str
    outcome: Outcome
    measured: float
    bound: float
    interval: tuple[float, float] | None
    reason: str


def judge(
    gates: Gates,
    candidate: Measured,
    reference: Measured,
    previous: Measured | None = None,
    *,
    resamples: int = DEFAULT_RESAMPLES,
    seed: int = 0,
) -> list[Verdict]:
    """Hold `candidate` against every rule, in the order of `gates`.

    A `CostGate` with two limits gives two verdicts. A candidate that answers with what is no
    number, or always the same, fails one more rule, which nobody has to declare.

    Args:
        gates: the rules.
        candidate: the compressed model.
        reference: what it may not fall behind, measured on the same records.
        previous: the model before it, for accuracy gates `against: previous`.
        resamples: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        InputError: they were measured on different records.
        ValueError: there is an accuracy gate and no record, or one against the previous model and
            none was given.
    """
    references = {"baseline": reference, "previous": previous}
    # One bootstrap for all gates that compare the same two models.
    judged = {
        against: iter(
            _judge_accuracy(
                tuple(gate for gate in gates.accuracy if gate.against == against),
                candidate.counts,
                _given(references[against]).counts,
                resamples,
                seed,
            )
        )
        for against in {gate.against for gate in gates.accuracy}
    }
    verdicts = [next(judged[gate.against]) for gate in gates.accuracy]
    for gate in gates.cost:
        if gate.maximum_ratio is not None:
            verdicts.append(_judge_ratio(gate.measure, gate.maximum_ratio, candidate, reference))
        if gate.maximum is not None:
            verdicts.append(_judge_maximum(gate.measure, gate.maximum, candidate))
    if gates.parity is not None:
        verdicts.append(_judge_parity(gates.parity.maximum_difference, candidate.parity))
    if candidate.fault:
        rule, reason = "answers are numbers that depend on the window", candidate.fault
        verdicts.append(Verdict(rule, Outcome.FAIL, math.nan, math.nan, None, f"{reason}."))
    return verdicts


def _given(previous: Measured | None) -> Measured:
    if previous is None:
        raise ValueError("a gate against the previous model needs its measurement")
    return previous


def _judge_accuracy(
    gates: tuple[AccuracyGate, ...],
    candidate: Counts,
    reference: Counts,
    resamples: int,
    seed: int,
) -> list[Verdict]:
    # A one-sided test at confidence c looks at one end of the two-sided interval of 2c - 1.
    differences = {
        confidence: paired_differences(
            candidate,
            reference,
            confidence=2.0 * confidence - 1.0,
            resamples=resamples,
            seed=seed,
        )
        for confidence in {gate.confidence for gate in gates}
    }
    ours, theirs = summarise(candidate), summarise(reference)
    ours_by_record = metrics_of_sums(candidate.values)
    theirs_by_record = metrics_of_sums(reference.values)
    records = {
        metric: int((~np.isnan(ours_by_record[metric]) | ~np.isnan(theirs_by_record[metric])).sum())
        for metric in {gate.metric for gate in gates}
    }
    return [
        _judge_metric(
            gate,
            ours[gate.metric],
            theirs[gate.metric],
            differences[gate.confidence][gate.metric],
            records[gate.metric],
        )
        for gate in gates
    ]


def _judge_metric(
    gate: AccuracyGate, ours: float, theirs: float, difference: Interval, records: int
) -> Verdict:
    higher_is_better = gate.metric in get_args(HigherIsBetter)
    bound = -gate.margin if higher_is_better else gate.margin
    than, name = "", "reference"
    if gate.against == "previous":
        than, name = " than the previous model's", "previous model"
    rule = f"{gate.metric} is worse{than} by no more than {gate.margin:g}"

    def verdict(outcome: Outcome, reason: str) -> Verdict:
        interval = (difference.lower, difference.upper)
        known = None if math.isnan(difference.point) else interval
        return Verdict(rule, outcome, difference.point, bound, known, reason)

    if math.isnan(difference.point):
        which = " and ".join(
            who
            for who, value in (("the candidate", ours), (f"the {name}", theirs))
            if math.isnan(value)
        )
        return verdict(
            Outcome.INCONCLUSIVE,
            f"{gate.metric} cannot be measured for {which} on these records: its denominator is "
            "zero.",
        )

    sign = 1.0 if higher_is_better else -1.0
    gain = sign * difference.point
    lower, upper = sorted((sign * difference.lower, sign * difference.upper))
    what = (
        f"{gate.metric} is {ours:.4g}, the {name} has {theirs:.4g}: a difference of "
        f"{difference.point:+.4f} ({2.0 * gate.confidence - 1.0:.0%} interval "
        f"{difference.lower:+.4f} to {difference.upper:+.4f}, {records} records)"
    )
    if upper < -gate.margin:
        return verdict(Outcome.FAIL, f"{what}, worse than the margin of {gate.margin:g} allows.")
    if lower >= -gate.margin and records >= gate.minimum_records:
        return verdict(Outcome.PASS, f"{what}, within the margin of {gate.margin:g}.")
    if lower >= -gate.margin:
        return verdict(
            Outcome.INCONCLUSIVE,
            f"{what}, within the margin of {gate.margin:g}, but resting on fewer than the "
            f"{gate.minimum_records} records that a pass takes.",
        )
    return verdict(
        Outcome.INCONCLUSIVE,
        f"{what}, which reaches across the margin of {gate.margin:g}. "
        + _further_records(gain, lower, upper, gate.margin, records),
    )


def _further_records(gain: float, lower: float, upper: float, margin: float, records: int) -> str:
    """How many more records would bring the interval's end to the margin.

    Assumes that the difference stays and its interval shrinks with the square root of the number
    of records.
    """
    slack = gain + margin
    if abs(slack) < 1e-9:
        return "The difference is the margin itself: no number of records would settle that."
    width = gain - lower if slack > 0.0 else upper - gain
    further = max(math.ceil(records * (width / slack) ** 2) - records, 1)
    direction = "pass" if slack > 0.0 else "fail"
    return f"If it stays, about {further:,} further records would settle it ({direction})."


def _judge_ratio(measure: str, maximum: float, candidate: Measured, reference: Measured) -> Verdict:
    rule = f"{measure} is at most {maximum:g} times the reference's"
    if measure == "latency":
        return _judge_latency_ratio(rule, maximum, candidate.latency)
    ours, theirs = candidate.cost.get(measure, math.nan), reference.cost.get(measure, math.nan)
    ratio = ours / theirs if theirs else math.nan
    if math.isnan(ratio):
        reason = f"{measure} was not measured for both models ({ours:,g} and {theirs:,g})."
        return Verdict(rule, Outcome.INCONCLUSIVE, math.nan, maximum, None, reason)
    outcome = Outcome.PASS if ratio <= maximum else Outcome.FAIL
    reason = f"{ours:,.0f} {measure} are {ratio:.4g} times the reference's {theirs:,.0f}."
    return Verdict(rule, outcome, ratio, maximum, None, reason)


def _judge_latency_ratio(rule: str, maximum: float, latency: LatencyRatio | None) -> Verdict:
    if latency is None:
        reason = "Candidate and reference were not timed against each other."
        return Verdict(rule, Outcome.INCONCLUSIVE, math.nan, maximum, None, reason)
    # What the reference differs from itself by is an error that more rounds do not remove.
    floor = max(abs(latency.floor_lower - 1.0), abs(latency.floor_upper - 1.0))
    lower, upper = latency.lower * (1.0 - floor), latency.upper * (1.0 + floor)
    if upper <= maximum:
        outcome = Outcome.PASS
    elif lower > maximum:
        outcome = Outcome.FAIL
    else:
        outcome = Outcome.INCONCLUSIVE
    reason = (
        f"{latency.candidate_ms:.3g} ms against {latency.reference_ms:.3g} ms, the median ratio of "
        f"{latency.pairs} rounds is {latency.ratio:.3f} ({lower:.3f} to {upper:.3f}, widened by "
        f"{floor:.1%}, the most that the reference may differ from itself here)"
    )
    across = f", which reaches across the limit of {maximum:g}; more rounds may settle it."
    reason += across if outcome is Outcome.INCONCLUSIVE else "."
    return Verdict(rule, outcome, latency.ratio, maximum, (lower, upper), reason)


def _judge_maximum(measure: str, maximum: float, candidate: Measured) -> Verdict:
    unit = "ms of latency" if measure == "latency" else measure
    rule = f"at most {maximum:,g} {unit}"
    if measure == "latency":
        value = math.nan if candidate.latency is None else candidate.latency.candidate_ms
    else:
        value = candidate.cost.get(measure, math.nan)
    if math.isnan(value):
        reason = f"{measure} was not measured."
        return Verdict(rule, Outcome.INCONCLUSIVE, math.nan, maximum, None, reason)
    outcome = Outcome.PASS if value <= maximum else Outcome.FAIL
    reason = f"The candidate has {value:,.6g} {unit}; {maximum:,g} are allowed."
    return Verdict(rule, outcome, value, maximum, None, reason)


def _judge_parity(maximum: float, parity: float | None) -> Verdict:
    rule = f"outputs differ from the original's by at most {maximum:g}"
    if parity is None:
        reason = "The exported model was not compared with its origin."
        return Verdict(rule, Outcome.INCONCLUSIVE, math.nan, maximum, None, reason)
    if math.isnan(parity):
        # Both ran, and one of them answered NaN: that is a difference, and an unbounded one.
        reason = "The exported model or its origin computes NaN."
        return Verdict(rule, Outcome.FAIL, parity, maximum, None, reason)
    outcome = Outcome.PASS if parity <= maximum else Outcome.FAIL
    reason = f"The greatest difference of any probability is {parity:.3g}."
    return Verdict(rule, outcome, parity, maximum, None, reason)
