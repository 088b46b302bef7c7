"""Recordings picked with the released int8 student, in files of every kind."""

from dataclasses import replace

import numpy as np
import obspy
import pandas as pd
import pytest
import recorded
from obspy import UTCDateTime, read_events
from obspy.io.quakeml.core import _validate

from compress.data.archive import Archive
from compress.evaluation.picker import Thresholds
from compress.picking import picks
from compress.picking.picking import Settings, annotate, pick_recordings, window_of
from compress.picking.preparation import length
from compress.picking.recordings import find_recordings
from compress.picking.stacking import Stack, Stacking
from export.bundle import read_bundle
from export.runtimes import load_runner

RECORDS = 14


@pytest.fixture(scope="module")
def model():
    return read_bundle(recorded.STUDENT)


@pytest.fixture(scope="module")
def settings(model):
    return Settings(Thresholds(**model[0].thresholds))


@pytest.fixture(scope="module")
def motion():
    return recorded.continuous(RECORDS)


@pytest.fixture(scope="module")
def archive(tmp_path_factory, motion):
    """21 minutes at three stations: one as it is, one at 200 Hz, one with a gap in it."""
    folder = tmp_path_factory.mktemp("archive")
    waveform = motion[0]
    recorded.write(folder / "a.mseed", recorded.stream(waveform, "XX.AAA."))
    recorded.write(
        folder / "b.mseed", recorded.stream(np.repeat(waveform, 2, axis=0), "XX.BBB.00", rate=200.0)
    )
    recorded.write(
        folder / "c.mseed",
        recorded.stream(waveform[:40_000], "XX.CCC.", "21Z"),
        recorded.stream(waveform[41_000:], "XX.CCC.", "21Z", recorded.START + 410),
    )
    return folder


@pytest.fixture(scope="module")
def found(archive, model, settings):
    return pick_recordings(model[1], find_recordings([archive]), settings)


def at(times, expected, within):
    """How many of the expected seconds have a pick that near."""
    seconds = np.array([time / 1e9 - recorded.START.timestamp for time in times])
    return sum(np.abs(seconds - one).min() <= within for one in expected)


def test_earthquakes_are_found_where_they_are(found, motion):
    onsets = motion[1]
    for station, least in (("XX.AAA", RECORDS), ("XX.BBB", RECORDS - 1), ("XX.CCC", RECORDS - 1)):
        here = [one for one in found if one.instrument.startswith(station)]
        for place, phase in enumerate("PS"):
            times = [p.time for one in here for p in one.phases if p.phase == phase]
            assert at(times, [pair[place] for pair in onsets], 0.5) >= least - 1
        assert len(here) <= RECORDS + 2


def test_what_is_read_at_once_and_how_many_processes_change_nothing(
    archive, model, settings, found, tmp_path
):
    written = []
    for name, blocks, jobs in (("a", 6, 1), ("b", 1, 1), ("c", 100, 2)):
        result = pick_recordings(
            model[1], find_recordings([archive]), replace(settings, blocks_at_once=blocks), jobs
        )
        picks.write_picks(tmp_path / name, result)
        written.append((tmp_path / name).read_bytes())
    picks.write_picks(tmp_path / "found", found)
    assert len({*written, (tmp_path / "found").read_bytes()}) == 1


def test_the_archive_is_handed_to_each_process_once(archive, model, settings, monkeypatch):
    """And not with every station, of which there are three."""
    handed = []
    monkeypatch.setattr(
        Archive, "__getstate__", lambda self: handed.append(self) or vars(self), raising=False
    )
    pick_recordings(model[1], find_recordings([archive]), settings, jobs=2)
    assert 1 <= len(handed) <= 2


def test_a_cut_out_hour_has_the_picks_of_the_whole(archive, model, settings, found):
    """But near its ends, where windows lack what came before."""
    start, end = recorded.START + 300, recorded.START + 900
    part = find_recordings([archive], stations=["XX.AAA"], start=start.datetime, end=end.datetime)
    times = {
        phase: [p.time for one in pick_recordings(model[1], part, settings)
                for p in one.phases if p.phase == phase]
        for phase in "PS"
    }  # fmt: skip
    for phase in "PS":
        whole = [
            p.time
            for one in found
            if one.instrument.startswith("XX.AAA")
            for p in one.phases
            if p.phase == phase and (start + 60).ns < p.time < (end - 60).ns
        ]
        assert len(whole) >= 4
        seconds = [time / 1e9 - recorded.START.timestamp for time in whole]
        assert at(times[phase], seconds, 0.05) == len(whole)


@pytest.mark.parametrize("stack", list(Stack))
def test_every_stack_finds_them(archive, model, settings, motion, stack):
    part = find_recordings([archive], stations=["XX.AAA"])
    result = pick_recordings(model[1], part, replace(settings, stacking=Stacking(stack=stack)))
    times = [p.time for one in result for p in one.phases if p.phase == "P"]
    assert at(times, [p for p, _ in motion[1]], 0.5) >= RECORDS - 1


def test_the_last_seconds_are_picked(tmp_path, model, settings, motion):
    """However long the recording is, an earthquake at its end is found."""
    waveform, onsets = motion
    p, s = onsets[2]
    for extra in (3.0, 7.77):
        end = int((s + extra) * 100)
        path = recorded.write(tmp_path / f"{extra}.mseed", recorded.stream(waveform[:end]))
        result = pick_recordings(model[1], find_recordings([path]), settings)
        for phase, time in (("P", p), ("S", s)):
            times = [one.time for each in result for one in each.phases if one.phase == phase]
            assert at(times, [time], 0.5) == 1


def test_files(found, tmp_path):
    picks.write_picks(tmp_path / "picks.csv", found)
    picks.write_detections(tmp_path / "detections.csv", found)
    picks.write_seisbench(tmp_path / "seisbench.csv", found)
    picks.write_quakeml(tmp_path / "picks.xml", found)
    number = sum(len(one.phases) for one in found)

    table = pd.read_csv(tmp_path / "picks.csv", dtype={"location": str}, keep_default_na=False)
    assert tuple(table.columns) == picks.PICK_COLUMNS
    assert len(table) == number
    assert set(table.phase) == {"P", "S"}
    assert set(table.location) == {"", "00"}
    assert (pd.to_datetime(table.time).dt.tz is not None) and table.probability.between(0, 1).all()

    detections = pd.read_csv(tmp_path / "detections.csv", keep_default_na=False)
    assert len(detections) == len(found)
    assert (detections.p != "").sum() + (detections.s != "").sum() == number

    like_seisbench = pd.read_csv(tmp_path / "seisbench.csv", parse_dates=["time"])
    assert tuple(like_seisbench.columns) == picks.SEISBENCH_COLUMNS
    assert like_seisbench.time.is_monotonic_increasing
    assert set(like_seisbench.station) == {"XX.AAA.", "XX.BBB.00", "XX.CCC."}

    assert _validate(str(tmp_path / "picks.xml"))
    catalogue = read_events(str(tmp_path / "picks.xml"))
    assert sum(len(event.picks) for event in catalogue) == number
    first = next(one for one in found if one.phases)
    pick = catalogue[0].picks[0]
    assert pick.time.ns == first.phases[0].time // 1000 * 1000
    assert pick.waveform_id.network_code == "XX"


def test_probabilities_as_a_stream(archive, model, settings, tmp_path):
    part = find_recordings([archive], stations=["XX.CCC"])
    pick_recordings(model[1], part, settings, streams=tmp_path)
    stream = obspy.read(str(tmp_path / "XX.CCC..HH.mseed")).merge(-1)
    assert sorted({trace.stats.channel for trace in stream}) == ["HHD", "HHP", "HHS"]
    runner = load_runner(model[1])
    for number, stretch in enumerate(part.stations["XX.CCC"]):
        answers = np.concatenate(list(annotate(runner, part.archive, stretch, settings)))
        for column, letter in enumerate("DPS"):
            trace = stream.select(channel=f"HH{letter}").sort(["starttime"])[number]
            assert trace.stats.starttime == UTCDateTime(ns=stretch.start)
            assert len(trace.data) == length(stretch)
            assert np.array_equal(trace.data, answers[:, column])


def test_a_window_to_look_at(archive, model, settings, found):
    part = find_recordings([archive], stations=["XX.AAA"])
    when = recorded.START + 700
    name, times, waveform, answers = window_of(model[1], part, settings, when.datetime, found)
    assert name == "XX.AAA..HH"
    assert times[0] == when.ns
    assert waveform.shape == answers.shape == (6000, 3)
    (stretch,) = part.stations["XX.AAA"]
    whole = np.concatenate(list(annotate(load_runner(model[1]), part.archive, stretch, settings)))
    # Other windows over the same samples say something else on an onset's flanks, and no more.
    before, here, after = (
        np.abs(answers - whole[70_000 + late : 76_000 + late]) for late in (-20, 0, 20)
    )
    assert here.max() < 0.5 < min(before.max(), after.max())
    assert here.mean() < 0.5 * min(before.mean(), after.mean())
    first = next(one for one in found if one.phases)
    _, times, _, _ = window_of(model[1], part, settings, None, found[:1])
    assert times[0] <= first.phases[0].time <= times[-1]
