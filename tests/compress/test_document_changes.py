"""What differs between two documents of plain values, and which list item is which."""

import json
from functools import reduce

from hypothesis import given, settings
from hypothesis import strategies as st

from compress.document_changes import aligned, changes

KEYS = st.sampled_from(["a", "b", "steps"])
SCALARS = st.none() | st.booleans() | st.integers(2, 5) | st.text("xyz", max_size=2)
OBJECTS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["prune", "distill", "quantize"])},
    optional={"steps": st.integers(2, 4), "teacher": SCALARS, "channels": st.lists(SCALARS)},
)
VALUES = st.recursive(
    SCALARS | st.lists(OBJECTS, max_size=4),
    lambda inner: st.dictionaries(KEYS, inner, max_size=3) | st.lists(inner, max_size=3),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=3)
EXAMPLES = settings(deadline=None, derandomize=True, max_examples=60)


def mirrored(found):
    return [{"reference": c["candidate"], "candidate": c["reference"]} for c in found]


def in_any_order(found):
    return sorted(json.dumps(change, sort_keys=True) for change in found)


def at(document, place):
    return reduce(lambda d, k: d[int(k) if isinstance(d, list) else k], place.split("."), document)


@EXAMPLES
@given(DOCUMENTS)
def test_a_document_does_not_differ_from_itself(document):
    assert changes(document, json.loads(json.dumps(document))) == []


@EXAMPLES
@given(DOCUMENTS, DOCUMENTS)
def test_exchanging_documents_exchanges_the_sides_of_each_change(one, other):
    assert in_any_order(changes(other, one)) == in_any_order(mirrored(changes(one, other)))


@EXAMPLES
@given(DOCUMENTS, DOCUMENTS)
def test_every_change_names_a_place_and_what_stands_there(one, other):
    found = changes(one, other)
    assert bool(found) == (one != other)
    for change in found:
        assert change["reference"] != change["candidate"]
        for side, document in (("reference", one), ("candidate", other)):
            if change[side]:
                assert at(document, change[side]["place"]) == change[side]["value"]


@EXAMPLES
@given(st.lists(OBJECTS, max_size=5), st.lists(OBJECTS, max_size=5))
def test_alignment_keeps_order_and_kind_and_leaves_nothing_out(one, other):
    pairs = aligned(one, other)
    assert [i for i, _ in pairs if i is not None] == list(range(len(one)))
    assert [j for _, j in pairs if j is not None] == list(range(len(other)))
    for i, j in pairs:
        assert i is None or j is None or one[i]["kind"] == other[j]["kind"]


def test_a_stage_more_does_not_make_the_later_ones_look_changed():
    before = {"stages": [{"kind": "distill", "steps": 6000}, {"kind": "quantize"}]}
    after = {
        "stages": [{"kind": "prune"}, {"kind": "distill", "steps": 9000}, {"kind": "quantize"}]
    }
    assert changes(before, after) == [
        {"reference": None, "candidate": {"place": "stages.0", "value": {"kind": "prune"}}},
        {
            "reference": {"place": "stages.0.steps", "value": 6000},
            "candidate": {"place": "stages.1.steps", "value": 9000},
        },
    ]


def test_of_two_of_a_kind_the_one_alike_is_the_counterpart():
    first, second = ({"kind": "distill", "steps": n, "batch": 32} for n in (100, 9000))
    assert aligned([first, second], [second]) == [(0, None), (1, 0)]


def test_lists_of_numbers_are_one_value():
    (change,) = changes({"channels": [16, 24]}, {"channels": [16, 32]})
    assert (change["reference"]["value"], change["candidate"]["value"]) == ([16, 24], [16, 32])
