"""A process that has worked for long holds no more than soon after it began."""

import pytest
import recorded

from benchmarks.long_load import apart, open_bundle, pick_days
from compress.models import open_model

BUNDLES = ("student-tflite-int8", "student-onnx-int8")
DAYS, SETTLED = 12, 4
"""So many short days; after the first of them, what is kept for good is there."""

MOST_GROWTH_MIB = 3.0
"""From there to the end. A model that is not let go takes 0.7 MiB a day in TFLite, 2 in ONNX."""


@pytest.fixture(scope="module")
def days(tmp_path_factory):
    """Days of six minutes: the first, the sixth and the twelfth are the same, as are the others."""
    folders = []
    for kind in range(2):
        folders.append(tmp_path_factory.mktemp(f"day{kind}"))
        waveform, _ = recorded.continuous(4, seed=5 + kind)
        recorded.write(folders[-1] / "all.mseed", recorded.stream(waveform))
    return [folders[day not in (1, 6, DAYS)] for day in range(1, DAYS + 1)]


def growth_mib(found):
    return found[-1]["rss_mib"] - found[SETTLED - 1]["rss_mib"]


@pytest.mark.parametrize("bundle", BUNDLES)
def test_days_leave_nothing_behind(bundle, days):
    found = apart(pick_days, str(recorded.RELEASED / bundle), days)
    assert len({(one["handles"], one["threads"]) for one in found[1:]}) == 1
    assert growth_mib(found) < MOST_GROWTH_MIB
    same = {found[day - 1]["sha256"] for day in (1, 6, DAYS)}
    others = {one["sha256"] for one in found} - same
    assert len(same) == len(others) == 1
    assert all(one["picks"] >= 6 for one in found)


@pytest.mark.parametrize("bundle", BUNDLES)
def test_openings_leave_nothing_behind(bundle):
    found = apart(open_bundle, str(recorded.RELEASED / bundle), 60, 5)
    assert len({(one["handles"], one["threads"]) for one in found}) == 1
    assert growth_mib(found) < MOST_GROWTH_MIB


def pick_days_and_keep_a_model(bundle, archives):
    kept, found = [], []
    for archive in archives:
        kept.append(open_model(bundle)[1])
        found += pick_days(bundle, [archive])
    return found


@pytest.mark.parametrize("bundle", BUNDLES)
def test_a_model_that_is_kept_every_day_would_show(bundle, days):
    found = apart(pick_days_and_keep_a_model, str(recorded.RELEASED / bundle), days)
    assert growth_mib(found) > MOST_GROWTH_MIB
