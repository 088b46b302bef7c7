"""Training data: consensus targets and batches that do not depend on where training resumed."""

import h5py
import numpy as np
import pytest

from compress.data.feeds import TargetFeed, consensus, random_windows, write_targets
from compress.data.records import Category
from compress.data.synthetic import SyntheticSource


def position_blind(windows):
    """A teacher whose answer at a sample depends on the waveform there alone."""
    return np.tanh(np.abs(windows))


def biased(windows):
    """A teacher that answers 1 in the first half of its window, and 0 in the second."""
    answer = np.zeros_like(windows)
    answer[:, :3000] = 1.0
    return answer


@pytest.mark.parametrize("samples", [6000, 6100, 9000, 15_000])
@pytest.mark.parametrize("shifts", [4, 7])
def test_consensus_covers_the_record_and_keeps_probabilities(samples, shifts):
    waveform = np.random.default_rng(0).normal(size=(samples, 3)).astype(np.float32)
    (target,) = consensus(
        lambda w: np.full_like(w, 0.25), [waveform], shifts, np.random.default_rng(1)
    )
    assert target.shape == (samples, 3)
    np.testing.assert_allclose(target, 0.25, rtol=1e-5)


def test_consensus_averages_what_depends_on_the_place_in_the_window():
    waveform = np.random.default_rng(0).normal(size=(9000, 3)).astype(np.float32)
    (target,) = consensus(biased, [waveform], 13, np.random.default_rng(1))
    middle = target[4000:5000].mean()
    assert 0.2 < middle < 0.8


def test_consensus_of_a_teacher_blind_to_place_is_its_answer():
    impulses = [np.zeros((samples, 3), dtype=np.float32) for samples in (9000, 7000)]
    impulses[0][4321] = impulses[1][1234] = 1000.0
    targets = consensus(position_blind, impulses, 5, np.random.default_rng(1))
    for target, place in zip(targets, (4321, 1234), strict=True):
        assert (target.argmax(axis=0) == place).all()
        assert target[place].min() > 0.9


@pytest.fixture
def targets(tmp_path, progress):
    path = tmp_path / "targets.h5"
    source = SyntheticSource(12, seed=5, noise_fraction=0.5)
    write_targets(
        path, position_blind, source, number=8, shifts=3, seed=0, progress=progress
    )  # fmt: skip
    return path, source


def test_noise_is_taught_as_silence(targets):
    path, source = targets
    noise = {
        source[i].waveform.tobytes()
        for i, category in enumerate(source.categories())
        if category is Category.NOISE
    }
    with h5py.File(path) as file:
        assert len(file) == 8
        silent = {
            bool(group["target"][:].max() == 0.0)
            == (np.asarray(group["waveform"]).tobytes() in noise)
            for group in file.values()
        }
    assert silent == {True}


def test_finished_targets_are_not_asked_for_again(targets, progress):
    path, source = targets

    def teacher(windows):
        raise AssertionError("asked again")

    write_targets(path, teacher, source, number=8, shifts=3, seed=0, progress=progress)


def test_interrupted_targets_leave_no_file(tmp_path, progress):
    def teacher(windows):
        raise KeyboardInterrupt

    path = tmp_path / "targets.h5"
    with pytest.raises(KeyboardInterrupt):
        write_targets(
            path, teacher, SyntheticSource(2, 1), number=2, shifts=2, seed=0, progress=progress
        )
    assert not path.exists()


@pytest.mark.parametrize("augmented", [True, False])
def test_batches_do_not_depend_on_where_training_resumed(targets, augmented):
    feed = TargetFeed(targets[0], batch=4, seed=3, augmented=augmented)
    whole = list(feed.batches(0, 5))
    resumed = list(feed.batches(3, 5))
    assert len(whole) == 5
    for (x, y), (again_x, again_y) in zip(whole[3:], resumed, strict=True):
        np.testing.assert_array_equal(x, again_x)
        np.testing.assert_array_equal(y, again_y)
    x, y = whole[0]
    assert x.shape == y.shape == (4, 6000, 3)
    assert x.dtype == y.dtype == np.float32
    assert not np.array_equal(whole[0][0], whole[1][0])


def test_random_windows_use_records_evenly():
    source = SyntheticSource(3, seed=1)
    windows = random_windows(source, 7, seed=0)
    assert windows.shape == (7, 6000, 3)
    np.testing.assert_allclose(windows.mean(axis=1), 0.0, atol=1e-4)
    np.testing.assert_array_equal(windows, random_windows(source, 7, seed=0))
