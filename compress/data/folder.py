"""Records from pairs of a CSV with metadata and an HDF5 with waveforms, read one at a time."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from baseline.errors import InputError
from compress.data.hdf5 import OpenFiles, content_identity, read_trace
from compress.data.metadata import Columns, read_metadata
from compress.data.records import COMPONENTS, Category, Record
from compress.data.resampling import resample, resampling_ratio

MINIMUM_SAMPLING_RATE_HZ = 40.0
"""The picker needs the band up to 20 Hz, which a lower rate does not hold."""

_MAXIMUM_SAMPLING_RATE_HZ = 100_000.0  # above it, something other than a rate is in the column

_HORIZONTALS = str.maketrans({"1": "N", "2": "E"})


@dataclass(frozen=True)
class Pair:
    """Metadata and waveforms that belong together.

    Attributes:
        csv: the metadata.
        hdf5: the waveforms.
        prefix: what goes before the trace name to make the name of a record.
        dimension_order: axes of each waveform: "CW" (components, samples) or "WC".
        component_order: components along axis C, for rows that do not say; "" if unknown.
        sampling_rate_hz: for rows that do not say; NaN if unknown.
    """

    csv: Path
    hdf5: Path
    prefix: str
    dimension_order: str
    component_order: str
    sampling_rate_hz: float


class PairedSource:
    """A `Source` over CSV and HDF5 pairs, in the order of the pairs and their rows.

    Holds a compact table of the selected rows and, once a waveform was read, one open handle per
    HDF5 file. May be pickled and used after a fork.

    Args:
        pairs: the files.
        columns: what the metadata call their columns.
        split: keep the records of this `split` only.
        categories: keep the records of these categories only.
        limit: keep at most this many records, drawn at random with `seed` from those that the
            other filters leave, in the order of the files.
        seed: see `limit`.
        minimum_sampling_rate_hz: refuse records sampled at less.

    Raises:
        InputError: the metadata cannot be read or contradict themselves, or no record is left.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        columns: Columns,
        *,
        split: str | None,
        categories: frozenset[Category] | None,
        limit: int | None,
        seed: int,
        minimum_sampling_rate_hz: float,
    ) -> None:
        if limit is not None and limit < 1:
            raise InputError(f"A limit of {limit} records leaves none.", "Give 1 or more.")
        self._pairs = tuple(pairs)
        self._open_files = OpenFiles()
        table = _select(_read_table(self._pairs, columns), self._pairs, split, categories)
        _refuse_unusable(table, self._pairs, minimum_sampling_rate_hz)
        self._table = table if limit is None else _draw(table, limit, seed)

    def __len__(self) -> int:
        return len(self._table)

    def __getitem__(self, index: int) -> Record:
        """The record at `index`, at 100 Hz in order E, N, Z; raises InputError if it is unusable.

        See `Source.__getitem__`.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        row = self._table.iloc[index]
        pair = self._pairs[row["pair"]]
        where = f"{pair.hdf5}: record '{row['trace_name']}'"

        waveform = read_trace(self._open_files[pair.hdf5], pair.hdf5, row["trace_name"])
        if pair.dimension_order == "CW":
            waveform = waveform.T
        order = row["component_order"]
        if waveform.shape[1] != len(order):
            raise InputError(
                f"{where} has {waveform.shape[1]} components in a waveform of "
                f"{waveform.shape[0]} samples, but component order {order}.",
                f"Is the dimension order {pair.dimension_order} right?",
            )
        with np.errstate(over="ignore"):
            enz = waveform[:, _component_indices(order)].astype(np.float32, order="C")
        finite = np.isfinite(enz)
        if not finite.all():
            sample, component = np.argwhere(~finite)[0]
            raise InputError(
                f"{where}: sample {sample} of component {COMPONENTS[component]} is not finite "
                f"({enz[sample, component]}).",
                "Fill or cut out gaps, or remove the record from the metadata.",
            )
        for phase, onset in (("P", row["p_sample"]), ("S", row["s_sample"])):
            if onset >= len(enz):
                raise InputError(
                    f"{where}: {phase} at sample {onset:g} is beyond the end of the trace, which "
                    f"has {len(enz)} samples.",
                    f"Correct row {row['row']} of {pair.csv}.",
                )

        ratio = resampling_ratio(row["sampling_rate_hz"])
        p_sample, s_sample = (
            None if np.isnan(onset) else float(onset * float(ratio))
            for onset in (row["p_sample"], row["s_sample"])
        )
        return Record(
            name=pair.prefix + row["trace_name"],
            waveform=resample(enz, ratio),
            category=Category(row["category"]),
            p_sample=p_sample,
            s_sample=s_sample,
            station=row["station"],
            snr_db=float(row["snr_db"]),
            original_sampling_rate_hz=float(row["original_sampling_rate_hz"]),
        )

    def names(self) -> list[str]:
        """See `Source.names`."""
        prefixes = [pair.prefix for pair in self._pairs]
        return [
            prefixes[pair] + name
            for pair, name in zip(self._table["pair"], self._table["trace_name"], strict=True)
        ]

    def categories(self) -> list[Category]:
        """See `Source.categories`."""
        column = self._table["category"].cat
        by_code = [Category(category) for category in column.categories]
        return [by_code[code] for code in column.codes.tolist()]

    def fingerprint(self) -> str:
        """A hash of the selected rows and of the identity of the files with their waveforms.

        The same wherever the files lie and whenever they were copied there. `content_identity`
        says which changes of the waveforms it cannot see. A run asks for it several times, so it
        is computed once.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256()
        for column in sorted(set(self._table.columns) - {"row", "split"}):
            values = self._table[column]
            digest.update(column.encode())
            if values.dtype.kind in "if":
                digest.update(values.to_numpy(np.dtype("<f8")).tobytes())
            else:
                digest.update("\0".join(values).encode())
        for pair in self._table["pair"].unique():
            digest.update(content_identity(self._pairs[pair].hdf5).encode())
            digest.update(self._pairs[pair].dimension_order.encode())
        return digest.hexdigest()


def _component_indices(order: str) -> list[int] | None:
    """Where E, N and Z stand in `order`, or None where they do not, one each.

    Horizontals that do not point north and east are named 1 and 2 (FDSN). They are taken for N
    and E, as is usual: a picker trained on all azimuths does not depend on it.
    """
    named = order.translate(_HORIZONTALS)
    if sorted(named) != sorted(COMPONENTS):
        return None
    return [named.index(component) for component in COMPONENTS]


def _read_table(pairs: Sequence[Pair], columns: Columns) -> pd.DataFrame:
    """The metadata of all pairs, as `read_metadata` gives them and with the index of their pair.

    What a row does not say is taken from its pair; the original sampling rate is the sampling
    rate where nothing else is said.
    """
    parts = []
    for index, pair in enumerate(pairs):
        part = read_metadata(pair.csv, columns)
        part["pair"] = index
        part["sampling_rate_hz"] = part["sampling_rate_hz"].fillna(pair.sampling_rate_hz)
        part["component_order"] = part["component_order"].replace("", pair.component_order)
        parts.append(part)
    table = pd.concat(parts, ignore_index=True)
    table["original_sampling_rate_hz"] = table["original_sampling_rate_hz"].fillna(
        table["sampling_rate_hz"]
    )
    few_values = ["split", "station", "component_order"]
    table[few_values] = table[few_values].astype("category")

    _refuse_duplicates(table, pairs)
    return table


def _refuse_duplicates(table: pd.DataFrame, pairs: Sequence[Pair]) -> None:
    """Raises InputError where two rows would make records of one name."""
    prefixes = np.array([pair.prefix for pair in pairs], dtype=object)
    names = table[["trace_name"]].assign(prefix=prefixes[table["pair"]])
    repeats = np.flatnonzero(names.duplicated())
    if len(repeats):
        same = (names == names.iloc[repeats[0]]).all(axis=1)
        first, second = (
            f"row {row} of {pairs[pair].csv}"
            for pair, row in table.loc[same, ["pair", "row"]].to_numpy()[:2]
        )
        raise InputError(
            f"{second}: the trace name '{names['trace_name'].iloc[repeats[0]]}' stands in "
            f"{first} already.",
            "Each record needs a name of its own, or it would count twice.",
        )


def _select(
    table: pd.DataFrame,
    pairs: Sequence[Pair],
    split: str | None,
    categories: frozenset[Category] | None,
) -> pd.DataFrame:
    """The rows of the split and the categories; raises InputError where none is left."""
    where = pairs[0].csv if len(pairs) == 1 else pairs[0].csv.parent
    if table.empty:
        raise InputError(f"{where}: has no records.")
    if split is not None:
        present = sorted(set(table["split"]) - {""})
        table = table[table["split"] == split]
        if table.empty:
            raise InputError(
                f"{where}: no record has split '{split}'.",
                f"Splits present: {', '.join(present)}."
                if present
                else "Column 'split' is missing or empty: ask for no split.",
            )
    if categories is not None:
        counts = table["category"].value_counts()
        table = table[table["category"].isin(list(categories))]
        if table.empty:
            raise InputError(
                f"{where}: no record{f' of split {split!r}' if split is not None else ''} is of "
                f"category {' or '.join(sorted(categories)) or '(none asked for)'}.",
                "Categories present: "
                + ", ".join(f"{name} ({count})" for name, count in counts.items() if count)
                + ".",
            )
    return table.reset_index(drop=True)


def _draw(table: pd.DataFrame, limit: int, seed: int) -> pd.DataFrame:
    """At most `limit` rows, drawn at random, in the order they had."""
    if limit >= len(table):
        return table
    drawn = np.random.default_rng(seed).choice(len(table), size=limit, replace=False)
    return table.iloc[np.sort(drawn)].reset_index(drop=True)


def _refuse_unusable(
    table: pd.DataFrame, pairs: Sequence[Pair], minimum_sampling_rate_hz: float
) -> None:
    """Raises InputError for a row whose metadata alone make its record unusable."""
    rate, p_sample, s_sample = (table[c] for c in ("sampling_rate_hz", "p_sample", "s_sample"))
    orders = table["component_order"]
    usable_orders = [order for order in orders.unique() if _component_indices(order)]
    is_noise = table["category"] == Category.NOISE
    rates_wanted = f"{minimum_sampling_rate_hz:g} to {_MAXIMUM_SAMPLING_RATE_HZ:g} Hz are accepted"
    onset_wanted = "An onset is counted in samples from the start of its trace."
    faults = [
        (
            rate.isna(),
            "has no sampling rate.",
            "Give trace_sampling_rate_hz, or data_format/sampling_rate in the HDF5 file.",
        ),
        (
            ~rate.between(minimum_sampling_rate_hz, _MAXIMUM_SAMPLING_RATE_HZ),
            "has a sampling rate of {sampling_rate_hz:g} Hz.",
            f"{rates_wanted}: lower ones lack the band that the picker needs.",
        ),
        (
            orders == "",
            "has no component order.",
            "Give trace_component_order, or data_format/component_order in the HDF5 file.",
        ),
        (
            ~orders.isin(usable_orders),
            "has components {components}: three are needed (E, N, Z).",
            "Horizontals may be named 1 and 2 instead of N and E.",
        ),
        (
            (p_sample < 0) | np.isinf(p_sample),
            "has P at sample {p_sample:g}, outside of the trace.",
            onset_wanted,
        ),
        (
            (s_sample < 0) | np.isinf(s_sample),
            "has S at sample {s_sample:g}, outside of the trace.",
            onset_wanted,
        ),
        (
            is_noise & (p_sample.notna() | s_sample.notna()),
            "is noise by its trace_category, but has a picked onset.",
            "Correct one of the two: noise counts false alarms.",
        ),
    ]
    for is_wrong, fault, hint in faults:
        if is_wrong.any():
            row = table.loc[is_wrong.idxmax()]
            described = fault.format(components=", ".join(row["component_order"]), **row)
            raise InputError(
                f"{pairs[row['pair']].csv}: row {row['row']} (record '{row['trace_name']}') "
                f"{described}",
                hint,
            )
