"""Sources and folders of records that a test makes by hand."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np
import pandas as pd

from compress.data.records import Category, Record


class Records:
    """Records made by hand, as a source."""

    def __init__(self, *records: Record) -> None:
        self._records = records

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        return self._records[index]

    def names(self) -> list[str]:
        return [record.name for record in self._records]

    def categories(self) -> list[Category]:
        return [record.category for record in self._records]

    def fingerprint(self) -> str:
        return "by hand"


def write_seisbench(folder: Path, onsets: Mapping[str, float]) -> Path:
    """Records of 90 s in SeisBench's format, ten times louder from their P onset on.

    Args:
        folder: where.
        onsets: sample of P by record name, which begins with the split (`test_0`); S is 4 s later,
            and NaN makes a record of noise.
    """
    random = np.random.default_rng(0)
    rows = []
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        file["data_format/dimension_order"] = "WC"
        file["data_format/component_order"] = "ENZ"
        for name, onset in onsets.items():
            waveform = random.normal(size=(9000, 3)).astype(np.float32)
            category = "noise"
            if not np.isnan(onset):
                waveform[int(onset) :] *= 10
                category = "earthquake_local"
            file[f"data/{name}"] = waveform
            rows.append((name, name.partition("_")[0], category, 100.0, onset, onset + 400))
    columns = ["trace_name", "split", "trace_category", "trace_sampling_rate_hz"]
    arrivals = ["trace_p_arrival_sample", "trace_s_arrival_sample"]
    pd.DataFrame(rows, columns=columns + arrivals).to_csv(folder / "metadata.csv", index=False)
    return folder
