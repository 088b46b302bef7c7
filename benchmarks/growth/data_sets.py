"""Data sets of any number of records on disk, in STEAD's layout and in SeisBench's.

A million records of 60 s would be 72 GB. Here 1,024 synthetic records are written (74 MB), and
rows of metadata share them:

STEAD
    Every row has a data set `data/<trace name>` of its own in HDF5's index, as in STEAD, but as a
    hard link to one of the 1,024.
SeisBench
    Every 1,024 rows have a bucket `data/bucket<i>`, as SeisBench writes them, each a hard link to
    the same one.

All that is said of records (metadata, names, the index of the HDF5 file) is thus of full size, and
only waveforms are not: they come from the page cache after their first reading. Times below are of
finding, reading and preparing records, not of a disk. The metadata have the columns of STEAD, and
as SeisBench names them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import h5py
import numpy as np

from compress.data.hdf5 import keep_index
from compress.data.records import SAMPLING_RATE_HZ, Record
from compress.data.synthetic import SyntheticSource

SHARED = 1024
"""Records that are written, which is also how many traces SeisBench puts into a bucket."""

EVALUATED = 500
"""Records of split test, evenly among the others."""

_ROWS_AT_ONCE = 50_000
_SPLITS = ("train", "test")


class _Column(NamedTuple):
    """A column of STEAD's metadata, what SeisBench calls it, and a text for each record."""

    stead: str
    seisbench: str
    text: Callable[[Record], str]


def _constant(value: str) -> Callable[[Record], str]:
    return lambda record: value if record.p_sample is not None else ""


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


_COLUMNS = (
    _Column("network_code", "station_network_code", lambda record: "XX"),
    _Column("receiver_code", "station_code", lambda record: record.name.rpartition(":")[2]),
    _Column("receiver_type", "trace_channel", lambda record: "HH"),
    _Column("receiver_latitude", "station_latitude_deg", lambda record: "35.68474"),
    _Column("receiver_longitude", "station_longitude_deg", lambda record: "-117.51422"),
    _Column("receiver_elevation_m", "station_elevation_m", lambda record: "1194.0"),
    _Column("p_arrival_sample", "trace_p_arrival_sample", lambda record: _number(record.p_sample)),
    _Column("p_status", "trace_p_status", _constant("manual")),
    _Column("p_weight", "trace_p_weight", _constant("0.5")),
    _Column("p_travel_sec", "path_p_travel_s", _constant("11.909999847412")),
    _Column("s_arrival_sample", "trace_s_arrival_sample", lambda record: _number(record.s_sample)),
    _Column("s_status", "trace_s_status", _constant("manual")),
    _Column("s_weight", "trace_s_weight", _constant("0.5")),
    _Column("source_id", "source_id", _constant("nc72960821")),
    _Column("source_origin_time", "source_origin_time", _constant("2018-01-23 05:28:42.17")),
    _Column("source_origin_uncertainty_sec", "source_origin_uncertainty_s", _constant("0.24")),
    _Column("source_latitude", "source_latitude_deg", _constant("36.3755")),
    _Column("source_longitude", "source_longitude_deg", _constant("-117.8763")),
    _Column("source_error_sec", "source_error_s", _constant("0.7421")),
    _Column("source_gap_deg", "source_gap_deg", _constant("104.0")),
    _Column("source_horizontal_uncertainty_km", "source_uncertainty_km", _constant("1.1")),
    _Column("source_depth_km", "source_depth_km", _constant("4.76")),
    _Column("source_depth_uncertainty_km", "source_depth_uncertainty_km", _constant("1.83")),
    _Column("source_magnitude", "source_magnitude", _constant("2.1")),
    _Column("source_magnitude_type", "source_magnitude_type", _constant("ml")),
    _Column("source_magnitude_author", "source_magnitude_author", _constant("")),
    _Column("source_mechanism_strike_dip_rake", "source_focal_mechanism", _constant("")),
    _Column("source_distance_deg", "path_ep_distance_deg", _constant("0.53")),
    _Column("source_distance_km", "path_ep_distance_km", _constant("58.99")),
    _Column("back_azimuth_deg", "path_back_azimuth_deg", _constant("172.9")),
    _Column("snr_db", "trace_snr_db", _constant("[56.79999924 55.40000153 47.40000153]")),
    _Column("coda_end_sample", "trace_coda_end_sample", _constant("[[3090.0]]")),
    _Column("trace_start_time", "trace_start_time", lambda record: "2018-01-23 05:28:50.90"),
    _Column("trace_category", "trace_category", lambda record: record.category.value),
)


def shared_records() -> list[Record]:
    """The records that all rows share: a fifth of them noise."""
    source = SyntheticSource(SHARED, seed=7, noise_fraction=0.2, duration_s=60.0)
    return [source[number] for number in range(SHARED)]


def write_stead(folder: Path, rows: int, records: list[Record]) -> None:
    """`merge.csv` and `merge.hdf5`, waveforms of shape (samples, components)."""

    def name(row: int) -> str:
        return f"S{row % 1000:03}.XX_{row:07}_EV"

    _write_csv(folder / "merge.csv", rows, [column.stead for column in _COLUMNS], records, name)
    with h5py.File(folder / "merge.hdf5", "w") as file:
        keep_index(file)
        group = file.create_group("data")
        for row in range(min(rows, SHARED)):
            group[name(row)] = records[row].waveform
        shared = [group[name(row)] for row in range(min(rows, SHARED))]
        for row in range(SHARED, rows):
            group[name(row)] = shared[row % SHARED]


def write_seisbench(folder: Path, rows: int, records: list[Record]) -> None:
    """`metadata.csv` and `waveforms.hdf5`, buckets of shape (traces, components, samples)."""

    def name(row: int) -> str:
        return f"bucket{row // SHARED}${row % SHARED},:3,:6000"

    columns = [column.seisbench for column in _COLUMNS]
    _write_csv(folder / "metadata.csv", rows, columns, records, name)
    with h5py.File(folder / "waveforms.hdf5", "w") as file:
        file["data_format/dimension_order"] = "NCW"
        file["data_format/component_order"] = "ENZ"
        file["data_format/sampling_rate"] = SAMPLING_RATE_HZ
        bucket = np.stack([record.waveform.T for record in records])
        file["data/bucket0"] = bucket
        for number in range(1, -(-rows // SHARED)):
            file[f"data/bucket{number}"] = file["data/bucket0"]


def _write_csv(
    path: Path, rows: int, columns: list[str], records: list[Record], name: Callable[[int], str]
) -> None:
    """A line for each row: what is said of its record, its name and its split."""
    known = [
        ",".join(f'"{text}"' if "," in text else text for text in _texts(record))
        for record in records
    ]

    def line(row: int) -> str:
        split = _SPLITS[row % (rows // EVALUATED) == 0]
        return f'{known[row % SHARED]},"{name(row)}",{split}\n'

    with path.open("w", encoding="utf-8") as file:
        file.write(",".join([*columns, "trace_name", "split"]) + "\n")
        for first in range(0, rows, _ROWS_AT_ONCE):
            file.writelines(line(row) for row in range(first, min(first + _ROWS_AT_ONCE, rows)))


def _texts(record: Record) -> Iterator[str]:
    return (column.text(record) for column in _COLUMNS)


WRITERS = {"stead": write_stead, "seisbench": write_seisbench}
"""What writes a data set into a folder, by layout."""
