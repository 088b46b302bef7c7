"""Records, recordings and documents that are damaged or hostile: an error of one paragraph."""

import pytest

from benchmarks.fuzzing import documents, records
from benchmarks.fuzzing.cases import Case

CASES = [case for module in (records, documents) for case in module.cases()]


@pytest.mark.parametrize("case", [case for case in CASES if case.refused], ids=str)
def test_bad_data_are_refused(case, outcome_of):
    outcome = outcome_of(case)
    assert outcome.code == 2, outcome.output


@pytest.mark.parametrize("case", [case for case in CASES if not case.refused], ids=str)
def test_odd_data_are_taken_or_refused(case, outcome_of):
    outcome = outcome_of(case)
    assert outcome.code in (0, 2), outcome.output


def test_valid_data_are_taken(outcome_of):
    def valid(folder):
        return records._picked(folder, records._miniseed())

    assert outcome_of(Case("miniseed", "valid", valid)).code == 0
    for write, path in (
        (documents._ruled, documents.RULES),
        (documents._gated, documents.REFERENCE),
    ):
        case = Case("document", path.name, lambda f, w=write, p=path: w(f, p.read_bytes()))
        outcome = outcome_of(case)
        assert outcome.code == 0, outcome.output


def test_every_case_is_another_one():
    assert len(CASES) >= 120
    assert len({str(case) for case in CASES}) == len(CASES)
