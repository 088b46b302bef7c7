"""Hard negatives: windows without an earthquake on which the student fires, and no others."""

from dataclasses import replace

import h5py
import numpy as np
import pytest

from baseline.contract import DETECTION, P, S
from compress.data.augmentation import Augmentation
from compress.data.feeds import Draw, TargetFeed
from compress.data.synthetic import SyntheticSource
from compress.data.targets import QUIET, label_target, write_targets
from compress.training.hard_negatives import kept_or_mined, mine
from compress.training.settings import HardNegatives

SETTINGS = HardNegatives(candidates=100, threshold=0.4)


def labels_of(source):
    """Asks somebody who knows every onset."""
    known = {}
    for index in range(len(source)):
        record = source[index]
        known[record.waveform.tobytes()] = label_target(record, len(record.waveform))
    return lambda waveforms, random: [known[waveform.tobytes()] for waveform in waveforms]


@pytest.fixture(scope="module")
def feed(tmp_path_factory):
    """Twenty records, about half of them noise."""
    from rich.progress import Progress

    source = SyntheticSource(20, seed=4, noise_fraction=0.5)
    path = tmp_path_factory.mktemp("feed") / "targets.h5"
    progress = Progress(disable=True)
    write_targets(path, labels_of(source), source, number=20, seed=0, progress=progress)
    return TargetFeed(path, 4, 1, Augmentation.none())


def firing(windows, output=P, probability=0.5):
    """A student that fires in one output on windows whose last east sample is positive."""
    answer = np.zeros_like(windows)
    answer[windows[:, -1, 0] > 0, 1234, output] = probability
    return answer


@pytest.mark.parametrize("output", [P, S])
def test_windows_are_found_on_which_the_student_fires(feed, output):
    found = mine(lambda windows: firing(windows, output), feed, SETTINGS, 1)
    candidates = feed.quiet_draws(100, 1)
    fires = feed.windows(candidates)[0][:, -1, 0] > 0
    assert found == [draw for draw, hard in zip(candidates, fires, strict=True) if hard]
    assert 20 < len(found) < 80
    windows, targets = feed.windows(found)
    assert (windows[:, -1, 0] > 0).all()
    assert targets.max() == 0.0


def test_a_detection_alone_or_less_than_the_threshold_is_not_hard(feed):
    assert mine(lambda windows: firing(windows, DETECTION), feed, SETTINGS, 1) == []
    assert mine(lambda windows: firing(windows, P, 0.39), feed, SETTINGS, 1) == []
    assert len(mine(lambda windows: firing(windows, P, 0.41), feed, SETTINGS, 1)) > 20


def test_each_search_tries_other_windows(feed):
    one, other = (set(mine(np.ones_like, feed, SETTINGS, round_)) for round_ in (1, 2))
    assert len(one) == len(other) == 100
    assert not one & other


def test_no_window_with_a_superposed_earthquake_is_taken(feed):
    superposing = Augmentation().only("second_event")
    often = replace(feed, augmentation=superposing)
    assert mine(np.ones_like, often, SETTINGS, 1) == [], "every window holds an earthquake"
    half = superposing.second_event.model_copy(update={"probability": 0.5})
    sometimes = replace(feed, augmentation=superposing.model_copy(update={"second_event": half}))
    found = mine(np.ones_like, sometimes, SETTINGS, 1)
    assert 30 < len(found) < 70
    assert sometimes.windows(found)[1].max() < QUIET


def test_records_with_earthquakes_are_never_tried(feed):
    with h5py.File(feed.path) as file:
        quiet = set(np.flatnonzero(file["quiet"][:]))
    assert 0 < len(quiet) < 20
    assert {draw.record for draw in mine(np.ones_like, feed, SETTINGS, 1)} == quiet


def test_where_no_record_is_quiet_nothing_is_found(tmp_path, progress):
    source = SyntheticSource(2, seed=4, noise_fraction=0.0)
    path = tmp_path / "targets.h5"
    write_targets(path, labels_of(source), source, number=2, seed=0, progress=progress)

    def predict(windows):
        raise AssertionError("there is nothing to try")

    assert mine(predict, TargetFeed(path, 2, 0), SETTINGS, 1) == []


def test_what_was_found_is_kept_and_not_looked_for_again(tmp_path):
    path = tmp_path / "hard-negatives-1.json"
    found = [Draw(3, 2**62 - 1), Draw(0, 5)]
    assert kept_or_mined(path, lambda: found) == found

    def search():
        raise AssertionError("looked again")

    assert kept_or_mined(path, search) == found
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


def test_an_interrupted_search_keeps_nothing(tmp_path):
    path = tmp_path / "hard-negatives-1.json"

    def search():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        kept_or_mined(path, search)
    assert list(tmp_path.iterdir()) == []
    assert kept_or_mined(path, list) == []
