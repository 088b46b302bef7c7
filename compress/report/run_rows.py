"""The models of a run's results: which are stages, exports and peers, and which are compared."""

from __future__ import annotations

import re
from typing import Any

Row = dict[str, Any]

NOT_TEXT = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Control characters and halves of characters, which neither HTML nor XML can hold."""

LONGEST_NAME = 40
"""In a legend."""


def cleaned(value: Any) -> Any:
    """JSON values with every character that a page cannot hold replaced."""
    if isinstance(value, str):
        return NOT_TEXT.sub("\ufffd", value)
    if isinstance(value, dict):
        return {cleaned(key): cleaned(each) for key, each in value.items()}
    return [cleaned(each) for each in value] if isinstance(value, list) else value


def short_name(text: str) -> str:
    """A name on one line, and not too long for a figure."""
    flat = " ".join(NOT_TEXT.sub("\ufffd", text).split())
    return flat if len(flat) <= LONGEST_NAME else flat[: LONGEST_NAME - 1] + "…"


def kind_of(row: Row) -> str:
    """What a row is: baseline, stage, skipped stage, export or peer."""
    if row.get("peer"):
        return "peer"
    if row["label"].startswith("export "):
        return "export"
    if row["label"].startswith("0-"):
        return "baseline"
    return "skipped stage" if row["skipped"] else "stage"


def kept_stages(rows: list[Row]) -> list[Row]:
    """The baseline, and the stages that the run went on with, in order."""
    return [row for row in rows if kind_of(row) in ("baseline", "stage")]


def compared(rows: list[Row]) -> list[Row]:
    """The baseline and the last stage that was kept, which figures and waveforms compare."""
    kept = kept_stages(rows)
    return [kept[0], kept[-1]] if len(kept) > 1 else kept
