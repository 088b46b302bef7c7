"""Runs that are ended: nothing half passes for whole, nothing is lost, and nobody lives on.

At random moments, and by the dozen, `benchmarks/interruptions.py` ends them.
"""

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import stored_models
import tiny_run
from killed_training import labels_feed, strided

from baseline.errors import InputError
from baseline.files import UNFINISHED, remove_leftovers
from benchmarks.interruptions import (
    LIVING_ON_S,
    differences,
    halves,
    outcome,
    seconds_until_none,
)
from compress.store import SCRATCH_FOLDER, STAGES_FOLDER, Store, write_json
from compress.training import loop
from export.bundle import read_counts

IMPORTED_S = 1.0
"""TensorFlow takes several times as long to be imported."""
ROOT = Path(__file__).resolve().parents[2]
LINUX = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes: Linux only")

# --- Before every single thing that is done to files ----------------------------------------------

KEY = "a" * 64
OPERATIONS = {"open", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.chmod"}
CHECKPOINT = {"checkpoint": "the second", "second": "weights"}


def leave_everything(folder: Path) -> None:
    """What a run writes, as small as it comes: a stage, its measurements, a bundle, results."""
    store = Store(folder / STAGES_FOLDER)
    store.tidy()
    remove_leftovers(folder, folder / "exports")
    if not store.find("1-distill", KEY):
        with store.unfinished("1-distill", KEY, {"weights_sha256": "w"}) as stage:
            for name, text in CHECKPOINT.items():
                (stage / SCRATCH_FOLDER / name).write_text(text)
            (stage / "model.keras").write_text("weights")
            write_json(stage / "layers.json", [])
    artifact = store.get("1-distill", KEY)
    if artifact.evaluation("k") is None or artifact.windows("k") is None:
        artifact.keep_windows("k", {"errors": np.arange(3)})
        artifact.keep_evaluation("k", {"f1": 0.9})
    (folder / "exports").mkdir(exist_ok=True)
    stored_models.bundle_folder(folder / "exports/bundle", "counts")
    write_json(folder / "results.json", {"models": []})


def ended_before(number: int, work, folder: Path) -> bool:
    """Do the work in a fork that is killed before its operation of this number; whether it was."""
    child = os.fork()
    if not child:
        done = itertools.count()

        def hook(event, arguments):
            if event in OPERATIONS and next(done) == number:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            work(folder)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status)


def content(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def test_killed_before_any_operation_on_files_everything_is_whole_or_not_there(tmp_path):
    leave_everything(tmp_path / "undisturbed")
    expected = content(tmp_path / "undisturbed")
    for number in itertools.count():
        folder = tmp_path / str(number)
        if not ended_before(number, leave_everything, folder):
            break
        assert halves(folder) == [], number
        partial = folder / STAGES_FOLDER / f"1-distill-{KEY[:12]}.partial"
        if (partial / "model.keras").is_file():
            left = {path.name: path.read_text() for path in (partial / SCRATCH_FOLDER).iterdir()}
            assert left == CHECKPOINT, f"{number}: to be made again of half a checkpoint"
        leave_everything(folder)
        assert content(folder) == expected, number
    assert number > 40, "hardly anything was tried"


def test_bundle_in_place_of_another_is_one_of_both(tmp_path):
    bundle = stored_models.bundle_folder(tmp_path / "bundle", "first")
    seen = set()
    for number in itertools.count():
        if not ended_before(number, lambda f: stored_models.bundle_folder(f, "second"), bundle):
            break
        # Between both there is an instant without any: exchanging two names is not portable.
        if bundle.exists():
            seen.add(read_counts(bundle))
        remove_leftovers(tmp_path)
        stored_models.bundle_folder(bundle, "first")
    assert seen == {"first", "second"}


# --- A whole run, at the moments that matter ------------------------------------------------------

MOMENTS = {
    "before a stage is finished": ("SIGKILL", "os.rename", "1-simplify"),
    "while checkpoints of a finished stage go": ("SIGKILL", "os.remove", "checkpoint"),
    "before a bundle is finished": ("SIGTERM", "os.rename", "exports/tiny-"),
    "before the results are": ("SIGKILL", "os.rename", "results.json"),
    "before the reports are": ("SIGINT", "os.mkdir", "pictures"),
}
CODES = {"SIGKILL": -signal.SIGKILL, "SIGINT": 130, "SIGTERM": 143}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder for runs, with one that was left undisturbed in `whole`."""
    folder = tmp_path_factory.mktemp("runs")
    tiny_run.write(folder)
    process = tiny_run.run(folder)
    assert process.wait(300) == 0, process.output
    (folder / "run").rename(folder / "whole")
    return folder


def test_a_run_that_is_ended_again_and_again_comes_to_the_same(runs):
    for moment, ended in MOMENTS.items():
        process = tiny_run.run(runs, *ended)
        assert process.wait(300) == CODES[ended[0]], f"{moment}: {process.output}"
        assert halves(runs / "run") == [], moment
        if ended[0] != "SIGKILL":
            assert "Finished stages are kept" in process.output
            assert "Traceback" not in process.output
            assert not list((runs / "run").rglob(f"{UNFINISHED}*")), "it could have tidied up"
    process = tiny_run.run(runs)
    assert process.wait(300) == 0, process.output
    expected = outcome(runs / "whole")
    assert len(expected["1-simplify: weights_sha256"]) == 64
    assert differences(runs / "run", expected) == []


LOSING = """\
import os, signal, sys, time
from compress import cli

def interrupt():
    os.kill(os.getpid(), SIGNAL)
    time.sleep(0.01)  # the handler is called here at the latest

class Destroyed:
    def __del__(self):
        interrupt()

def lose_in_destructor():
    Destroyed()
    print("went on", flush=True)
    time.sleep(60)

def lose_in_library():
    try:
        interrupt()
    except BaseException:
        print("went on", flush=True)
    time.sleep(60)

signal.signal(signal.SIGINT, signal.default_int_handler)
way, name = sys.argv[1:]
SIGNAL = signal.Signals[name]
cli.AGAIN_S = 50.0 if way == "destructor" else 0.2
cli.app.command("lose")(globals()["lose_in_" + way])
sys.argv[1:] = ["lose"]
cli.main()
"""


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
@pytest.mark.parametrize("way", ["destructor", "library"])
def test_a_signal_that_is_lost_comes_again(way, name):
    ended = subprocess.run(
        [sys.executable, "-c", LOSING, way, name],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=40,
    )
    assert ended.stdout == "went on\n"
    assert ended.returncode == CODES[name]
    assert ended.stderr.startswith("Interrupted. Finished stages are kept")


# --- Who must not live on -------------------------------------------------------------------------


def lived_on_s(command: list, told: Path) -> float:
    """How long processes of a program live on that is killed once one of them makes a file."""
    environment = os.environ | {"PYTHONPATH": f"{told.parent}:{ROOT}"}
    owner = subprocess.Popen(command, env=environment, start_new_session=True)
    while not told.exists():
        assert owner.poll() is None
        time.sleep(0.05)
    owner.kill()
    owner.wait()
    return seconds_until_none(owner.pid)


@LINUX
def test_no_converter_lives_on_when_the_run_is_killed(tmp_path):
    told = tmp_path / "told"
    (tmp_path / "sleeping.py").write_text(
        f"import pathlib, time\npathlib.Path({str(told)!r}).touch()\ntime.sleep(600)\n"
    )
    code = "from export.workers import run_worker; run_worker('x', 'sleeping', [])"
    assert lived_on_s([sys.executable, "-c", code], told) < LIVING_ON_S


FOREMAN = """\
import pathlib, sys, time
from export.workers import _Foreman

foreman = _Foreman()
pathlib.Path(sys.argv[1]).touch()
time.sleep(600)
"""


@LINUX
def test_who_starts_converters_ends_while_it_still_imports(tmp_path):
    told = tmp_path / "told"
    assert lived_on_s([sys.executable, "-c", FOREMAN, told], told) < IMPORTED_S


POOL = """\
import pathlib, sys, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from compress.picking.picking import _prepare

def work(_):
    pathlib.Path(sys.argv[1]).touch()
    time.sleep(600)

if __name__ == "__main__":
    with ProcessPoolExecutor(2, get_context("spawn"), _prepare, (None,) * 4) as pool:
        list(pool.map(work, range(4)))
"""
"""As `compress pick --jobs` has its stations picked."""


@LINUX
def test_no_picking_process_lives_on_when_picking_is_killed(tmp_path):
    (tmp_path / "pool.py").write_text(POOL)
    told = tmp_path / "told"
    command = [sys.executable, tmp_path / "pool.py", told]
    assert lived_on_s(command, told) < LIVING_ON_S


# --- What a machine that went down may leave ------------------------------------------------------


def test_damaged_stage_is_not_taken_for_whole(tmp_path):
    leave_everything(tmp_path)
    store = Store(tmp_path / STAGES_FOLDER)
    (store.get("1-distill", KEY).folder / "model.keras").write_text("")
    assert store.find("1-distill", KEY) is None
    leave_everything(tmp_path)
    assert (store.find("1-distill", KEY).folder / "model.keras").read_text() == "weights"


def test_damaged_checkpoint_is_said(tmp_path, progress, monkeypatch):
    plan = loop.Plan(
        steps=2, learning_rate=1e-2, warmup_steps=0, average=0.5, frozen_statistics=True
    )
    feed = labels_feed(tmp_path)

    def train():
        loop.train(
            strided(), feed, plan, scratch=tmp_path, products=tmp_path, progress=progress, what="x"
        )

    train()
    (index,) = (tmp_path / "checkpoints").glob("*.index")
    index.write_bytes(index.read_bytes()[:40])
    with pytest.raises(InputError, match="checkpoint there cannot be read") as caught:
        train()
    assert "Remove that folder" in caught.value.hint
    assert json.loads((tmp_path / "x.training.json").read_text())["steps"] == 2
