"""Models of two runtimes timed side by side, and what a fresh process needs for one window."""

import json
import resource
import subprocess
import sys

import numpy as np
import pytest
import small_models

from baseline.checkpoint import save_keras
from baseline.errors import InputError
from compress.evaluation import footprint as footprint_module
from compress.evaluation.bench import bench
from compress.evaluation.footprint import footprint
from compress.evaluation.threads import load_with_threads
from export.writers.onnx import write_onnx
from export.writers.tflite import write_tflite


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """One small student as `.keras`, `.tflite` and `.onnx`."""
    folder = tmp_path_factory.mktemp("models")
    model = small_models.student()
    save_keras(model, folder / "model.keras")
    (folder / "model.tflite").write_bytes(write_tflite(model))
    (folder / "model.onnx").write_bytes(write_onnx(model))
    return folder


@pytest.fixture
def one_start(monkeypatch):
    """One fresh process per model instead of three: enough where the figures do not matter."""
    monkeypatch.setattr(footprint_module, "STARTS", 1)


def fresh(program):
    """What a program prints in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_two_runtimes_are_timed_against_a_third_model(models, one_start):
    tflite, onnx = str(models / "model.tflite"), str(models / "model.onnx")
    said = []
    document = bench([onnx, tflite], against=tflite, pairs=6, announce=said.append)

    assert json.loads(json.dumps(document, allow_nan=False)) == document
    assert document["reference"]["name"] == tflite
    assert [row["name"] for row in document["models"]] == [onnx, tflite]
    for row in document["models"]:
        latency = row["latency"]
        assert latency["pairs"] == 6
        assert latency["lower"] <= latency["ratio"] <= latency["upper"]
        assert row["windows_per_second"] == pytest.approx(1e3 / latency["candidate_ms"])
        assert row["footprint"]["startup_s"] > 0.0
    assert document["machine"]["cores"] >= 1
    assert {"tensorflow", "onnxruntime", "ai-edge-litert"} < set(document["versions"])
    # What was measured of a file once is not measured again for its second row.
    assert document["models"][1]["footprint"] == document["reference"]["footprint"]
    assert sum("memory" in text for text in said) == 2
    assert sum(text.startswith("time ") for text in said) == 2


def test_the_first_model_is_the_reference(models, one_start):
    tflite, onnx = str(models / "model.tflite"), str(models / "model.onnx")
    document = bench([tflite, onnx], pairs=6)
    assert document["reference"]["name"] == tflite
    assert [row["name"] for row in document["models"]] == [onnx]


def test_a_model_alone_is_timed_against_itself(models, one_start):
    tflite = str(models / "model.tflite")
    document = bench([tflite], pairs=30)
    (row,) = document["models"]
    assert row["name"] == document["reference"]["name"] == tflite
    assert 0.5 < row["latency"]["ratio"] < 2.0


def test_a_batch_takes_longer_and_counts_in_windows(models, one_start):
    onnx = str(models / "model.onnx")
    one = bench([onnx], pairs=12)["models"][0]
    many = bench([onnx], pairs=12, batch=16)["models"][0]
    assert many["latency"]["candidate_ms"] > 3.0 * one["latency"]["candidate_ms"]
    assert many["windows_per_second"] == pytest.approx(16e3 / many["latency"]["candidate_ms"])


def test_unknown_and_broken_models_are_refused_before_anything_is_timed(models, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"not a model at all")
    with pytest.raises(InputError, match="no file or folder"):
        bench([str(models / "model.onnx")], against=str(tmp_path / "nothing"))
    with pytest.raises(InputError, match=r"broken\.onnx"):
        bench([str(models / "model.onnx"), str(broken)], announce=lambda text: None)


@pytest.mark.parametrize("name", ["model.tflite", "model.onnx"])
def test_the_footprint_is_that_of_a_small_process(name, models):
    # This process is larger than any that runs an exported model, and its peak must not be
    # inherited: ru_maxrss would be.
    ballast = np.ones(300 * 2**20, np.uint8)
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    measured = footprint(models / name)
    assert ballast[0] == 1
    assert 10e6 < measured.peak_bytes < min(own, 250e6)
    assert 0 < measured.above_python_bytes < measured.peak_bytes
    assert 0.0 < measured.startup_s < 60.0


def test_exported_models_need_no_tensorflow(models):
    for name in ("model.tflite", "model.onnx"):
        fresh(
            "import sys\n"
            "from compress.evaluation.footprint_worker import main\n"
            f"main({str(models / name)!r}, '1')\n"
            "loaded = {'tensorflow', 'tf_keras', 'pandas', 'scipy'} & set(sys.modules)\n"
            "assert not loaded, loaded\n"
        )


def test_tensorflow_takes_the_declared_threads(models):
    said = fresh(
        "from pathlib import Path\n"
        "import numpy as np\n"
        "from compress.evaluation.threads import load_with_threads\n"
        f"path = Path({str(models / 'model.keras')!r})\n"
        "load_with_threads(path, 2)(np.zeros((1, 6000, 3), np.float32))\n"
        "load_with_threads(path, 2)\n"
        "from baseline.keras import tf\n"
        "threading = tf.config.threading\n"
        "print(threading.get_intra_op_parallelism_threads())\n"
        "print(threading.get_inter_op_parallelism_threads())\n"
        "try:\n    load_with_threads(path, 1)\n"
        "except RuntimeError:\n    print('too late')\n"
    )
    assert said.split("\n")[-4:-1] == ["2", "1", "too late"]


def test_threads_of_exported_models_are_their_own(models):
    window = np.zeros((1, 6000, 3), np.float32)
    for name in ("model.tflite", "model.onnx"):
        one, two = (load_with_threads(models / name, threads) for threads in (1, 2))
        np.testing.assert_allclose(one(window), two(window), atol=1e-5)
