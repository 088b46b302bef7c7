"""Ways of running a network are measured in processes of their own, against one of them."""

import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from baseline.errors import InputError
from baseline.published import PUBLISHED
from benchmarks.peers import environments
from benchmarks.peers.catalogue import Peer
from benchmarks.peers.measure import Settings, measure
from benchmarks.peers.process import Worker, WorkerFailed
from benchmarks.peers.report import table
from benchmarks.peers.rounds import LEAST_ROUNDS, summarise, time_rounds
from benchmarks.peers.run import chosen, require_environments, show

FAKE = Path(__file__).parent / "fake_peer.py"


def fake(name, milliseconds, model="a"):
    weights = next(iter(PUBLISHED))
    return Peer(name, name, None, FAKE, model, weights, arguments=(str(milliseconds),))


PEERS = [fake("slow", 10), fake("quick", 1, "abc"), fake("never", 0, "broken")]


@pytest.fixture(scope="module")
def windows(tmp_path_factory):
    path = tmp_path_factory.mktemp("windows") / "windows.npy"
    np.save(path, np.zeros((64, 6, 3), np.float32))
    return path


@pytest.fixture(scope="module")
def documents(windows):
    settings = Settings(
        windows,
        answers=windows,
        venvs=windows.parent,
        blocks=2,
        seconds=0.0,
        batches={1: 1, 64: 1},
        arithmetic_seconds=0.0,
    )
    return list(measure(PEERS, PEERS[0], settings))


def test_times_are_those_of_the_workers(documents):
    slow, quick, _ = documents[-1]["models"]
    # Sleeping takes longer than it was asked for where the machine is busy, and never less.
    times = {(s["batch"], s["threads"]): s["ms"] for s in slow["settings"]}
    assert set(times) == {(1, 1), (64, 1), (1, 2), (64, 2)}
    assert min(times.values()) >= 10
    for setting in quick["settings"]:
        assert 0 < setting["lower"] <= setting["ratio"] <= setting["upper"]
        assert setting["lower"] < 1  # a busy machine may hold up the quick one in some round
        assert setting["windows_per_second"] * setting["ms"] == pytest.approx(
            1000 * setting["batch"]
        )


def test_every_block_is_told(documents):
    assert [document["finished"] for document in documents] == [False, False, False, True]
    first, last = (documents[n]["models"][1] for n in (0, -1))
    assert [s["rounds"] for s in first["settings"]] == [2, 2]
    assert [s["rounds"] for s in last["settings"]] == [4, 4, 4, 4]
    assert last["starts"] == 2
    assert last["startup_s"] > 0.02
    assert last["last_peak_bytes"] >= last["peak_bytes"] > 1e6


def test_answers_are_compared_and_facts_kept(documents):
    slow, quick, _ = documents[-1]["models"]
    assert slow["difference"] == 1.0
    assert quick["difference"] == 3.0
    assert documents[-1]["environments"] == {"own": {"numpy": np.__version__}}
    reached = documents[-1]["operations_per_second"]["1"]
    setting = quick["settings"][0]
    assert setting["share_of_peak"] == pytest.approx(
        2 * 1000 / (setting["ms"] / 1e3) / reached["float32"]
    )


def test_what_cannot_be_loaded_is_left_out(documents):
    assert "no such model here" in documents[-1]["models"][2]["failed"]
    assert "never: not measured (RuntimeError: no such model here)" in table(documents[-1])


def test_a_kept_result_is_shown_slowest_first(documents, tmp_path, capsys):
    path = tmp_path / "peers.json"
    path.write_text(json.dumps(documents[-1]), encoding="utf-8")
    show(path, as_table=True, figure=tmp_path / "figures" / "peers.png")
    names = [line.split("|")[1].strip(" *") for line in capsys.readouterr().out.splitlines()[2:4]]
    assert names == ["slow", "quick"]
    assert (tmp_path / "figures" / "peers.png").read_bytes().startswith(b"\x89PNG")


def test_a_worker_that_ends_says_why(windows):
    worker = Worker(PEERS[1], windows, 1, windows.parent)
    with pytest.raises(WorkerFailed, match="KeyError"):
        worker.ask("time")
    worker.close()


@pytest.mark.parametrize("repeats", [1, 2])
def test_both_sides_come_first_equally_often(repeats):
    calls = []
    nanoseconds = itertools.count(1)

    def timer(name):
        return lambda: calls.append(name) or next(nanoseconds)

    random = np.random.default_rng(0)
    timers = {"one": timer("one")}
    times = time_rounds(timers, timer("other"), repeats=repeats, seconds=0.0, random=random)["one"]
    assert times.shape == (LEAST_ROUNDS, 2, repeats)
    assert calls.count("one") == calls.count("other") == LEAST_ROUNDS * repeats
    rounds = [tuple(calls[i : i + 2 * repeats]) for i in range(0, len(calls), 2 * repeats)]
    assert len(set(rounds)) == LEAST_ROUNDS
    assert sorted(times.ravel()) == list(range(1, len(calls) + 1))


def test_the_ratio_is_the_median_of_the_pairs():
    # Nanoseconds in three rounds of two blocks; one timing was interrupted.
    blocks = [[[[2, 9], [4, 4]], [[3, 3], [4, 5]]], [[[20, 20], [20, 30]]]]
    summary = summarise([np.array(block, float) for block in blocks])
    assert summary["ratio"] == 0.75
    assert summary["block_ratios"] == [0.625, 1.0]
    assert (summary["lower"], summary["upper"]) == (0.5, 1.0)
    assert (summary["ms"], summary["rounds"]) == (3e-6, 3)


def test_requirements_that_changed_are_found(tmp_path):
    peer = Peer("x", "x", "openvino", FAKE, "a", "random")
    with pytest.raises(InputError, match="environments --only openvino"):
        require_environments([peer], tmp_path)
    (tmp_path / "openvino").mkdir()
    installed = tmp_path / "openvino" / environments.INSTALLED
    installed.write_bytes((environments.REQUIREMENTS / "openvino.txt").read_bytes())
    require_environments([peer], tmp_path)
    installed.write_text("openvino==1.0\n")
    with pytest.raises(InputError, match="openvino"):
        require_environments([peer], tmp_path)


def test_names_are_known():
    with pytest.raises(InputError, match="no other"):
        chosen(PEERS, ["other"])
