"""What the base install is enough for: the dependencies without the extra `train`, nothing else."""

import re
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import finished_run
import numpy as np
import pytest
import stored_models
from environments import importable, run_in, site_packages
from hand_made import write_seisbench

from baseline.errors import InputError
from baseline.extras import TRAIN, require_train

ROOT = Path(__file__).parents[1]
RELEASED = ROOT / "artifacts" / "released"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def compress(tmp_path_factory):
    """Runs a command where only the base dependencies are: exit code and everything printed."""
    site = site_packages(tmp_path_factory.mktemp("base") / "site", PROJECT["dependencies"])
    assert importable(site, [*TRAIN, "compress"]) == {"sqlalchemy"}  # obspy brings it along

    def run(*arguments):
        program = "from compress.cli import main; main()"
        done = run_in(site, program, *arguments, path=[ROOT])
        return done.returncode, " ".join((done.stdout + done.stderr).split())

    return run


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Four earthquakes and two noise records."""
    onsets = [2000.0, 2100.0, 2200.0, 2300.0, np.nan, np.nan]
    names = {f"test_{i}": onset for i, onset in enumerate(onsets)}
    return write_seisbench(tmp_path_factory.mktemp("data"), names)


def test_help_starts(compress):
    code, printed = compress("--help")
    assert code == 0, printed
    assert "verify" in printed


@pytest.mark.parametrize("bundle", ["student-tflite-int8", "student-onnx-float32"])
def test_bundles_are_verified_and_inspected(bundle, compress):
    code, printed = compress("verify", RELEASED / bundle)
    assert code == 0, printed
    assert re.search("answers . pass", printed)
    code, printed = compress("inspect", RELEASED / bundle)
    assert code == 0, printed
    assert "No loops." in printed


def test_a_bundle_is_evaluated(compress, data):
    bundle = RELEASED / "student-small-onnx-float32"
    code, printed = compress("evaluate", bundle, "--data", data, "--placements", 1)
    assert code == 0, printed
    assert "6 labelled records" in printed


def test_measurements_are_gated(compress, tmp_path):
    same = stored_models.reference_file(tmp_path / "same.json")
    code, printed = compress("gate", same, "--against", same)
    assert code == 0, printed


def test_a_run_is_reported(compress, tmp_path):
    results = finished_run.results()
    for row in results["models"]:  # whose pictures take the time
        for key in ("curves", "reliability", "strata"):
            del row[key]
    run = finished_run.folder(tmp_path / "run", results, number=1)
    code, printed = compress("report", run)
    assert code == 0, printed
    assert (run / "report.html").is_file()


@pytest.mark.parametrize(
    "arguments",
    [
        ("run", ROOT / "pipeline.yaml", "--set", "output={folder}"),
        ("export", RELEASED / "student.keras", "--output", "{folder}"),
        ("tune", ROOT / "pipelines" / "tune.yaml", "--output", "{folder}"),
        ("evaluate", RELEASED / "student.keras"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_what_needs_the_extra_says_how_to_get_it(arguments, compress, tmp_path):
    folder = tmp_path / "made"
    code, printed = compress(*(str(each).format(folder=folder) for each in arguments))
    assert code == 2, printed
    assert "Traceback" not in printed
    assert "tensorflow" in printed
    assert "pip install 'eqt-compress[train]'" in printed
    assert not folder.exists()


def test_the_extra_is_what_is_looked_for():
    names = [re.match(r"[\w-]+", each)[0] for each in PROJECT["optional-dependencies"]["train"]]
    found = packages_distributions()
    assert sorted(found[module][0].lower().replace("_", "-") for module in TRAIN) == sorted(names)
    assert "eqt-compress[train]" in PROJECT["optional-dependencies"]["dev"]


def test_missing_modules_are_named():
    require_train()
    with pytest.raises(InputError, match="no_such_module, which is not installed"):
        require_train("sympy", "no_such_module")
