"""`compress report`: made of what is in the folder, with peers, and refusing what does not fit."""

from __future__ import annotations

import json

import finished_run
import pytest
import stored_models as made

from baseline.errors import InputError
from compress.evaluation import bootstrap
from compress.reporting import report_run


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a run that kept no curves, so that little is drawn."""
    monkeypatch.setattr(bootstrap, "RESAMPLES", 20)
    results = finished_run.results()
    for row in results["models"]:
        for key in ("curves", "reliability", "strata", "residuals"):
            del row[key]
    return finished_run.folder(tmp_path / "run", results, number=1)


def test_both_reports_are_written_with_their_pictures(run, run_cli) -> None:
    code, printed = run_cli("report", run)
    assert code == 0, printed
    assert "report.html" in printed
    text = (run / "report.md").read_text()
    assert text.startswith("# Pipeline tiny: pass\n\n**Passes: ")
    assert "| 1-distill: train | 12.3 | 100.0 % |" in text
    names = [line.split("](")[1].rstrip(")") for line in text.splitlines() if line[:2] == "!["]
    assert sorted(names) == [f"pictures/{name}.svg" for name in
                             ("accuracy_cost", "example_best_1", "waterfall")]  # fmt: skip
    for name in names:
        picture = (run / name).read_text()
        assert picture.startswith("<svg")
        assert 'xmlns="http://www.w3.org/2000/svg"' in picture


def test_a_page_elsewhere_leaves_the_folder_as_it_is(run, run_cli, tmp_path) -> None:
    before = sorted(run.iterdir())
    page = tmp_path / "page.html"
    code, printed = run_cli("report", run, "--output", page, "--title", "Station <A>")
    assert code == 0, printed
    assert sorted(run.iterdir()) == before
    assert "<h1>Station &lt;A&gt;</h1>" in page.read_text()


def test_peers_join_the_table_and_the_curve(run, tmp_path) -> None:
    peer = made.evaluation_file(tmp_path / "peer.json", {"folder/other.tflite": 3})
    text = report_run(run, output=tmp_path / "page.html", peers=[str(peer)]).read_text()
    assert '<th scope="row">other.tflite <span class="note">peer</span></th>' in text
    assert ">other.tflite</text>" in text  # in the legend


def test_a_peer_may_lack_costs_in_markdown_too(run, tmp_path) -> None:
    peer = made.evaluation_file(tmp_path / "peer.json", {"a|b.tflite": 3})
    document = json.loads(peer.read_text())
    del document["models"][0]["cost"]["parameters"]
    peer.write_text(json.dumps(document))
    report_run(run, peers=[str(peer)])
    (line,) = [x for x in (run / "report.md").read_text().splitlines() if "tflite |" in x]
    assert line.startswith("| a\\|b.tflite | - | 9.0 M | 100 kB | 90 kB | - |")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": {"folder": "x", "records": 100, "fingerprint": "e" * 64}}, "different data"),
        ({"protocol": {"placements": 5, "seed": 0}}, "different windows: placements 5 and 2"),
    ],
)
def test_peers_on_other_records_or_windows_are_refused(changes, message, run, tmp_path) -> None:
    peer = made.evaluation_file(tmp_path / "peer.json", {"other.tflite": 3}, **changes)
    with pytest.raises(InputError, match=message):
        report_run(run, output=tmp_path / "page.html", peers=[str(peer)])
    assert not (tmp_path / "page.html").exists()


def test_a_folder_without_results_is_refused(tmp_path, run_cli) -> None:
    code, printed = run_cli("report", tmp_path)
    assert code == 2
    assert "results.json" in printed


@pytest.mark.parametrize(("place", "value"), [("models", "none"), ("time_shares", [{}])])
def test_damaged_results_are_refused(place, value, run) -> None:
    results = finished_run.results()
    if place == "models":
        results["models"][2]["verdicts"] = value
    else:
        results[place] = value
    (run / "results.json").write_text(json.dumps(results))
    with pytest.raises(InputError, match="is damaged, or was written by another version"):
        report_run(run)
