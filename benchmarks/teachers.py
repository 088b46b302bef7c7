"""How good a student's targets are: picks of teachers against those that came with the records.

    python -m benchmarks.teachers --data DATA --json benchmarks/results/teachers.json

Each published model, as it hears the records and band-passed, alone and together, in a single pass
and over many places of its window. Of every pick in the metadata: whether the most probable sample
within 1 s of it stands within 0.1 s and reaches 0.1, with 95 % intervals from a bootstrap over
records.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from baseline.contract import SAMPLING_RATE_HZ, P, S
from baseline.published import PUBLISHED, fetch
from baseline.weights import load_eqtransformer
from compress.data.records import Record, iterate
from compress.data.sources import open_folder
from compress.data.teachers import Teacher, ensemble
from compress.store import heading, write_json
from export.runtimes import KerasRunner

BAND_HZ = (1.0, 45.0)
SEARCHED_S = 1.0
CLOSE_S = 0.1
LEAST = 0.1
RESAMPLES = 2000


def ensembles() -> dict[str, list[Teacher]]:
    """Who teaches, by a name for it."""
    alone = {
        f"{name}{', band-passed' if band else ''}": Teacher(model=name, band_pass_hz=band)
        for name in PUBLISHED
        for band in (None, BAND_HZ)
    }
    return {name: [teacher] for name, teacher in alone.items()} | {"all": list(alone.values())}


def hits(record: Record, probabilities: NDArray[np.float32]) -> tuple[float, float]:
    """For P and S, whether the teacher has the record's pick; NaN without one."""
    return tuple(  # type: ignore[return-value]
        np.nan if onset is None else float(_has(probabilities[:, output], onset))
        for output, onset in ((P, record.p_sample), (S, record.s_sample))
    )


def _has(probability: NDArray[np.float32], onset: float) -> bool:
    reach = round(SEARCHED_S * SAMPLING_RATE_HZ)
    first = max(int(onset) - reach, 0)
    near = probability[first : int(onset) + reach]
    highest = int(near.argmax())
    return bool(
        near[highest] >= LEAST and abs(first + highest - onset) <= CLOSE_S * SAMPLING_RATE_HZ
    )


def interval(values: NDArray[np.float64]) -> dict[str, float]:
    """Mean and its 95 % interval."""
    known = values[~np.isnan(values)]
    drawn = np.random.default_rng(0).choice(known, (RESAMPLES, len(known))).mean(axis=1)
    lower, upper = np.quantile(drawn, [0.025, 0.975])
    return {"point": float(known.mean()), "lower": float(lower), "upper": float(upper)}


def main() -> None:
    """Ask the teachers."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="records with picks")
    parser.add_argument("--shifts", type=int, default=13)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    records = [r for r in iterate(open_folder(arguments.data)) if r.p_sample is not None]
    runners = {name: KerasRunner(load_eqtransformer(fetch(name))) for name in PUBLISHED}
    document: dict[str, Any] = heading("python", "-m", "benchmarks.teachers")
    document |= {"records": len(records), "shifts": arguments.shifts, "teachers": {}}
    for shifts in (1, arguments.shifts):
        for name, teachers in ensembles().items():
            ask = ensemble(teachers, runners.__getitem__, shifts)
            random = np.random.default_rng(0)
            found = np.array(
                [hits(record, ask([record.waveform], random)[0]) for record in records]
            )
            places = "single pass" if shifts == 1 else f"{shifts} places"
            document["teachers"][f"{name}, {places}"] = {
                "p": interval(found[:, 0]),
                "s": interval(found[:, 1]),
            }
            print(name, places, found.mean(axis=0).round(3))
    write_json(arguments.json, document)


if __name__ == "__main__":
    main()
