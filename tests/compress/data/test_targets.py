"""Targets: what a perfect model would say, what teachers say along whole records, what is kept."""

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from compress.data.mixture import Mixture, Share
from compress.data.records import Category, Record
from compress.data.synthetic import SyntheticSource
from compress.data.targets import (
    DETECTION,
    FLANK,
    P,
    S,
    consensus,
    label_target,
    sharpened,
    teacher_share,
    write_targets,
)
from compress.data.windows import normalise

ANSWER = 0.25


def record(category=Category.EARTHQUAKE, p_sample=None, s_sample=None, samples=6500, name="r"):
    waveform = np.random.default_rng(samples).normal(size=(samples, 3)).astype(np.float32)
    return Record(name, waveform, category, p_sample, s_sample)


class Records:
    """A source of records that stand in a list."""

    def __init__(self, records):
        self.records = records

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]

    def names(self):
        return [record.name for record in self.records]

    def categories(self):
        return [record.category for record in self.records]

    def fingerprint(self):
        return "/".join(self.names())


def position_blind(windows):
    """A teacher whose answer at a sample depends on the waveform there alone."""
    return np.tanh(np.abs(windows))


def own_place(windows):
    """A teacher that answers with the place in its window, from 0 to 1."""
    place = np.arange(6000) / 6000
    answer = np.repeat(place[None, :, None], len(windows), axis=0).repeat(3, axis=2)
    return answer.astype(np.float32)


def quarter(waveforms, random):
    """Asks a teacher that always answers the same."""
    return [np.full_like(waveform, ANSWER) for waveform in waveforms]


# --- Labels --------------------------------------------------------------------------------------


@given(st.floats(100, 5900), st.floats(0.0, 400))
@settings(max_examples=30, deadline=None)
def test_onsets_are_triangles_with_their_top_at_the_onset(p_sample, later):
    target = label_target(record(p_sample=p_sample, s_sample=p_sample + later), 6500)
    assert target.shape == (6500, 3)
    assert target.dtype == np.float32
    for output, onset in ((P, p_sample), (S, p_sample + later)):
        sides = np.array([np.floor(onset), np.floor(onset) + 1], dtype=int)
        # A straight line on both sides, continued, meets 1 at the onset itself.
        np.testing.assert_allclose(target[sides, output], 1 - np.abs(sides - onset) / 20, atol=1e-5)
        reached = np.flatnonzero(target[:, output])
        assert reached[0] > onset - 20
        assert reached[-1] < onset + 20
        assert target[:, output].sum() == pytest.approx(20.0, rel=1e-3)  # the triangle's area


def test_top_on_a_sample_is_one():
    target = label_target(record(p_sample=1000.0, s_sample=2000.0), 6500)
    assert target[1000, P] == target[2000, S] == 1.0
    assert target[1010, P] == pytest.approx(0.5)
    assert target[[980, 1020], P].max() == 0.0


def test_detection_lasts_from_p_to_beyond_s():
    target = label_target(record(p_sample=999.5, s_sample=2000.0), 6500)
    inside = np.flatnonzero(target[:, DETECTION])
    assert (inside[0], inside[-1]) == (1000, 2400)  # S-P is 1000.5 samples; 0.4 of it are 400.2
    assert set(target[inside[0] : inside[-1] + 1, DETECTION]) == {1.0}


def test_a_detection_may_last_beyond_the_record():
    target = label_target(record(p_sample=4000.0, s_sample=6400.0), 6500)
    assert target[-1, DETECTION] == 1.0


@pytest.mark.parametrize("known", ["p_sample", "s_sample"])
def test_a_single_onset_has_no_detection(known):
    target = label_target(record(**{known: 3000.0}), 6500)
    assert target[:, DETECTION].max() == 0.0
    output = P if known == "p_sample" else S
    assert target[3000, output] == 1.0
    assert target.sum() == pytest.approx(target[:, output].sum())


# --- A single pass -------------------------------------------------------------------------------


@given(st.integers(3000, 30_000))
@settings(max_examples=25, deadline=None)
def test_single_pass_covers_every_sample_from_the_window_whose_middle_is_nearest(samples):
    waveform = np.zeros((samples, 3), dtype=np.float32)
    asked = []

    def teacher(windows):
        asked.append(len(windows))
        return own_place(windows)

    (target,) = consensus(teacher, [waveform], 1, np.random.default_rng(0))
    assert target.shape == (samples, 3)
    assert asked == [-(-samples // 6000)]  # as few as cover it
    places = target[:, 0] * 6000
    if samples > 6000:
        # Only before the first middle and behind the last one is a sample nearer to an end than
        # half the distance between windows.
        step = (samples - 6000) / (asked[0] - 1)
        assert np.abs(places[3000:-3000] - 3000).max() <= step / 2 + 1
        np.testing.assert_allclose(places[-3000:], np.arange(3000, 6000), atol=1e-2)
    np.testing.assert_allclose(places[:3000], np.arange(3000), atol=1e-2)


def test_single_pass_over_a_minute_is_the_teachers_answer():
    waveform = np.random.default_rng(3).normal(size=(6000, 3)).astype(np.float32)
    (target,) = consensus(position_blind, [waveform], 1, np.random.default_rng(0))
    np.testing.assert_array_equal(target, position_blind(normalise(waveform)))


def test_single_pass_is_not_random():
    waveforms = [record(samples=samples).waveform for samples in (9000, 6000, 20_000)]
    one = consensus(position_blind, waveforms, 1, np.random.default_rng(0))
    other = consensus(position_blind, waveforms, 1, np.random.default_rng(9))
    for a, b in zip(one, other, strict=True):
        np.testing.assert_array_equal(a, b)


# --- Consensus -----------------------------------------------------------------------------------


def biased(windows):
    """A teacher that answers 1 in the first half of its window, and 0 in the second."""
    answer = np.zeros_like(windows)
    answer[:, :3000] = 1.0
    return answer


@pytest.mark.parametrize("samples", [3000, 6000, 6100, 9000, 15_000])
@pytest.mark.parametrize("shifts", [1, 4, 7])
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


@pytest.mark.parametrize("shifts", [1, 5])
def test_consensus_of_a_teacher_blind_to_place_is_its_answer(shifts):
    impulses = [np.zeros((samples, 3), dtype=np.float32) for samples in (9000, 7000)]
    impulses[0][4321] = impulses[1][1234] = 1000.0
    targets = consensus(position_blind, impulses, shifts, np.random.default_rng(1))
    for target, place in zip(targets, (4321, 1234), strict=True):
        assert (target.argmax(axis=0) == place).all()
        assert target[place].min() > 0.9


def test_consensus_does_not_depend_on_who_else_is_asked():
    waveforms = [record(samples=samples).waveform for samples in (9000, 6500)]
    together = consensus(biased, waveforms, 3, np.random.default_rng(1))
    alone = consensus(biased, waveforms[:1], 3, np.random.default_rng(1))
    np.testing.assert_array_equal(together[0], alone[0])


# --- Sharp onsets ---------------------------------------------------------------------------------


def hills(samples, *onsets):
    """A wide hill of P for each (sample, height), as the mean of scattered answers has it."""
    answer = np.zeros((samples, 3), dtype=np.float32)
    for onset, height in onsets:
        hill = height * np.exp(-(((np.arange(samples) - onset) / 15.0) ** 2))
        answer[:, P] = np.maximum(answer[:, P], hill)
    return answer


@settings(deadline=None, max_examples=40)
@given(onset=st.floats(100, 900), height=st.floats(0.12, 1.0))
def test_a_hill_becomes_a_triangle_at_its_top(onset, height):
    sharp = sharpened(hills(1000, (onset, height)))
    triangle = label_target(Record("r", np.zeros((1000, 3)), Category.EARTHQUAKE, onset), 1000)
    np.testing.assert_allclose(sharp[:, P], height * triangle[:, P], atol=0.03 * height + FLANK)
    assert sharp[:, [DETECTION, S]].max() == 0.0


def test_sharpening_keeps_doubts_detections_and_whoever_stands_apart():
    answer = hills(2000, (300, 0.08), (700, 0.9), (1200, 0.5), (1250, 0.4))
    answer[:, DETECTION] = 0.3
    sharp = sharpened(answer)
    np.testing.assert_array_equal(sharp[:500], answer[:500])
    np.testing.assert_array_equal(sharp[:, DETECTION], answer[:, DETECTION])
    for onset, height in ((700, 0.9), (1200, 0.5), (1250, 0.4)):
        assert sharp[onset, P] == pytest.approx(height, abs=0.02)
        assert sharp[onset - 25 : onset - 20, P].max() < FLANK
    np.testing.assert_allclose(sharpened(sharp), sharp, atol=0.01)


def test_of_tops_on_one_onset_the_higher_is_taught():
    sharp = sharpened(hills(1000, (500, 0.5), (512, 0.6)))
    assert sharp[:, P].argmax() == 512
    assert np.count_nonzero(sharp[:, P] > 0.3) <= 20, "half as high over half a triangle's base"


# --- Who says what -------------------------------------------------------------------------------


def test_teacher_has_the_rest_of_what_labels_do_not_say():
    def share(kind, *weights):
        return teacher_share(kind, weights).tolist()

    both = record(p_sample=1.0, s_sample=2.0)
    assert share(record(Category.NOISE), 0.0, 0.0, 0.0) == [0.0, 0.0, 0.0]
    assert share(both, 0.25, 1.0, 0.0) == [0.75, 0.0, 1.0]
    assert share(record(p_sample=1.0), 1.0, 1.0, 1.0) == [1.0, 1.0, 1.0], "where S is nobody knows"
    assert share(record(Category.UNLABELLED), 1.0, 1.0, 1.0) == [1.0, 1.0, 1.0]


KINDS = [
    record(Category.NOISE, name="noise"),
    record(Category.UNLABELLED, name="unlabelled"),
    record(p_sample=2000.0, s_sample=3000.0, name="both"),
    record(p_sample=2000.0, name="P alone"),
]


def written(path, kinds, label_weight, ask, progress):
    """What is kept of each of these records, in order; draws all, in a known order."""
    source = Mixture([Records(kinds)], [Share(None, label_weight)])
    write_targets(path, ask, source, number=len(kinds), seed=0, progress=progress)
    order = source.draw(len(kinds), np.random.default_rng(0))
    with h5py.File(path) as file:
        splits = file["ends"][:-1]
        found = {}
        for place, index in enumerate(order):
            waveform, target = (
                np.split(file[key][:], splits)[place] for key in ("waveform", "target")
            )
            np.testing.assert_array_equal(waveform, kinds[index].waveform)
            found[kinds[index].name] = {
                "target": target,
                **{key: file[key][place] for key in ("weights", "quiet", "taught")},
            }
        return found


@pytest.mark.parametrize("label_weight", [(0.0,) * 3, (0.4,) * 3, (1.0,) * 3, (0.0, 1.0, 0.4)])
def test_labels_and_teacher_are_blended(label_weight, tmp_path, progress):
    found = written(tmp_path / "t.h5", KINDS, label_weight, quarter, progress)
    labels = label_target(KINDS[2], 6500)
    expected = {
        "noise": np.zeros((6500, 3)),
        "unlabelled": np.full((6500, 3), ANSWER),
        "both": np.array(label_weight) * labels + (1 - np.array(label_weight)) * ANSWER,
        "P alone": np.full((6500, 3), ANSWER),
    }
    for name, target in expected.items():
        np.testing.assert_allclose(found[name]["target"], target, atol=5e-4)  # float16
    assert {name: bool(kind["quiet"]) for name, kind in found.items()} == {
        "noise": True, "unlabelled": False, "both": False, "P alone": False
    }  # fmt: skip
    np.testing.assert_allclose(found["both"]["taught"], 1 - np.array(label_weight), rtol=1e-6)
    assert (found["noise"]["taught"] == 0.0).all()
    assert (found["unlabelled"]["taught"] == 1.0).all()
    assert (found["P alone"]["taught"] == 1.0).all()


def test_who_is_not_needed_is_not_asked(tmp_path, progress):
    asked = []

    def ask(waveforms, random):
        asked.extend(waveform.tobytes() for waveform in waveforms)
        return quarter(waveforms, random)

    kinds = [
        record(Category.NOISE, name="noise", samples=6001),
        record(p_sample=1.0, s_sample=2.0, name="both", samples=6002),
        record(Category.UNLABELLED, name="unlabelled", samples=6003),
    ]
    written(tmp_path / "t.h5", kinds, (1.0,) * 3, ask, progress)
    assert asked == [kinds[2].waveform.tobytes()]


def test_what_the_teacher_finds_silent_is_quiet(tmp_path, progress):
    kinds = [record(Category.UNLABELLED, name=f"{n}", samples=6000 + n) for n in range(2)]

    def ask(waveforms, random):
        return [np.full_like(w, 0.2 if len(w) == 6000 else 0.04) for w in waveforms]

    found = written(tmp_path / "t.h5", kinds, (0.0,) * 3, ask, progress)
    assert [bool(found[name]["quiet"]) for name in "01"] == [False, True]


@pytest.mark.parametrize("label_weight", [(0.0,) * 3, (0.4,) * 3, (1.0,) * 3, (0.0, 1.0, 0.4)])
def test_where_the_teacher_is_asked_later_there_are_labels_alone(label_weight, tmp_path, progress):
    found = written(tmp_path / "t.h5", KINDS, label_weight, None, progress)
    both = label_target(KINDS[2], 6500) * (np.array(label_weight) > 0)
    np.testing.assert_allclose(found["both"]["target"], both, atol=5e-4)
    np.testing.assert_allclose(found["both"]["taught"], 1 - np.array(label_weight), rtol=1e-6)
    for name in ("noise", "unlabelled", "P alone"):
        assert found[name]["target"].max() == 0.0
    # Of what nobody has looked at yet nobody knows whether it is quiet.
    assert [name for name, kind in found.items() if kind["quiet"]] == ["noise"]


# --- The file ------------------------------------------------------------------------------------


def test_weights_follow_the_sources(tmp_path, progress):
    source = Mixture(
        [SyntheticSource(3, seed=1), SyntheticSource(2, seed=2), SyntheticSource(4, seed=3)],
        [Share(1.0), Share(3.0), Share(0.0)],
    )
    path = tmp_path / "t.h5"
    write_targets(path, quarter, source, number=100, seed=0, progress=progress)
    with h5py.File(path) as file:
        assert len(file["ends"]) == 5, "a source without weight gives nothing"
        np.testing.assert_allclose(np.sort(file["weights"][:]), [1 / 3] * 3 + [1.5] * 2)


def test_finished_targets_are_not_asked_for_again(tmp_path, progress):
    path = tmp_path / "new folder" / "t.h5"
    source = SyntheticSource(2, seed=1, noise_fraction=0.0)
    write_targets(path, quarter, source, number=2, seed=0, progress=progress)

    def ask(waveforms, random):
        raise AssertionError("asked again")

    write_targets(path, ask, source, number=2, seed=0, progress=progress)
    assert [file.name for file in path.parent.iterdir()] == ["t.h5"]


def test_interrupted_targets_leave_no_file(tmp_path, progress):
    def ask(waveforms, random):
        raise KeyboardInterrupt

    path = tmp_path / "t.h5"
    source = SyntheticSource(20, seed=1, noise_fraction=0.0)
    with pytest.raises(KeyboardInterrupt):
        write_targets(path, ask, source, number=20, seed=0, progress=progress)
    assert not path.exists()
    write_targets(path, quarter, source, number=20, seed=0, progress=progress)
    with h5py.File(path) as file:
        assert len(file["ends"]) == 20


def test_the_same_seed_gives_the_same_file(tmp_path, progress):
    def ask(waveforms, random):
        return [np.full_like(w, random.random()) for w in waveforms]

    source = SyntheticSource(30, seed=1, noise_fraction=0.3)
    for name in ("one", "other"):
        write_targets(tmp_path / name, ask, source, number=20, seed=4, progress=progress)
    with h5py.File(tmp_path / "one") as one, h5py.File(tmp_path / "other") as other:
        for key in ("waveform", "target", "ends", "weights", "quiet", "taught"):
            np.testing.assert_array_equal(one[key][:], other[key][:])
