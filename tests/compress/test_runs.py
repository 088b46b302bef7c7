"""Stages of finished runs, by the run's folder: which one, and why not."""

import json

import pytest
import stored_models as made

from baseline.errors import InputError
from compress.config import Pipeline
from compress.runs import find_stage

LABELS = ("0-baseline", "1-distill", "2-quantize")


def declared(inconclusive="fail"):
    return Pipeline.model_validate(
        {
            "version": 1,
            "name": "tiny",
            "output": "elsewhere",
            "data": {
                name: [{"kind": "synthetic", "records": 70, "seed": seed}]
                for seed, name in enumerate(("train", "calibration", "evaluation"))
            },
            "stages": [{"kind": "distill"}, {"kind": "quantize"}],
            "inconclusive": inconclusive,
        }
    ).model_dump(mode="json", exclude={"output"})


@pytest.fixture
def run(tmp_path):
    """Writes the folder of a run whose stages came out so, and hold an empty graph."""

    def write(*outcomes, skipped=(), inconclusive="fail"):
        labels = LABELS[: len(outcomes) + 1]
        folder = made.run_folder(tmp_path / "run", dict.fromkeys(labels, 0), skipped)
        document = json.loads((folder / "results.json").read_text())
        document["pipeline"] = declared(inconclusive)
        for row, outcome in zip(document["models"], ("pass", *outcomes), strict=True):
            row["folder"] = f"{row['label']}-abc"
            row["verdicts"] = [{"outcome": outcome}]
            stage = folder / "stages" / row["folder"]
            stage.mkdir(parents=True)
            (stage / "model.keras").touch()
        document["models"].append(document["models"][-1] | {"label": "export tflite-int8"})
        del document["models"][-1]["folder"]
        (folder / "results.json").write_text(json.dumps(document))
        return folder

    return write


def test_last_stage_that_passed_stands_for_the_run(run):
    folder = run("pass", "fail")
    found = find_stage(str(folder))
    assert (found.label, found.folder) == ("1-distill", folder / "stages/1-distill-abc")
    assert [stage.kind for stage in found.stages] == ["distill"]
    assert find_stage(str(folder / "results.json")) == found


def test_label_chooses_a_stage_that_passed_or_not(run):
    folder = run("pass", "fail")
    found = find_stage(f"{folder}#2-quantize")
    assert [stage.kind for stage in found.stages] == ["distill", "quantize"]
    assert find_stage(f"{folder}#0-baseline").stages == ()


def test_skipped_stage_made_nothing_of_what_came_after(run):
    folder = run("fail", "pass", skipped=("1-distill",))
    assert [stage.kind for stage in find_stage(str(folder)).stages] == ["quantize"]
    assert [stage.kind for stage in find_stage(f"{folder}#1-distill").stages] == ["distill"]


@pytest.mark.parametrize(("inconclusive", "last"), [("fail", "1-distill"), ("warn", "2-quantize")])
def test_what_was_not_decided_passes_where_that_is_a_warning(inconclusive, last, run):
    folder = run("pass", "inconclusive", inconclusive=inconclusive)
    assert find_stage(str(folder)).label == last


def test_run_in_which_nothing_passed_has_no_last_stage(run):
    folder = run("fail")
    with pytest.raises(InputError, match="no stage of this run passed") as caught:
        find_stage(str(folder))
    assert f"{folder}#1-distill" in caught.value.hint


def test_every_stage_skipped_leaves_the_baseline(run):
    folder = run("fail", "fail", skipped=LABELS[1:])
    assert find_stage(str(folder)).label == "0-baseline"


def test_what_is_no_stage_is_said(run, tmp_path):
    folder = run("pass", "pass")
    with pytest.raises(InputError, match="holds no model '9-scale'") as caught:
        find_stage(f"{folder}#9-scale")
    assert "0-baseline, 1-distill, 2-quantize" in caught.value.hint
    with pytest.raises(InputError, match="export tflite-int8 is no stage") as caught:
        find_stage(f"{folder}#export tflite-int8")
    assert caught.value.hint == "Its stages are 0-baseline, 1-distill, 2-quantize."
    with pytest.raises(InputError, match="is no run's folder"):
        find_stage(f"{tmp_path}#1-distill")


def test_missing_graph_is_said(run):
    folder = run("pass", "pass")
    (folder / "stages/2-quantize-abc/model.keras").unlink()
    with pytest.raises(InputError, match=r"the Keras graph of 2-quantize .* is missing"):
        find_stage(str(folder))


def test_unfinished_run_is_said(run):
    folder = run("pass", "pass")
    (folder / "results.json").unlink()
    for name in (folder, f"{folder}#1-distill"):
        with pytest.raises(InputError, match="this run was not finished"):
            find_stage(str(name))


def without_folders(document):
    for row in document["models"]:
        row.pop("folder", None)


DAMAGED = {
    "another version": without_folders,
    "unknown stage": lambda d: d["pipeline"]["stages"][0].update(kind="shrink"),
    "no models": lambda d: d.pop("models"),
    "models of another kind": lambda d: d.update(models=[1, 2]),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_results_that_cannot_be_understood_are_said(what, run):
    folder = run("pass", "pass")
    document = json.loads((folder / "results.json").read_text())
    DAMAGED[what](document)
    (folder / "results.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match="was written by another version"):
        find_stage(str(folder))


@pytest.mark.parametrize("name", ["eqt-original", "run/stages", "nothing#at-all/model.keras"])
def test_other_models_are_no_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run/stages").mkdir(parents=True)
    (tmp_path / "nothing#at-all").mkdir()
    (tmp_path / "nothing#at-all/model.keras").touch()
    assert find_stage(name) is None
