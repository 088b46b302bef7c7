"""Exports by hand: what a run made, in several formats at once, and C source of what is int8."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import small_models
import stored_models as made

from baseline.checkpoint import save_keras
from baseline.errors import InputError
from compress.config import Pipeline
from compress.data.calibration import calibration_windows
from compress.data.synthetic import SyntheticSource
from compress.exporting import BY_HAND, Product, export_models
from compress.measurements import read_stored
from compress.models import find
from compress.store import file_hash
from export.bundle import read_bundle
from export.convert import Format, Int8, Precision, convert
from export.ends import read_ends
from export.runtimes import load_runner
from export.verify import Outcome, verify

RELEASED = Path(__file__).parents[2] / "artifacts" / "released"
STUDENT = RELEASED / "student-small-tflite-int8"
THRESHOLDS = {"detection": 0.25, "p": 0.15, "s": 0.125}


@dataclass(frozen=True)
class Run:
    """A run's folder, and those of its stages."""

    folder: Path
    distilled: Path
    quantized: Path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of a distilled model that was quantized on windows of its own."""
    folder = made.run_folder(
        tmp_path_factory.mktemp("runs") / "run",
        dict.fromkeys(("0-baseline", "1-distill", "2-quantize"), 0),
    )
    document = json.loads((folder / "results.json").read_text())
    pipeline = Pipeline.model_validate(
        {
            "version": 1,
            "name": "tiny",
            "seed": 6,
            "output": folder,
            "baseline": "eqt-original",
            "data": {
                name: [{"kind": "synthetic", "records": 20, "seed": seed}]
                for seed, name in enumerate(("train", "calibration", "evaluation"))
            },
            "evaluation": {"thresholds": THRESHOLDS, "placements": 2, "seed": 0},
            "stages": [{"kind": "distill"}, {"kind": "quantize", "windows": 16}],
        }
    )
    document["pipeline"] = pipeline.model_dump(mode="json", exclude={"output"})
    stages = []
    for row in document["models"]:
        stage = folder / "stages" / f"{row['label']}-abc"
        stage.mkdir(parents=True)
        row["folder"] = stage.name
        save_keras(small_models.brief(), stage / "model.keras")
        (stage / "manifest.json").write_text("{}")
        stages.append(stage)
    (folder / "results.json").write_text(json.dumps(document))
    _, distilled, quantized = stages
    convert(distilled / "model.keras", distilled / "model.tflite", Format.TFLITE)
    # Not as exports calibrate: the file is another than a new conversion would be.
    windows = 0.5 * calibration_windows(SyntheticSource(16, 9), 16, 9)
    convert(
        quantized / "model.keras",
        quantized / "model.tflite",
        Format.TFLITE,
        Precision.INT8,
        windows,
    )
    return Run(folder, distilled, quantized)


@pytest.fixture
def export(progress):
    """Exports a model: what was written, by folder."""

    def write(name, *products, precision=None, output=None, calibration=None, **int8):
        return export_models(
            str(name), products, precision, output, calibration, progress, Int8(**int8)
        )

    return write


@pytest.fixture(scope="module")
def exported(run):
    """The run's last stage in three formats, where they go by themselves."""
    from rich.progress import Progress

    return export_models(str(run.folder), tuple(Product), None, None, None, Progress(disable=True))


def test_a_run_is_exported_to_every_format_at_once(run, exported):
    folder = run.folder / BY_HAND
    assert list(exported) == [
        folder / f"tiny-2-quantize-{product}-int8" for product in ("tflite", "onnx", "c")
    ]
    for path, metadata in exported.items():
        assert read_bundle(path)[0] == metadata
        assert verify(path).outcome is Outcome.PASS
        assert metadata.precision is Precision.INT8
        assert metadata.thresholds == THRESHOLDS
        assert metadata.provenance["baseline"] == "eqt-original"
        assert [one["kind"] for one in metadata.provenance["stages"]] == ["distill", "quantize"]
        assert metadata.provenance["data_fingerprints"]["evaluation"] == made.FINGERPRINT
        assert 0 < metadata.parity["rms_difference"] < 0.2


def test_tflite_of_a_quantized_stage_is_its_own_file_with_what_was_measured(run, exported):
    own, onnx, source = exported
    assert (own / "model.tflite").read_bytes() == (run.quantized / "model.tflite").read_bytes()
    stored = read_stored(str(own))
    counts = read_stored(f"{run.folder}#2-quantize").measured.counts
    assert (stored.measured.counts.values == counts.values).all()
    metrics = exported[own].metrics
    assert metrics["p_f1_0.5s"]["point"] == 1.0
    assert exported[source].metrics == metrics
    assert exported[onnx].metrics == {}
    for other in (onnx, source):
        assert exported[other].counts_sha256 is None


def test_c_source_of_a_quantized_stage_answers_as_its_own_file(run, exported, windows):
    *_, source = exported
    content = (source / "model.tflite").read_bytes()
    assert all(end.integer for end in read_ends(content))
    assert exported[source].input.startswith("waveform, int8 (1, 6000, 3)")
    assert (source / "model.c").is_file()
    ours, own = (load_runner(one / "model.tflite")(windows[:4]) for one in (source, run.quantized))
    # A sample half-way between two integers may become either.
    assert np.mean(ours != own) < 1e-3


def test_the_same_model_calibrated_anew_is_another_file(run, export, tmp_path):
    (bundle,) = export(run.folder, Product.TFLITE, output=tmp_path / "one", float_layers=("first",))
    assert (bundle / "model.tflite").read_bytes() != (run.quantized / "model.tflite").read_bytes()


def test_label_chooses_a_stage_and_its_precision(run, export, tmp_path):
    (bundle,) = made_now = export(f"{run.folder}#1-distill", Product.TFLITE, output=tmp_path / "b")
    assert bundle == tmp_path / "b"
    metadata = made_now[bundle]
    assert metadata.precision is Precision.FLOAT32
    assert metadata.name == "tiny-1-distill"
    assert (bundle / "model.tflite").read_bytes() == (run.distilled / "model.tflite").read_bytes()
    assert [stage["kind"] for stage in metadata.provenance["stages"]] == ["distill"]


def test_folder_of_a_quantized_stage_stands_for_its_own_file(run, export, tmp_path):
    bundles = export(
        run.quantized, Product.TFLITE, precision=Precision.INT8, output=tmp_path / "bundle"
    )
    (metadata,) = bundles.values()
    assert metadata.sha256 == file_hash(run.quantized / "model.tflite")


REFUSED = {
    "float C source": ((Product.C,), {"precision": Precision.FLOAT16}, "written in int8 only"),
    "a precision that one lacks": (
        (Product.TFLITE, Product.ONNX),
        {"precision": Precision.FLOAT16},
        "onnx is not written in float16",
    ),
    "loops in onnx": ((Product.ONNX,), {"loops": True}, "loops, integer ends and corrected"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_nothing_is_begun_where_one_cannot_be_had(what, run, export, tmp_path):
    products, options, said = REFUSED[what]
    with pytest.raises(InputError, match=said):
        export(run.folder, *products, output=tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_model_that_no_run_made_needs_a_folder(run, export, tmp_path):
    with pytest.raises(InputError, match="where should the export go"):
        export(run.distilled, Product.TFLITE)
    (tmp_path / "notes").write_text("mine")
    for place in (tmp_path, tmp_path / "notes"):
        with pytest.raises(InputError, match="exists and is no bundle"):
            export(run.distilled, Product.TFLITE, output=place)
    assert (tmp_path / "notes").read_text() == "mine"


def test_calibration_set_that_is_gone_is_said(run, export, tmp_path):
    document = json.loads((run.folder / "results.json").read_text())
    gone = {"kind": "seisbench", "folder": str(tmp_path / "gone")}
    document["pipeline"]["data"]["calibration"] = [gone]
    copy = tmp_path / "copy"
    copy.mkdir()
    (copy / "stages").symlink_to(run.folder / "stages")
    (copy / "results.json").write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"calibration set of .* cannot be used") as caught:
        export(copy, Product.ONNX)
    assert "--calibration" in caught.value.hint
    export(copy, Product.TFLITE)  # which is there already


# --- C source of files that are there already ----------------------------------------------------


def test_released_bundle_is_wrapped_as_it_is(export, tmp_path):
    ((bundle, metadata),) = export(STUDENT, Product.C, output=tmp_path / "bundle").items()
    given, model = read_bundle(STUDENT)
    assert (bundle / "model.tflite").read_bytes() == model.read_bytes()
    assert metadata.given() == given.given() | {"c_source": True}
    assert metadata.name == "student-small"
    assert "EQT_INPUT_IS_INT8 0" in (bundle / "model.h").read_text()
    assert find(str(bundle)).thresholds.model_dump() == given.thresholds


def test_integer_ends_are_cut_free_without_a_conversion(export, tmp_path, windows):
    ((bundle, metadata),) = export(
        STUDENT, Product.C, output=tmp_path / "bundle", integer_ends=True
    ).items()
    assert "int8" in metadata.input
    assert "int8" in metadata.output
    assert "EQT_INPUT_IS_INT8 1" in (bundle / "model.h").read_text()
    ours, theirs = (load_runner(one / "model.tflite")(windows[:4]) for one in (bundle, STUDENT))
    assert np.sqrt(np.mean((ours - theirs) ** 2)) < 0.005


def test_file_alone_has_no_parity_to_tell_of(export, tmp_path):
    ((bundle, metadata),) = export(
        STUDENT / "model.tflite", Product.C, output=tmp_path / "bundle"
    ).items()
    assert metadata.parity is None
    assert metadata.provenance["sha256"] == file_hash(STUDENT / "model.tflite")
    assert "not measured: only the exported file was at hand" in (bundle / "README.md").read_text()
    assert verify(bundle).outcome is Outcome.PASS


def test_what_cannot_be_wrapped_is_said(export, run, tmp_path):
    def refused(said, name, *products, **options):
        with pytest.raises(InputError, match=said):
            export(name, *products, output=tmp_path / "out", **options)

    refused("does not compute in int8", RELEASED / "student-small-tflite-float32", Product.C)
    refused("cannot be exported again", RELEASED / "student-small-onnx-int8", Product.C)
    refused("cannot be exported again", STUDENT, Product.C, Product.ONNX)
    refused("is converted already", STUDENT, Product.C, calibration=tmp_path)
    refused("is converted already", STUDENT, Product.C, float_layers=("first",))
    assert not (tmp_path / "out").exists()


def test_float_layer_at_an_end_cannot_be_cut_free(export, run, tmp_path):
    (plain,) = export(
        run.distilled, Product.TFLITE, precision=Precision.INT8, output=tmp_path / "plain",
        float_layers=("first",),
    )  # fmt: skip
    with pytest.raises(InputError, match="cannot both be int8"):
        export(plain, Product.C, output=tmp_path / "again", integer_ends=True)
    assert not (tmp_path / "again").exists()


def test_command_tells_of_every_bundle(run_cli, run, exported, tmp_path):
    code, output = run_cli(
        "export", run.folder, "--format", "tflite", "--format", "c", "--output", tmp_path / "out"
    )
    assert code == 0, output
    assert output.count("64 windows in sequence") == 2
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "tiny-2-quantize-tflite-int8",
        "tiny-2-quantize-c-int8",
    }
    code, output = run_cli(
        "export", STUDENT / "model.tflite", "--format", "c", "--output", tmp_path / "c"
    )
    assert code == 0, output
    assert "not compared with the Keras model" in output
    code, output = run_cli("export", run.folder, "--format", "tflite", "--format", "rust")
    assert code == 2
    assert "Known: tflite, onnx, c." in output
