"""One pass of a model over the windows of a protocol, and all that later questions need of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from compress.data.records import SAMPLING_RATE_HZ, Source
from compress.evaluation.curves import OUTPUTS, Candidates, Output, Scored, join, score
from compress.evaluation.metrics import COLUMNS, Counts, Truths, count
from compress.evaluation.picker import highest_peaks
from compress.evaluation.protocol import Protocol, labelled, labelled_windows
from export.runtimes import Runner


@dataclass(frozen=True, eq=False)
class WindowScores:
    """What a model did in n windows.

    Attributes:
        record_names: the records that `truths.records` points into.
        truths: what is known of the windows.
        rows: counts of each window, float64, shape (n, len(COLUMNS)).
        residuals_s: highest peak minus onset in seconds, by phase, shape (n,); NaN without label.
        highest_probability: of that peak, by phase, shape (n,); of every window.
        scored: candidates for a sweep of the thresholds, by output.
    """

    record_names: tuple[str, ...]
    truths: Truths
    rows: NDArray[np.float64]
    residuals_s: dict[str, NDArray[np.float64]]
    highest_probability: dict[str, NDArray[np.float64]]
    scored: dict[Output, Scored]

    def counts(self, where: NDArray[np.bool_] | None = None) -> Counts:
        """Counts by record, of all windows or of those that `where`, shape (n,), marks.

        Counts of some windows hold only the records that these come from, so that an interval
        rests on the right number of them.
        """
        if where is None:
            return Counts.by_record(self.record_names, [(self.truths, self.rows)])
        records, positions = np.unique(self.truths.records[where], return_inverse=True)
        values = np.zeros((len(records), len(COLUMNS)))
        np.add.at(values, positions, self.rows[where])
        return Counts(tuple(self.record_names[i] for i in records), values)


def score_windows(
    runner: Runner, source: Source, protocol: Protocol, progress: Progress, what: str = "evaluate"
) -> WindowScores:
    """Run a model over every window of the protocol.

    Its `counts()` are those of `compress.evaluation.protocol.evaluate`.

    Raises:
        InputError: no record is labelled, a record cannot be read, or an output is not finite.
    """
    names = source.names()
    record_names = tuple(names[index] for index in labelled(source))
    truths: list[Truths] = []
    rows: list[NDArray[np.float64]] = []
    residuals: dict[str, list[NDArray[np.float64]]] = {"p": [], "s": []}
    probabilities: dict[str, list[NDArray[np.float64]]] = {"p": [], "s": []}
    candidates: dict[Output, list[Candidates]] = {output: [] for output in OUTPUTS}
    task = progress.add_task(what, total=len(record_names))
    for windows in labelled_windows(source, protocol):
        batch = windows.truths
        predictions = runner(windows.waveforms)
        rows.append(count(predictions, batch, protocol.thresholds))
        highest = highest_peaks(predictions)
        residuals["p"].append((highest.p_sample - batch.p_samples) / SAMPLING_RATE_HZ)
        residuals["s"].append((highest.s_sample - batch.s_samples) / SAMPLING_RATE_HZ)
        probabilities["p"].append(highest.p_probability.astype(np.float64))
        probabilities["s"].append(highest.s_probability.astype(np.float64))
        for output, found in score(predictions, batch).items():
            candidates[output].append(found)
        truths.append(batch)
        progress.update(task, completed=int(batch.records.max()) + 1)
    all_truths = Truths(
        *(np.concatenate([vars(batch)[name] for batch in truths]) for name in vars(truths[0]))
    )
    return WindowScores(
        record_names,
        all_truths,
        np.concatenate(rows),
        {phase: np.concatenate(parts) for phase, parts in residuals.items()},
        {phase: np.concatenate(parts) for phase, parts in probabilities.items()},
        {
            output: join(parts, all_truths, len(record_names))
            for output, parts in candidates.items()
        },
    )
