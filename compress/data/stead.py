"""STEAD as its authors publish it: `merge.csv` beside `merge.hdf5`, or its chunks.

STanford EArthquake Dataset, https://github.com/smousavi05/STEAD (Mousavi et al. 2019).
"""

from __future__ import annotations

from pathlib import Path

from baseline.errors import InputError
from compress.data.folder import MINIMUM_SAMPLING_RATE_HZ, Pair, PairedSource
from compress.data.hdf5 import open_waveforms
from compress.data.metadata import Columns
from compress.data.records import SAMPLING_RATE_HZ, Category

_COLUMNS = Columns(
    required=("trace_name", "trace_category", "p_arrival_sample", "s_arrival_sample"),
    p=(("p_arrival_sample",),),
    s=(("s_arrival_sample",),),
    network="network_code",
    station="receiver_code",
    snr="snr_db",
)


PREFIX = "stead:"
"""Of the records' names: STEAD's trace names are unique over all its chunks and copies."""


class SteadSource(PairedSource):
    """The records of STEAD, or of another set in its format.

    A record is named `<folder of the HDF5>:<trace_name>`. STEAD has no column `split`; one that
    was added is understood. A row with `trace_category` noise is noise, any other with an onset of
    P or S an earthquake, the rest unlabelled.

    Args:
        folder: holds `<name>.csv` and `<name>.hdf5` for one or more names, which are read in
            their alphabetical order. `merge` repeats what the chunks hold: keep either there.
        csv: the metadata, instead of `folder` and together with `hdf5`.
        hdf5: the waveforms, likewise.
        split: keep the records of this `split` only.
        categories: keep the records of these categories only.
        limit: keep at most this many records, drawn at random with `seed` from those that the
            other filters leave, in the order of the files.
        seed: see `limit`.

    Raises:
        InputError: a file is missing or unreadable, the metadata lack something or contradict
            themselves, or the filters leave no record.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        csv: Path | None = None,
        hdf5: Path | None = None,
        split: str | None = None,
        categories: frozenset[Category] | None = None,
        limit: int | None = None,
        seed: int = 0,
    ) -> None:
        if folder is not None and csv is None and hdf5 is None:
            files = _files(folder)
        elif folder is None and csv is not None and hdf5 is not None:
            files = [(csv, hdf5)]
        else:
            raise InputError("STEAD is given as a folder, or as both its csv and its hdf5 file.")
        super().__init__(
            [_pair(*pair) for pair in files],
            _COLUMNS,
            split=split,
            categories=categories,
            limit=limit,
            seed=seed,
            minimum_sampling_rate_hz=MINIMUM_SAMPLING_RATE_HZ,
        )


def _files(folder: Path) -> list[tuple[Path, Path]]:
    """The CSV and HDF5 files of equal stem, in the order of their names."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder.", "Give the folder that holds merge.csv.")
    stems = sorted({path.stem for path in folder.glob("*.hdf5")})
    if not stems:
        raise InputError(
            f"{folder}: holds no .hdf5 file.", "Expected merge.csv and merge.hdf5, or chunks."
        )
    # A CSV alone may be anything, but waveforms are of no use without theirs.
    return [(folder / f"{stem}.csv", folder / f"{stem}.hdf5") for stem in stems]


def _pair(csv: Path, hdf5: Path) -> Pair:
    with open_waveforms(hdf5):
        pass  # so that a missing or damaged file is reported before any record is read
    return Pair(
        csv=csv,
        hdf5=hdf5,
        prefix=PREFIX,
        dimension_order="WC",
        component_order="ENZ",
        sampling_rate_hz=SAMPLING_RATE_HZ,
    )
