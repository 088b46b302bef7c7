"""Time and memory of picking a day of one station on one core, by this program and by SeisBench.

The day is three components at 100 Hz of steady noise with a synthetic earthquake in every ten
minutes, as miniSEED. What is measured is a whole process from its start to the picks on disk:
`compress pick` with each bundle; and with `--seisbench`, which names a Python that has SeisBench
and what this program needs, SeisBench's `classify` with each bundle and with its own EQTransformer.
That one has random weights, which tell all of its time and nothing of its picks, and does not
band-pass, which the others do. The first ten minutes by themselves tell what starting up takes.

All processes run on one core with one thread and take turns; windows overlap by half.

Repeat:
    python -m benchmarks.picking_day artifacts/released/student-tflite-int8 \
        artifacts/released/student-onnx-float32 --seisbench seisbench-python \
        --json benchmarks/results/picking_day.json
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from compress.evaluation.machine import describe_machine
from compress.store import file_hash, heading, write_json

ROOT = Path(__file__).parents[1]
START = datetime(2019, 7, 6, tzinfo=UTC)
BLOCK_S, EVENT_S = 600, 90
NEAR_S = 0.5

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SEISBENCH_VERSIONS = (
    "import json; from importlib.metadata import version;"
    "print(json.dumps({name: version(name) for name in ('seisbench', 'torch', 'obspy', 'numpy')}))"
)


def main() -> None:
    """Make the day, let all pick it in turn, write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("models", nargs="+", help="bundles")
    parser.add_argument("--seisbench", help="a Python that has SeisBench, too")
    parser.add_argument("--hours", type=int, default=24, help="of the day")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--core", type=int, default=0)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()

    document = heading("python", "-m", "benchmarks.picking_day")
    document |= {"machine": describe_machine(), "load_average_before": os.getloadavg()[0]}
    with tempfile.TemporaryDirectory() as folder:
        day, start, picks = (Path(folder) / name for name in ("day", "start", "picks"))
        # In a process of its own: what a process was started by counts into its peak of memory.
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            onsets = pool.submit(write_day, day, start, arguments.hours).result()
        document["day"] = {
            "hours": arguments.hours,
            "bytes": day.stat().st_size,
            "sha256": file_hash(day),
            "earthquakes": len(onsets["P"]),
        }
        if arguments.seisbench:
            printed = subprocess.check_output([arguments.seisbench, "-c", SEISBENCH_VERSIONS])
            document["seisbench_versions"] = json.loads(printed)
        results: dict[str, dict[str, Any]] = {}
        for _ in range(arguments.runs):
            for length, file in (("ten_minutes", start), ("day", day)):
                programs = commands(arguments.models, arguments.seisbench, str(file), str(picks))
                for name, command in programs.items():
                    result = results.setdefault(name, {"ten_minutes": [], "day": []})
                    result[length].append(measured(command, arguments.core))
                    result["picks"] = compared(picks, onsets)  # in the end, those of the day
    document["results"] = results
    show(results)
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        write_json(arguments.json, document)


def write_day(day: Path, start: Path, hours: int) -> dict[str, list[float]]:
    """Write the day and its first ten minutes; seconds in it at which P and S begin."""
    import numpy as np
    from obspy import Stream, Trace, UTCDateTime

    from baseline.contract import COMPONENTS, SAMPLING_RATE_HZ
    from compress.data.synthetic import SyntheticSource

    rate = round(SAMPLING_RATE_HZ)
    blocks = hours * 3600 // BLOCK_S
    random = np.random.default_rng(1)
    source = SyntheticSource(
        blocks, seed=1, noise_fraction=0.0, duration_s=float(EVENT_S), snr_db=(20, 30)
    )
    waveform = random.normal(0.0, 0.5, (blocks * BLOCK_S * rate, len(COMPONENTS)))
    ramp = np.clip(np.arange(EVENT_S * rate) / (3 * rate), 0.0, 1.0)
    onsets: dict[str, list[float]] = {"P": [], "S": []}
    for block in range(blocks):
        record = source[block]
        assert record.p_sample is not None and record.s_sample is not None
        noise = record.waveform[: int(record.p_sample) - rate // 2].std(axis=0)
        first = block * BLOCK_S * rate + int(random.integers((BLOCK_S - EVENT_S) * rate))
        waveform[first : first + len(ramp)] += (
            record.waveform / noise * np.minimum(ramp, ramp[::-1])[:, np.newaxis]
        )
        onsets["P"].append((first + record.p_sample) / rate)
        onsets["S"].append((first + record.s_sample) / rate)
    stream = Stream(
        [
            Trace(
                np.rint(100 * waveform[:, place]).astype(np.int32),
                {
                    "network": "XX", "station": "DAY", "channel": f"HH{letter}",
                    "sampling_rate": SAMPLING_RATE_HZ, "starttime": UTCDateTime(START),
                },
            )
            for place, letter in enumerate(COMPONENTS)
        ]
    )  # fmt: skip
    stream.write(str(day), format="MSEED")
    first = UTCDateTime(START)
    stream.slice(first, first + BLOCK_S).write(str(start), format="MSEED")
    return onsets


def commands(
    models: list[str], seisbench: str | None, file: str, picks: str
) -> dict[str, list[str]]:
    """What picks a file, by name."""
    found = {
        f"compress pick, {Path(model).name}": [
            *(sys.executable, "-m", "compress.cli", "pick"), model, file, "--csv", picks,
        ]
        for model in models
    }  # fmt: skip
    if seisbench:
        inside = [seisbench, "-m", "benchmarks.seisbench_day", file, picks]
        for model in models:
            found[f"SeisBench, {Path(model).name}"] = [*inside, "--bundle", model]
        found["SeisBench, its EQTransformer"] = inside
    return found


def measured(command: list[str], core: int) -> dict[str, float]:
    """Wall time, processor time and peak of memory of a command.

    Raises:
        SystemExit: it failed.
    """
    begun = time.perf_counter()
    process = subprocess.Popen(
        ["taskset", "--cpu-list", str(core), *command],
        env=os.environ | ONE_THREAD | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{command}: ended with {process.returncode}.")
    return {
        "wall_s": round(wall, 2),
        "cpu_s": round(usage.ru_utime + usage.ru_stime, 2),
        "peak_mib": round(usage.ru_maxrss / 1024, 1),
    }


def compared(picks: Path, onsets: dict[str, list[float]]) -> dict[str, Any]:
    """How many picks there are of a phase, and how many onsets have one within 0.5 s."""
    times: dict[str, list[float]] = {"P": [], "S": []}
    with picks.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            at = datetime.fromisoformat(row["time"]).replace(tzinfo=UTC)
            times[row["phase"]].append((at - START).total_seconds())
    return {
        phase: {
            "picks": len(found),
            "onsets_found": sum(
                any(abs(time - onset) <= NEAR_S for time in found) for onset in onsets[phase]
            ),
        }
        for phase, found in times.items()
    }


def show(results: dict[str, dict[str, Any]]) -> None:
    """Print one row for each: medians, and the greatest peak."""
    table = Table("", title="One station, one core, one thread")
    for column in ("10 min, cpu s", "day, cpu s", "wall s", "peak MiB", "P found", "S found"):
        table.add_column(column, justify="right")
    for name, result in results.items():

        def median(length: str, figure: str, result: dict[str, Any] = result) -> str:
            return f"{statistics.median(run[figure] for run in result[length]):.1f}"

        table.add_row(
            name,
            median("ten_minutes", "cpu_s"),
            median("day", "cpu_s"),
            median("day", "wall_s"),
            f"{max(run['peak_mib'] for run in result['day']):.0f}",
            *(str(result["picks"][phase]["onsets_found"]) for phase in "PS"),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
