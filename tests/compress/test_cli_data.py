"""`compress data show` as a user meets it."""

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from compress.data.augmentation import Augmentation, S
from compress.data.show import DRAWS, draw_examples, open_shown
from compress.data.synthetic import SyntheticSource

PIPELINE = Path(__file__).parents[2] / "pipeline.yaml"
DEVELOPMENT_DATA = Path(__file__).parents[3] / "shared" / "data" / "labelled"


def test_the_default_pipeline_is_drawn(run_cli, tmp_path):
    picture = tmp_path / "data.png"
    code, printed = run_cli("data", "show", PIPELINE, "--output", picture, "--seed", 3)
    assert code == 0, printed
    assert str(picture) in printed
    assert "synthetic:" in printed
    pixels = matplotlib.image.imread(picture)
    assert pixels.shape[0] > pixels.shape[1] > 1000
    assert pixels[..., :3].std() > 0.05


@pytest.mark.development_data
def test_a_folder_of_records_is_drawn(run_cli, tmp_path):
    if not DEVELOPMENT_DATA.is_dir():
        pytest.skip("the development data are not here")
    picture = tmp_path / "data.png"
    code, printed = run_cli("data", "show", DEVELOPMENT_DATA, "--output", picture, "--record", 0)
    assert code == 0, printed
    assert picture.is_file()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere"], "there is no such file or folder"),
        ([PIPELINE, "--record", 10**9], "the data hold"),
        ([PIPELINE, "--output", "no/where/data.png"], "there is no folder"),
        ([Path(__file__).parents[2] / "pipelines" / "pruned.yaml"], "no stage of kind distill"),
        ([Path(__file__).parent], "holds no data set"),
    ],
)
def test_what_cannot_be_drawn_is_said(run_cli, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    code, printed = run_cli("data", "show", *arguments)
    assert code == 2, printed
    assert said in " ".join(printed.split())
    assert not list(tmp_path.iterdir())


def test_the_augmentation_of_the_pipeline_is_shown(tmp_path):
    text = PIPELINE.read_text()
    assert text.count("gap: {probability: 0}\n") == 1
    file = tmp_path / "pipeline.yaml"
    file.write_text(text.replace("gap: {probability: 0}", "gap: {probability: 0.25}"))
    source, augmentation = open_shown(file)
    assert augmentation.gap.probability == 0.25
    assert len(source) > 0


def test_examples_share_their_place_and_repeat_by_seed():
    source = SyntheticSource(30, seed=9)
    first, second = (draw_examples(source, Augmentation(), seed=4) for _ in range(2))
    assert first.record == second.record
    assert first.original[1][300:-300, S].max() > 0.9
    assert len(first.changed) == len(Augmentation.model_fields) + 1
    for title, windows in first.changed.items():
        assert len(windows) == DRAWS
        for own, other in zip(windows, second.changed[title], strict=True):
            np.testing.assert_array_equal(own[0], other[0])
        if title.startswith(("rotation", "sign", "gain", "clip", "drop", "filter")):
            np.testing.assert_array_equal(windows[0][1], first.original[1])


def test_titles_say_what_the_records_cannot_give():
    noise = draw_examples(SyntheticSource(5, seed=9, noise_fraction=1.0), Augmentation())
    assert any("no earthquake to add" in title for title in noise.changed)
    events = draw_examples(SyntheticSource(5, seed=9, noise_fraction=0.0), Augmentation())
    assert any("no noise to add" in title for title in events.changed)
