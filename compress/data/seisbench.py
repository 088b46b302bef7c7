"""Data sets in SeisBench's format: `metadata.csv` beside `waveforms.hdf5`, whole or in chunks.

The format is described at https://seisbench.readthedocs.io/en/stable/pages/data_format.html.
"""

from __future__ import annotations

from pathlib import Path

from baseline.errors import InputError
from compress.data.folder import MINIMUM_SAMPLING_RATE_HZ, Pair, PairedSource
from compress.data.hdf5 import content_identity, open_waveforms, read_scalar
from compress.data.metadata import Columns
from compress.data.records import Category

_COLUMNS = Columns(
    required=("trace_name",),
    p=(
        ("trace_p_arrival_sample",),
        ("trace_P_arrival_sample",),
        ("trace_Pg_arrival_sample", "trace_Pn_arrival_sample", "trace_P1_arrival_sample"),
    ),
    s=(
        ("trace_s_arrival_sample",),
        ("trace_S_arrival_sample",),
        ("trace_Sg_arrival_sample", "trace_Sn_arrival_sample", "trace_S1_arrival_sample"),
    ),
    network="station_network_code",
    station="station_code",
    snr="trace_snr_db",
)


IDENTITY_DIGITS = 12
"""Of the hash in a record's name."""


class SeisBenchSource(PairedSource):
    """The records of a data set in SeisBench's format.

    A record is named `<identity><chunk>:<trace_name>`, with the first digits of the hash of the
    file with its waveforms: trace names are not unique over data sets, nor over the chunks of one,
    and the folder's place says nothing on another machine. What
    a row says of its sampling rate (`trace_sampling_rate_hz`, else `trace_dt_s`) and its
    components (`trace_component_order`) comes before what `data_format` in the HDF5 file says.

    A row with `trace_category` noise is noise, any other with an onset of P or S an earthquake,
    the rest unlabelled. Onsets are `trace_p_arrival_sample` and `trace_s_arrival_sample`; where
    those are empty `trace_P_arrival_sample`, else the earliest of Pg, Pn and P1; likewise for S.
    Horizontals named 1 and 2 are taken for N and E. Missing or further components are refused.

    Args:
        folder: holds `metadata<chunk>.csv` and `waveforms<chunk>.hdf5` for every chunk named in
            its file `chunks`, one a line. Without that file there is one chunk without a name or,
            where that is missing, whatever chunks the folder holds.
        split: keep the records of this `split` only, such as "test".
        categories: keep the records of these categories only.
        limit: keep at most this many records, drawn at random with `seed` from those that the
            other filters leave, in the order of the files.
        seed: see `limit`.
        minimum_sampling_rate_hz: refuse records sampled at less.

    Raises:
        InputError: a file is missing or unreadable, the metadata lack something or contradict
            themselves, or the filters leave no record.
    """

    def __init__(
        self,
        folder: Path,
        *,
        split: str | None = None,
        categories: frozenset[Category] | None = None,
        limit: int | None = None,
        seed: int = 0,
        minimum_sampling_rate_hz: float = MINIMUM_SAMPLING_RATE_HZ,
    ) -> None:
        super().__init__(
            [_pair(folder, chunk) for chunk in _chunks(folder)],
            _COLUMNS,
            split=split,
            categories=categories,
            limit=limit,
            seed=seed,
            minimum_sampling_rate_hz=minimum_sampling_rate_hz,
        )


def _chunks(folder: Path) -> list[str]:
    """The names of the chunks, sorted; [""] for a data set in one piece."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder.", "Give the folder that holds metadata.csv.")
    listing = folder / "chunks"
    if listing.is_file():
        try:
            listed = {line.strip() for line in listing.read_text(encoding="utf-8").splitlines()}
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"{listing}: cannot be read: {error}.") from error
        if chunks := sorted(listed - {""}):
            return chunks
    if (folder / "metadata.csv").exists() or (folder / "waveforms.hdf5").exists():
        return [""]
    # The union and not the intersection: half a chunk is an error and not to be passed over.
    chunks = sorted(
        {path.stem.removeprefix("metadata") for path in folder.glob("metadata*.csv")}
        | {path.stem.removeprefix("waveforms") for path in folder.glob("waveforms*.hdf5")}
    )
    if not chunks:
        raise InputError(
            f"{folder}: holds neither metadata.csv nor waveforms.hdf5.",
            "Expected a data set in SeisBench's format.",
        )
    return chunks


def _pair(folder: Path, chunk: str) -> Pair:
    """The files of one chunk, with what `data_format` says of the waveforms in it."""
    hdf5 = folder / f"waveforms{chunk}.hdf5"
    with open_waveforms(hdf5) as file:
        dimensions = read_scalar(file, hdf5, "data_format", "dimension_order")
        components = read_scalar(file, hdf5, "data_format", "component_order")
        rate = read_scalar(file, hdf5, "data_format", "sampling_rate")
    # N is the axis of a bucket, which the trace name has picked from.
    dimension_order = "CW" if dimensions is None else str(dimensions).replace("N", "")
    if dimension_order not in ("CW", "WC"):
        raise InputError(
            f"{hdf5}: data_format/dimension_order is '{dimensions}'.",
            "CW (components, samples) and WC are understood, also with N for the bucket.",
        )
    try:
        sampling_rate_hz = float("nan" if rate is None else rate)
    except ValueError:
        raise InputError(
            f"{hdf5}: data_format/sampling_rate is '{rate}'.", "Expected a number in Hz."
        ) from None
    return Pair(
        csv=folder / f"metadata{chunk}.csv",
        hdf5=hdf5,
        prefix=f"{content_identity(hdf5)[:IDENTITY_DIGITS]}{chunk}:",
        dimension_order=dimension_order,
        component_order="" if components is None else str(components),
        sampling_rate_hz=sampling_rate_hz,
    )
