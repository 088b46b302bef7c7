"""`compress pick` as a user calls it."""

import subprocess
import sys

import pytest
import recorded


@pytest.fixture(scope="module")
def event(tmp_path_factory):
    """Three minutes with two earthquakes."""
    path = tmp_path_factory.mktemp("event") / "event.mseed"
    return recorded.write(path, recorded.stream(recorded.continuous(2)[0]))


def test_everything_at_once(run_cli, event, tmp_path):
    names = {
        "--csv": "picks.csv", "--detections": "detections.csv", "--quakeml": "picks.xml",
        "--seisbench": "seisbench.csv", "--probabilities": "probabilities", "--plot": "event.png",
    }  # fmt: skip
    options = [part for option, name in names.items() for part in (option, tmp_path / name)]
    code, printed = run_cli("pick", recorded.STUDENT, event, *options)
    assert code == 0
    assert "XX.ABC..HH" in printed
    for name in names.values():
        assert (tmp_path / name).exists()
    assert (tmp_path / "event.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "picks.csv").read_text().count("\n") >= 4
    assert [p.name for p in (tmp_path / "probabilities").iterdir()] == ["XX.ABC..HH.mseed"]


def test_two_runs_give_the_same_bytes(event, tmp_path):
    """In processes of their own, which hash strings in another order."""
    written = []
    for number in (1, 2):
        files = [tmp_path / f"{number}.csv", tmp_path / f"{number}.xml"]
        subprocess.run(
            [sys.executable, "-m", "compress.cli", "pick", recorded.STUDENT, event,
             "--csv", files[0], "--quakeml", files[1]],
            check=True, capture_output=True,
        )  # fmt: skip
        written.append([file.read_bytes() for file in files])
    assert written[0] == written[1]


def test_thresholds_of_the_bundle_and_others(run_cli, event, tmp_path):
    numbers = []
    for options in ((), ("--s", "1.0"), ("--detection", "1.0")):
        run_cli("pick", recorded.STUDENT, event, "--csv", tmp_path / "a.csv", *options)
        numbers.append((tmp_path / "a.csv").read_text().count("\n") - 1)
    assert numbers == [4, 2, 0]


def test_follow(run_cli, event, tmp_path):
    code, printed = run_cli(
        "pick", recorded.STUDENT, event, "--follow", "--idle", "0.3", "--csv", tmp_path / "a.csv"
    )
    assert code == 0
    text = (tmp_path / "a.csv").read_text()
    assert text.startswith("instrument,phase,time,")
    assert text == printed


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["nothing.mseed"], "no such file"),
        ([], "no INPUT"),
        (["EVENT", "--stack", "median"], "--stack median"),
        (["EVENT", "--overlap", "1"], "overlap"),
        (["EVENT", "--csv", "no/such/folder/a.csv"], "no/such/folder"),
        (["EVENT", "--station", "ZZ.*"], "nothing to pick"),
        (["EVENT", "--fdsn", "GEOFON"], "--fdsn"),
        (["--fdsn", "GEOFON"], "--fdsn"),
        (["EVENT", "--follow", "--plot", "a.png"], "--plot"),
        (["EVENT", "--plot", "a.png", "--at", "2001-01-01"], "nothing was recorded"),
        (["--follow"], "--follow"),
        (["EVENT", "--probabilities", "."], "not empty"),
        (["EVENT", "--csv", "."], "cannot be written"),
        (["EVENT", "--follow", "--csv", "."], "cannot be written"),
        (["EVENT", "--band", "45", "1"], "45"),
        (["EVENT", "--band", "1", "60"], "60"),
    ],
)
def test_what_cannot_be_done_says_why(run_cli, event, tmp_path, monkeypatch, arguments, why):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "something").touch()
    given = [event if one == "EVENT" else one for one in arguments]
    code, printed = run_cli("pick", recorded.STUDENT, *given)
    assert code == 2
    assert why in printed


def test_tensorflow_is_not_needed(event):
    code = (
        "import sys; sys.modules.update(dict.fromkeys(['tensorflow', 'tf_keras', 'onnx']));"
        f"sys.argv = ['compress', 'pick', {str(recorded.STUDENT)!r}, {str(event)!r}];"
        "from compress.cli import main; main()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
