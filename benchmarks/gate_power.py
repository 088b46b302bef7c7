"""How often does an accuracy gate pass, fail or stay undecided, when the true loss is known?

Simulates what two models get right and wrong on the same records, with a loss of F1 that is chosen,
and holds the outcomes against the gate's own decision (`compress.gates`), many times. Nothing is
picked and no waveform is made: a set of records is a table of counts.

The world that is simulated follows what the default pipeline measured on synthetic records
(published EQTransformer against its students, 2 windows per record):

- The reference finds 95 % of the onsets. Windows of one record share its difficulty: a record's
  probability of a hit is drawn from a beta distribution whose variance makes two windows of a
  record correlate with 0.45 (measured: 0.43-0.44, students 0.67-0.80).
- The candidate is another model, not a copy: it finds 30 % of the onsets that the reference misses
  and loses as many others. Loss comes on top. Half of what is lost or gained is so in all windows
  of a record at once (measured: 0.16-0.5 % of records in all, 0.2-1.1 % in one window).
- 8 % of the misses are a pick in the wrong place (measured: 7-10 %), and 1 % of the windows hold a
  false pick besides.

Beside it stands a candidate that is a copy of the reference but for 5 % of its correct picks, which
are dropped: a loss of F1 of 0.026. And since fewer misses mean less to go by, losses of none and of
one margin are simulated for a reference that finds 99 % as well.

Per number of records, margin and true loss the tables hold the share of each verdict, and the
Monte-Carlo error is at most 1.1 percentage points (2,000 sets). Every combination checks that
`compress.gates.judge` gives the same verdicts on some of its sets.

Repeat:
    python -m benchmarks.gate_power --json benchmarks/results/gate_power.json
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from compress.evaluation.confidence import DEFAULT_RESAMPLES
from compress.evaluation.metrics import COLUMNS, Counts
from compress.gates import AccuracyGate, Gates, Measured, judge

RECORDS = (50, 100, 200, 400, 800, 1600)
MARGINS = (0.01, 0.03)
LOSSES = (0.0, 0.5, 1.0, 2.0, 5.0)
"""In margins."""

METRIC = "p_f1_0.5s"
WINDOWS = 2
RECALL = 0.95
BETTER_RECALL = 0.99
CORRELATION = 0.45
RECOVERED = 0.3
"""Share of the reference's misses that the candidate finds."""
SHARED = 0.5
"""Share of flips that hit all windows of a record alike."""
WRONG_PLACE = 0.08
FALSE_PICKS = 0.01
DROPPED = 0.05

OUTCOMES = ("pass", "fail", "inconclusive")
CHECKED = 5
"""Sets of each combination that `judge` decides as well."""

Floats = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--sets", type=int, default=2000, help="simulated sets per combination")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="where to write the result")
    arguments = parser.parse_args()

    started = time.process_time()
    rows = [
        {"records": records, "margin": margin, "loss_in_margins": loss}
        | rates(records, margin, loss * margin, arguments.sets, arguments.seed)
        for margin in MARGINS
        for records in RECORDS
        for loss in LOSSES
    ]
    dropped = [
        {"records": records, "margin": margin, "dropped": DROPPED}
        | rates(records, margin, DROPPED, arguments.sets, arguments.seed, simulate_dropped)
        for margin in MARGINS
        for records in RECORDS
    ]
    better = [
        {"records": records, "margin": margin, "loss_in_margins": loss}
        | rates(records, margin, loss * margin, arguments.sets, arguments.seed, simulate_better)
        for margin in MARGINS
        for records in RECORDS
        for loss in (0.0, 1.0)
    ]
    result = {
        "command": shlex.join(["python", "-m", "benchmarks.gate_power", *sys.argv[1:]]),
        "date_utc": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu_seconds": round(time.process_time() - started, 1),
        "python": platform.python_version(),
        "packages": {package: version(package) for package in ("eqt-compress", "numpy")},
        "sets": arguments.sets,
        "seed": arguments.seed,
        "metric": METRIC,
        "confidence": AccuracyGate(metric=METRIC, margin=0.0).confidence,
        "resamples": DEFAULT_RESAMPLES,
        "world": {
            "windows_per_record": WINDOWS,
            "recall": RECALL,
            "correlation_within_record": CORRELATION,
            "recovered_misses": RECOVERED,
            "flips_shared_by_a_record": SHARED,
            "misses_picked_in_the_wrong_place": WRONG_PLACE,
            "false_picks_per_window": FALSE_PICKS,
            "f1": f1_of_recall(RECALL),
        },
        "rates": rows,
        "rates_with_dropped_picks": dropped,
        "better_recall": BETTER_RECALL,
        "rates_of_better_models": better,
    }
    print_table(result)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def f1_of_recall(recall: float) -> float:
    """F1 of a model with this recall in the simulated world."""
    false_picks = WRONG_PLACE * (1.0 - recall) + FALSE_PICKS
    return 2.0 * recall / (2.0 * recall + false_picks + 1.0 - recall)


def recall_of_f1(f1: float) -> float:
    """The recall that gives this F1: `f1_of_recall` solved for it."""
    slope = 1.0 + WRONG_PLACE
    return f1 * (slope + FALSE_PICKS) / (2.0 - 2.0 * f1 + f1 * slope)


def simulate(
    random: np.random.Generator, sets: int, records: int, loss: float, recall: float = RECALL
) -> tuple[Floats, Floats]:
    """What reference and candidate get right and wrong, on the same records.

    Args:
        random: where chance comes from.
        sets: number of independent sets of records.
        records: in each set.
        loss: true F1 of the reference minus true F1 of the candidate.
        recall: of the reference.

    Returns:
        Two arrays (records, sets, 3): true positives, false positives, false negatives.
    """
    reference = _found_by_reference(random, sets, records, recall)
    left = recall_of_f1(f1_of_recall(recall) - loss)
    lost = (recall + (1.0 - recall) * RECOVERED - left) / recall
    together = random.random((records, sets, 1)) < SHARED
    chance = np.where(
        together, random.random((records, sets, 1)), random.random((records, sets, WINDOWS))
    )
    candidate = np.where(reference, chance >= lost, chance < RECOVERED)
    return _counted(random, reference), _counted(random, candidate)


def simulate_better(
    random: np.random.Generator, sets: int, records: int, loss: float
) -> tuple[Floats, Floats]:
    """Like `simulate`, with a reference that misses less."""
    return simulate(random, sets, records, loss, BETTER_RECALL)


def simulate_dropped(
    random: np.random.Generator, sets: int, records: int, share: float
) -> tuple[Floats, Floats]:
    """Like `simulate`, the candidate being the reference without a share of its correct picks."""
    found = _found_by_reference(random, sets, records, RECALL)
    reference = _counted(random, found)
    lost = (found & (random.random(found.shape) < share)).sum(axis=2)
    candidate = reference.copy()
    candidate[..., 0] -= lost
    candidate[..., 2] += lost
    return reference, candidate


def _found_by_reference(
    random: np.random.Generator, sets: int, records: int, recall: float
) -> NDArray[np.bool_]:
    # Two windows of a record correlate by 1 / (a + b + 1).
    concentration = 1.0 / CORRELATION - 1.0
    easy = random.beta(recall * concentration, (1.0 - recall) * concentration, (records, sets, 1))
    return random.random((records, sets, WINDOWS)) < easy


def _counted(random: np.random.Generator, found: NDArray[np.bool_]) -> Floats:
    wrong_place = ~found & (random.random(found.shape) < WRONG_PLACE)
    besides = random.random(found.shape) < FALSE_PICKS
    false_picks = wrong_place.sum(axis=2) + besides.sum(axis=2)
    return np.stack([found.sum(axis=2), false_picks, (~found).sum(axis=2)], axis=2).astype(float)


def rates(
    records: int,
    margin: float,
    loss: float,
    sets: int,
    seed: int,
    world: Callable[..., tuple[Floats, Floats]] = simulate,
) -> dict[str, Any]:
    """Share of the sets from `world` on which a gate passes, fails and stays undecided.

    Raises:
        AssertionError: `judge` decides otherwise.
    """
    gate = AccuracyGate(metric=METRIC, margin=margin)
    random = np.random.default_rng([seed, records, round(1e6 * margin), round(1e6 * loss)])
    tally = dict.fromkeys(OUTCOMES, 0)
    step = max(1, min(sets, 400_000 // records))
    for first in range(0, sets, step):
        reference, candidate = world(random, min(step, sets - first), records, loss)
        outcomes = decide(reference, candidate, gate)
        for outcome in outcomes:
            tally[outcome] += 1
        if first == 0:
            for index in range(min(CHECKED, len(outcomes))):
                judged = judge(
                    Gates(accuracy=(gate,)),
                    Measured(as_counts(candidate[:, index])),
                    Measured(as_counts(reference[:, index])),
                )
                assert judged[0].outcome == outcomes[index], "the gate decides otherwise"
    return {outcome: tally[outcome] / sets for outcome in OUTCOMES}


def decide(reference: Floats, candidate: Floats, gate: AccuracyGate) -> list[str]:
    """What `compress.gates` decides on each of many sets, with its own draws, all sets at once."""
    records, sets, columns = reference.shape
    weights = _weights(records)
    difference = _f1(candidate.sum(axis=0)) - _f1(reference.sum(axis=0))

    def resampled(counts: Floats) -> Floats:
        sums = weights @ counts.reshape(records, sets * columns)
        return _f1(sums.reshape(len(weights), sets, columns))

    draws = resampled(candidate) - resampled(reference)
    lower, upper = np.quantile(draws, [1.0 - gate.confidence, gate.confidence], axis=0)
    assert not np.isnan(difference).any()
    return [
        "fail"
        if upper[index] < -gate.margin
        else "pass"
        if lower[index] >= -gate.margin and records >= gate.minimum_records
        else "inconclusive"
        for index in range(sets)
    ]


def _f1(sums: Floats) -> Floats:
    tp, fp, fn = np.moveaxis(sums, -1, 0)
    return 2.0 * tp / (2.0 * tp + fp + fn)


@lru_cache(maxsize=1)
def _weights(records: int) -> Floats:
    """How often each record is in each of the gate's draws, shape (draws, records).

    The same as in `compress.evaluation.confidence`, whose draws depend on the number of records
    and the seed alone; `judge` draws with seed 0.
    """
    from compress.evaluation.confidence import _resampled_sums

    return _resampled_sums(np.eye(records), DEFAULT_RESAMPLES, seed=0)


def as_counts(sums: Floats) -> Counts:
    """One model's (records, 3) sums as the counts of P at 0.5 s; all other columns are zero."""
    values = np.zeros((len(sums), len(COLUMNS)))
    for index, what in enumerate(("tp", "fp", "fn")):
        values[:, COLUMNS.index(f"p_{what}_0.5s")] = sums[:, index]
    return Counts(tuple(f"record {index}" for index in range(len(sums))), values)


def print_table(result: dict[str, Any]) -> None:
    """Pass / fail / inconclusive in percent, a row per number of records."""
    console = Console()
    for margin in MARGINS:
        table = Table(title=f"margin {margin:g}: pass / fail / inconclusive, %")
        table.add_column("records", justify="right")
        for loss in LOSSES:
            table.add_column(f"loss {loss:g} x margin", justify="right")
        table.add_column(f"{DROPPED:.0%} dropped", justify="right")
        for records in RECORDS:
            cells = [
                " / ".join(f"{100 * row[outcome]:.1f}" for outcome in OUTCOMES)
                for row in result["rates"] + result["rates_with_dropped_picks"]
                if row["records"] == records and row["margin"] == margin
            ]
            table.add_row(str(records), *cells)
        console.print(table)
    console.print(f"{result['sets']:,} sets each, {result['cpu_seconds']:.0f} s of processor time.")


if __name__ == "__main__":
    main()
