"""What several tests need: the published weights, windows that look real, quiet progress."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from rich.progress import Progress

from baseline.errors import InputError
from compress.data.feeds import random_windows
from compress.data.synthetic import SyntheticSource

# The suite runs a process for each core: more threads would only stand in each other's way.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")

LONGEST = (
    "test_tutorials.py",
    "compress/stages/test_substitute.py",
    "compress/stages/test_simplify.py",
    "compress/stages/test_scale.py",
    "compress/test_pipeline.py",
    "compress/stages/test_distill.py",
    "compress/stages/test_saved.py",
    "robustness/test_interruptions.py",
    "compress/students/test_eqt.py",
    "compress/pruning/test_magnitude.py",
    "compress/tuning/test_search.py",
    "compress/training/test_distributed.py",
    "export/test_recurrent.py",
    "robustness/test_bad_models.py",
    "export/test_convert.py",
)
"""The files that take longest. Begun first, they leave no worker waiting for another at the end."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files that take longest first; all others stay in their order."""
    here = Path(__file__).parent
    places = {here / name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="session")
def published() -> Callable[[str], Path]:
    """The `.h5` of a published model, by name."""
    from baseline.published import fetch

    def find(name: str) -> Path:
        try:
            return fetch(name)
        except InputError as error:
            pytest.skip(f"the published weights cannot be fetched: {error}")

    return find


@pytest.fixture(scope="session")
def windows() -> np.ndarray:
    """64 normalised windows (64, 6000, 3) of synthetic earthquakes and noise."""
    return random_windows(SyntheticSource(64, seed=11), 64, seed=0)


@pytest.fixture
def run_cli(monkeypatch, capsys) -> Callable[..., tuple[int, str]]:
    """Runs a command in this process: exit code and everything printed."""
    from compress import cli

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["compress", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
            raise SystemExit(0)
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out + printed.err

    return run


@pytest.fixture
def progress() -> Progress:
    """Progress that nobody sees."""
    return Progress(disable=True)
