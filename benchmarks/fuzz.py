"""How commands bear files that were damaged at random, for as long as is asked.

    nice python -m benchmarks.fuzz --seconds 600 --seed 1 --json benchmarks/results/fuzz.json

Kinds of files take turns. Each command runs in a fork of its own (`benchmarks.fuzzing.contained`),
with the real trial of models (`export.trial`). Whatever breaks the promise is kept: which kind,
which seed, how; `--kind KIND --only SEED` runs one again. Exit code 1 if anything does.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from benchmarks.fuzzing.cases import kinds, named, random_case
from benchmarks.fuzzing.contained import Contained, Outcome
from benchmarks.fuzzing.keras_files import CANARY
from compress.store import heading, write_json

CRASHED = "crashes what runs it"
STOPPED = "of processor time, or all memory"


def main() -> None:
    """Damage, run, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="of all kinds together")
    parser.add_argument("--seed", type=int, default=0, help="of the first case")
    parser.add_argument("--kind", choices=sorted(kinds()), help="only this kind")
    parser.add_argument("--only", type=int, metavar="SEED", help="only this seed, shown")
    parser.add_argument("--named", action="store_true", help="first all cases that have names")
    parser.add_argument("--json", type=Path, help="write the counts here")
    arguments = parser.parse_args()
    chosen = [arguments.kind] if arguments.kind else sorted(kinds())
    if arguments.only is not None:
        cases = iter([random_case(kind, arguments.only) for kind in chosen])
    else:
        seeds = itertools.count(arguments.seed)
        at_random = (random_case(kind, seed) for seed in seeds for kind in chosen)
        cases = itertools.chain(named() if arguments.named else (), at_random)
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    faults: list[dict[str, Any]] = []
    slowest, largest = 0.0, 0
    began = time.monotonic()
    with (
        tempfile.TemporaryDirectory() as scratch,
        Contained(Path(scratch) / "cache", tensorflow=True) as server,
    ):
        for case in cases:
            if time.monotonic() - began > arguments.seconds and arguments.only is None:
                break
            with tempfile.TemporaryDirectory(dir=scratch) as folder:
                outcome = server.run(*case.write(Path(folder)))
                fault = outcome.fault()
                if (Path(folder) / CANARY).exists():
                    fault = "code in the file was executed"
                if case.refused and outcome.code != 2 and not fault:
                    fault = f"exit code {outcome.code} for what is to be refused"
            slowest = max(slowest, outcome.cpu_s)
            largest = max(largest, outcome.peak_bytes)
            counts[case.kind][fault or _result(outcome)] += 1
            if fault:
                faults.append({"kind": case.kind, "case": case.name, "fault": fault,
                               "output": outcome.output[-1500:]})  # fmt: skip
                print(f"{case}: {fault}\n{outcome.output[-1500:]}", flush=True)
            elif arguments.only is not None:
                print(f"{case}: {outcome.output}")
    document = heading("python", "-m", "benchmarks.fuzz") | {
        "seconds": round(time.monotonic() - began, 1),
        "cases": sum(sum(each.values()) for each in counts.values()),
        "counts": {kind: dict(sorted(each.items())) for kind, each in sorted(counts.items())},
        "most_cpu_s": round(slowest, 2),
        "most_bytes": largest,
        "faults": faults,
    }
    for kind, each in document["counts"].items():
        print(f"{kind}: {', '.join(f'{number} {what}' for what, number in each.items())}")
    print(f"{document['cases']} cases, {len(faults)} faults")
    if arguments.json:
        write_json(arguments.json, document)
    sys.exit(1 if faults else 0)


def _result(outcome: Outcome) -> str:
    """What came of a command that kept the promise."""
    if outcome.code == 0:
        return "taken"
    if outcome.code == 3:
        return "a gate failed"
    if CRASHED in outcome.output:
        return "refused after a crash of its trial"
    if STOPPED in outcome.output:
        return "refused after its trial was stopped"
    return "refused"


if __name__ == "__main__":
    main()
