"""Pipeline files: what is declared is what is said to be wrong, with its line."""

from pathlib import Path

import pytest
import yaml

from baseline.errors import InputError
from compress.config import Pipeline, load_pipeline

ROOT = Path(__file__).resolve().parents[2]
MINIMAL = """\
version: 1
name: minimal
output: out
data:
  train: [{kind: synthetic, records: 4, seed: 1}]
  calibration: [{kind: synthetic, records: 4, seed: 2}]
  evaluation: [{kind: synthetic, records: 4, seed: 3}]
stages:
  - kind: distill
    steps: 5
  - kind: quantize
"""


@pytest.fixture
def write(tmp_path):
    def write_file(text):
        path = tmp_path / "pipeline.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write_file


@pytest.mark.parametrize(
    ("file", "stages", "output"),
    [
        ("pipeline.yaml", ["simplify", "substitute", "prune", "distill", "quantize"], "default"),
        ("pipelines/pruned.yaml", ["simplify", "substitute", "prune"], "pruned"),
        ("pipelines/student.yaml", ["distill", "quantize"], "student"),
        ("pipelines/student-small.yaml", ["distill", "quantize"], "student-small"),
        ("tests/reference/train.yaml", ["distill"], "reference"),
    ],
)
def test_pipelines_of_the_repository_are_valid(file, stages, output):
    pipeline = load_pipeline(ROOT / file)
    assert [stage.kind for stage in pipeline.stages] == stages
    assert pipeline.output.resolve() == ROOT / "artifacts" / output


def test_relative_paths_are_taken_from_the_file(write, tmp_path):
    text = MINIMAL.replace(
        "evaluation: [{kind: synthetic, records: 4, seed: 3}]",
        "evaluation: [{kind: seisbench, folder: mine}, {kind: stead, folder: /elsewhere}]",
    )
    evaluation = load_pipeline(write(text)).data.evaluation
    assert evaluation[0].folder == tmp_path / "mine"
    assert evaluation[1].folder == Path("/elsewhere")


WRONG = {
    "unknown key": ("    steps: 5", "    setps: 5", ["line 10", "setps", "Did you mean 'steps'?"]),
    "out of bounds": ("    steps: 5", "    steps: 0", ["line 10", "stages.0.steps", "equal to 1"]),
    "wrong type": ("    steps: 5", "    steps: many", ["line 10", "'many'", "integer"]),
    "missing key": ("name: minimal\n", "", ["name", "missing"]),
    "unknown stage": ("kind: quantize", "kind: squash", ["line 11", "squash", "quantize"]),
    "unknown source": ("kind: synthetic, records: 4, seed: 3", "kind: sac", ["line 7", "stead"]),
    "quantize first": (
        "  - kind: distill\n    steps: 5\n  - kind: quantize",
        "  - kind: quantize\n  - kind: distill",
        ["stages", "distill", "come before"],
    ),
    "quantized twice": (
        "  - kind: quantize",
        "  - kind: quantize\n  - kind: quantize",
        ["already"],
    ),
    "structure after distillation": (
        "  - kind: quantize",
        "  - {kind: substitute, cell: gru}",
        ["substitute", "come before distillation"],
    ),
    "training that would fill zeros": (
        "  - kind: distill\n    steps: 5",
        "  - {kind: prune, method: {kind: magnitude}}\n  - {kind: substitute, cell: gru}",
        ["substitute", "would fill the zeros", "magnitude"],
    ),
    "nothing to scale": ("kind: distill", "kind: scale", ["line 9", "set width below 1"]),
    "an option of another method": (
        "  - kind: distill\n    steps: 5",
        "  - {kind: prune, method: {kind: magnitude, rounds: 3}}",
        ["line 9", "rounds"],
    ),
    "weights of what is measured": (
        "evaluation: [{kind: synthetic, records: 4,",
        "evaluation: [{kind: synthetic, weight: 2, records: 4,",
        ["data", "evaluation: weight and label_weight are for sources of train only"],
    ),
    "labels for calibration": (
        "calibration: [{kind: synthetic, records: 4,",
        "calibration: [{kind: synthetic, label_weight: 1, records: 4,",
        ["data", "calibration: weight and label_weight are for sources of train only"],
    ),
    "nothing to draw from": (
        "train: [{kind: synthetic, records: 4,",
        "train: [{kind: synthetic, weight: 0, records: 4,",
        ["data", "every source has weight 0"],
    ),
    "a label weight above 1": (
        "train: [{kind: synthetic, records: 4,",
        "train: [{kind: synthetic, label_weight: 2, records: 4,",
        ["line 5", "label_weight", "equal to 1"],
    ),
    "a teacher without weights": (
        "    steps: 5",
        "    teachers: [{model: previous, weights: [1, 0, 1]}]",
        ["stages.0", "none has a weight above zero for P"],
    ),
    "an option of the loss": (
        "    steps: 5",
        "    loss: {temprature: 2}",
        ["line 10", "Did you mean 'temperature'?"],
    ),
    "no stages": (
        "stages:\n  - kind: distill\n    steps: 5\n  - kind: quantize\n",
        "stages: []\n",
        ["stages", "at least 1"],
    ),
    "a name that is a path": ("name: minimal", "name: ../x", ["line 2", "letters"]),
    "another version": ("version: 1", "version: 2", ["line 1", "version"]),
    "a key twice": ("name: minimal", "name: minimal\nname: again", ["line 3", "twice", "line 2"]),
    "not YAML": ("name: minimal", "name: [", ["not valid YAML", "line"]),
    "an alias": ("name: minimal", "name: &a minimal\nbaseline: *a", ["line 3", "aliases"]),
    "a tag": ("name: minimal", "name: !!python/object:os.system x", ["not valid YAML"]),
    "stead without files": (
        "{kind: synthetic, records: 4, seed: 3}",
        "{kind: stead, csv: a.csv}",
        ["folder", "hdf5"],
    ),
    "a gate without limit": (
        "  - kind: quantize",
        "  - kind: quantize\n    gates: {cost: [{measure: bytes}]}",
        ["line 12", "maximum_ratio"],
    ),
    "a gate on nothing known": (
        "  - kind: quantize",
        "  - kind: quantize\n    gates: {accuracy: [{metric: f1, margin: 0.1}]}",
        ["line 12", "p_f1_0.5s"],
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_is_wrong_is_said_with_its_line(what, write):
    right, wrong, expected = WRONG[what]
    assert right in MINIMAL
    with pytest.raises(InputError) as caught:
        load_pipeline(write(MINIMAL.replace(right, wrong)))
    for text in ("pipeline.yaml", *expected):
        assert text in str(caught.value)


def test_everything_that_is_wrong_is_said_at_once(write):
    text = MINIMAL.replace("steps: 5", "steps: 0").replace("seed: 3", "seed: -1")
    with pytest.raises(InputError) as caught:
        load_pipeline(write(text))
    assert "stages.0.steps" in str(caught.value)
    assert "data.evaluation.0.seed" in str(caught.value)


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"", b"- 1\n- 2\n", b"just text"])
def test_what_is_no_mapping_is_refused(content, tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"pipeline\.yaml"):
        load_pipeline(path)
    with pytest.raises(InputError, match="cannot be read"):
        load_pipeline(tmp_path / "nothing.yaml")


def test_values_are_replaced_by_place(write):
    pipeline = load_pipeline(write(MINIMAL), ("stages.0.steps=7", "baseline=eqt-original"))
    assert pipeline.stages[0].steps == 7
    assert pipeline.baseline == "eqt-original"


@pytest.mark.parametrize(
    ("assignment", "expected"),
    [
        ("stages.2.steps=7", "It holds 0, 1"),
        ("stage.0.steps=7", "no 'stage'"),
        ("name.x=7", "It holds nothing"),
        ("stages.0.steps", "PLACE=VALUE"),
        ("=7", "PLACE=VALUE"),
        ("stages.0.steps=[", "not valid YAML"),
        ("stages.0.setps=7", "Did you mean 'steps'?"),
    ],
)
def test_replacements_that_fit_nowhere_are_refused(assignment, expected, write):
    with pytest.raises(InputError) as caught:
        load_pipeline(write(MINIMAL), (assignment,))
    assert expected in str(caught.value)


def test_schema_describes_every_key():
    schema = Pipeline.model_json_schema()

    def described(key):
        referenced = schema["$defs"].get(key.get("$ref", "").rsplit("/", 1)[-1], {})
        return "description" in key or "description" in referenced

    undescribed = [
        f"{definition.get('title')}.{name}"
        for definition in [schema, *schema["$defs"].values()]
        for name, key in definition.get("properties", {}).items()
        if not described(key) and name != "kind"
    ]
    assert undescribed == []


def test_pipeline_survives_its_own_dump(write):
    pipeline = load_pipeline(write(MINIMAL))
    dumped = yaml.safe_dump(pipeline.model_dump(mode="json"))
    assert Pipeline.model_validate(yaml.safe_load(dumped)) == pipeline
