"""The search itself: killed, gone on with by two processes at once, and who is told what."""

import json
import re
import signal
import time
from pathlib import Path

import killed_training
import optuna
import pytest
import yaml
from forked import Forked
from optuna.trial import TrialState
from rich.console import Console

from baseline.checkpoint import load_keras
from baseline.errors import InputError
from compress import pipeline as pipelines
from compress.report.pareto import draw_front, show_search, trial_line, write_front
from compress.stages.base import StageModel
from compress.stages.distill import Distill
from compress.students import build_student
from compress.tuning import study as studies
from compress.tuning import worker
from compress.tuning.front import best_under
from compress.tuning.liveness import BEAT, SILENCE_S, Watch, at_work
from compress.tuning.space import load_search
from compress.tuning.storage import open_storage

pytestmark = pytest.mark.timeout(900)

HERE = Path(__file__).parent

PIPELINE = """\
version: 1
name: tiny
output: run
baseline: teacher.h5
data:
  train: [{kind: synthetic, records: 8, seed: 1}]
  calibration: [{kind: synthetic, records: 8, seed: 2}]
  evaluation: [{kind: synthetic, records: 8, seed: 3}]
evaluation: {placements: 1}
stages:
  - kind: distill
    student: {kind: unet, stem_stride: 8, channels: [4, 4, 4], refine: false, dilations: [1]}
    records: 4
    shifts: 2
    batch: 1
"""

SEARCH = """\
version: 1
pipeline: pipeline.yaml
output: out
trials: 3
steps: 40
space:
  student.channels.2: {low: 4, high: 32, step: 4}
  learning_rate: {low: 0.001, high: 0.01, log: true}
"""


@pytest.fixture(autouse=True)
def _any_baseline(monkeypatch):
    """Let a file of text stand for the published model here, too."""
    monkeypatch.setattr(pipelines, "require_runnable", lambda path: None)


def write(folder, **changes):
    """The files of a search, with other values in the search file."""
    (folder / "pipeline.yaml").write_text(PIPELINE)
    (folder / "teacher.h5").write_bytes(b"stands for a published model")
    (folder / "search.yaml").write_text(yaml.safe_dump(yaml.safe_load(SEARCH) | changes))
    return folder / "search.yaml"


def start(folder, *arguments):
    return Forked(HERE / "tune_worker.py", "search.yaml", *arguments, folder=folder)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A search that was killed in its first training and then finished by two processes."""
    folder = tmp_path_factory.mktemp("search")
    write(folder)
    process = start(folder)
    deadline = time.monotonic() + 600
    # The last file of a checkpoint to be written: it names the checkpoint to go on from.
    while not (folder / "out/unfinished/0000/scratch/checkpoints/checkpoint").is_file():
        assert process.code is None, process.output
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send(signal.SIGKILL)
    process.wait(60)
    both = [start(folder), start(folder, "--json", "second.json", "--best-under", "1e9")]
    codes = [process.wait(800) for process in both]
    outputs = [process.output for process in both]
    assert codes == [0, 0], outputs
    return folder, outputs


@pytest.fixture(scope="module")
def document(searched):
    return json.loads((searched[0] / "out/results.json").read_text())


def test_the_trial_of_the_killed_process_was_repeated_from_its_checkpoint(searched, document):
    states = [trial["state"] for trial in document["trials"]]
    assert states == ["interrupted", "finished", "finished", "finished"]
    killed, repeated = document["trials"][:2]
    assert repeated["repeats"] == 0 and repeated["settings"] == killed["settings"]
    training = json.loads((searched[0] / "out/trials/0001/distill.training.json").read_text())
    assert training["steps"] <= 30, "it began again from nothing"


def test_both_processes_took_trials_and_report_the_same(searched, document):
    folder, outputs = searched
    done = [
        set(re.findall(r"trial (\d): accuracy", output.partition("┏")[0])) for output in outputs
    ]
    assert done[0] and done[1], "one process did everything"
    assert done[0] | done[1] == {"1", "2", "3"} and not done[0] & done[1]
    second = json.loads((folder / "second.json").read_text())
    assert [second[key] for key in ("trials", "front")] == [
        document[key] for key in ("trials", "front")
    ]


def test_every_finished_trial_keeps_its_student(searched, document):
    folder = searched[0] / "out/trials"
    assert sorted(path.name for path in folder.iterdir()) == ["0001", "0002", "0003"]
    for trial in document["trials"][1:]:
        model = load_keras(folder / f"{trial['number']:04}" / "model.keras")
        assert model.count_params() == trial["parameters"]
        kept = json.loads((folder / f"{trial['number']:04}" / "trial.json").read_text())
        assert kept["accuracy"] == trial["accuracy"]
        assert kept["stage"]["learning_rate"] == trial["settings"]["learning_rate"]
    assert not list((searched[0] / "out/unfinished").iterdir())
    assert len(list((searched[0] / "out/targets").rglob("*.h5"))) == 1, "asked once"


def test_the_front_is_told_and_drawn(searched, document, tmp_path):
    assert document["command"].startswith("compress ") and document["versions"]
    assert document["front"] and document["baseline"]["metrics"]["p_f1_0.5s"]["point"] is not None
    assert (searched[0] / "out/front.png").stat().st_size > 10_000
    snippet = yaml.safe_load(searched[1][1].partition("# trial")[2].partition("\n")[2])
    front = [trial for trial in document["trials"] if trial["number"] in document["front"]]
    best = best_under(front, 1e9)
    stage = Distill.model_validate({"kind": "distill", **snippet})
    assert stage.student.channels[2] == best["settings"]["student.channels.2"]
    assert stage.learning_rate == best["settings"]["learning_rate"]
    axes = draw_front(document).axes[0]
    assert len(axes.lines[0].get_xdata()) == 3
    printed = Console(width=150)
    with printed.capture() as shown:
        show_search(printed, document)
    assert "1 interrupted" in shown.get() and "teacher.h5" in shown.get()
    write_front(document | {"trials": [], "front": []}, tmp_path / "empty.png")


def test_finished_searches_only_report(searched, monkeypatch, progress):
    folder = searched[0]
    monkeypatch.setattr(studies, "load_eqtransformer", lambda path: killed_training.strided())
    monkeypatch.setattr(Distill, "apply", None)
    search = load_search(folder / "search.yaml")
    output = folder / "out"
    document = studies.tune(search, open_storage(None, output), output, 3, progress)
    assert len(document["trials"]) == 4


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"space": {"learning_rate": {"low": 0.001, "high": 0.02, "log": True}}}, "space changed"),
        ({"steps": 200}, "the distill stage changed"),
        ({"objective": {"accuracy": {"p_f1_0.5s": 1.0}}}, "objective changed"),
        ({"validation": [{"kind": "synthetic", "records": 8, "seed": 5}]}, "data.validation ch"),
    ],
)
def test_another_search_in_the_same_storage_is_refused(
    searched, changes, said, monkeypatch, progress
):
    folder = searched[0]
    path = folder / "search.yaml"
    kept = path.read_text()
    try:
        search = load_search(write(folder, **changes))
        with pytest.raises(InputError, match=said):
            output = folder / "out"
            studies.tune(search, open_storage(None, output), output, 3, progress)
    finally:
        path.write_text(kept)


@pytest.fixture
def tune(tmp_path, monkeypatch, progress):
    """Runs a search with other values in its file, in a storage of its own."""
    monkeypatch.setattr(studies, "load_eqtransformer", lambda path: killed_training.strided())

    def tune(storage=None, **changes):
        search = load_search(write(tmp_path, **changes))
        output = tmp_path / "out"
        output.mkdir(exist_ok=True)
        told = []
        document = studies.tune(
            search,
            open_storage(storage, output),
            output,
            search.config.trials,
            progress,
            told.append,
        )
        return document, told

    return tune


def test_tuning_on_the_evaluation_set_is_refused(tune):
    with pytest.raises(InputError, match="'evaluation' and 'validation' share 8 records"):
        tune(validation=[{"kind": "synthetic", "records": 8, "seed": 3}])


def test_students_are_not_measured_on_what_they_are_calibrated_on(tune):
    with pytest.raises(InputError, match="names no validation set"):
        tune(space={"calibrate": {"choices": ["none", "targets"]}})


def test_a_metric_without_labels_is_refused(tune):
    noise = {"kind": "synthetic", "records": 4, "seed": 5, "noise_fraction": 1.0}
    with pytest.raises(InputError, match=r"s_recall_0\.5s cannot be measured"):
        tune(validation=[noise], objective={"accuracy": {"s_recall_0.5s": 1.0}})


def test_large_students_are_refused_before_training(tune, monkeypatch):
    monkeypatch.setattr(worker, "REFUSALS_IN_A_ROW", 2)
    monkeypatch.setattr(Distill, "apply", None)
    with pytest.raises(InputError, match="2 proposals in a row were refused, the last one: "):
        tune(maximum_multiply_adds=1000)


def test_the_same_settings_are_not_trained_twice_and_bytes_may_count(tune, monkeypatch):
    calls = []

    def untrained(stage, model, context):
        calls.append(stage)
        return StageModel(build_student(stage.student))

    monkeypatch.setattr(Distill, "apply", untrained)
    monkeypatch.setattr(worker, "convert", lambda model, path, kind: path.write_bytes(b"x" * 700))
    document, told = tune(trials=2, space={"batch": {"choices": [1]}}, objective={"bytes": True})
    first, second = document["trials"]
    assert len(calls) == 1
    assert second["same_as"] == 0 and second["accuracy"] == first["accuracy"]
    assert first["bytes"] == second["bytes"] == 700
    assert document["front"] == [0]
    assert "(as trial 0)" in trial_line(told[1])


def test_training_that_fails_is_told_and_three_in_a_row_end_the_search(tune, monkeypatch, tmp_path):
    def diverge(stage, model, context):
        raise InputError("distill: the loss is not finite.")

    monkeypatch.setattr(Distill, "apply", diverge)
    document, told = tune(trials=2)
    assert [trial["state"] for trial in document["trials"]] == ["failed", "failed"]
    assert trial_line(told[0]) == "trial 0: failed: distill: the loss is not finite."
    with pytest.raises(InputError, match="loss is not finite"):
        tune(storage=f"sqlite:///{tmp_path / 'other.db'}", trials=4)


def test_what_was_interrupted_by_the_user_is_next_in_line(tune, monkeypatch, tmp_path):
    def interrupt(stage, model, context):
        raise KeyboardInterrupt

    monkeypatch.setattr(Distill, "apply", interrupt)
    with pytest.raises(KeyboardInterrupt):
        tune()
    (study,) = optuna.get_all_study_names(storage := open_storage(None, tmp_path / "out"))
    states = [t.state for t in optuna.load_study(study_name=study, storage=storage).trials]
    assert states == [TrialState.FAIL, TrialState.WAITING]


def test_another_search_does_not_take_over_a_folder(tune, tmp_path):
    (tmp_path / "out/trials/0000").mkdir(parents=True)
    with pytest.raises(InputError, match="holds students of another search"):
        tune()


def test_proposals_depend_on_the_number_of_the_trial_alone(tmp_path):
    search = load_search(write(tmp_path))
    space = {place: each.distribution() for place, each in search.config.space.items()}

    def proposals(interrupted):
        storage = optuna.storages.InMemoryStorage()
        found = []
        for number in range(14):
            if number == 0 or interrupted:
                study = optuna.create_study(
                    storage=storage,
                    study_name="s",
                    sampler=studies._SeededByTrial(search),
                    directions=["maximize", "minimize"],
                    load_if_exists=True,
                )
            trial = study.ask(space)
            found.append(trial.params)
            study.tell(trial, [trial.params["learning_rate"], trial.params["student.channels.2"]])
        return found

    assert proposals(interrupted=True) == proposals(interrupted=False)
    assert len({tuple(each.values()) for each in proposals(interrupted=False)}) > 10


def test_a_trial_elsewhere_is_given_up_when_its_beat_stands_still(tmp_path):
    study = optuna.create_study()
    now = [0.0]
    watch = Watch(lambda: now[0])
    trial = study.ask()
    trial.set_user_attr("worker", {"host": "elsewhere", "process": 1, "lock": "/nowhere.lock"})

    def abandoned():
        return watch.abandoned(study.get_trials(states=(TrialState.RUNNING,))[0])

    assert not abandoned()
    now[0] = SILENCE_S
    trial.set_user_attr(BEAT, 7)
    assert not abandoned()
    now[0] += SILENCE_S
    assert not abandoned()
    now[0] += 1
    assert abandoned()
    with at_work(trial, tmp_path / "0000"):
        now[0] += 10 * SILENCE_S
        assert not abandoned(), "this process holds the lock"


@pytest.mark.parametrize("where", ["nonsense://host/db", "sqlite:////nowhere/at/all.db"])
def test_a_database_that_cannot_be_opened_is_said_without_its_password(where, tmp_path):
    with pytest.raises(InputError, match="cannot be opened"):
        open_storage(where, tmp_path)
    with pytest.raises(InputError) as error:
        open_storage("nonsense://user:secret@host/db", tmp_path)
    assert "secret" not in str(error.value)


def test_a_file_that_is_no_journal_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("not a journal\nat all\n")
    with pytest.raises(InputError, match="is no journal of a search"):
        open_storage(str(tmp_path / "notes.txt"), tmp_path)
    with pytest.raises(InputError, match="cannot be used"):
        open_storage(str(tmp_path / "nowhere/journal.log"), tmp_path)
