"""Bundles as SeisBench's models; skipped where SeisBench is not installed, as it need not be."""

import asyncio
import re
import shlex
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import recorded
from obspy import Stream

from baseline.contract import OUTPUTS
from baseline.errors import InputError
from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource
from compress.data.windows import normalise
from compress.evaluation.picker import Thresholds
from compress.picking.picking import Settings, annotate, pick_recordings
from compress.picking.preparation import Preparation
from compress.picking.recordings import find_recordings
from compress.picking.stacking import Stack, Stacking
from export.bundle import read_bundle
from export.runtimes import load_runner

MODULE = "compress.picking.seisbench_model"
ROOT = Path(__file__).parents[3]
CLOSE_S = 0.1
BLINDED = 500


@pytest.fixture(scope="module")
def bundle_model():
    """The class."""
    pytest.importorskip("seisbench", exc_type=ImportError)
    return import_module(MODULE).BundleModel


@pytest.fixture(scope="module")
def model(bundle_model):
    return bundle_model(recorded.STUDENT)


@pytest.fixture(scope="module")
def waveform():
    """Six minutes with four earthquakes."""
    return recorded.continuous(4)[0]


def own(path):
    """By instrument and phase, seconds at which this project's own picker picks."""
    metadata, model = read_bundle(recorded.STUDENT)
    settings = Settings(Thresholds(**metadata.thresholds))
    times = {}
    for one in pick_recordings(model, find_recordings([path]), settings):
        for phase in one.phases:
            times.setdefault((".".join(one.codes[:3]), phase.phase), []).append(phase.time / 1e9)
    return times


def by_phase(result):
    """The same of what SeisBench gives."""
    times = {}
    for pick in result.picks:
        times.setdefault((pick.trace_id, pick.phase), []).append(pick.peak_time.timestamp)
    return times


def assert_among(found, expected):
    """Each pick that is expected is there; SeisBench, which wants no detection, may have more."""
    for key, times in expected.items():
        apart = np.abs(np.subtract.outer(times, found[key])).min(axis=1)
        assert apart.max() <= CLOSE_S


def test_without_seisbench_it_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, MODULE, raising=False)
    monkeypatch.setitem(sys.modules, "seisbench", None)
    monkeypatch.setitem(sys.modules, "seisbench.models", None)
    with pytest.raises(InputError, match="pip install seisbench"):
        import_module(MODULE)


def test_it_says_what_it_is(model):
    metadata, _ = read_bundle(recorded.STUDENT)
    assert (model.sampling_rate, model.in_samples, model.component_order) == (100, 6000, "ENZ")
    assert model.labels == ["Detection", "P", "S"]
    assert model.citation == metadata.citation


@pytest.mark.parametrize("bundle", ["student-tflite-int8", "student-onnx-float32"])
def test_probabilities_are_those_of_this_project(bundle_model, waveform, tmp_path, bundle):
    """Along the whole recording, where as much of each window counts."""
    file = recorded.write(tmp_path / "a.mseed", recorded.stream(waveform))
    recordings = find_recordings([file])
    (stretch,) = recordings.stations["XX.ABC"]
    settings = Settings(
        Thresholds(), Preparation(taper=False), Stacking(edge_s=BLINDED / 100, stack=Stack.MAX)
    )
    runner = load_runner(read_bundle(recorded.RELEASED / bundle)[1])
    expected = np.concatenate(list(annotate(runner, recordings.archive, stretch, settings)))
    annotations = bundle_model(recorded.RELEASED / bundle).annotate(recorded.stream(waveform))
    assert [t.stats.channel for t in annotations] == [
        "BundleModel_Detection", "BundleModel_P", "BundleModel_S",
    ]  # fmt: skip
    for column, trace in enumerate(annotations):
        assert trace.stats.starttime == recorded.START + BLINDED / 100
        np.testing.assert_allclose(trace.data, expected[BLINDED:-BLINDED, column], atol=1e-5)


@pytest.mark.parametrize(
    ("letters", "rate"), [("ENZ", 100.0), ("21Z", 100.0), ("ENZ", 200.0), ("NZ", 100.0)]
)
def test_picks_are_those_of_this_project(model, waveform, tmp_path, letters, rate):
    columns = waveform[:, 3 - len(letters) :]
    stream = recorded.stream(
        np.repeat(columns, round(rate / 100), axis=0), letters=letters, rate=rate
    )
    expected = own(recorded.write(tmp_path / "a.mseed", stream))
    found = by_phase(model.classify(stream))
    assert {key: len(times) for key, times in expected.items()} == {
        ("XX.ABC.", "P"): 4, ("XX.ABC.", "S"): 4,
    }  # fmt: skip
    assert found.keys() == expected.keys()
    for key, times in expected.items():
        np.testing.assert_allclose(found[key], times, rtol=0, atol=CLOSE_S)


def test_a_slower_recording(model, waveform, tmp_path):
    """At 50 Hz, of which SeisBench and this project make 100 Hz each in its own way."""
    stream = recorded.stream(waveform)
    stream.filter("lowpass", freq=20.0, zerophase=True).decimate(2, no_filter=True)
    for trace in stream:
        trace.data = np.rint(trace.data).astype(np.int32)
    expected = own(recorded.write(tmp_path / "a.mseed", stream))
    assert {key: len(times) for key, times in expected.items()} == {
        ("XX.ABC.", "P"): 4, ("XX.ABC.", "S"): 4,
    }  # fmt: skip
    assert_among(by_phase(model.classify(stream)), expected)


def test_detections_lie_around_the_picks(model, waveform):
    result = model.classify(recorded.stream(waveform))
    for pick in result.picks:
        assert any(
            one.trace_id == "XX.ABC." and one.start_time - 1 <= pick.peak_time <= one.end_time + 1
            for one in result.detections
        )


def test_thresholds_are_the_bundles_or_those_given(model, waveform):
    stream = recorded.stream(waveform)
    thresholds = read_bundle(recorded.STUDENT)[0].thresholds
    usual = model.classify(stream)
    given = model.classify(
        stream,
        detection_threshold=thresholds["detection"],
        P_threshold=thresholds["p"],
        S_threshold=thresholds["s"],
    )
    # The ends of a pick lie where its probability leaves the threshold.
    assert list(map(vars, usual.picks)) == list(map(vars, given.picks))
    assert list(map(vars, usual.detections)) == list(map(vars, given.detections))
    assert {p.phase for p in model.classify(stream, P_threshold=1.1).picks} == {"S"}
    assert {p.phase for p in model.classify(stream, S_threshold=1.1).picks} == {"P"}
    assert not model.classify(stream, detection_threshold=1.1).detections


def test_overlap_blinding_and_stacking_are_seisbenchs(model, waveform):
    stream = recorded.stream(waveform)
    greatest = model.annotate(stream)
    average = model.annotate(stream, stacking="avg")
    narrow = model.annotate(stream, overlap=0.5, blinding=(1000, 700), batch_size=3)
    for most, mean, few in zip(greatest, average, narrow, strict=True):
        assert (mean.data <= most.data + 1e-6).all()
        assert (mean.data < most.data - 0.01).any()
        assert few.stats.starttime == recorded.START + 10
        assert few.stats.endtime == stream[0].stats.endtime - 7


def test_windows_are_normalised_as_everywhere(model, waveform):
    torch = pytest.importorskip("torch")
    windows = waveform[:12_000].reshape(2, 6000, 3).astype(np.float32)
    seen = model.annotate_batch_pre(torch.from_numpy(windows).mT, {})
    np.testing.assert_array_equal(seen.mT.numpy(), normalise(windows))


def test_windows_are_answered_as_the_runner_answers_them(model):
    torch = pytest.importorskip("torch")
    windows = random_windows(SyntheticSource(3, seed=4), 3, seed=0)
    answers = model(torch.from_numpy(windows).mT)
    expected = load_runner(read_bundle(recorded.STUDENT)[1])(windows)
    assert len(answers) == len(OUTPUTS)
    for column, answer in enumerate(answers):
        np.testing.assert_array_equal(answer.numpy(), expected[:, :, column])


@pytest.mark.parametrize("rate", [100, 200])
def test_offsets_and_units_change_nothing(model, waveform, rate):
    stream = recorded.stream(np.repeat(waveform, rate // 100, axis=0), rate=rate)
    other = stream.copy()
    for trace in other:
        trace.data = trace.data * 1e-9 + 3.0
    assert by_phase(model.classify(other)) == by_phase(model.classify(stream))


@pytest.mark.parametrize("spoil", ["masked", "nan"])
def test_holes_are_gaps(model, waveform, spoil):
    """What one component lacks costs no pick elsewhere."""
    stream = recorded.stream(waveform)
    east = stream.select(channel="HHE")[0]
    if spoil == "masked":
        east.data = np.ma.masked_array(east.data)
        east.data[1000:3000] = np.ma.masked
    else:
        east.data = east.data.astype(np.float64)
        east.data[1000:3000] = np.nan
    expected = by_phase(model.classify(recorded.stream(waveform)))
    assert sum(map(len, expected.values())) == 8
    assert_among(by_phase(model.classify(stream)), expected)


def test_nothing_gives_nothing(model):
    assert len(model.annotate(Stream())) == 0
    assert not model.classify(Stream()).picks


def test_several_stations_at_the_same_time(model):
    """Which an interpreter by itself cannot do."""
    streams = [
        recorded.stream(recorded.continuous(2, seed)[0], station=f"XX.S{seed}.")
        for seed in range(4)
    ]

    async def at_once():
        return await asyncio.gather(*map(model.classify_async, streams))

    one_by_one = [by_phase(model.classify(stream)) for stream in streams]
    assert [by_phase(result) for result in asyncio.run(at_once())] == one_by_one
    together = model.classify(Stream([trace for stream in streams for trace in stream]))
    assert by_phase(together) == {
        key: times for found in one_by_one for key, times in found.items()
    }


def test_the_band_is_the_users(bundle_model, waveform):
    stream = recorded.stream(waveform)
    band = bundle_model(recorded.STUDENT, band_hz=(2.0, 10.0))
    without = bundle_model(recorded.STUDENT, band_hz=None)
    filtered = stream.copy().detrend("demean")
    for trace in filtered:
        trace.filter("bandpass", freqmin=2.0, freqmax=10.0, corners=2, zerophase=True)
    # ObsPy's filter differs at the ends.
    for ours, theirs in zip(band.annotate(stream), without.annotate(filtered), strict=True):
        np.testing.assert_allclose(ours.data[6000:-6000], theirs.data[6000:-6000], atol=0.02)
    with pytest.raises(InputError, match="60"):
        bundle_model(recorded.STUDENT, band_hz=(1.0, 60.0))


def test_what_is_no_bundle_is_refused(bundle_model, tmp_path):
    with pytest.raises(InputError, match="not a bundle"):
        bundle_model(tmp_path)


def test_the_tutorial(bundle_model, run_cli, tmp_path, monkeypatch):
    """docs/seisbench.md, from top to bottom."""
    text = (ROOT / "docs" / "seisbench.md").read_text()
    first, second = re.findall(r"```python\n(.*?)```", text, re.S)
    (command,) = re.findall(r"^    compress (.*)$", text, re.M)
    (tmp_path / "artifacts").symlink_to(ROOT / "artifacts")
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(first, names)
    times = {f"{p.phase} at {p.peak_time.isoformat()[11:22]}" for p in names["result"].picks}
    assert len(times) == 2
    assert all(time in text for time in times)
    assert len(names["result"].detections) == 1
    assert run_cli(*shlex.split(command))[0] == 0
    exec(second, names)
