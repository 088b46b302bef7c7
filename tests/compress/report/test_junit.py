"""Verdicts as JUnit XML: read back by another parser, and valid whatever the names hold."""

import xml.etree.ElementTree as ElementTree

import junitparser
import pytest

from compress.report.junit import write_junit

DATE = "2026-01-01T00:00:00+00:00"


def verdict(outcome, rule="p_f1_0.5s is worse by no more than 0.01", **changes):
    return {
        "rule": rule,
        "outcome": outcome,
        "measured": -0.02,
        "bound": -0.01,
        "interval": [-0.03, -0.01],
        "reason": f"because <it> & {outcome}",
    } | changes


@pytest.fixture
def written(tmp_path):
    def write(rows, inconclusive="fail", name="compress gate"):
        path = tmp_path / "junit.xml"
        write_junit(path, name, rows, inconclusive=inconclusive, date=DATE)
        return path

    return write


ROWS = [
    {"label": "0-baseline", "verdicts": []},
    {"label": "1-distill", "verdicts": [verdict("pass"), verdict("fail", "at most 5 bytes")]},
    {"label": "2-quantize", "verdicts": [verdict("inconclusive")]},
]


def test_another_parser_reads_it_back(written):
    xml = junitparser.JUnitXml.fromfile(str(written(ROWS)))
    suites = list(xml)
    assert [suite.name for suite in suites] == [
        "compress gate: 1-distill",
        "compress gate: 2-quantize",
    ]
    assert (xml.tests, xml.failures, xml.errors, xml.skipped) == (3, 2, 0, 0)
    assert [(s.tests, s.failures) for s in suites] == [(2, 1), (1, 1)]
    passed, failed = suites[0]
    assert passed.is_passed
    assert failed.is_failure
    assert failed.name == "at most 5 bytes"
    assert failed.classname == "compress.gate.1-distill"
    assert failed.result[0].message == "because <it> & fail"
    (undecided,) = suites[1]
    assert undecided.result[0].type == "inconclusive"


def test_standard_attributes_are_there(written):
    root = ElementTree.parse(written(ROWS)).getroot()
    assert root.tag == "testsuites"
    for suite in root:
        assert suite.tag == "testsuite"
        needed = {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"}
        assert needed <= suite.attrib.keys()
        for case in suite:
            assert {"name", "classname", "time"} <= case.attrib.keys()


def test_measured_numbers_are_properties(written):
    rows = [{"label": "x", "verdicts": [verdict("fail"), verdict("fail", measured=None,
                                                                interval=None)]}]  # fmt: skip
    cases = ElementTree.parse(written(rows)).getroot().iter("testcase")
    found = [{p.get("name"): p.get("value") for p in case.iter("property")} for case in cases]
    assert found == [
        {"measured": "-0.02", "bound": "-0.01", "lower": "-0.03", "upper": "-0.01"},
        {"bound": "-0.01"},
    ]


def test_warnings_and_skipped_stages_are_skipped_tests(written):
    rows = [
        {"label": "1", "verdicts": [verdict("fail"), verdict("pass")], "skipped": True},
        {"label": "2", "verdicts": [verdict("inconclusive")], "skipped": False},
    ]
    first, second = junitparser.JUnitXml.fromfile(str(written(rows, "warn")))
    assert (first.tests, first.failures, first.skipped) == (2, 0, 1)
    assert "the stage was skipped" in next(iter(first)).result[0].message
    assert (second.tests, second.failures, second.skipped) == (1, 0, 1)


@pytest.mark.parametrize("name", ["<&>\"'", "a\x00b\x1b[31m", "Erdbeben \N{WHITE SMILING FACE}"])
def test_names_cannot_break_the_xml(name, written):
    path = written([{"label": name, "verdicts": [verdict("pass", rule=name)]}], name=name)
    case = next(ElementTree.parse(path).getroot().iter("testcase"))
    kept = "".join(c for c in name if c.isprintable())
    assert "".join(c for c in case.get("name") if c != "\N{REPLACEMENT CHARACTER}") == kept


def test_nothing_to_report_is_valid_too(written):
    xml = junitparser.JUnitXml.fromfile(str(written([])))
    assert len(xml) == 0
