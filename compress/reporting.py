"""`compress report`: a finished run's report made anew from what is in its folder.

Nothing is run here: no model, no waveforms, no TensorFlow.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import TemplateError

from baseline.errors import InputError
from compress.evaluation.examples import EXAMPLES_FILE, read_examples
from compress.gating import require_same_windows
from compress.measurements import RESULTS_FILE, StoredModel, read_document, read_stored
from compress.report.contents import contents
from compress.report.page import write_page
from compress.report.run_report import PAGE_FILE, write_both
from compress.results import metrics_document


def report_run(
    run: Path, *, output: Path | None = None, peers: Sequence[str] = (), title: str | None = None
) -> Path:
    """Write the report of a run.

    Args:
        run: its folder, or its `results.json`.
        output: the page to write; None for `report.html` in the run's folder, with `report.md` and
            its pictures beside it.
        peers: models that were measured on the same windows, as `compress.measurements.read_stored`
            takes them; they join the table and the curve of accuracy against cost.
        title: of the report.

    Returns:
        The page.

    Raises:
        InputError: the run is not finished or its results cannot be read, or a peer cannot be read
            or was measured on other records or windows.
    """
    folder = run.parent if run.name == RESULTS_FILE else run
    path = folder / RESULTS_FILE
    if not path.is_file():
        raise InputError(
            f"{folder}: holds no {RESULTS_FILE}, so it is no finished run's folder.",
            "Give the folder that a pipeline's `output` names, once `compress run` has ended.",
        )
    results = read_document(path)
    examples = read_examples(folder / EXAMPLES_FILE)
    measured = read_stored(str(path))
    rows = [_peer(name, measured) for name in peers]
    try:
        told = contents(results, examples, rows, title)
        if output:
            write_page(output, told)
        else:
            write_both(folder, told)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, TemplateError) as error:
        raise InputError(
            f"{path}: is damaged, or was written by another version ({error!r}).",
            "Run the pipeline again with this version.",
        ) from error
    return output or folder / PAGE_FILE


def _peer(name: str, run: StoredModel) -> dict[str, Any]:
    """A row of the report for a model that was measured elsewhere."""
    stored = read_stored(name)
    require_same_windows(stored, run)
    return {
        "label": stored.name,
        "peer": True,
        "cost": stored.measured.cost,
        "latency": None,
        "metrics": metrics_document(stored.measured.counts),
        "verdicts": [],
        "skipped": False,
    }
