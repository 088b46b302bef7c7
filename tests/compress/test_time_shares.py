"""Where the time of a run went."""

import pytest
from rich.progress import Progress

from compress.time_shares import time_shares


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


def spend(progress, clock, what, seconds, ends=True):
    task = progress.add_task(what, total=2)
    clock.now += seconds
    progress.update(task, completed=2 if ends else 1)


def test_parts_by_when_they_began_and_the_rest_as_one(clock):
    progress = Progress(disable=True, get_time=clock)
    spend(progress, clock, "train", 60.0)
    spend(progress, clock, "evaluate", 20.0)
    spend(progress, clock, "train", 10.0)
    spend(progress, clock, "blink", 0.5)
    spend(progress, clock, "broke off", 5.0, ends=False)
    assert time_shares(progress, 100.0) == [
        {"part": "train", "seconds": 70.0, "share": 0.7},
        {"part": "evaluate", "seconds": 20.0, "share": 0.2},
        {"part": "all else", "seconds": 10.0, "share": 0.1},
    ]


def test_a_run_that_found_everything_finished(clock):
    assert time_shares(Progress(disable=True, get_time=clock), 0.0) == [
        {"part": "all else", "seconds": 0.0, "share": 0.0}
    ]
