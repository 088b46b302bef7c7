"""Targets of any number of records: what is in memory does not grow with them."""

import subprocess
import sys

SCRIPT = """
import resource, sys
from pathlib import Path
import numpy as np
from rich.progress import Progress
from compress.data.feeds import TargetFeed
from compress.data.records import Category, Record
from compress.data.targets import write_targets

class Many:
    def __len__(self):
        return int(sys.argv[1])

    def __getitem__(self, index):
        waveform = np.random.default_rng(index).normal(size=(6000, 3)).astype(np.float32)
        return Record(str(index), waveform, list(Category)[1 + index % 2])

path = Path(sys.argv[2])
ask = lambda waveforms, random: [np.full_like(w, 0.2) for w in waveforms]
write_targets(path, ask, Many(), number=len(Many()), seed=0, progress=Progress(disable=True))
feed = TargetFeed(path, 50, 0)
for step in range(20):
    feed.batch_at(step)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def test_memory_stays_flat(tmp_path):
    def peak_mb(records):
        path = tmp_path / f"{records}.h5"
        printed = subprocess.run(
            [sys.executable, "-P", "-c", SCRIPT, str(records), path],
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        path.unlink()
        return int(printed) / 1024

    # A thousand windows are read of both, so of forty records or of most of a thousand, which
    # would take 108 MB.
    few, many = peak_mb(40), peak_mb(1000)
    assert many < few + 15
