"""What the shell offers when Tab is pressed after an argument or an option."""

from __future__ import annotations

import json
from collections.abc import Iterable
from glob import escape
from pathlib import Path


def complete_model(incomplete: str) -> list[str]:
    """Published names, together with the files that begin alike; the stages after `RUN#`.

    Where neither fits, the shell offers files by itself.
    """
    names = complete_published(incomplete)
    # Where a name begins so, nothing in another folder can: names hold no slash.
    return (
        [*names, *map(str, Path().glob(f"{escape(incomplete)}*"))]
        if names
        else complete_run(incomplete)
    )


def complete_published(incomplete: str) -> list[str]:
    """Names of published models."""
    from baseline.published import PUBLISHED

    return _beginning(PUBLISHED, incomplete)


def complete_run(incomplete: str) -> list[str]:
    """The labels of a run's models, after `RUN#`."""
    path, separator, label = incomplete.rpartition("#")
    if not separator:
        return []
    from compress.measurements import RESULTS_FILE

    results = Path(path) / RESULTS_FILE if Path(path).is_dir() else Path(path)
    try:
        labels = [row["label"] for row in json.loads(results.read_text(encoding="utf-8"))["models"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
    return [f"{path}#{name}" for name in _beginning(labels, label)]


def complete_format(incomplete: str) -> list[str]:
    """What a model is exported as."""
    from export.convert import Format

    # `compress.exporting.Product`, without what that imports: Tab has to answer at once.
    return _beginning([*Format, "c"], incomplete)


def complete_precision(incomplete: str) -> list[str]:
    """How an exported model computes."""
    from export.convert import Precision

    return _beginning(Precision, incomplete)


def complete_ranges(incomplete: str) -> list[str]:
    """How the ranges of int8 activations are found."""
    from export.convert import Ranges

    return _beginning(Ranges, incomplete)


def complete_stack(incomplete: str) -> list[str]:
    """How windows that overlap become one."""
    from compress.picking.stacking import Stack

    return _beginning(Stack, incomplete)


def complete_inconclusive(incomplete: str) -> list[str]:
    """What a rule that cannot be decided means."""
    from compress.cli.gate import INCONCLUSIVE

    return _beginning(INCONCLUSIVE, incomplete)


def _beginning(values: Iterable[str], incomplete: str) -> list[str]:
    return [str(value) for value in values if value.startswith(incomplete)]
