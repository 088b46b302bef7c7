"""A run in plain words."""

from __future__ import annotations

import finished_run as made
import pytest

from compress.report.verdict import verdict


def test_what_was_gained_is_told() -> None:
    told = verdict(made.results())
    assert told.passed
    assert told.headline == "Passes: 2-quantize and its 1 export keep all 4 rules."
    assert told.reasons == []
    assert told.gained == [
        "file: 80 instead of 2,400 kB, 30 times smaller",
        "multiply-adds per window: 9 instead of 128 million, 14.2 times fewer",
        "parameters: 60 instead of 378.3 thousand, 6.31 times fewer",
        "time per window: 8x faster (ratio 0.125, 95 % interval 0.240 to 0.260)",
    ]
    assert told.cost == []
    assert "P F1 at 0.5 s: 1.000, as before" in told.open


def test_a_difference_counts_by_its_direction() -> None:
    results = made.results()
    row = results["models"][2]
    row["differences"] |= {
        "p_f1_0.5s": {"point": -0.05, "lower": -0.08, "upper": -0.02},
        "s_f1_0.5s": {"point": 0.05, "lower": 0.02, "upper": 0.08},
        "detection_f1": {"point": 0.01, "lower": -0.02, "upper": 0.03},
        "false_p_per_hour": {"point": 2.0, "lower": 1.0, "upper": 3.0},
    }
    for models in results["models"][0], row:
        models["metrics"]["false_p_per_hour"] = {"point": 1.0, "lower": 0.0, "upper": 2.0}
    told = verdict(results)
    assert [line.split(":")[0] for line in told.cost] == [
        "P F1 at 0.5 s",
        "false P per hour of noise",
    ]
    assert any(line.startswith("S F1 at 0.5 s") for line in told.gained)
    assert any(line.startswith("detection F1") for line in told.open)


@pytest.mark.parametrize(
    ("outcomes", "passed", "headline"),
    [
        (("fail", "pass"), "fail", "Fails: of 2 rules on 2-quantize, 1 is broken."),
        (
            ("fail", "inconclusive"),
            "fail",
            "Fails: of 2 rules on 2-quantize, 1 is broken and 1 could not be decided on these "
            "records.",
        ),
        (
            ("pass", "inconclusive"),
            "pass",
            "Passes, with warnings: of 2 rules on 2-quantize, 1 could not be decided on these "
            "records.",
        ),
    ],
)
def test_broken_and_undecided_rules_are_counted(outcomes, passed, headline) -> None:
    results = made.results(outcome=passed)
    results["models"].pop()
    for each, outcome in zip(results["models"][-1]["verdicts"], outcomes, strict=True):
        each["outcome"] = outcome
    told = verdict(results)
    assert told.headline == headline
    assert len(told.reasons) == sum(outcome != "pass" for outcome in outcomes)


def test_a_skipped_stage_is_not_what_the_verdict_is_about() -> None:
    results = made.results()
    results["models"].pop()
    results["models"][-1]["skipped"] = True
    told = verdict(results)
    assert told.headline == "Passes: 1-distill keeps all 2 rules."
