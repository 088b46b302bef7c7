"""The process that bad input is tried in."""

from collections.abc import Callable, Iterator

import pytest

from benchmarks.fuzzing import keras_files
from benchmarks.fuzzing.cases import Case
from benchmarks.fuzzing.contained import Contained, Outcome


@pytest.fixture(scope="session")
def contained(tmp_path_factory) -> Iterator[Contained]:
    """A server of this test process."""
    with Contained(tmp_path_factory.mktemp("cache")) as server:
        yield server


@pytest.fixture
def outcome_of(contained, tmp_path) -> Callable[[Case], Outcome]:
    """Runs a case, and sees that what is promised for any input was kept."""

    def run(case: Case) -> Outcome:
        outcome = contained.run(*case.write(tmp_path))
        assert not outcome.fault(), f"{outcome.fault()}: {outcome.output}"
        assert not (tmp_path / keras_files.CANARY).exists()
        return outcome

    return run
