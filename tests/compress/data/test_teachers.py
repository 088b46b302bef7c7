"""Teachers: what several say together, in which band they hear, and how pipelines name them."""

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from pydantic import ValidationError
from small_models import student

from baseline.errors import InputError
from compress import pipeline as module
from compress.config import Pipeline
from compress.data.band_pass import band_pass
from compress.data.teachers import Teacher, ensemble
from compress.stages.distill import Distill
from compress.training.teaching import own_answers

RANDOM = np.random.default_rng


def always(value):
    return lambda windows: np.full_like(windows, value)


def answers(teachers, runners, samples=7000, shifts=2):
    waveform = RANDOM(0).normal(size=(samples, 3)).astype(np.float32)
    (answer,) = ensemble(teachers, runners.__getitem__, shifts)([waveform], RANDOM(1))
    return answer


# --- Several teachers ----------------------------------------------------------------------------


def test_weights_count_per_output():
    teachers = [
        Teacher(model="one", weights=(1, 3, 0)),
        Teacher(model="other", weights=(1, 1, 2)),
    ]
    answer = answers(teachers, {"one": always(0.2), "other": always(0.6)})
    np.testing.assert_allclose(answer, np.broadcast_to([0.4, 0.3, 0.6], (7000, 3)), rtol=1e-5)
    assert answer.dtype == np.float32


def test_one_teacher_counts_whole_whatever_its_weights():
    answer = answers([Teacher(model="one", weights=(0.2, 7, 1))], {"one": always(0.3)})
    np.testing.assert_allclose(answer, 0.3, rtol=1e-5)


def test_all_teachers_hear_the_same_windows():
    heard = {"one": [], "other": []}

    def listening(name):
        return lambda windows: heard[name].append(windows) or np.zeros_like(windows)

    teachers = [Teacher(model="one"), Teacher(model="other")]
    answers(teachers, {name: listening(name) for name in heard}, shifts=5)
    np.testing.assert_array_equal(heard["one"][0], heard["other"][0])
    assert heard["one"][0].shape == (5, 6000, 3)


def test_a_model_that_teaches_twice_is_opened_once_and_when_it_is_first_asked():
    opened = []
    ask = ensemble(
        [Teacher(model="one"), Teacher(model="one", band_pass_hz=(1, 45))],
        lambda name: opened.append(name) or always(0.0),
        1,
    )
    assert not opened
    for _ in range(2):
        ask([np.zeros((6000, 3), np.float32)], np.random.default_rng(0))
        assert opened == ["one"]


def test_runners_are_asked_one_call_at_a_time():
    """A TFLite interpreter that two threads use at once fails, or answers one with the other's."""
    inside, most = [], []

    def runner(windows):
        inside.append(None)
        most.append(len(inside))
        time.sleep(0.005)
        inside.pop()
        return np.zeros_like(windows)

    ask = ensemble([Teacher(), Teacher(model="previous")], lambda name: runner, 1)
    waveform = RANDOM(0).normal(size=(6000, 3)).astype(np.float32)
    threads = [threading.Thread(target=ask, args=([waveform], RANDOM(seed))) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(most) == 8
    assert max(most) == 1


def test_a_keras_model_is_asked_as_it_answers(windows):
    model = student()
    waveforms = list(windows[:3])
    for given, answer in zip(waveforms, own_answers(model, 1)(waveforms, RANDOM(0)), strict=True):
        np.testing.assert_allclose(answer, model(given[None])[0], atol=1e-5)


# --- Band-pass -----------------------------------------------------------------------------------


@pytest.mark.parametrize("place", [300, 3456, 6400])
def test_an_impulse_stays_in_its_place(place):
    waveform = np.full((7000, 3), 50.0, dtype=np.float32)
    waveform[place] += 1000.0
    heard = band_pass(waveform, (1.0, 45.0))
    assert heard.dtype == np.float32
    assert (np.abs(heard).argmax(axis=0) == place).all()
    around = heard[place - 100 : place + 101]
    np.testing.assert_allclose(around, around[::-1], atol=1.0)  # zero phase: both sides alike


def test_the_band_is_heard_and_the_rest_is_not():
    time_s = np.arange(9000) / 100

    def left(frequency_hz):
        tone = np.sin(2 * np.pi * frequency_hz * time_s)[:, None].repeat(3, axis=1) + 40.0
        return band_pass(tone.astype(np.float32), (1.0, 20.0))[2000:-2000].std() * np.sqrt(2)

    assert left(5.0) == pytest.approx(1.0, abs=0.01)
    assert left(1.0) == pytest.approx(0.5, abs=0.02)  # forwards and backwards: -6 dB at the corner
    assert left(0.1) < 0.001
    assert left(45.0) < 0.01


def test_without_a_band_a_record_is_heard_as_it_is():
    waveform = np.ones((6000, 3), dtype=np.float32)
    assert band_pass(waveform, None) is waveform


def test_each_teacher_hears_in_its_own_band():
    heard = []

    def runner(windows):
        heard.append(windows)
        return np.zeros_like(windows)

    time_s = np.arange(6000)[:, None].repeat(3, axis=1) / 100
    hum = np.sin(2 * np.pi * 0.2 * time_s)
    ticks = 0.2 * np.sin(2 * np.pi * 10 * time_s)
    ask = ensemble([Teacher(), Teacher(band_pass_hz=(1, 45))], lambda name: runner, 1)
    ask([(hum + ticks).astype(np.float32)], RANDOM(0))
    spectra = [np.abs(np.fft.rfft(windows[0, :, 0])) for windows in heard]
    assert [spectrum.argmax() for spectrum in spectra] == [12, 600]  # of 1/60 Hz


# --- In a pipeline -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"band_pass_hz": [45, 1]}, "lower frequency comes first"),
        ({"band_pass_hz": [1, 50]}, "less than 50"),
        ({"weights": [1, 1]}, "weights"),
        ({"weights": [1, 1, -1]}, "weights"),
        ({"name": "baseline"}, "name"),
    ],
)
def test_what_no_teacher_can_be_is_refused(wrong, said):
    with pytest.raises(ValidationError, match=said):
        Teacher.model_validate(wrong)


def test_a_name_alone_is_a_teacher():
    short = Distill.model_validate(
        {"kind": "distill", "teachers": ["previous", {"model": "eqt-original"}]}
    )
    assert short.teachers == (Teacher(model="previous"), Teacher(model="eqt-original"))
    assert short.named_models() == ("eqt-original",)
    assert Distill.model_validate(short.model_dump(mode="json")) == short


@pytest.mark.parametrize("output", ["detection", "P", "S"])
def test_every_output_is_taught_by_somebody(output):
    weights = [float(name != output) for name in ("detection", "P", "S")]
    with pytest.raises(ValidationError, match=f"none has a weight above zero for {output}"):
        Distill.model_validate({"kind": "distill", "teachers": [{"weights": weights}] * 2})


def declared(folder, *teachers):
    """A pipeline of simplify and a distill stage with these teachers."""
    sets = ("train", "calibration", "evaluation")
    return Pipeline.model_validate(
        {
            "version": 1,
            "name": "taught",
            "output": folder / "run",
            "data": {
                name: [{"kind": "synthetic", "records": 4, "seed": seed}]
                for seed, name in enumerate(sets)
            },
            "stages": [{"kind": "simplify"}, {"kind": "distill", "teachers": teachers}],
        },
        context={"folder": folder},
    )


def key(pipeline, baseline="0"):
    return module.stage_keys(pipeline, baseline, module.open_data(pipeline))[-1][1]


def test_unknown_model_is_said_before_anything_runs(tmp_path):
    with pytest.raises(InputError, match=r"distill: eqt-unknown: is no file or folder") as caught:
        key(declared(tmp_path, "eqt-unknown"))
    for possible in ("eqt-conservative", "0-baseline, 1-simplify"):
        assert possible in caught.value.hint


def test_a_later_stage_is_no_teacher(tmp_path):
    with pytest.raises(InputError, match="2-distill: is no file"):
        key(declared(tmp_path, "2-distill"))


def test_an_earlier_stage_is_found_by_its_label_and_changes_the_key(tmp_path):
    own, earlier, twice = (
        key(declared(tmp_path, *teachers))
        for teachers in (["baseline"], ["1-simplify"], ["1-simplify", "0-baseline"])
    )
    assert len({own, earlier, twice}) == 3

    # The key follows what that stage is, and what it is made of.
    def with_windows(windows):
        pipeline = declared(tmp_path, "1-simplify")
        data = module.open_data(pipeline)
        stage = pipeline.stages[1]
        keys = {"1-simplify": windows}
        return module.stage_key("parent", stage, pipeline, data, keys)

    assert with_windows("a") == with_windows("a") != with_windows("b")


def test_a_file_is_found_beside_the_pipeline_and_its_content_is_in_the_key(tmp_path, monkeypatch):
    folder = tmp_path / "pipelines"
    folder.mkdir()
    released = Path(__file__).resolve().parents[3] / "artifacts/released"
    one, other = (
        (released / f"{name}-tflite-float32/model.tflite").read_bytes()
        for name in ("student", "student-small")
    )
    (folder / "mine.tflite").write_bytes(one)
    monkeypatch.chdir(tmp_path)
    pipeline = declared(folder, "mine.tflite")
    assert pipeline.stages[1].teachers[0].model == "pipelines/mine.tflite"
    before = key(pipeline)
    (folder / "mine.tflite").write_bytes(other)
    assert key(pipeline) != before
    # From where the command runs, too.
    (tmp_path / "here.tflite").write_bytes(one)
    assert declared(folder, "here.tflite").stages[1].named_models() == ("here.tflite",)


def test_a_folder_named_like_a_model_does_not_take_its_place(tmp_path):
    for name in ("baseline", "previous", "eqt-original"):
        (tmp_path / name).mkdir()
        assert declared(tmp_path, name).stages[1].teachers == (Teacher(model=name),)
