"""What `compress doctor` finds out about this machine, another, and a broken installation."""

from __future__ import annotations

import json
import os
import sys

import pytest

from baseline.published import CACHE_VARIABLE, PUBLISHED, cached_file
from compress import doctor
from compress.doctor import BASE, FEATURES, INT8, Outcome, Trial
from compress.doctor_checks import CHECKS

BROKEN = """\
import ctypes, sys, time
match sys.argv[1]:
    case "LiteRT":
        ctypes.string_at(0)
    case "ONNX Runtime":
        print("a warning", file=sys.stderr)
        sys.exit("ImportError: libonnx.so: cannot open shared object file")
    case "Keras 2":
        time.sleep(60)
    case _:
        sys.exit(7)
"""


def works(name, *_):
    return Trial(name, Outcome.WORKS, 0.1)


@pytest.fixture
def broken(tmp_path, monkeypatch):
    """A module of checks that all end badly."""
    (tmp_path / "broken_checks.py").write_text(BROKEN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "broken_checks"


@pytest.mark.parametrize("name", BASE)
def test_runtimes_of_the_base_install_are_really_tried(name, tmp_path):
    trial = doctor.try_runtime(name, tmp_path)
    assert (trial.outcome, trial.reason) == (Outcome.WORKS, "")
    assert trial.seconds > 0
    assert list(tmp_path.glob("sigmoid.*"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("LiteRT", "crashed (SIGSEGV)"),
        ("ONNX Runtime", "ImportError: libonnx.so"),
        ("Keras 2", "stopped"),
        ("Keras to ONNX", "ended with 7"),
    ],
)
def test_what_fails_has_a_reason(name, reason, broken, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "TIME_LIMIT_S", 1.0)
    trial = doctor.try_runtime(name, tmp_path, broken)
    assert trial.outcome is Outcome.FAILS
    assert reason in trial.reason


def test_wrong_answers_are_no_success(tmp_path, monkeypatch):
    from compress import doctor_checks

    monkeypatch.setattr(
        doctor_checks, "load_runner", lambda path: lambda windows: windows * float("nan")
    )
    with pytest.raises(RuntimeError, match="answers are wrong by nan"):
        CHECKS["ONNX Runtime"](tmp_path)


def test_what_is_not_installed_is_not_started(tmp_path, monkeypatch):
    monkeypatch.setitem(doctor._MODULES, "Keras 2", ("no_such_package",))
    trial = doctor.try_runtime("Keras 2", tmp_path)
    assert trial == Trial("Keras 2", Outcome.ABSENT, None, "no_such_package: no such package")


def test_every_check_is_known_in_an_order_that_works():
    assert list(CHECKS) == list(doctor._MODULES)
    assert set(BASE) < set(CHECKS)
    assert set(INT8) < set(FEATURES)


@pytest.mark.parametrize(
    ("flags", "features", "int8"),
    [
        ("fpu avx2 fma", ["avx2", "fma"], "no instruction"),
        ("avx2 avx512f avx512_vnni", ["avx2", "avx512f", "avx512_vnni"], "avx512_vnni"),
        ("fp asimd asimddp i8mm", ["asimd", "asimddp", "i8mm"], "asimddp, i8mm"),
        ("", [], ""),
    ],
)
def test_processors(flags, features, int8, monkeypatch):
    machine = {"cpu": "a processor", "architecture": "any", "cores": 8, "flags": flags}
    monkeypatch.setattr(doctor, "describe_machine", lambda: machine)
    found = doctor.processor()
    assert list(found["features"]) == features
    assert int8 in found["int8"]
    assert bool(found["int8"]) == bool(flags)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no affinity here")
def test_threads_are_those_that_may_be_used():
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(allowed)})
        assert doctor.processor()["threads"] == 1
    finally:
        os.sched_setaffinity(0, allowed)


def test_the_cache_is_checked_file_by_file(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "not" / "yet"))
    found = doctor.examine_cache()
    assert (found["writable"], set(found["models"].values())) == (True, {"absent"})
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    cached_file("eqt-original").write_bytes(b"cut short")
    found = doctor.examine_cache()
    assert found["models"] == {"eqt-conservative": "absent", "eqt-original": "damaged"}
    assert found["models"].keys() == PUBLISHED.keys()
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file" / "cache"))
    assert doctor.examine_cache()["writable"] is False


def test_command_tells_and_writes(run_cli, tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "try_runtime", works)
    code, printed = run_cli("doctor", "--json", tmp_path / "doctor.json")
    assert code == 0
    document = json.loads((tmp_path / "doctor.json").read_text())
    assert list(document)[:4] == ["format", "command", "date", "versions"]
    assert document["outcome"] == "works"
    assert document["packages"]["onnxruntime"]
    assert "pytest" not in document["packages"]
    assert document["disk"]["free_bytes"] > 0
    for text in ("LiteRT", "Keras to ONNX", "works", "eqt-original", "threads", sys.executable):
        assert text in printed


@pytest.mark.parametrize(("name", "expected"), [("LiteRT", 3), ("Keras 2", 0)])
def test_exit_code_is_about_the_base_install(name, expected, run_cli, monkeypatch):
    def fails(tried, *_):
        return Trial(tried, Outcome.FAILS, 0.1, "it crashed") if tried == name else works(tried)

    monkeypatch.setattr(doctor, "try_runtime", fails)
    code, printed = run_cli("doctor")
    assert code == expected
    assert "it crashed" in printed
