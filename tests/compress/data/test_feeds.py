"""Training data: batches that depend on the seed and the step alone, and what is taught in them."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import h5py
import numpy as np
import pytest

from compress.data.augmentation import Augmentation
from compress.data.feeds import Draw, TargetFeed, random_windows
from compress.data.mixture import Mixture, Share
from compress.data.records import Category
from compress.data.synthetic import SyntheticSource
from compress.data.targets import QUIET, P, write_targets
from compress.data.teachers import Teacher, ensemble

NOWHERE = Augmentation.none()


def loud_samples(windows):
    """A teacher that finds everything where a sample stands out of its window by far."""
    return (np.abs(windows) > 6.0).astype(np.float32)


def asks(teacher, shifts=1):
    return ensemble([Teacher()], lambda _: teacher, shifts)


@pytest.fixture
def write(tmp_path, progress):
    """Writes the targets of all records of a source; the path of the file."""

    def write_file(source, ask, name="targets.h5"):
        path = tmp_path / name
        write_targets(path, ask, source, number=len(source), seed=0, progress=progress)
        return path

    return write_file


@pytest.fixture
def mixed(write):
    """Targets of twelve synthetic records, half of them noise, as a teacher sees them."""
    return write(SyntheticSource(12, seed=5, noise_fraction=0.5), asks(loud_samples, 3))


def kept(path):
    """Bytes of the waveform and target of each record in a file of targets."""
    with h5py.File(path) as file:
        splits = file["ends"][:-1]
        waveforms, targets = (np.split(file[key][:], splits) for key in ("waveform", "target"))
    return [(w.tobytes(), target) for w, target in zip(waveforms, targets, strict=True)]


# --- Which windows -------------------------------------------------------------------------------


def test_noise_is_taught_as_silence(write):
    source = SyntheticSource(12, seed=5, noise_fraction=0.5)
    path = write(source, asks(np.ones_like))
    noise = {
        source[i].waveform.tobytes()
        for i, category in enumerate(source.categories())
        if category is Category.NOISE
    }
    records = kept(path)
    assert len(records) == 12
    assert all((target.max() == 0.0) == (waveform in noise) for waveform, target in records)


@pytest.mark.parametrize("augmentation", [Augmentation(), NOWHERE])
def test_batches_do_not_depend_on_where_training_resumed(mixed, augmentation):
    feed = TargetFeed(mixed, batch=4, seed=3, augmentation=augmentation)
    whole = list(feed.batches(0, 5))
    resumed = list(replace(feed).batches(3, 5))
    assert len(whole) == 5
    for (x, y), (again_x, again_y) in zip(whole[3:], resumed, strict=True):
        np.testing.assert_array_equal(x, again_x)
        np.testing.assert_array_equal(y, again_y)
    x, y = whole[0]
    assert x.shape == y.shape == (4, 6000, 3)
    assert x.dtype == y.dtype == np.float32
    assert not np.array_equal(whole[0][0], whole[1][0])
    other = replace(feed, seed=4).batch_at(0)[0]
    assert not np.array_equal(other, x)


@pytest.mark.parametrize("on_the_fly", [False, True])
def test_batches_do_not_depend_on_the_thread_or_the_order(write, on_the_fly):
    source = SyntheticSource(12, seed=5, noise_fraction=0.5)
    ask = asks(loud_samples, 2)
    feed = TargetFeed(
        write(source, None if on_the_fly else ask), 3, 3, ask=ask if on_the_fly else None
    )
    steps = list(range(12))
    alone = [feed.batch_at(step) for step in steps]
    shuffled = np.random.default_rng(0).permutation(steps)
    with ThreadPoolExecutor(4) as threads:
        made = dict(zip(shuffled, threads.map(feed.batch_at, shuffled), strict=True))
    for step, (x, y) in zip(steps, alone, strict=True):
        np.testing.assert_array_equal(made[step][0], x)
        np.testing.assert_array_equal(made[step][1], y)


def test_records_are_drawn_as_often_as_their_weights_say(write):
    parts = [SyntheticSource(4, seed=seed, noise_fraction=1.0) for seed in (1, 2)]
    path = write(Mixture(parts, [Share(3.0), Share(1.0)]), None)
    of_first = {parts[0][index].waveform.tobytes() for index in range(4)}
    first = {place for place, (waveform, _) in enumerate(kept(path)) if waveform in of_first}
    drawn = [draw.record for draw in TargetFeed(path, 1, 0).quiet_draws(2000, 0)]
    assert np.mean([record in first for record in drawn]) == pytest.approx(0.75, abs=0.03)
    assert set(drawn) == set(range(8))


# --- Hard negatives ------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_hard_negatives_have_their_share_of_each_batch(mixed, share):
    hard = [Draw(0, 7), Draw(1, 8)]
    feed = TargetFeed(mixed, 40, 3, NOWHERE, hard_negatives=hard, hard_share=share)
    known = {window.tobytes() for window in feed.windows(hard)[0]}
    counts = [
        sum(window.tobytes() in known for window in feed.batch_at(step)[0]) for step in range(5)
    ]
    assert sum(counts) / 200 == pytest.approx(share, abs=0.1)
    if share == 0.3:
        assert min(counts) > 0


def test_no_hard_negatives_change_nothing(mixed):
    feed = TargetFeed(mixed, 4, 3)
    np.testing.assert_array_equal(feed.batch_at(2)[0], replace(feed, hard_share=0.5).batch_at(2)[0])


def test_quiet_draws_are_of_quiet_records_and_new_in_each_round(mixed):
    feed = TargetFeed(mixed, 4, 3)
    with h5py.File(mixed) as file:
        quiet = set(np.flatnonzero(file["quiet"][:]))
    assert 0 < len(quiet) < 12
    rounds = [feed.quiet_draws(100, round_) for round_ in (1, 2)]
    for draws in rounds:
        assert {draw.record for draw in draws} == quiet
        assert len({draw.chance for draw in draws}) == 100
    assert not {draw.chance for draw in rounds[0]} & {draw.chance for draw in rounds[1]}
    assert rounds[0] == feed.quiet_draws(100, 1)


def test_where_nothing_is_quiet_there_are_no_quiet_draws(write):
    path = write(SyntheticSource(3, seed=1, noise_fraction=0.0), asks(np.ones_like))
    assert TargetFeed(path, 2, 0).quiet_draws(10, 1) == []


# --- Asking the teacher on the fly ---------------------------------------------------------------


def labelled(records, seed, label_weight):
    source = SyntheticSource(records, seed=seed, noise_fraction=0.3)
    return Mixture([source], [Share(None, (label_weight,) * 3)])


def test_cached_and_on_the_fly_agree_where_nothing_changes_the_windows(write):
    source = SyntheticSource(8, seed=5, noise_fraction=0.25)
    source = Mixture([Spiked(source)], [Share(None, (0.25, 0.0, 1.0))])
    ask = asks(only_spikes, 3)
    cached = TargetFeed(write(source, ask, "cached"), 8, 1, NOWHERE)
    on_the_fly = TargetFeed(write(source, None, "later"), 8, 1, NOWHERE, ask=ask)
    for step in range(3):
        (x, y), (same_x, same_y) = cached.batch_at(step), on_the_fly.batch_at(step)
        np.testing.assert_array_equal(x, same_x)
        np.testing.assert_allclose(y, same_y, atol=1e-3)  # float16 on disk
        assert y.max() > 0.7


class Spiked:
    """The same records with a spike that lies in all windows that can be cut from them."""

    def __init__(self, source):
        self.source = source

    def __len__(self):
        return len(self.source)

    def __getitem__(self, index):
        record = self.source[index]
        waveform = record.waveform.copy()
        waveform[4500] += 1000 * np.abs(waveform).max()
        return replace(record, waveform=waveform)


def only_spikes(windows):
    return (np.abs(windows) > 50.0).astype(np.float32)


@pytest.mark.parametrize(("label_weight", "asked"), [(0.0, True), (0.5, True), (1.0, False)])
def test_teacher_is_asked_only_where_labels_do_not_say_everything(write, label_weight, asked):
    seen = []

    def teacher(windows):
        seen.append(len(windows))
        return np.ones_like(windows)

    source = labelled(12, 5, label_weight)
    path = write(source, None)
    feed = TargetFeed(path, 16, 0, ask=asks(teacher))
    _, y = feed.batch_at(0)
    with h5py.File(path) as file:
        taught = file["taught"][:]
    assert set(taught.ravel()) == {0.0, 1.0 - label_weight}
    heard = y.min(axis=(1, 2))  # of what it was asked about, the teacher's share is everywhere
    assert set(np.round(heard, 5)) == {0.0, 1.0 - label_weight}
    assert bool(seen) == asked
    if asked:
        assert seen == [np.count_nonzero(heard)]


@pytest.mark.parametrize("on_the_fly", [False, True])
def test_what_is_taught_stays_a_probability_under_superposed_earthquakes(write, on_the_fly):
    """Records of one source know their labels, the other's are for the teacher to hear."""
    parts = [SyntheticSource(6, seed=seed, noise_fraction=0.0) for seed in (1, 2, 3)]
    source = Mixture(parts, [Share(None, (weight,) * 3) for weight in (1.0, 0.5, 0.0)])
    ask = asks(np.ones_like)
    feed = TargetFeed(
        write(source, None if on_the_fly else ask),
        16,
        0,
        Augmentation().only("second_event"),
        ask=ask if on_the_fly else None,
    )
    for _, y in feed.batches(0, 4):
        assert y.min() >= 0.0
        assert y.max() <= 1.0


def test_superposed_labels_are_taught_whole_where_nobody_is_asked(write):
    parts = [
        SyntheticSource(3, seed=1, noise_fraction=1.0),
        SyntheticSource(6, seed=2, noise_fraction=0.0),
    ]
    path = write(Mixture(parts, [Share(1.0), Share(0.0001, (0.5,) * 3)]), None)
    feed = TargetFeed(path, 16, 0, Augmentation().only("second_event"), ask=asks(np.ones_like))
    _, y = feed.batch_at(0)
    peaks = y[..., P].max(axis=1)
    assert (peaks > 0.9).sum() > 8
    assert ((peaks < QUIET) | (peaks > 0.9)).all()


# --- Windows for calibration ---------------------------------------------------------------------


def test_random_windows_use_records_evenly():
    source = SyntheticSource(3, seed=1)
    windows = random_windows(source, 7, seed=0)
    assert windows.shape == (7, 6000, 3)
    np.testing.assert_allclose(windows.mean(axis=1), 0.0, atol=1e-4)
    np.testing.assert_array_equal(windows, random_windows(source, 7, seed=0))
