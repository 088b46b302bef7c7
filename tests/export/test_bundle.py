import json

import pytest

from baseline.errors import InputError
from export.bundle import METADATA_FILE, read_bundle, write_bundle
from export.convert import Format, Precision

METADATA = {
    "format": Format.TFLITE,
    "precision": Precision.INT8,
    "thresholds": {"detection": 0.3, "p": 0.1, "s": 0.1},
    "parity": {"windows": 64, "maximum_difference": 0.01, "rms_difference": 0.001},
    "metrics": {
        "p_f1_0.5s": {"point": 0.98, "lower": 0.97, "upper": 0.99},
        "s_residual_mae_s": {"point": None, "lower": None, "upper": None},
    },
    "provenance": {"baseline": "eqt-conservative"},
    "licence": "MIT",
    "citation": "Mousavi et al. (2020)",
}


@pytest.fixture
def bundle(tmp_path):
    model = tmp_path / "converted.tflite"
    model.write_bytes(b"flatbuffer")
    write_bundle(tmp_path / "bundle", model, METADATA, "small")
    return tmp_path / "bundle"


def test_bundle_comes_back(bundle):
    metadata, model = read_bundle(bundle)
    assert model.read_bytes() == b"flatbuffer"
    assert metadata.name == "small"
    assert metadata.bytes == len(b"flatbuffer")
    assert (metadata.sampling_rate_hz, metadata.window_samples) == (100.0, 6000)
    assert (metadata.component_order, metadata.output_order) == ("ENZ", ("detection", "p", "s"))


def test_model_card_tells_what_a_user_must_know(bundle):
    card = (bundle / "README.md").read_text()
    for text in ("int8", "100 Hz", "E, N, Z", "0.98 (0.97 to 0.99)", "not measurable", "MIT"):
        assert text in card


def test_bundle_is_replaced_whole(bundle, tmp_path):
    model = tmp_path / "other.tflite"
    model.write_bytes(b"another")
    write_bundle(bundle, model, METADATA, "other")
    assert read_bundle(bundle)[0].name == "other"
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "bundle",
        "converted.tflite",
        "other.tflite",
    ]


def test_folder_that_is_no_bundle_is_not_replaced(tmp_path):
    model = tmp_path / "converted.tflite"
    model.write_bytes(b"flatbuffer")
    precious = tmp_path / "home"
    precious.mkdir()
    (precious / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is no bundle"):
        write_bundle(precious, model, METADATA, "small")
    assert (precious / "thesis.tex").read_text() == "years of work"


def alter(bundle, **values):
    path = bundle / METADATA_FILE
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_altered_model_is_refused(bundle):
    (bundle / "model.tflite").write_bytes(b"flatbuffeR")
    with pytest.raises(InputError, match="SHA-256"):
        read_bundle(bundle)


@pytest.mark.parametrize("file", ["../../etc/passwd", "/etc/passwd", "sub/model.tflite"])
def test_model_outside_the_bundle_is_refused(file, bundle):
    alter(bundle, file=file)
    with pytest.raises(InputError, match="where a bundle of tflite has model"):
        read_bundle(bundle)


def test_damaged_metadata_are_refused(bundle):
    alter(bundle, unknown=1)
    with pytest.raises(InputError, match="unknown"):
        read_bundle(bundle)
    (bundle / METADATA_FILE).write_bytes(b"\xff")
    with pytest.raises(InputError, match="UTF-8"):
        read_bundle(bundle)
    (bundle / METADATA_FILE).unlink()
    with pytest.raises(InputError, match="not a bundle"):
        read_bundle(bundle)


def test_missing_model_is_said(bundle):
    (bundle / "model.tflite").unlink()
    with pytest.raises(InputError, match="missing"):
        read_bundle(bundle)
