"""Bad records: data sets of CSV and HDF5, and recordings in miniSEED."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from obspy import Stream, Trace, UTCDateTime

from benchmarks.fuzzing.cases import Arguments, Case, cuts, damaged
from benchmarks.fuzzing.contained import ROOT

MODEL = ROOT / "artifacts/released/student-small-tflite-int8"
SAMPLES = 7000
Rows = list[dict[str, Any]]


# --- Data sets -----------------------------------------------------------------------------------


def _waveform(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(3, SAMPLES)).astype(np.float32)


def _rows() -> Rows:
    return [
        {
            "trace_name": f"r{number}",
            "trace_category": "earthquake",
            "trace_p_arrival_sample": 1500,
            "trace_s_arrival_sample": 2500,
            "trace_sampling_rate_hz": 100,
            "trace_component_order": "ENZ",
        }
        for number in range(2)
    ]


def _csv(rows: Rows) -> bytes:
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    return "\n".join(lines).encode() + b"\n"


def _hdf5(change: Callable[[h5py.File], None] = lambda file: None) -> bytes:
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        for number in range(2):
            file[f"data/r{number}"] = _waveform(number)
        for key, value in (("dimension_order", "CW"), ("component_order", "ENZ")):
            file[f"data_format/{key}"] = value
        change(file)
    return content.getvalue()


def valid_records(folder: Path) -> Path:
    """A data set of two records."""
    _evaluated(folder, _csv(_rows()), _hdf5())
    return folder


def _evaluated(folder: Path, csv: bytes, hdf5: bytes) -> Arguments:
    (folder / "metadata.csv").write_bytes(csv)
    (folder / "waveforms.hdf5").write_bytes(hdf5)
    return ["evaluate", MODEL, "--data", folder, "--placements", 1]


def _row(**changes: Any) -> bytes:
    rows = _rows()
    rows[1] |= changes
    return _csv(rows)


def _replaced(content: Any, **options: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["data/r1"]
        file.create_dataset("data/r1", data=content, **options)

    return change


def _claimed(*shape: int, dtype: str = "f4", **options: Any) -> Callable[[h5py.File], None]:
    """A data set that claims a shape and holds nothing."""

    def change(file: h5py.File) -> None:
        del file["data/r1"]
        file.create_dataset("data/r1", shape, dtype, **options)

    return change


def _with(value: float) -> Callable[[h5py.File], None]:
    waveform = _waveform()
    waveform[1, 3000] = value
    return _replaced(waveform)


def _linked(link: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["data/r1"]
        file["data/r1"] = link

    return change


def _soft_loop(file: h5py.File) -> None:
    del file["data/r1"]
    file["data/r1"], file["data/other"] = h5py.SoftLink("/data/other"), h5py.SoftLink("/data/r1")


def _virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((3, SAMPLES), "f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "data", (3, SAMPLES))
    del file["data/r1"]
    file.create_virtual_dataset("data/r1", layout)


def _external(file: h5py.File) -> None:
    del file["data/r1"]
    file.create_dataset("data/r1", (3, SAMPLES), "u1", external=[("/etc/passwd", 0, 10**6)])


def _group_cycle(file: h5py.File) -> None:
    del file["data/r1"]
    file["data/r1"] = file["data"]


def _format(key: str, value: Any) -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        del file["data_format"]
        file[f"data_format/{key}"] = value

    return change


def _large_scalar(file: h5py.File) -> None:
    del file["data_format"]
    file.create_dataset("data_format/dimension_order", (1,), dtype="S1000000000")


HDF5: dict[str, Callable[[h5py.File], None]] = {
    "one axis": _replaced(np.zeros(SAMPLES, np.float32)),
    "three axes": _replaced(np.zeros((1, 3, SAMPLES), np.float32)),
    "two components": _replaced(np.zeros((2, SAMPLES), np.float32)),
    "axes the other way round": _replaced(np.zeros((SAMPLES, 3), np.float32)),
    "no samples": _replaced(np.zeros((3, 0), np.float32)),
    "a trace shorter than its onset": _replaced(np.zeros((3, 1000), np.float32)),
    "complex numbers": _replaced(np.zeros((3, SAMPLES), np.complex64)),
    "texts": _replaced(np.full((3, 10), b"x")),
    "records of fields": _replaced(np.zeros((3, 10), [("a", "f4"), ("b", "i4")])),
    "a NaN": _with(np.nan),
    "an infinity": _with(np.inf),
    "a number beyond float32": _replaced(np.full((3, SAMPLES), 1e300)),
    "a trace of 10**12 samples": _claimed(3, 10**12, chunks=(3, 1000)),
    "a compressed bomb of 12 GB": _claimed(3, 10**9, chunks=(3, 10**6), compression="gzip"),
    "a chunk of 4 GB": _claimed(3, 3 * 10**8, chunks=(3, 3 * 10**8)),
    "a link to another file": _linked(h5py.ExternalLink("/etc/passwd", "/data")),
    "a link to itself in another file": _linked(h5py.ExternalLink("waveforms.hdf5", "/data/r1")),
    "a soft link": _linked(h5py.SoftLink("/data/r0")),
    "soft links that lead to each other": _soft_loop,
    "a virtual data set": _virtual,
    "waveforms in /etc/passwd": _external,
    "a group that holds itself": _group_cycle,
    "no waveform of a row": lambda file: file.__delitem__("data/r1"),
    "no group of waveforms": lambda file: file.__delitem__("data"),
    "a data set for the group of waveforms": lambda file: (
        file.__delitem__("data"), file.__setitem__("data", np.zeros(3)))[0],
    "an unknown order of axes": _format("dimension_order", "XYZ"),
    "an order of axes in Latin-1": _format("dimension_order", np.bytes_(b"\xe9\xe8")),
    "a list for an order of components": _format("component_order", [1, 2, 3]),
    "an order of axes of 1 GB": _large_scalar,
    "a sampling rate in words": _format("sampling_rate", "fast"),
}  # fmt: skip

ODD = {
    "constant traces": np.full((3, SAMPLES), 7.0, np.float32),
    "zeros": np.zeros((3, SAMPLES), np.float32),
    "one component of zeros": _waveform() * [[1], [0], [1]],
    "clipped to two values": np.sign(_waveform()),
    "the largest integers": np.full((3, SAMPLES), 2**63 - 1, np.int64),
    "both ends of the integers": np.where(_waveform() > 0, np.int64(2**63 - 1), np.int64(-(2**63))),
    "numbers next to the end of float32": np.sign(_waveform()) * np.float32(3.3e38),
    "numbers next to zero": _waveform() * np.float32(1e-40),
    "one spike": np.eye(3, SAMPLES, 3000, dtype=np.float32) * 1e30,
}
"""What instruments do write, and nothing to refuse."""


def _odd(folder: Path) -> Arguments:
    """A data set of them all."""

    def change(file: h5py.File) -> None:
        del file["data/r0"], file["data/r1"]
        for name, waveform in ODD.items():
            file[f"data/{name}"] = waveform

    rows = [_rows()[0] | {"trace_name": name} for name in ODD]
    return _evaluated(folder, _csv(rows), _hdf5(change))


CSV: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "only a header": lambda: _csv(_rows()).splitlines(keepends=True)[0],
    "no trace names": lambda: _csv(_rows()).replace(b"trace_name", b"name"),
    "a name twice": lambda: _row(trace_name="r0"),
    "an empty name": lambda: _row(trace_name=""),
    "a name that leads out": lambda: _row(trace_name="../../etc/passwd"),
    "a name with a place in no bucket": lambda: _row(trace_name="r1$a;b"),
    "a name with a place outside": lambda: _row(trace_name='"r1$99999999999999999999,:3"'),
    "a name of 100,000 characters": lambda: _row(trace_name="x" * 100_000),
    "more rows than waveforms": lambda: _csv([*_rows(), {**_rows()[0], "trace_name": "r9"}]),
    "P before the trace": lambda: _row(trace_p_arrival_sample=-1),
    "P after the trace": lambda: _row(trace_p_arrival_sample=SAMPLES),
    "S at infinity": lambda: _row(trace_s_arrival_sample="inf"),
    "P at 1e308": lambda: _row(trace_p_arrival_sample="1e308"),
    "P in words": lambda: _row(trace_p_arrival_sample="soon"),
    "a picked noise": lambda: _row(trace_category="noise"),
    "a rate of 0": lambda: _row(trace_sampling_rate_hz=0),
    "a negative rate": lambda: _row(trace_sampling_rate_hz=-100),
    "a rate of 1 Hz": lambda: _row(trace_sampling_rate_hz=1),
    "a rate of 1e300 Hz": lambda: _row(trace_sampling_rate_hz=1e300),
    "an infinite rate": lambda: _row(trace_sampling_rate_hz="inf"),
    "components in unknown letters": lambda: _row(trace_component_order="XYZ"),
    "four components": lambda: _row(trace_component_order="ENZH"),
    "one component thrice": lambda: _row(trace_component_order="ZZZ"),
    "Latin-1": lambda: _csv(_rows()) + b"\xe9\xe8,,,,,\n",
    "UTF-16": lambda: _csv(_rows()).decode().encode("utf-16"),
    "NUL bytes": lambda: _csv(_rows()).replace(b"earthquake", b"earth\0quake\0\0", 1)[:40],
    "rows of too many fields": lambda: _csv(_rows()) + b"a,b,c,d,e,f,g,h,i\n",
    "a quote that never ends": lambda: _csv(_rows()) + b'"r2,earthquake,1,2,100,ENZ\n' * 1000,
    "5,000 columns": lambda: b",".join(b"c%d" % n for n in range(5_000)) + b"\n",
    "random bytes": lambda: np.random.default_rng(0).bytes(10_000),
}


# --- Recordings ----------------------------------------------------------------------------------


def _traces(seconds: float = 70.0, rate: float = 100.0, **stats: Any) -> Stream:
    random = np.random.default_rng(0)
    return Stream(
        Trace(
            random.normal(0, 1000, round(seconds * rate)).astype(np.int32),
            {
                "network": "XX", "station": "ABC", "channel": f"HH{letter}",
                "sampling_rate": rate, "starttime": UTCDateTime(2020, 1, 1), **stats,
            },
        )
        for letter in "ENZ"
    )  # fmt: skip


def _bytes(stream: Stream, **options: Any) -> bytes:
    file = io.BytesIO()
    stream.write(file, format="MSEED", **options)
    return file.getvalue()


@cache
def _miniseed() -> bytes:
    return _bytes(_traces(), reclen=512)


def _picked(folder: Path, content: bytes) -> Arguments:
    path = folder / "day.mseed"
    path.write_bytes(content)
    return ["pick", MODEL, path, "--csv", folder / "picks.csv"]


def valid_recording(folder: Path) -> Path:
    """A file of 70 s of three components."""
    path = folder / "valid.mseed"
    path.write_bytes(_miniseed())
    return path


def _header(offset: int, form: str, value: int) -> bytes:
    """Every record's fixed header with one field set, by its offset (SEED manual, chapter 8)."""
    content = bytearray(_miniseed())
    for start in range(0, len(content), 512):
        struct.pack_into(form, content, start + offset, value)
    return bytes(content)


def _constant(value: float, dtype: type) -> bytes:
    stream = _traces()
    for trace in stream:
        trace.data = np.full(len(trace.data), value, dtype)
    return _bytes(stream)


def _with_samples(**values: float) -> bytes:
    stream = _traces()
    for trace in stream:
        trace.data = trace.data.astype(np.float32)
        for place, value in values.items():
            trace.data[int(place[1:])] = value
    return _bytes(stream)


MINISEED: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "text": lambda: b"no miniSEED\n" * 200,
    "no year": lambda: _header(20, ">H", 0),
    "a year of 65535": lambda: _header(20, ">H", 65535),
    "a day of 999": lambda: _header(22, ">H", 999),
    "no samples": lambda: _header(30, ">H", 0),
    "a rate of 0": lambda: _header(32, ">h", 0),
    "blockettes outside": lambda: _header(46, ">H", 65535),
    "an unknown encoding": lambda: _header(52, ">B", 99),
    "records of 2 bytes": lambda: _header(54, ">B", 1),
    "records of 2**255 bytes": lambda: _header(54, ">B", 255),
    "rates of 1 Hz": lambda: _bytes(_traces(rate=1.0)),
    "one component of three": lambda: _bytes(Stream([_traces()[0]])),
    "half a second": lambda: _bytes(_traces(seconds=0.5)),
    "random bytes": lambda: np.random.default_rng(0).bytes(5000),
}

ODD_MINISEED: dict[str, Callable[[], bytes]] = {
    "more samples than a record has": lambda: _header(30, ">H", 65535),
    "blockettes that lead to themselves": lambda: _header(50, ">H", 48),
    "a correction of time beyond all times": lambda: _header(40, ">i", 2**31 - 1),
    "data that begin outside": lambda: _header(44, ">H", 65535),
    "only what is no number": lambda: _constant(np.nan, np.float32),
    "zeros": lambda: _constant(0, np.int32),
    "the largest integers": lambda: _constant(2**31 - 1, np.int32),
    "a NaN among numbers": lambda: _with_samples(_3000=np.nan),
    "infinities among numbers": lambda: _with_samples(_3000=np.inf, _3001=-np.inf),
    "1e38 among numbers": lambda: _with_samples(_3000=1e38),
    "everything twice": lambda: _miniseed() * 2,
    "bytes between records": lambda: _miniseed()[:5120] + b"x" * 100 + _miniseed()[5120:],
}


def cases() -> Iterator[Case]:
    """See `benchmarks.fuzzing.cases.named`."""
    rows = _csv(_rows())
    for name, change in HDF5.items():
        yield Case("hdf5", name, lambda f, change=change: _evaluated(f, rows, _hdf5(change)))
    yield Case("hdf5", "odd waveforms", _odd, False)
    yield from cuts("hdf5", lambda folder, content: _evaluated(folder, rows, content), _hdf5())
    for name, make in CSV.items():
        yield Case("csv", name, lambda folder, make=make: _evaluated(folder, make(), _hdf5()))
    for contents, refused in ((MINISEED, True), (ODD_MINISEED, False)):
        for name, make in contents.items():
            yield Case("miniseed", name, lambda f, make=make: _picked(f, make()), refused)
    for case in cuts("miniseed", _picked, _miniseed()):
        yield Case(case.kind, case.name, case.write, False)


RANDOM: dict[str, Callable[[np.random.Generator, Path], Arguments]] = {
    "hdf5": lambda random, folder: _evaluated(folder, _csv(_rows()), damaged(_hdf5(), random)),
    "csv": lambda random, folder: _evaluated(folder, damaged(_csv(_rows()), random), _hdf5()),
    "miniseed": lambda random, folder: _picked(folder, damaged(_miniseed(), random)),
}
