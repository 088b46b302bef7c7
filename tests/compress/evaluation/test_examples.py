"""Windows to look at are cut where they were measured, and come back from disk as they were."""

from __future__ import annotations

import finished_run as made
import numpy as np
import pytest
from hand_made import Records

from baseline.errors import InputError
from compress.data.records import Category, Record
from compress.data.windows import cut
from compress.evaluation.disagreement import window_facts
from compress.evaluation.examples import make_examples, read_examples, write_examples
from compress.evaluation.protocol import Protocol, labelled_windows
from compress.evaluation.window_scores import score_windows
from compress.store import write_arrays


def source() -> Records:
    """Two earthquakes, a record that nobody labelled, and noise."""
    random = np.random.default_rng(0)

    def record(name: str, category: Category, p: float | None = None) -> Record:
        waveform = random.normal(size=(9000, 3)).astype(np.float32)
        if p is not None:
            waveform[int(p) :] *= 10
        s = None if p is None else p + 400
        return Record(name, waveform, category, p, s, station=f"XX.{name}")

    return Records(
        record("near", Category.EARTHQUAKE, 3000.0),
        record("unknown", Category.UNLABELLED),
        record("quiet", Category.NOISE),
        record("far", Category.EARTHQUAKE, 5000.0),
    )


def silent(windows: np.ndarray) -> np.ndarray:
    return np.zeros(windows.shape, np.float32)


def eager(windows: np.ndarray) -> np.ndarray:
    """A detection and a P in the middle of every window."""
    out = silent(windows)
    out[:, 2900:3600, 0] = 0.9
    out[:, 3000, 1] = 0.8
    return out


def test_windows_are_those_that_were_measured(progress) -> None:
    records, protocol = source(), Protocol(placements=3)
    runners = (silent, eager)
    facts = tuple(
        window_facts(score_windows(runner, records, protocol, progress)) for runner in runners
    )
    examples = make_examples("k", ("a", "b"), facts, runners, records, protocol)

    measured = next(labelled_windows(records, protocol))
    names = {record.name: index for index, record in enumerate(records)}
    assert sorted(examples.records) == ["far", "near", "quiet"]
    for index, name in enumerate(examples.records):
        record = records[names[name]]
        window = cut(record.waveform, round(100 * examples.starts_s[index]))
        np.testing.assert_array_equal(examples.waveforms[index], window)
        (place,) = np.flatnonzero((measured.waveforms == window).all(axis=(1, 2)))
        p, s = examples.labels[index]
        np.testing.assert_equal(p, measured.truths.p_samples[place])
        np.testing.assert_equal(s, measured.truths.s_samples[place])
        assert examples.stations[index] == f"XX.{name}"
        assert examples.noise[index] == (name == "quiet")
        assert np.isnan(examples.snr_db[index]) == (name == "quiet")
        np.testing.assert_array_equal(examples.predictions[index, 1], eager(window[None])[0])
        assert not examples.predictions[index, 0].any()


def test_nothing_to_show_is_no_error(progress, tmp_path) -> None:
    records, protocol = Records(source()[2]), Protocol(placements=1)
    facts = window_facts(score_windows(silent, records, protocol, progress))
    examples = make_examples("k", ("a", "b"), (facts, facts), (silent, silent), records, protocol)
    assert len(examples) == 0
    write_examples(tmp_path / "examples.npz", examples)
    again = read_examples(tmp_path / "examples.npz")
    assert again is not None
    assert len(again) == 0


def test_examples_come_back_from_disk(tmp_path) -> None:
    path = tmp_path / "examples.npz"
    assert read_examples(path) is None
    examples = made.examples()
    write_examples(path, examples)
    again = read_examples(path)
    for name, value in vars(examples).items():
        np.testing.assert_array_equal(getattr(again, name), value)


@pytest.mark.parametrize(
    "change",
    [
        {"waveforms": np.zeros((3, 5, 3), np.float32)},
        {"predictions": np.full((3, 2, 6000, 3), np.nan, np.float32)},
        {"kinds": np.array(["odd"] * 3)},
        {"models": np.array(["one"])},
        {"more": np.zeros(1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_arrays_are_refused(change, tmp_path) -> None:
    path = tmp_path / "examples.npz"
    arrays = {name: np.asarray(value) for name, value in vars(made.examples()).items()}
    write_arrays(path, arrays | change)
    with pytest.raises(InputError, match=r"examples\.npz: is damaged"):
        read_examples(path)


def test_a_file_cut_short_is_refused(tmp_path) -> None:
    path = tmp_path / "examples.npz"
    write_examples(path, made.examples(1))
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(InputError, match="cannot be read"):
        read_examples(path)
