"""The arena: places that do not overlap, and estimates held against TFLite Micro's own numbers."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from baseline.errors import InputError
from export.arena import estimate_arena, find_arena, measure_arena, places, planned
from export.bundle import read_bundle
from export.writers.flatbuffer import edit
from export.writers.passes.integer_ends import drop_float_ends

ROOT = Path(__file__).parents[2]
RELEASED = ROOT / "artifacts" / "released"
MEASURED = json.loads((ROOT / "benchmarks/results/tflite_micro.json").read_text())
STUDENTS = ("student-tflite-int8", "student-small-tflite-int8")

spans = st.tuples(st.integers(0, 20), st.integers(0, 5)).map(lambda s: (s[0], s[0] + s[1]))
tensors = st.lists(st.tuples(st.integers(1, 50).map(lambda n: 16 * n), spans), max_size=25)


def content(name, integer_ends=False):
    model = read_bundle(RELEASED / name)[1].read_bytes()
    return edit(model, drop_float_ends) if integer_ends else model


@given(tensors)
def test_tensors_needed_at_the_same_time_lie_apart(drawn):
    sizes, lives = [size for size, _ in drawn], [span for _, span in drawn]
    found = places(sizes, lives)
    assert all(place % 16 == 0 for place in found)
    for a in range(len(drawn)):
        for b in range(a):
            together = lives[a][0] <= lives[b][1] and lives[b][0] <= lives[a][1]
            apart = found[a] + sizes[a] <= found[b] or found[b] + sizes[b] <= found[a]
            assert apart or not together
    needed = [
        sum(size for size, (first, last) in drawn if first <= step <= last) for step in range(26)
    ]
    assert max(needed) <= planned(sizes, lives) <= sum(sizes)


def test_a_tensor_takes_the_gap_that_another_left():
    # The third lives after the first and with the second, which lies behind the first.
    assert places([64, 48, 32], [(0, 1), (1, 3), (2, 3)]) == [0, 64, 0]
    assert planned([64, 48, 32], [(0, 1), (1, 3), (2, 3)]) == 112


@pytest.mark.parametrize("integer_ends", [False, True])
@pytest.mark.parametrize("name", STUDENTS)
def test_estimate_is_what_tflite_micro_was_measured_to_take(name, integer_ends):
    row = next(
        row
        for row in MEASURED["results"]
        if Path(row["model"]).name == name and row["integer_ends"] == integer_ends
    )
    measured = row["arena"]["measured"]
    estimate = estimate_arena(content(name, integer_ends))
    assert estimate.tensors == measured["tensors"]
    assert measured["persistent"] <= estimate.persistent <= 1.05 * measured["persistent"]
    assert row["against"]["reference"]["equal"] == 1.0


def test_installed_tflite_micro_is_asked():
    runtime = pytest.importorskip("tflite_micro").runtime
    model = content(STUDENTS[1], integer_ends=True)
    found = find_arena(model)
    assert found.measured
    assert found.tensors == estimate_arena(model).tensors
    assert runtime.Interpreter.from_bytes(model, arena_size=found.bytes)
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(model, arena_size=found.bytes - 16)


def test_what_tflite_micro_cannot_run_is_said():
    pytest.importorskip("tflite_micro")
    with pytest.raises(InputError, match="TFLite Micro cannot run the model"):
        measure_arena(content(STUDENTS[1]), 20_000)
