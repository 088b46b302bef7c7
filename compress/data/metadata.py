"""Reading the CSV that says what is known of each record, whatever its columns are called."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from baseline.errors import InputError
from compress.data.records import Category

_ROWS_AT_ONCE = 20_000  # some 30 MB of text; STEAD has 1.2 million rows
_MISSING = frozenset({"", "nan", "none", "null", "na", "n/a", "<na>"})


@dataclass(frozen=True)
class Columns:
    """The names of a format's columns.

    Attributes:
        required: a file without these is refused; any other column may be missing.
        p: columns with the onset of P in samples. The first group with a value in it counts, and
            in the group the earliest onset.
        s: likewise for S.
        network: network code.
        station: station code.
        snr: signal-to-noise ratio in dB: a number, or a bracketed list with one per component.
    """

    required: tuple[str, ...]
    p: tuple[tuple[str, ...], ...]
    s: tuple[tuple[str, ...], ...]
    network: str
    station: str
    snr: str


def read_metadata(csv: Path, columns: Columns) -> pd.DataFrame:
    """What `csv` says, one row per record, in its order, under names of our own.

    `trace_name`, `split`, `station` and `component_order` (str, "" where not given), `category`
    (categorical, Category values), `p_sample`, `s_sample` (at the record's own rate), `snr_db`,
    `sampling_rate_hz`, `original_sampling_rate_hz` (float, NaN where not given), and `row`, the
    number of the row in a spreadsheet (the header is row 1).

    Only one stretch of the file is in memory as text at a time.

    Raises:
        InputError: the file is missing, is not a CSV in UTF-8, lacks a column or a trace name, or
            has text where a number belongs.
    """
    if not csv.is_file():
        raise InputError(f"{csv}: no such file.", "The metadata of the data set are missing.")
    try:
        with warnings.catch_warnings():
            # Raised where rows have more fields than the header: their columns cannot be told.
            warnings.simplefilter("error", pd.errors.ParserWarning)
            # index_col=False: or pandas would take a surplus first column for the index.
            # na_filter=False: or station NA (there is one) would be taken for a missing value.
            with pd.read_csv(
                csv, dtype=str, na_filter=False, index_col=False, chunksize=_ROWS_AT_ONCE
            ) as stretches:
                parts = [_interpret(stretch, csv, columns) for stretch in stretches]
    except UnicodeDecodeError as error:
        raise InputError(f"{csv}: not text in UTF-8: {error}.", "Save it as UTF-8.") from error
    except (OSError, ValueError, pd.errors.ParserWarning) as error:
        raise InputError(
            f"{csv}: not a readable CSV: {str(error).strip()}",
            "Expected one line of column names and one line of comma-separated values a record.",
        ) from error
    return pd.concat(parts, ignore_index=True)


def _interpret(text: pd.DataFrame, csv: Path, columns: Columns) -> pd.DataFrame:
    missing = [name for name in columns.required if name not in text.columns]
    if missing:
        raise InputError(
            f"{csv}: has no column {', '.join(missing)}.",
            f"Its columns are {', '.join(map(str, text.columns))}.",
        )
    unnamed = text.index[text["trace_name"].str.strip() == ""]
    if len(unnamed):
        raise InputError(f"{csv}: row {unnamed[0] + 2} has no trace_name.")

    p_sample = _onsets(text, csv, columns.p)
    s_sample = _onsets(text, csv, columns.s)
    is_noise = _texts(text, "trace_category").str.lower() == Category.NOISE
    is_picked = p_sample.notna() | s_sample.notna()
    category = np.select(
        [is_noise, is_picked], [Category.NOISE, Category.EARTHQUAKE], Category.UNLABELLED
    )
    rate = _numbers(text, csv, "trace_sampling_rate_hz")
    station = _texts(text, columns.station)
    return pd.DataFrame(
        {
            "row": text.index + 2,
            "trace_name": text["trace_name"],
            "split": _texts(text, "split"),
            "category": pd.Categorical(category, categories=list(Category)),
            "p_sample": p_sample,
            "s_sample": s_sample,
            "station": (_texts(text, columns.network) + "." + station).where(station != "", ""),
            "snr_db": _mean_snr(text, csv, columns.snr),
            "sampling_rate_hz": rate.fillna(1.0 / _numbers(text, csv, "trace_dt_s")),
            "original_sampling_rate_hz": _numbers(text, csv, "trace_original_sampling_rate_hz"),
            "component_order": _texts(text, "trace_component_order"),
        }
    )


def _texts(text: pd.DataFrame, column: str) -> pd.Series:
    """The column without surrounding blanks; "" throughout where there is no such column."""
    if column not in text.columns:
        return pd.Series("", index=text.index, dtype="str")
    return text[column].str.strip()


def _numbers(text: pd.DataFrame, csv: Path, column: str) -> pd.Series:
    """The column as float64, NaN where a value is missing or there is no such column."""
    if column not in text.columns:
        return pd.Series(np.nan, index=text.index)
    values = text[column].str.strip()
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    not_read = values[numbers.isna()]
    wrong = not_read.index[~not_read.str.lower().isin(_MISSING)]
    if len(wrong):
        raise _not_a_number(text, csv, column, wrong[0])
    return numbers


def _onsets(text: pd.DataFrame, csv: Path, groups: Sequence[Sequence[str]]) -> pd.Series:
    """The onset in samples: the earliest of the first group of columns that has any."""
    onset = pd.Series(np.nan, index=text.index)
    for group in groups:
        onset = onset.fillna(
            pd.concat([_numbers(text, csv, column) for column in group], axis=1).min(axis=1)
        )
    return onset


def _mean_snr(text: pd.DataFrame, csv: Path, column: str) -> list[float]:
    """The mean over the components with a finite value, NaN where none has."""
    means = []
    for row, value in zip(text.index, _texts(text, column), strict=True):
        try:
            decibels = [float(part) for part in value.strip("[]").replace(",", " ").split()]
        except ValueError:
            if value.lower() not in _MISSING:
                raise _not_a_number(text, csv, column, row) from None
            decibels = []
        finite = [level for level in decibels if math.isfinite(level)]
        means.append(sum(finite) / len(finite) if finite else float("nan"))
    return means


def _not_a_number(text: pd.DataFrame, csv: Path, column: str, row: int) -> InputError:
    return InputError(
        f"{csv}: row {row + 2} (record '{text['trace_name'][row]}'), column {column}: "
        f"'{text[column][row]}' is not a number.",
        "Leave it empty where it is not known.",
    )
