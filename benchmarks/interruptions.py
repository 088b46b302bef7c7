"""What becomes of runs that are ended at random moments: by every signal, alone and with children.

    nice python -m benchmarks.interruptions --kills 54 --json FILE

One run is left undisturbed. Others are ended again and again, then let finish, and have to come to
the same: weights of every stage, files, metrics and verdicts. After every end nothing half may pass
for whole, and no process of the run may live on. Files of this program must not be changed
meanwhile: stages made by other code are made again. Processes are found as Linux shows them.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from baseline.errors import InputError
from baseline.files import UNFINISHED
from baseline.published import CACHE_VARIABLE
from benchmarks.forks import end_with
from compress.evaluation.examples import EXAMPLES_FILE, read_examples
from compress.measurements import RESULTS_FILE
from compress.pipeline import EXPORTS_FOLDER
from compress.store import (
    PARTIAL_ENDING,
    SCRATCH_FOLDER,
    STAGES_FOLDER,
    TARGETS_FOLDER,
    Artifact,
    file_hash,
    heading,
    write_json,
)
from export.bundle import read_bundle

ROOT = Path(__file__).resolve().parents[1]

PIPELINE = """\
version: 1
name: tiny
output: run
baseline: model.keras
data:
  train: [{kind: synthetic, records: 16, seed: 1}]
  calibration: [{kind: synthetic, records: 32, seed: 2}]
  evaluation: [{kind: synthetic, records: 16, seed: 3}]
evaluation: {placements: 1, latency_pairs: 10, latency_seconds: 1}
stages:
  - kind: simplify
    windows: 16
  - kind: scale
    width: 0.75
    windows: 16
    records: 8
    steps: 10
    batch: 2
  - kind: distill
    student: {kind: unet, stem_stride: 8, channels: [4, 4, 8], refine: false, dilations: [1]}
    records: 8
    shifts: 2
    steps: 60
    batch: 2
    hard_negatives: {every: 20, candidates: 32, threshold: 0.001}
    calibrate: targets
  - kind: quantize
    windows: 16
gates:
  parity: {maximum_difference: 0.9}
export:
  - {format: tflite, precision: int8}
  - {format: onnx, precision: float32}
"""

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)

IMPORTED = (
    "compress.cli",
    "compress.pipeline",
    "compress.training.loop",
    "compress.students.unet",
    "compress.report.contents",
)
"""What takes long to import."""

DRAWS = 20
STEPS_TO_CHECKPOINT = 15

LATEST, SHORTER = 0.6, 0.8
"""Share of the time of a whole run within which a run is ended; less where it was faster."""

LIVING_ON_S = 5.0
"""How long a process may take to notice that the run is no more."""

PATIENCE_S = 60
"""How long is waited for a run to end."""

NOT_THE_SAME = {"latency", "training"}
"""Of a row of the results: what tells of time."""


def prepare(folder: Path) -> None:
    """What a run needs there."""
    from baseline.checkpoint import save_keras
    from baseline.keras import keras
    from compress.students import UNetStudent, build_student

    keras.utils.set_random_seed(1)
    model = build_student(UNetStudent(stem_stride=8, channels=(8, 8, 8), refine=False))
    save_keras(model, folder / "model.keras")
    (folder / "pipeline.yaml").write_text(PIPELINE, encoding="utf-8")


def run(folder: Path) -> None:
    """`compress run` there; intervals of few draws and no pictures, which would take most of it."""
    from compress import cli
    from compress.evaluation import bootstrap
    from compress.report import contents
    from compress.training import loop

    bootstrap.RESAMPLES = DRAWS
    loop.CHECKPOINT_STEPS = STEPS_TO_CHECKPOINT
    contents.Picture.svg = None  # type: ignore[assignment]
    sys.argv = ["compress", "run", str(folder / "pipeline.yaml")]
    cli.main()


def start(work: Callable[[Path], None], folder: Path) -> int:
    """Do something in a fork, in a session of its own; the number of the process.

    This process has imported all that takes long to import, and computes nothing itself: threads
    would not come along.
    """
    process = os.fork()
    if not process:
        end_with(partial(_begin, work, folder))
    return process


def _begin(work: Callable[[Path], None], folder: Path) -> None:
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with (folder / "output.txt").open("ab") as output:
        for stream in (1, 2):
            os.dup2(output.fileno(), stream)
    # With several threads sums are added up in any order.
    threads = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
    os.environ.update(threads | {CACHE_VARIABLE: str(folder / "cache")})
    work(folder)


def ended(process: int, limit_s: float) -> int | None:
    """The exit code of a process, or minus the signal that ended it; None if it goes on."""
    deadline = time.monotonic() + limit_s
    while True:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            return None
        time.sleep(0.01)


def living(session: int) -> list[int]:
    """The processes of a session."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            text = (folder / "stat").read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue  # ended meanwhile
        state, _, _, own, *_ = text.rpartition(")")[2].split()
        if int(own) == session and state != "Z":
            found.append(int(folder.name))
    return found


def seconds_until_none(session: int) -> float:
    """How long processes of a session still live, s; ends those that would not end."""
    began = time.monotonic()
    while (left := living(session)) and time.monotonic() - began < 4 * LIVING_ON_S:
        time.sleep(0.02)
    for process in left:
        os.kill(process, signal.SIGKILL)
    return time.monotonic() - began


def halves(output: Path) -> list[str]:
    """What in the folder of a run would be taken for whole and is not."""
    found = []
    for folder in _stages(output):
        if folder.suffix != PARTIAL_ENDING and not Artifact(folder, "").is_whole():
            found.append(f"{folder.name}: taken for finished, but not whole")
    for bundle in filter(Path.is_dir, (output / EXPORTS_FOLDER).glob("[!.]*")):
        try:
            read_bundle(bundle)
        except InputError as error:
            found.append(str(error))
    documents = [output / RESULTS_FILE, *output.glob(f"{STAGES_FOLDER}/*/[!.]*.json")]
    for path in (path for path in documents if path.is_file()):
        try:
            json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            found.append(f"{path}: {error}")
    try:
        read_examples(output / EXAMPLES_FILE)
    except InputError as error:
        found.append(str(error))
    return found


def _stages(output: Path) -> list[Path]:
    return sorted((output / STAGES_FOLDER).glob("*"))


def outcome(output: Path) -> dict[str, Any]:
    """What a finished run has come to, place by place; nothing in it tells of time."""
    results = json.loads((output / RESULTS_FILE).read_text(encoding="utf-8"))
    found: dict[str, Any] = {"outcome": results["outcome"]}
    for row in results["models"]:
        for key, value in row.items():
            if key not in NOT_THE_SAME:
                found[f"{row['label']}: {key}"] = value
    kept = [
        *output.glob(f"{EXPORTS_FOLDER}/*/*"),
        *output.glob(f"{STAGES_FOLDER}/*/*.csv"),
        *output.glob(f"{STAGES_FOLDER}/*/model.tflite"),
        *output.glob(f"{STAGES_FOLDER}/*/windows.npz"),
        output / EXAMPLES_FILE,
    ]
    for path in kept:
        found[str(path.relative_to(output))] = file_hash(path)
    return found


def differences(output: Path, expected: dict[str, Any]) -> list[str]:
    """Where a finished run has come to something else than another, or has left something over."""
    found = outcome(output)
    places = dict.fromkeys([*expected, *found])
    wrong = [place for place in places if found.get(place) != expected.get(place)]
    over = [*output.rglob(f"{UNFINISHED}*"), *output.rglob(SCRATCH_FOLDER)]
    over += output.glob(f"{STAGES_FOLDER}/*{PARTIAL_ENDING}")
    over += output.glob(TARGETS_FOLDER)
    return wrong + [f"{path.relative_to(output)} is left over" for path in over]


def moment(output: Path) -> str:
    """What a run was doing when it ended, as far as its folder shows."""
    stages = _stages(output)
    making = [folder.name for folder in stages if folder.suffix == PARTIAL_ENDING]
    if making:
        return making[0].partition("-")[2].partition("-")[0]
    if not stages:
        return "starting"
    measured = all((folder / "evaluation.json").is_file() for folder in stages)
    last = len(stages) == PIPELINE.count("- kind: ") + 1 and measured
    return "exports and reports" if last else "measuring or starting again"


def end_once(
    folder: Path, with_signal: signal.Signals, group: bool, after_s: float
) -> dict[str, Any] | None:
    """Start a run and end it after a time; what became of it, or None where it was faster."""
    process = start(run, folder)
    if ended(process, after_s) is not None:
        return None
    (os.killpg if group else os.kill)(process, with_signal)
    began = time.monotonic()
    code = ended(process, PATIENCE_S)
    output = folder / "run"
    return {
        "signal": with_signal.name,
        "group": group,
        "after_s": round(after_s, 2),
        "ended_after_s": round(time.monotonic() - began, 2),
        "code": code,
        "moment": moment(output),
        "children_lived_on_s": round(seconds_until_none(process), 2),
        "halves": halves(output),
    }


def finish(folder: Path, work: Callable[[Path], None] = run) -> float:
    """Do something to its end; the seconds that it took."""
    began = time.monotonic()
    code = ended(start(work, folder), math.inf)
    if code:
        output = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
        raise RuntimeError(f"it ended with {code}: {output[-3000:]}")
    return time.monotonic() - began


def main() -> None:
    """End runs until there are enough ends."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=54)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, required=True)
    arguments = parser.parse_args()
    for module in IMPORTED:
        importlib.import_module(module)

    chance = random.Random(arguments.seed)  # noqa: S311
    ends: list[dict[str, Any]] = []
    losses: list[str] = []
    finished = 0
    with tempfile.TemporaryDirectory(prefix="interruptions-") as name:
        folder = Path(name)
        finish(folder, prepare)
        whole_s = finish(folder)
        expected = outcome(folder / "run")
        print(f"undisturbed: {whole_s:.1f} s, {len(expected)} places to compare", flush=True)
        limit_s = LATEST * whole_s
        while len(ends) < arguments.kills:
            shutil.rmtree(folder / "run")
            for _ in range(chance.randint(3, 6)):
                number = len(ends)
                end = end_once(
                    folder,
                    SIGNALS[number % len(SIGNALS)],
                    number // len(SIGNALS) % 3 == 0,
                    chance.uniform(0.2, limit_s),
                )
                if end is None:  # it is nearly done, or the machine less busy than before
                    limit_s *= SHORTER
                    break
                ends.append(end)
                losses += end["halves"]
                if end["code"] is None:
                    losses.append(f"went on for {PATIENCE_S} s after {end['signal']}")
                if end["children_lived_on_s"] > LIVING_ON_S:
                    losses.append(f"processes lived on for {end['children_lived_on_s']} s")
                print(f"{len(ends)}: {end}", flush=True)
            finish(folder)
            finished += 1
            wrong = differences(folder / "run", expected)
            losses += wrong
            print(f"finished run {finished}: {wrong or 'the same'}", flush=True)
            traces = (folder / "output.txt").read_text(encoding="utf-8", errors="replace")
            document = heading("python", "-m", "benchmarks.interruptions") | {
                "undisturbed_s": round(whole_s, 1),
                "places_compared": len(expected),
                "ends": len(ends),
                "finished_runs": finished,
                "losses": losses,
                "by_signal": dict(Counter(f"{e['signal']}{' group' * e['group']}" for e in ends)),
                "by_moment": dict(Counter(end["moment"] for end in ends)),
                "by_code": dict(Counter(f"{end['signal']} {end['code']}" for end in ends)),
                "longest_children_lived_on_s": max(end["children_lived_on_s"] for end in ends),
                "tracebacks": traces.count("Traceback (most recent call last)"),
                "each": ends,
            }
            write_json(arguments.json, document)
    print(f"{len(ends)} ends, {finished} finished runs, {len(losses)} losses")
    sys.exit(bool(losses))


if __name__ == "__main__":
    main()
