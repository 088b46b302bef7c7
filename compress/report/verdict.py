"""What came of a run in plain words: pass or fail, what was gained, what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from compress.report.run_rows import Row, compared, kind_of
from compress.report.table import times

ACCURACY = {
    "p_f1_0.5s": "P F1 at 0.5 s",
    "s_f1_0.5s": "S F1 at 0.5 s",
    "p_f1_0.1s": "P F1 at 0.1 s",
    "s_f1_0.1s": "S F1 at 0.1 s",
    "detection_f1": "detection F1",
    "false_p_per_hour": "false P per hour of noise",
}
"""Metrics that a verdict tells of."""

LESS_IS_BETTER = {"false_p_per_hour"}

SIZES = {
    "bytes": ("file", 1e3, "kB", "smaller", "larger"),
    "multiply_adds": ("multiply-adds per window", 1e6, "million", "fewer", "more"),
    "parameters": ("parameters", 1e3, "thousand", "fewer", "more"),
}
"""What a verdict tells of costs: name, unit, name of the unit, and how less and more are called."""


@dataclass(frozen=True)
class Verdict:
    """A run in plain words.

    Attributes:
        passed: whether every gate passed, or was undecided where that is a warning.
        headline: whether it passed, and which model that is about.
        reasons: of every rule that did not pass, with the model.
        gained: what the compressed model has for it.
        cost: what it has against it.
        open: what the records do not tell apart.
    """

    passed: bool
    headline: str
    reasons: list[str]
    gained: list[str]
    cost: list[str]
    open: list[str]


def verdict(results: dict[str, Any]) -> Verdict:
    """The verdict on the last stage that was kept, and on the exports made of it."""
    rows = results["models"]
    passed = results["outcome"] == "pass"
    reasons = [
        f"{row['label']}{' (skipped)' if row['skipped'] else ''}: {each['outcome']}: "
        f"{each['rule']}. {each['reason']}"
        for row in rows
        for each in row["verdicts"]
        if each["outcome"] != "pass"
    ]
    gained: list[str] = []
    cost: list[str] = []
    undecided: list[str] = []
    shown = compared(rows)
    if len(shown) == 2:
        baseline, last = shown
        _sizes(baseline, last, gained, cost)
        _time(last, gained, cost, undecided)
        _accuracy(baseline, last, gained, cost, undecided)
    return Verdict(passed, _headline(rows, passed), reasons, gained, cost, undecided)


def _headline(rows: list[Row], passed: bool) -> str:
    shown = compared(rows)
    if len(shown) < 2:
        return (
            f"{'Passes' if passed else 'Fails'}: no stage was kept, so the model is still the "
            "baseline."
        )
    exports = [row for row in rows if kind_of(row) == "export"]
    which, keep = shown[1]["label"], "keeps"
    if exports:
        which += f" and its {len(exports)} export{'s' * (len(exports) > 1)}"
        keep = "keep"
    outcomes = [each["outcome"] for row in (shown[1], *exports) for each in row["verdicts"]]
    failed, undecided = outcomes.count("fail"), outcomes.count("inconclusive")
    told = " and ".join(
        [f"{failed} {'is' if failed == 1 else 'are'} broken"] * (failed > 0)
        + [f"{undecided} could not be decided on these records"] * (undecided > 0)
    )
    if not outcomes:
        return f"{'Passes' if passed else 'Fails'}: no rule was declared for {which}."
    if not told:
        rule = "the one rule" if len(outcomes) == 1 else f"all {len(outcomes)} rules"
        return f"{'Passes' if passed else 'Fails'}: {which} {keep} {rule}."
    if passed:
        return f"Passes, with warnings: of {len(outcomes)} rules on {which}, {told}."
    return f"Fails: of {len(outcomes)} rules on {which}, {told}."


def _sizes(baseline: Row, last: Row, gained: list[str], cost: list[str]) -> None:
    for measure, (name, unit, unit_name, fewer, more) in SIZES.items():
        before, after = baseline["cost"].get(measure), last["cost"].get(measure)
        if before and after and before != after:
            numbers = f"{after / unit:,.4g} instead of {before / unit:,.4g} {unit_name}"
            if after < before:
                gained.append(f"{name}: {numbers}, {before / after:.3g} times {fewer}")
            else:
                cost.append(f"{name}: {numbers}, {after / before:.3g} times {more}")


def _time(last: Row, gained: list[str], cost: list[str], undecided: list[str]) -> None:
    latency = last["latency"]
    if not latency:
        undecided.append("time per window: not measured")
        return
    text = (
        f"time per window: {times(latency['ratio'])} (ratio {latency['ratio']:.3f}, 95 % interval "
        f"{latency['lower']:.3f} to {latency['upper']:.3f})"
    )
    side = gained if latency["upper"] < 1 else cost if latency["lower"] > 1 else undecided
    side.append(text)


def _accuracy(
    baseline: Row, last: Row, gained: list[str], cost: list[str], undecided: list[str]
) -> None:
    for metric, name in ACCURACY.items():
        before, after = (row["metrics"][metric]["point"] for row in (baseline, last))
        difference = (last.get("differences") or {}).get(metric)
        if before is None or after is None or difference is None or difference["lower"] is None:
            continue
        lower, upper = difference["lower"], difference["upper"]
        if lower == upper == 0:
            undecided.append(f"{name}: {after:.3f}, as before")
            continue
        text = (
            f"{name}: {after:.3f} instead of {before:.3f} (difference {difference['point']:+.3f}, "
            f"95 % interval {lower:+.3f} to {upper:+.3f})"
        )
        if lower <= 0 <= upper:
            undecided.append(text)
        else:
            (gained if (lower > 0) != (metric in LESS_IS_BETTER) else cost).append(text)
