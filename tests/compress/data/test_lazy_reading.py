"""Memory does not grow with the size of a data set."""

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from compress.data.hdf5 import keep_index, member, open_waveforms

RECORDS = 60_000
READ = 4_000

PROGRAM = f"""
import sys
from pathlib import Path
from compress.data.seisbench import SeisBenchSource
from compress.evaluation.footprint_worker import peak_memory_bytes

def resident_mb():
    return peak_memory_bytes() / 2**20

source = SeisBenchSource(Path(sys.argv[1]))
source[0]
before = resident_mb()
for index in range(0, len(source), len(source) // {READ}):
    assert source[index].waveform.shape == (6000, 3)
print(before, resident_mb() - before)
"""


def test_records_are_read_one_at_a_time(tmp_path):
    """4.3 GB of samples, of which the file stores only what was written."""
    with h5py.File(tmp_path / "waveforms.hdf5", "w") as file:
        file["data_format/dimension_order"] = "NCW"
        file["data_format/component_order"] = "ZNE"
        bucket = file.create_dataset(
            "data/bucket0", (RECORDS, 3, 6000), np.float32, chunks=(1, 3, 6000), fillvalue=0
        )
        bucket[0] = np.random.default_rng(0).normal(size=(3, 6000))
        assert bucket.nbytes > 4e9
    pd.DataFrame(
        {
            "trace_name": [f"bucket0${i},:3,:6000" for i in range(RECORDS)],
            "trace_sampling_rate_hz": 100.0,
            "trace_category": "noise",
        }
    ).to_csv(tmp_path / "metadata.csv", index=False)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, check=True
    )
    before, growth = map(float, done.stdout.split())
    assert before < 600
    assert growth < 60  # the records read are 288 MB


def test_names_of_a_large_group_are_read_once(tmp_path):
    """Forty MB of names, as a million traces have, and fifty of these are asked for."""
    path = tmp_path / "waveforms.hdf5"
    names = [f"{number:06}{'x' * 994}" for number in range(40_000)]
    with h5py.File(path, "w") as file:
        keep_index(file)
        group = file.create_group("data")
        group[names[0]] = np.zeros((6000, 3), np.float32)
        only = group[names[0]]
        for name in names[1:]:
            group[name] = only
    with open_waveforms(path) as file:
        before = bytes_read()
        for name in names[:: len(names) // 50]:
            assert member(file, path, "data", name).shape == (6000, 3)
        assert bytes_read() - before < 2 * path.stat().st_size


def bytes_read():
    """By this process so far, from files in memory as well."""
    fields = dict(line.split(": ") for line in Path("/proc/self/io").read_text().splitlines())
    return int(fields["rchar"])
