"""Gates between stored measurements: every form they come in, and what the outcome rests on."""

import json
import subprocess
import sys
import time

import junitparser
import pytest
import stored_models as made

from baseline.errors import InputError
from compress import cli
from compress.gates import Gates, Outcome
from compress.gating import DEFAULT_GATES, accept, gate, read_gates
from compress.measurements import read_stored


def outcomes(document):
    return [verdict["outcome"] for verdict in document["verdicts"]]


@pytest.fixture
def reference(tmp_path):
    return made.reference_file(tmp_path / "reference.json")


FORMS = (
    "results",
    "run folder",
    "label",
    "label in a file",
    "evaluation",
    "bundle",
    "reference",
)


def forms(folder, misses):
    """The same measurement in every form it can be stored in."""
    run = made.run_folder(folder / "run", {"0-baseline": 1, "1-distill": misses})
    two = made.run_folder(folder / "two", {"0-baseline": 1, "1-distill": misses, "2-quantize": 9})
    return {
        "results": run / "results.json",
        "run folder": run,
        "label": f"{two}#1-distill",
        "label in a file": f"{two / 'results.json'}#1-distill",
        "evaluation": made.evaluation_file(folder / "evaluation.json", {"m.tflite": misses}),
        "bundle": made.bundle_folder(folder / "bundle", made.stored(misses).to_json()),
        "reference": made.reference_file(folder / "accepted.json", misses=misses),
    }


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_measurement_is_gated(form, reference, tmp_path):
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.mkdir()
    bad.mkdir()

    passed = gate(str(forms(good, 0)[form]), str(reference))
    failed = gate(str(forms(bad, 20)[form]), str(reference))

    assert passed["outcome"] == "pass"
    assert outcomes(passed) == ["pass"] * 5
    assert failed["outcome"] == "fail"
    assert outcomes(failed) == ["fail", "fail", "pass", "pass", "pass"]


def test_counts_survive_storage_exactly(reference):
    before, after = made.stored().measured.counts, read_stored(str(reference)).measured.counts
    assert after.record_names == before.record_names
    assert (after.values == before.values).all()


def test_skipped_stage_is_not_the_last_model(tmp_path):
    run = made.run_folder(
        tmp_path / "run", {"0-baseline": 0, "1-distill": 3, "2-quantize": 50}, ("2-quantize",)
    )
    assert read_stored(str(run)).name == "tiny 1-distill"
    assert read_stored(f"{run}#2-quantize").name == "tiny 2-quantize"


def test_larger_file_fails(reference, tmp_path):
    candidate = made.reference_file(tmp_path / "candidate.json", cost={"bytes": 103_000})
    document = gate(str(candidate), str(reference))
    assert outcomes(document) == ["pass", "pass", "pass", "fail", "pass"]


def test_inconclusive_fails_unless_it_warns(reference, tmp_path):
    candidate = str(made.reference_file(tmp_path / "candidate.json", misses=1))
    document = gate(candidate, str(reference))
    assert outcomes(document)[0] == "inconclusive"
    assert document["outcome"] == "fail"
    assert gate(candidate, str(reference), inconclusive="warn")["outcome"] == "pass"


DIFFERENT = {
    "data": ({"fingerprint": "e" * 64}, "different data"),
    "placements": ({"protocol": {"placements": 5, "seed": 0}}, "placements 5 and 2"),
    "a setting more": ({"protocol": made.PROTOCOL | {"filter": 1}}, "filter 1 and None"),
    "record names": ({"prefix": "x"}, "same records"),
    "record number": ({"records": 99}, "same records"),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_measurements_of_other_windows_are_not_compared(what, reference, tmp_path):
    changes, expected = DIFFERENT[what]
    candidate = made.reference_file(tmp_path / "candidate.json", **changes)
    with pytest.raises(InputError, match=expected):
        gate(str(candidate), str(reference))


LATENCY = Gates.model_validate({"cost": [{"measure": "latency", "maximum_ratio": 0.9}]})


def test_latency_is_gated_only_where_both_were_timed_together(tmp_path, reference):
    run = made.run_folder(tmp_path / "run", {"0-baseline": 0, "1-distill": 0, "2-quantize": 0})
    other = made.run_folder(tmp_path / "other", {"0-baseline": 0, "1-distill": 0})
    evaluation = made.evaluation_file(tmp_path / "evaluation.json", {"a.tflite": 0, "b.tflite": 0})

    def outcome(candidate, against):
        return outcomes(gate(str(candidate), str(against), LATENCY))[0]

    assert outcome(run, f"{run}#0-baseline") == "pass"
    assert outcome(f"{run / 'results.json'}#1-distill", f"{run}#0-baseline") == "pass"
    assert outcome(run, f"{run}#1-distill") == "inconclusive"
    assert outcome(run, f"{other}#0-baseline") == "inconclusive"
    assert outcome(run, reference) == "inconclusive"
    assert outcome(evaluation, f"{evaluation}#b.tflite") == "pass"
    assert outcome(f"{evaluation}#b.tflite", evaluation) == "inconclusive"


def test_bundle_without_counts_is_said(tmp_path, reference):
    bundle = made.bundle_folder(tmp_path / "bundle", None)
    with pytest.raises(InputError, match="holds no counts") as caught:
        gate(str(bundle), str(reference))
    assert "compress evaluate" in caught.value.hint


def test_altered_counts_of_a_bundle_are_refused(tmp_path):
    bundle = made.bundle_folder(tmp_path / "bundle", made.stored(5).to_json())
    path = bundle / "counts.json"
    path.write_text(made.stored(0).to_json())
    with pytest.raises(InputError, match="SHA-256"):
        read_stored(str(bundle))
    path.unlink()
    with pytest.raises(InputError, match="missing"):
        read_stored(str(bundle))


def test_counts_of_other_thresholds_are_refused(tmp_path):
    stored = made.stored(thresholds=made.THRESHOLDS | {"p": 0.2})
    bundle = made.bundle_folder(tmp_path / "bundle", stored.to_json())
    with pytest.raises(InputError, match="other thresholds"):
        read_stored(str(bundle))


UNREADABLE = {
    "nothing there": (None, "cannot be read"),
    "no JSON": ("{", "not valid JSON"),
    "a list": ("[]", "no JSON object"),
    "something else": ('{"a": 1}', "no measured model"),
    "another format": ('{"kind": "measured model", "format": 2}', "format 2"),
    "cut short": ('{"kind": "measured model", "format": 1}', "damaged"),
    "a run without models": ('{"pipeline": {"evaluation": {}}, "models": []}', "no model"),
    "not UTF-8": ("\udcff", "UTF-8"),
}


@pytest.mark.parametrize("what", UNREADABLE)
def test_what_is_no_measurement_is_said(what, tmp_path):
    content, expected = UNREADABLE[what]
    path = tmp_path / "candidate.json"
    if content is not None:
        path.write_text(content, errors="surrogateescape")
    with pytest.raises(InputError, match=expected) as caught:
        read_stored(str(path))
    assert "candidate.json" in str(caught.value)


def test_folder_that_is_neither_run_nor_bundle_is_said(tmp_path):
    with pytest.raises(InputError, match="neither a run's folder"):
        read_stored(str(tmp_path))


def test_unknown_label_is_answered_with_the_known_ones(tmp_path, reference):
    run = made.run_folder(tmp_path / "run", {"0-baseline": 0, "1-distill": 0})
    with pytest.raises(InputError, match="0-baseline, 1-distill"):
        read_stored(f"{run}#9-prune")
    with pytest.raises(InputError, match="none to choose"):
        read_stored(f"{reference}#1-distill")


def test_damaged_counts_name_the_file(tmp_path):
    path = made.reference_file(tmp_path / "reference.json")
    document = json.loads(path.read_text())
    document["columns"][0] = "p_tp_9s"
    path.write_text(json.dumps(document))
    with pytest.raises(InputError, match=r"reference\.json.*other columns"):
        read_stored(str(path))


# --- Rules ---------------------------------------------------------------------------------------


def rules(tmp_path, text):
    path = tmp_path / "gates.yaml"
    path.write_text(text)
    return path


def test_rules_are_read_from_yaml(tmp_path, reference):
    path = rules(tmp_path, "cost:\n  - {measure: parameters, maximum: 50000}\n")
    assert outcomes(gate(str(reference), str(reference), read_gates(path))) == ["fail"]


WRONG_RULES = {
    "misspelt": ("acuracy: []\n", ["line 1", "Did you mean 'accuracy'"]),
    "unknown metric": ("accuracy:\n  - {metric: f1, margin: 0.1}\n", ["line 2", "p_f1_0.5s"]),
    "no rule": ("accuracy: []\n", ["declares no rule"]),
    "previous": (
        "accuracy:\n  - {metric: p_f1_0.5s, margin: 0.1,\n     against: previous}\n",
        ["line 3", "no previous model"],
    ),
}


@pytest.mark.parametrize("what", WRONG_RULES)
def test_wrong_rules_are_said_with_their_line(what, tmp_path):
    text, expected = WRONG_RULES[what]
    with pytest.raises(InputError) as caught:
        read_gates(rules(tmp_path, text))
    for part in ("gates.yaml", *expected):
        assert part in str(caught.value)


# --- Acceptance ----------------------------------------------------------------------------------


def test_accepted_reference_is_small_and_passes_against_itself(tmp_path):
    candidate = made.reference_file(tmp_path / "candidate.json", records=800, prefix="synthetic:3:")
    file = tmp_path / "reference.json"
    accept(str(candidate), file)
    assert file.stat().st_size < 200_000
    assert gate(str(candidate), str(file))["outcome"] == "pass"
    accept(str(candidate), file)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["candidate.json", "reference.json"]


def test_a_changed_record_is_a_changed_line(tmp_path):
    before, after = (made.stored(misses).to_json().splitlines() for misses in (0, 1))
    assert sum(a != b for a, b in zip(before, after, strict=True)) == 1


def test_other_files_are_not_overwritten_by_a_reference(tmp_path, reference):
    thesis = tmp_path / "thesis.tex"
    thesis.write_text("years of work")
    with pytest.raises(InputError, match="not replaced"):
        accept(str(reference), thesis)
    assert thesis.read_text() == "years of work"
    with pytest.raises(InputError, match="no folder"):
        accept(str(reference), tmp_path / "nowhere" / "reference.json")


# --- The command ---------------------------------------------------------------------------------


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs a command in this process: exit code and everything printed."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["compress", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
            raise SystemExit(0)
        printed = capsys.readouterr()
        return ended.value.code or 0, " ".join((printed.out + printed.err).split())

    return run


def test_exit_codes(command, tmp_path, reference):
    good = made.reference_file(tmp_path / "good.json")
    unclear = made.reference_file(tmp_path / "unclear.json", misses=1)
    bad = made.reference_file(tmp_path / "bad.json", misses=20)
    assert command("gate", good, "--against", reference)[0] == 0
    assert command("gate", bad, "--against", reference)[0] == 3
    assert command("gate", bad, "--against", reference, "--inconclusive", "warn")[0] == 3
    assert command("gate", unclear, "--against", reference)[0] == 3
    assert command("gate", unclear, "--against", reference, "--inconclusive", "warn")[0] == 0


USAGE = {
    "neither": ([], "Give either --against"),
    "both": (["--against", "x", "--accept", "y"], "Give either --against"),
    "unknown": (["--against", "x", "--inconclusive", "maybe"], "Known: fail, warn"),
    "no folder": (["--against", "x", "--junit", "nowhere/j.xml"], "there is no folder"),
    "no reference": (["--against", "nothing.json"], "nothing.json"),
}


@pytest.mark.parametrize("what", USAGE)
def test_wrong_usage_is_one_paragraph(what, command, reference):
    arguments, expected = USAGE[what]
    code, output = command("gate", reference, *arguments)
    assert code == 2
    assert expected in output
    assert "Traceback" not in output


def test_reports_are_written(command, tmp_path, reference, monkeypatch):
    page = tmp_path / "page.md"
    page.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    bad = made.reference_file(tmp_path / "bad.json", misses=20)
    code, output = command(
        "gate", bad, "--against", reference, "--junit", tmp_path / "junit.xml",
        "--summary", tmp_path / "summary.md", "--json", tmp_path / "gate.json",
    )  # fmt: skip
    assert code == 3
    assert "worse than the margin of 0.01 allows" in output
    document = json.loads((tmp_path / "gate.json").read_text())
    assert document["outcome"] == Outcome.FAIL
    assert document["differences"]["p_f1_0.5s"]["point"] < -0.05
    xml = junitparser.JUnitXml.fromfile(str(tmp_path / "junit.xml"))
    assert (xml.tests, xml.failures) == (5, 2)
    summary = (tmp_path / "summary.md").read_text()
    assert summary.startswith("## Gate: fail")
    assert page.read_text() == f"before\n{summary}\n"


def test_accepting_from_the_command_line(command, tmp_path, reference):
    file = tmp_path / "new.json"
    code, output = command("gate", reference, "--accept", file)
    assert code == 0
    assert "reference" in output
    assert file.read_text() == reference.read_text()


def test_gate_needs_no_tensorflow_and_answers_within_two_seconds(tmp_path):
    candidate = made.reference_file(tmp_path / "candidate.json", records=800)
    program = (
        "import sys; sys.argv = ['compress', *sys.argv[1:]]\n"
        "from compress import cli\n"
        "try:\n    cli.main()\n"
        "finally:\n"
        "    assert not {'tensorflow', 'tf_keras', 'onnxruntime', 'scipy'} & sys.modules.keys()\n"
    )
    seconds = []
    for _ in range(2):  # the first may have to compile the modules
        started = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", program, "gate", candidate, "--against", candidate],
            capture_output=True,
            text=True,
            check=False,
        )
        seconds.append(time.monotonic() - started)
        assert done.returncode == 0, done.stderr
    assert min(seconds) < 6  # two on a quiet machine; other tests run beside this one


def test_default_rules_are_those_that_are_documented():
    assert {gate.metric: gate.margin for gate in DEFAULT_GATES.accuracy} == {
        "p_f1_0.5s": 0.01,
        "s_f1_0.5s": 0.01,
        "detection_f1": 0.01,
    }
    assert {gate.measure: gate.maximum_ratio for gate in DEFAULT_GATES.cost} == {
        "bytes": 1.02,
        "multiply_adds": 1.02,
    }
