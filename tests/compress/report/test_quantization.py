"""The table and the picture of what int8 costs each layer."""

import json

import numpy as np
import small_models
from matplotlib.image import imread

from baseline.checkpoint import save_keras


def test_command_ranks_layers_and_draws_them(run_cli, tmp_path):
    save_keras(small_models.uneven(), tmp_path / "model.keras")
    code, printed = run_cli(
        "quantization",
        tmp_path / "model.keras",
        "--json",
        tmp_path / "layers.json",
        "--plot",
        tmp_path / "layers.png",
    )
    assert code == 0, printed
    document = json.loads((tmp_path / "layers.json").read_text())
    assert {one["layer"] for one in document["layers"][:2]} == {"wide", "last"}
    assert printed.index("wide") < printed.index("sigmoid")
    picture = imread(tmp_path / "layers.png")
    assert picture.shape[0] > 500
    assert np.ptp(picture[..., :3]) > 0.9


def test_what_cannot_be_asked_for_is_refused(run_cli, tmp_path):
    code, printed = run_cli("quantization", "eqt-conservative", "--ranges", "entropy")
    assert code == 2
    assert "Known: extremes, searched" in printed
    code, printed = run_cli("quantization", tmp_path / "none.keras")
    assert code == 2
    code, printed = run_cli("quantization", "x", "--plot", tmp_path / "no" / "a.png")
    assert code == 2
    assert "there is no folder" in printed
