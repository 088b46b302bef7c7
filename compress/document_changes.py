"""What differs between two documents of plain values, such as two pipelines: place by place.

Lists of objects (stages, sources, rules) are aligned first, so that one more stage is one addition
and does not make every later stage look changed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

IDENTITY = ("kind", "metric", "measure", "format")
"""Keys that say what an object is: two that differ in one of them are never aligned."""

_ALONE = Fraction(1, 2)
"""Price of an object without a counterpart. Two of them cost more than any pair that may be."""

Change = dict[str, Any]


def changes(reference: Any, candidate: Any, places: tuple[str, str] = ("", "")) -> list[Change]:
    """Every place at which two documents differ.

    Args:
        reference: plain values, as JSON holds them.
        candidate: likewise.
        places: of the two in the documents that they are part of.

    Returns:
        For each difference `reference` and `candidate`, with `place` (`stages.3.steps`, as `--set`
        takes it) and `value`; None for the document in which there is nothing at that place.
        Exchanging the documents exchanges the two and changes nothing else.
    """
    if isinstance(reference, dict) and isinstance(candidate, dict):
        keys = dict.fromkeys([*reference, *candidate])
        pairs = [(k if k in reference else None, k if k in candidate else None) for k in keys]
        return _of_members(reference, candidate, pairs, places)
    if _of_objects(reference) and _of_objects(candidate):
        return _of_members(reference, candidate, aligned(reference, candidate), places)
    if reference == candidate:
        return []
    return [{"reference": _at(places[0], reference), "candidate": _at(places[1], candidate)}]


def aligned(
    reference: Sequence[dict[str, Any]], candidate: Sequence[dict[str, Any]]
) -> list[tuple[int | None, int | None]]:
    """Which object of one list is which of another, in order: the pairs with the fewest changes.

    Args:
        reference: objects, told apart by the keys of IDENTITY.
        candidate: likewise.

    Returns:
        Pairs of indices; None where an object has no counterpart. Exchanging the lists exchanges
        the indices of each pair.
    """
    prices = {
        (i, j): Fraction(number := len(changes(ours, theirs)), number + 1)
        for i, ours in enumerate(reference)
        for j, theirs in enumerate(candidate)
        if all(ours.get(key) == theirs.get(key) for key in IDENTITY)
    }
    # The cheapest alignment of everything from i and j on, from the end.
    ends = len(reference), len(candidate)
    total = {(i, j): (ends[0] - i + ends[1] - j) * _ALONE
             for i in range(ends[0] + 1) for j in range(ends[1] + 1)}  # fmt: skip
    for i in reversed(range(ends[0])):
        for j in reversed(range(ends[1])):
            alone = _ALONE + min(total[i + 1, j], total[i, j + 1])
            pair = prices[i, j] + total[i + 1, j + 1] if (i, j) in prices else alone
            total[i, j] = min(pair, alone)
    pairs: list[tuple[int | None, int | None]] = []
    i = j = 0
    while (i, j) != ends:
        if (i, j) in prices and total[i, j] == prices[i, j] + total[i + 1, j + 1]:
            pairs.append((i, j))
            i, j = i + 1, j + 1
        elif j == ends[1] or (i < ends[0] and _removed_first(i, j, total, reference, candidate)):
            pairs.append((i, None))
            i += 1
        else:
            pairs.append((None, j))
            j += 1
    return pairs


def _removed_first(
    i: int,
    j: int,
    total: dict[tuple[int, int], Fraction],
    reference: Sequence[dict[str, Any]],
    candidate: Sequence[dict[str, Any]],
) -> bool:
    """Whether object i has no counterpart, rather than j; of equal prices the content decides."""
    ours, theirs = (json.dumps(one, sort_keys=True) for one in (reference[i], candidate[j]))
    return (total[i + 1, j], ours) < (total[i, j + 1], theirs)


def _of_members(
    reference: Any, candidate: Any, pairs: Sequence[tuple[Any, Any]], places: tuple[str, str]
) -> list[Change]:
    found: list[Change] = []
    for ours, theirs in pairs:
        here = (f"{places[0]}.{ours}".lstrip("."), f"{places[1]}.{theirs}".lstrip("."))
        if ours is None:
            found.append({"reference": None, "candidate": _at(here[1], candidate[theirs])})
        elif theirs is None:
            found.append({"reference": _at(here[0], reference[ours]), "candidate": None})
        else:
            found += changes(reference[ours], candidate[theirs], here)
    return found


def _of_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _at(place: str, value: Any) -> dict[str, Any]:
    return {"place": place, "value": value}
