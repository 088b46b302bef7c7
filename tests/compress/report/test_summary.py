"""Summaries: what they say, and that they are the Markdown that they look like."""

import pytest
import stored_models as made
from markdown_it import MarkdownIt

from compress.gating import gate
from compress.report.summary import gate_summary, publish, run_summary
from compress.results import metrics_document


def html(markdown):
    return MarkdownIt("commonmark").enable("table").render(markdown)


@pytest.fixture
def document(tmp_path):
    candidate = made.reference_file(tmp_path / "candidate.json", misses=20, name="my|<b>_model_`")
    return gate(str(candidate), str(made.reference_file(tmp_path / "reference.json")))


def test_gate_summary_tells_outcome_rules_and_cost(document):
    page = html(gate_summary(document))
    assert "<h2>Gate: fail</h2>" in page
    assert page.count("<table>") == 2
    assert page.count("<tr>") == (1 + 5) + (1 + 4)
    assert "<strong>fail</strong>" in page
    assert "<td>p_f1_0.5s is worse by no more than 0.01</td>" in page
    assert "worse than the margin of 0.01 allows" in page


def test_names_are_shown_as_they_are(document):
    page = html(gate_summary(document))
    assert "my|&lt;b&gt;_model_` against small, 100 records." in page


def test_run_summary_tells_what_was_skipped():
    counts = made.counts()
    bad = {
        "rule": "at most 5 bytes",
        "outcome": "fail",
        "measured": 6,
        "bound": 5,
        "interval": None,
        "reason": "It has 6.",
    }
    rows = [
        {
            "label": label,
            "cost": made.COST,
            "latency": None,
            "metrics": metrics_document(counts),
            "verdicts": verdicts,
            "skipped": bool(verdicts),
        }
        for label, verdicts in (("0-baseline", []), ("1-distill", [bad]))
    ]
    page = html(run_summary({"name": "tiny", "outcome": "pass", "models": rows}))
    assert "<h2>Pipeline tiny: pass</h2>" in page
    assert "<td>skipped: fail (1 of 1)</td>" in page
    assert "<strong>1-distill was skipped</strong>" in page
    assert "It has 6." in page


def test_summary_goes_to_the_page_of_the_job(tmp_path, monkeypatch):
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    publish("nobody reads this")
    page, file = tmp_path / "page.md", tmp_path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
    publish("one\n", file)
    publish("two\n", file)
    assert page.read_text() == "one\n\ntwo\n\n"
    assert file.read_text() == "two\n"
