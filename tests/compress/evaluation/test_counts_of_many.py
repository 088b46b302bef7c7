"""Evaluations of any number of records: the cost of a batch of windows does not depend on it."""

import time

import numpy as np

from compress.evaluation.curves import score
from compress.evaluation.metrics import COLUMNS, Counts, Truths

RECORDS = 200_000


def silence(records):
    """Windows of noise of these records."""
    number = len(records)
    unknown = np.full(number, np.nan)
    return Truths(unknown, unknown, np.ones(number, dtype=bool), np.array(records, dtype=np.intp))


def test_a_batch_is_added_up_in_the_time_of_a_batch():
    """Two thousand batches; to add up all records for each of them would take a minute."""
    batches = [(silence([i * 100]), np.ones((1, len(COLUMNS)))) for i in range(2000)]
    begun = time.process_time()
    counts = Counts.by_record([str(i) for i in range(RECORDS)], batches)
    assert time.process_time() - begun < 5.0
    assert counts.values.sum() == 2000 * len(COLUMNS)
    assert counts.values[::100].all()


def test_the_candidates_of_a_batch_are_of_its_windows_alone():
    predictions = np.zeros((2, 6000, 3), np.float32)
    found = score(predictions, silence([0, RECORDS - 1]))
    assert sum(array.nbytes for one in found.values() for array in vars(one).values()) < 1000
