"""What changed between runs, from stored measurements alone."""

import io
import json
import subprocess
import sys
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from statistics import NormalDist

import numpy as np
import pytest
import stored_models as made
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from rich.console import Console

from baseline.errors import InputError
from compress.comparing import _holm, compare
from compress.evaluation.confidence import Interval
from compress.evaluation.metrics import COLUMNS, Counts
from compress.gates import Measured
from compress.report.comparison import comparison_summary, show_comparison

DISTILL = {"kind": "distill", "steps": 6000}
QUANTIZE = {"kind": "quantize", "windows": 256}
OPPOSITE = {"better": "worse", "worse": "better", "shifted": "shifted", None: None}


def run(path, misses, stages=(DISTILL, QUANTIZE), verdicts=None, code="c" * 64, **changes):
    """The folder of a run with these misses by label, declared stages, and verdicts by label."""
    made.run_folder(path, misses)
    document = json.loads((path / "results.json").read_text()) | changes
    document["pipeline"]["stages"] = list(stages)
    document["pipeline"]["evaluation"] |= changes.get("evaluation", {})
    for row in document["models"]:
        if not row["label"].startswith("export"):
            row["folder"] = f"{row['label']}-abc"
        row["verdicts"] = [
            {"rule": rule, "outcome": outcome}
            for rule, outcome in (verdicts or {}).get(row["label"], {}).items()
        ]
    manifest = path / "stages/0-baseline-abc/manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"code": code}))
    (path / "results.json").write_text(json.dumps(document))
    return str(path)


def between(*names, common=False):
    """The comparison of two models."""
    (comparison,) = compare(names, common)["comparisons"]
    return comparison


def measured(path, seed, prefix="r", records=25, **changes):
    """A stored model with random counts."""
    values = np.random.default_rng(seed).integers(0, 3, (records, len(COLUMNS)))
    counts = Counts(tuple(f"{prefix}{i}" for i in range(records)), values.astype(np.float64))
    stored = replace(made.stored(), measured=Measured(counts, made.COST), **changes)
    path.write_text(stored.to_json())
    return str(path)


@pytest.fixture
def whole(tmp_path):
    return run(
        tmp_path / "whole",
        {"0-baseline": 0, "1-distill": 10, "2-quantize": 12, "export tflite-int8": 12},
        verdicts={"1-distill": {"at most 5 bytes": "pass"}},
    )


def test_a_run_does_not_differ_from_itself(whole):
    found = between(whole, whole)
    assert found["notes"] == found["configuration"] == found["gates"] == []
    assert found["versions"] == {}
    for sides in (found["baseline"], found["code"], *found["data"]["sets"].values()):
        assert sides["reference"] == sides["candidate"]
    assert found["data"]["added"] == found["data"]["removed"] == []
    assert found["accuracy"]["paired"]
    assert found["accuracy"]["excluding_zero"] == found["accuracy"]["holm"] == 0
    for metric in found["accuracy"]["metrics"].values():
        assert set(metric["difference"].values()) <= {0.0, None}
    assert {cost["ratio"] for cost in found["cost"].values()} == {1.0}
    assert found["latency"]["warnings"] == []
    assert found["records"] == {"better": [], "worse": [], "mixed": [], "unchanged": 100}
    assert [pair["candidate"] for pair in found["stages"]["pairs"]] == [
        "0-baseline",
        "1-distill",
        "2-quantize",
        "export tflite-int8",
    ]
    assert found["stages"]["added"] == found["stages"]["removed"] == []


@settings(deadline=None, derandomize=True, max_examples=4)
@given(seed=st.integers(0, 2**20), same_records=st.booleans())
def test_exchanging_two_models_turns_every_sign(seed, same_records):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        one = measured(folder / "one.json", seed)
        changes = {} if same_records else {"prefix": "q", "fingerprint": "e" * 64}
        other = measured(folder / "other.json", seed + 1, **changes)
        there, back = between(one, other), between(other, one)
    assert there["accuracy"]["paired"] == back["accuracy"]["paired"] == same_records
    for name, metric in there["accuracy"]["metrics"].items():
        turned = back["accuracy"]["metrics"][name]
        difference, negated = metric["difference"], turned["difference"]
        assert difference["point"] == pytest.approx(-negated["point"])
        assert difference["lower"] == pytest.approx(-negated["upper"])
        assert difference["upper"] == pytest.approx(-negated["lower"])
        assert metric["change"] == OPPOSITE[turned["change"]]
        assert (metric["reference"], metric["holm"]) == (turned["candidate"], turned["holm"])
    assert there["data"]["added"] == back["data"]["removed"]
    assert there["data"]["removed"] == back["data"]["added"]
    if same_records:
        assert [r["record"] for r in there["records"]["better"]] == [
            r["record"] for r in back["records"]["worse"]
        ]
        assert [r["net"] for r in there["records"]["mixed"]] == [0] * len(back["records"]["mixed"])


def test_each_further_run_is_compared_with_the_first(whole, tmp_path):
    others = [run(tmp_path / f"run{n}", {"0-baseline": 0, "1-distill": n}) for n in (3, 30)]
    document = compare([whole, *others])
    assert list(document["models"]) == ["A", "B", "C"]
    assert [one["candidate"] for one in document["comparisons"]] == ["B", "C"]
    alone = between(whole, others[1]) | {"candidate": "C"}
    assert document["comparisons"][1] == alone


def test_the_last_model_is_compared_and_a_label_chooses_another(whole):
    models = compare([whole, f"{whole}#1-distill"])["models"]
    assert [model["label"] for model in models.values()] == ["export tflite-int8", "1-distill"]
    (note,) = between(whole, f"{whole}#1-distill")["notes"]
    assert "different steps" in note


def test_stages_are_matched_by_kind_where_one_was_added(tmp_path):
    misses = {"0-baseline": 0, "1-distill": 10, "2-quantize": 12}
    more = {"0-baseline": 0, "1-prune": 5, "2-distill": 10, "3-quantize": 20}
    longer = DISTILL | {"steps": 9000}
    found = between(
        run(tmp_path / "one", misses),
        run(tmp_path / "other", more, ({"kind": "prune"}, longer, QUANTIZE)),
    )
    assert [(p["reference"], p["candidate"]) for p in found["stages"]["pairs"]] == [
        ("0-baseline", "0-baseline"),
        ("1-distill", "2-distill"),
        ("2-quantize", "3-quantize"),
    ]
    assert (found["stages"]["added"], found["stages"]["removed"]) == (["1-prune"], [])
    lost = found["stages"]["pairs"][2]["metrics"]["p_f1_0.5s"]
    assert lost["upper"] < 0.0
    assert [c["candidate"]["place"] for c in found["configuration"]] == [
        "stages.0",
        "stages.1.steps",
    ]


def test_rules_that_came_out_differently_are_told_one_by_one(tmp_path):
    misses = {"0-baseline": 0, "1-distill": 10}
    before = {
        "at most 5 bytes": "pass",
        "p_f1_0.5s is worse by no more than 0.01": "inconclusive",
        "p_f1_0.1s is worse by no more than 0.01": "pass",
        "s_f1_0.5s is worse by no more than 0.01": "pass",
    }
    after = {
        "at most 5 bytes": "fail",
        "p_f1_0.5s is worse by no more than 0.2": "pass",
        "p_f1_0.1s is worse by no more than 0.2": "pass",
        "latency is at most 0.5 times the reference's": "pass",
    }
    found = between(
        run(tmp_path / "one", misses, verdicts={"1-distill": before}),
        run(tmp_path / "other", misses, verdicts={"1-distill": after}),
    )
    assert [(g["rules"], g["reference"], g["candidate"]) for g in found["gates"]] == [
        (both("at most 5 bytes", "at most 5 bytes"), ["pass"], ["fail"]),
        (
            both(
                "p_f1_0.5s is worse by no more than 0.01",
                "p_f1_0.5s is worse by no more than 0.2",
            ),
            ["inconclusive"],
            ["pass"],
        ),
        (both("s_f1_0.5s is worse by no more than 0.01", None), ["pass"], []),
        (both(None, "latency is at most 0.5 times the reference's"), [], ["pass"]),
    ]


def both(reference, candidate):
    return {
        "reference": [reference] if reference else [],
        "candidate": [candidate] if candidate else [],
    }


def test_records_that_changed_are_named_with_what_was_lost(tmp_path):
    found = between(
        str(made.reference_file(tmp_path / "one.json", misses=1)),
        str(made.reference_file(tmp_path / "other.json", misses=3)),
    )["records"]
    assert [row["record"] for row in found["worse"]] == ["r1", "r2"]
    assert found["worse"][0]["net"] == -4
    assert found["worse"][0]["changes"] == {
        phase: {"reference": 2, "candidate": 0} for phase in ("P", "S")
    }
    assert (found["better"], found["mixed"], found["unchanged"]) == ([], [], 98)


def test_other_windows_are_not_compared_in_pairs(tmp_path):
    one = made.reference_file(tmp_path / "one.json", misses=10)
    same = made.reference_file(tmp_path / "same.json", misses=20)
    other = made.reference_file(
        tmp_path / "other.json", misses=20, protocol=made.PROTOCOL | {"placements": 5}
    )
    paired, unpaired = between(str(one), str(same)), between(str(one), str(other))
    assert (paired["accuracy"]["paired"], unpaired["accuracy"]["paired"]) == (True, False)
    assert "placements 2 and 5" in unpaired["accuracy"]["reason"]
    assert unpaired["records"] is None
    narrow, wide = (
        one["accuracy"]["metrics"]["p_recall_0.5s"]["difference"] for one in (paired, unpaired)
    )
    assert narrow["point"] == wide["point"] == pytest.approx(-0.1)
    assert wide["upper"] - wide["lower"] > 1.2 * (narrow["upper"] - narrow["lower"])


def test_records_in_common_can_be_compared_alone(tmp_path):
    one = str(made.reference_file(tmp_path / "one.json", misses=10))
    fewer = made.reference_file(
        tmp_path / "fewer.json", misses=12, records=60, fingerprint="e" * 64
    )
    apart, common = between(one, str(fewer)), between(one, str(fewer), common=True)
    assert not apart["accuracy"]["paired"]
    assert "60 records in common" in apart["accuracy"]["reason"]
    assert len(apart["data"]["removed"]) == 40
    assert common["accuracy"]["paired"]
    assert common["accuracy"]["metrics"]["p_recall_0.5s"]["difference"]["point"] == pytest.approx(
        -2 / 60
    )
    assert [row["record"] for row in common["records"]["worse"]] == ["r10", "r11"]


def test_without_a_common_record_there_is_nothing_to_compare_them_on(tmp_path):
    one = made.reference_file(tmp_path / "one.json")
    other = made.reference_file(tmp_path / "other.json", prefix="q", fingerprint="e" * 64)
    assert between(str(one), str(other))["data"]["common_records"] == 0
    with pytest.raises(InputError, match="no common record"):
        compare([str(one), str(other)], common=True)


def test_origins_that_differ_are_told(tmp_path):
    misses = {"0-baseline": 0, "1-distill": 10}
    one = run(tmp_path / "one", misses)
    other = run(
        tmp_path / "other",
        misses,
        code="d" * 64,
        baseline={"name": "eqt-original", "sha256": "1"},
        data={"train": "9", "calibration": "2", "evaluation": made.FINGERPRINT},
        versions={"eqt-compress": "0.1.0", "ai-edge-litert": "2.4.0"},
    )
    found = between(one, other)
    assert found["code"] == {"reference": "c" * 64, "candidate": "d" * 64}
    assert found["baseline"]["candidate"]["name"] == "eqt-original"
    assert found["data"]["sets"]["train"] == {"reference": "1", "candidate": "9"}
    assert found["versions"] == {"ai-edge-litert": {"reference": None, "candidate": "2.4.0"}}
    assert found["latency"]["reference"] == found["latency"]["candidate"] == asdict(made.LATENCY)
    assert found["latency"]["warnings"] == [
        "The two were timed against different baselines.",
        "They were timed with ai-edge-litert None and 2.4.0.",
    ]
    (Path(other) / "stages/0-baseline-abc/manifest.json").unlink()
    assert between(one, other)["code"]["candidate"] is None


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, ["1-distill"]),
        ({"stages": ({**DISTILL, "on_fail": "skip"}, QUANTIZE)}, ["1-distill"]),
        ({"stages": ({**DISTILL, "steps": 7000}, QUANTIZE)}, []),
        ({"data": {"train": "other", "calibration": "2", "evaluation": made.FINGERPRINT}}, []),
        ({"baseline": {"name": "eqt-conservative", "sha256": "1"}}, []),
    ],
)
def test_other_weights_of_the_same_settings_are_told(changes, told, whole, tmp_path):
    misses = {"0-baseline": 0, "1-distill": 10, "2-quantize": 12, "export tflite-int8": 12}
    other = run(tmp_path / "other", misses, **changes)
    for name, weights in ((whole, "abc"), (other, "axy")):
        path = Path(name) / "results.json"
        document = json.loads(path.read_text())
        for row, digest in zip(document["models"], weights, strict=False):
            row["weights_sha256"] = digest
        path.write_text(json.dumps(document))
    notes = [note for note in between(whole, other)["notes"] if "other weights" in note]
    assert [note.partition(":")[0] for note in notes] == told
    assert not any("other weights" in note for note in between(whole, whole)["notes"])


def test_what_comes_from_no_run_has_no_settings(whole, tmp_path):
    found = between(whole, str(made.reference_file(tmp_path / "one.json")))
    for key in ("configuration", "baseline", "code", "stages", "gates"):
        assert found[key] is None
    assert list(found["data"]["sets"]) == ["evaluation"]
    assert found["latency"]["candidate"] is None


@settings(deadline=None, derandomize=True, max_examples=60)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_judging_all_at_once_is_holms_method(scores):
    """By intervals of z-scores, against the textbook's p-values."""
    normal = NormalDist()
    names = [f"m{i}" for i in range(len(scores))]

    def at(confidence):
        half = normal.inv_cdf(0.5 + confidence / 2)
        return {n: Interval(z, z - half, z + half) for n, z in zip(names, scores, strict=True)}

    p_values = sorted((2 * normal.cdf(-abs(z)), n) for n, z in zip(names, scores, strict=True))
    expected = set()
    for rank, (p_value, name) in enumerate(p_values):
        if p_value >= 0.05 / (len(names) - rank):
            break
        expected.add(name)
    assert _holm(at, names) == expected


DAMAGED = {
    "no stages": lambda d: d["pipeline"].pop("stages"),
    "no hash": lambda d: d["baseline"].pop("sha256"),
    "no verdicts": lambda d: d["models"][0].pop("verdicts"),
    "no bytes": lambda d: d["models"][0]["cost"].pop("bytes"),
}


@pytest.mark.parametrize("what", DAMAGED)
def test_results_that_cannot_be_understood_are_said(what, whole):
    path = Path(whole) / "results.json"
    document = json.loads(path.read_text())
    DAMAGED[what](document)
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match="was written by another version"):
        compare([whole, whole])


def test_command_prints_and_writes_and_judges_nothing(run_cli, whole, tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    worse = run(tmp_path / "worse", {"0-baseline": 0, "1-distill": 60}, (DISTILL | {"steps": 9},))
    arguments = ("--json", tmp_path / "out.json", "--markdown", tmp_path / "out.md", "--top", 2)
    code, printed = run_cli("compare", f"{whole}#1-distill", worse, *arguments)
    assert code == 0
    assert "p_highest_peak_recall_0.5s" not in printed, "it was the same in both"
    assert "worse*" in printed
    assert "50 worse, 0 better, 0 mixed, 50 the same." in printed
    document = json.loads((tmp_path / "out.json").read_text())
    assert document["format"] == 1
    assert len(document["comparisons"][0]["records"]["worse"]) == 50
    page = MarkdownIt("commonmark").enable("table").render((tmp_path / "out.md").read_text())
    assert "<td>stages.0.steps</td>\n<td>6000</td>\n<td>9</td>" in page
    assert page.count("</td>\n<td>worse</td>\n<td>-") == 2


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ((), "2 to 26 runs can be compared; given: 1"),
        (("nowhere",), "nowhere: cannot be read"),
        (("{whole}#9-scale",), "holds no model '9-scale'"),
        (("{whole}", "--json", "no/such/file.json"), "there is no folder"),
    ],
)
def test_what_cannot_be_compared_is_bad_input(arguments, complaint, run_cli, whole, monkeypatch):
    monkeypatch.chdir(whole)
    code, printed = run_cli("compare", whole, *(a.format(whole=whole) for a in arguments))
    assert code == 2
    assert complaint in " ".join(printed.split())


def test_names_are_shown_as_they_are(tmp_path):
    names = [str(made.reference_file(tmp_path / f"{n}.json", name=f"[b]_{n}|")) for n in "ab"]
    page = (
        MarkdownIt("commonmark").enable("table").render(comparison_summary(compare(names), top=1))
    )
    assert "[b]_a|, 100 records." in page


def test_tables_keep_names_whole_in_a_narrow_terminal(tmp_path):
    names = [measured(tmp_path / f"{seed}.json", seed) for seed in (1, 2)]
    printed = io.StringIO()
    show_comparison(Console(width=80, file=printed), compare(names), top=3)
    lines = printed.getvalue().splitlines()
    assert max(map(len, lines)) <= 80
    assert any("p_highest_peak_recall_0.5s" in line for line in lines)


def test_comparing_takes_no_tensorflow(whole):
    code = (
        "import sys; from compress.comparing import compare; "
        f"compare([{whole!r}] * 2); sys.exit('tensorflow' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
