"""Several workers train as one process would, and know from each other how it goes."""

import json
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import training_worker
import yaml
from forked import Forked
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.progress import Progress

from baseline.errors import InputError
from compress import pipeline as pipeline_module
from compress.config import Pipeline
from compress.data.feeds import TargetFeed
from compress.data.synthetic import SyntheticSource
from compress.data.targets import write_targets
from compress.training import loop
from compress.training.crew import Crew
from compress.training.distributed import Place, Workers, declared_place

HERE = Path(__file__).parent
PATIENCE_S = 240
"""A test waits so long for other processes; they take a few seconds on a quiet machine."""

LOSS_TOLERANCE = 1e-5
WEIGHT_TOLERANCE = 1e-5
"""Measured: the same six digits of the loss, and 6e-8."""

PIPELINE = """\
version: 1
name: joint
output: run
data:
  train: [{kind: synthetic, records: 8, seed: 1}]
  calibration: [{kind: synthetic, records: 64, seed: 2}]
  evaluation: [{kind: synthetic, records: 8, seed: 3}]
stages:
  - kind: distill
    student: {kind: unet, stem_stride: 8, channels: [4, 4, 4], kernel: 3, dilations: [1]}
    records: 8
    shifts: 2
    steps: 4
    batch: 4
    distributed: multi_worker
"""


def run_two(script, *arguments):
    """Start a script as two workers; exit code and everything printed of each."""
    with ExitStack() as sockets:
        bound = [sockets.enter_context(socket.socket()) for _ in range(2)]
        for one in bound:
            one.bind(("127.0.0.1", 0))
        cluster = {"worker": [f"127.0.0.1:{one.getsockname()[1]}" for one in bound]}
    tasks = [{"cluster": cluster, "task": {"type": "worker", "index": k}} for k in range(2)]
    workers = [
        Forked(HERE / script, *arguments, environment={"TF_CONFIG": json.dumps(task)})
        for task in tasks
    ]
    return [(worker.wait(PATIENCE_S), worker.output) for worker in workers]


def targets(folder):
    """A file of targets in `folder`."""
    write_targets(
        folder / "targets.h5",
        lambda waveforms, _: [np.clip(np.abs(w) / 10, 0, 0.4) for w in waveforms],
        SyntheticSource(12, seed=5, noise_fraction=0.5),
        number=12,
        seed=0,
        progress=Progress(disable=True),
    )
    return folder


# --- Two processes -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """The folder of one process that trained with the whole batch."""
    folder = targets(tmp_path_factory.mktemp("alone"))
    with pytest.MonkeyPatch.context() as changed:
        for name in ("CHECKPOINT_STEPS", "HISTORY_STEPS"):
            changed.setattr(loop, name, getattr(loop, name))  # put back what the run changes
        training_worker.run(folder, folder / "products-0")
    return folder


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of two processes of which the first died after step 7, and what they printed."""
    folder = targets(tmp_path_factory.mktemp("together"))
    return folder, run_two("training_worker.py", folder, 7)


@pytest.fixture(scope="module")
def together(killed):
    """The folder of two processes that went on from there."""
    folder, _ = killed
    for code, output in run_two("training_worker.py", folder, 0):
        assert code == 0, output
    return folder


def history(folder):
    return np.loadtxt(folder / "products-0/train.history.csv", delimiter=",", skiprows=1)


def weights(folder, index=0):
    with np.load(folder / f"products-{index}/weights.npz") as file:
        return list(file.values())


def test_survivor_says_that_another_worker_is_lost(killed):
    _, ((first, _), (second, output)) = killed
    assert first == -signal.SIGKILL
    assert second != 0
    assert "Another worker of the distributed training ended" in output


def test_two_workers_give_the_loss_curve_of_one_with_the_joint_batch(alone, together):
    steps, losses = history(together).T
    np.testing.assert_array_equal(steps, np.arange(1, training_worker.STEPS + 1))
    np.testing.assert_allclose(losses, history(alone)[:, 1], rtol=LOSS_TOLERANCE)
    assert losses[-1] < losses[0]


def test_two_workers_give_the_weights_and_statistics_of_one(alone, together):
    for one, two in zip(weights(alone), weights(together), strict=True):
        np.testing.assert_allclose(two, one, atol=WEIGHT_TOLERANCE)
        assert two.dtype == np.float32
    for first, second in zip(weights(together), weights(together, 1), strict=True):
        np.testing.assert_array_equal(first, second)


def test_workers_share_hard_negatives_and_go_on_from_the_last_checkpoint(alone, together):
    found = [
        json.loads((folder / "scratch/hard-negatives-1.json").read_text())
        for folder in (alone, together)
    ]
    assert found[0] == found[1]
    report = json.loads((together / "products-0/train.training.json").read_text())
    assert report["steps"] == training_worker.STEPS - 4, "not from the checkpoint after step 4"
    assert report["workers"] == 2
    assert 0.0 <= report["waiting_share"] < 1.0


def test_same_command_on_two_workers_runs_the_pipeline_once(tmp_path):
    (tmp_path / "pipeline.yaml").write_text(PIPELINE)
    (first, output), (second, said) = run_two("pipeline_worker.py", tmp_path)
    assert (first, second) == (0, 0), output + said
    results = json.loads((tmp_path / "run/results.json").read_text())
    assert [row["label"] for row in results["models"]] == ["0-baseline", "1-distill"]
    assert results["models"][1]["training"]["distill"]["workers"] == 2
    assert "has done its part" in said
    assert len(list(tmp_path.glob("run/stages/*"))) == 2, "somebody left something"


# --- What they tell each other, without TensorFlow -----------------------------------------------


class Linked(Workers):
    """A worker in a thread, whose sums go over memory instead of the network."""

    def __init__(self, index, barrier, given):
        super().__init__(Place(index, barrier.parties))
        self._barrier, self._given = barrier, given

    def _sum(self, values):
        self._given[self.place.index] = values
        self._barrier.wait(timeout=20)
        total = np.sum(list(self._given.values()), axis=0)
        self._barrier.wait(timeout=20)
        return total


def linked(number, work):
    """What `work` gives, or the error it raises, on each of linked workers."""
    barrier, given = threading.Barrier(number), {}

    def one(index):
        try:
            return work(Linked(index, barrier, given))
        except InputError as error:
            return str(error)

    with ThreadPoolExecutor(number) as threads:
        return list(threads.map(one, range(number)))


@settings(max_examples=20, deadline=None)
@given(
    st.integers(1, 3),
    st.recursive(
        st.none() | st.integers() | st.text(), lambda inner: st.lists(inner), max_leaves=5
    ),
)
def test_all_know_what_the_first_made(number, document):
    asked = []

    def make():
        asked.append(1)
        return document

    assert linked(number, lambda workers: workers.from_first(make)) == [document] * number
    assert len(asked) == 1


def test_all_know_what_each_gave():
    gave = linked(3, lambda workers: workers.of_each(workers.place.index + 0.5))
    assert gave == [[0.5, 1.5, 2.5]] * 3


def test_others_learn_that_the_first_failed():
    def fail():
        raise InputError("the teacher is not there.", "Fetch it.")

    first, second = linked(2, lambda workers: workers.from_first(fail))
    assert first == "the teacher is not there. Fetch it."
    assert second == "The first worker stopped: the teacher is not there. Fetch it."


def the_run(crew, orders, failure=None):
    """What the first worker does in a run with these orders."""
    with crew.dismissed_after():
        for order in orders:
            with crew.called(order):
                pass
        if failure:
            raise InputError(failure)
        if orders:
            crew.dismiss()


@pytest.mark.parametrize(
    ("orders", "failure", "seen"),
    [
        ([{"label": "a"}, {"label": "b"}], None, ["a", "b"]),
        ([], None, "The first worker stopped: its run ended before the distributed training"),
        ([{"label": "a"}], "no room left.", "The first worker stopped: no room left."),
    ],
)
def test_crew_works_until_it_is_dismissed(orders, failure, seen):
    def work(workers):
        crew = Crew(workers)
        if workers.is_first:
            return the_run(crew, orders, failure)
        return [order["label"] for order in crew.orders()]

    first, second, third = linked(3, work)
    assert first == failure
    assert second == third
    assert second[: len(seen)] == seen


def test_crew_of_one_waits_for_nobody():
    crew = Crew(Workers())
    the_run(crew, [{"label": "a"}])


# --- Parts of a batch ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 2, 3])
def test_parts_put_together_are_the_batch(number, tmp_path):
    feed = TargetFeed(targets(tmp_path) / "targets.h5", 6, seed=3)
    parts = [replace(feed, part=(k, number)) for k in range(number)]
    assert {part.part_size for part in parts} == {6 // number}
    for step in range(2):
        for whole, *pieces in zip(
            feed.batch_at(step), *(part.batch_at(step) for part in parts), strict=True
        ):
            np.testing.assert_array_equal(np.concatenate(pieces), whole)


# --- What is declared ----------------------------------------------------------------------------


def tf_config(task, **cluster):
    return json.dumps({"cluster": cluster, "task": task})


@pytest.mark.parametrize(
    ("task", "place"),
    [
        ({"type": "chief", "index": 0}, Place(0, 3)),
        ({"type": "worker", "index": 0}, Place(1, 3)),
        ({"type": "worker", "index": 1}, Place(2, 3)),
    ],
)
def test_place_among_the_workers(task, place, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", tf_config(task, chief=["a:1"], worker=["b:1", "[::1]:2"]))
    assert declared_place() == place


def test_no_place_where_nothing_is_declared(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    assert declared_place() is None


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{not json", "Invalid JSON"),
        ("[]", "should be an object"),
        ('{"task": {"type": "worker", "index": 0}}', "cluster: Field required"),
        (tf_config({"type": "worker", "index": 2}, worker=["a:1", "b:1"]), "this is worker 2"),
        (tf_config({"type": "worker", "index": -1}, worker=["a:1"]), "task.index"),
        (tf_config({"type": "worker", "index": 0}), "has 0 of them"),
        (tf_config({"type": "worker", "index": 0}, worker=["a"]), "cluster.worker.0"),
        (tf_config({"type": "worker", "index": 0}, worker=["a:1", "a:1"]), "twice"),
        (tf_config({"type": "worker", "index": 0}, worker=["a:1"], ps=["b:1"]), "cluster.ps"),
        (tf_config({"type": "evaluator", "index": 0}, worker=["a:1"]), "task.type"),
        (tf_config({"type": "chief", "index": 0}, chief=["a:1", "b:1"]), "cluster.chief"),
    ],
)
def test_wrong_declaration_is_refused(text, says, monkeypatch):
    monkeypatch.setenv("TF_CONFIG", text)
    with pytest.raises(InputError, match="TF_CONFIG") as raised:
        declared_place()
    assert says in raised.value.message
    assert "index" in raised.value.hint


@pytest.fixture
def run_pipeline(tmp_path, monkeypatch):
    """Runs the pipeline up to where its workers come together."""
    monkeypatch.setattr(pipeline_module, "resolve_baseline", lambda *_: (tmp_path / "x.h5", "0"))

    def run(**of_stage):
        document = yaml.safe_load(PIPELINE)
        document["stages"][0] |= of_stage
        declared = Pipeline.model_validate(document | {"output": str(tmp_path / "run")})
        return pipeline_module.run(declared, tmp_path, Progress(disable=True))

    return run


def test_distributed_training_needs_its_workers_declared(run_pipeline, monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(InputError, match=r"1-distill: .*TF_CONFIG, which is not set"):
        run_pipeline()


@pytest.mark.parametrize("index", [0, 1])
def test_batch_has_to_be_divisible_among_the_workers(index, run_pipeline, monkeypatch):
    task = {"type": "worker", "index": index}
    monkeypatch.setenv("TF_CONFIG", tf_config(task, worker=["a:1", "b:1", "c:1"]))
    with pytest.raises(InputError, match="a batch of 4 cannot be divided among 3 workers"):
        run_pipeline()


def test_train_refuses_a_batch_that_cannot_be_divided(tmp_path, progress):
    plan = loop.Plan(1, 1e-3, 0, 0.9, frozen_statistics=False)
    with pytest.raises(InputError, match="a batch of 5 cannot be divided among 2 workers"):
        loop.train(
            training_worker.student(0),
            TargetFeed(tmp_path / "none.h5", 5, 0),
            plan,
            scratch=tmp_path,
            products=tmp_path,
            progress=progress,
            what="train",
            workers=Workers(Place(0, 2)),
        )
