"""Continuous recordings that nobody labelled: miniSEED files, cut into records.

What becomes a record
    Stretches over which all components of an instrument were recorded are cut into records of
    equal length, the first at the start of the stretch, the next a step later; what is left over
    at the end and shorter than a record is not used. All records are of category unlabelled.
One instrument at a time
    Several at one station record the same ground motion. Those with all three components come
    first, then the order of the channel patterns, then location; the others only contribute the
    time that those before them leave.
Missing components
    Zeros stand in their place, which is what EQTransformer was trained to expect.
Gaps
    Those up to `maximum_gap_s` are filled by a straight line between the samples beside them.
Time
    A record begins at a time, and each of its components with the sample nearest to that, at most
    half a sample away. Components at other rates than 100 Hz are resampled one by one.
Dead channels
    Constant samples are kept as they are. Normalisation makes zeros of them; finding them would
    mean to decode the archive, and a station that fails so has to be endured after training too.

Waveforms are read record by record, three files each (5 ms a file), and nothing is kept. What
belongs together, and what ends a stretch, is told in `compress.data.archive`.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from math import ceil
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from compress.data.archive import (
    CHANNELS,
    HALF_A_SAMPLE,
    NS,
    Archive,
    Channel,
    Instrument,
    Interval,
    Wanted,
    begins_like_miniseed,
    common,
    coverage,
    filled,
    index,
    instruments_by_station,
    longest_run,
    miniseed_only,
    nanoseconds,
    read_values,
    some,
    usable,
    utc,
    walk,
    without,
)
from compress.data.folder import MINIMUM_SAMPLING_RATE_HZ
from compress.data.identity import hash_of_ends
from compress.data.records import COMPONENTS, SAMPLING_RATE_HZ, Category, Record
from compress.data.resampling import resample

_IDENTITY_BYTES = 1 << 16


class MiniseedSource:
    """A `Source` over miniSEED files; the module's description tells how they are cut.

    A record is named by its instrument and its start, `CI.CCC..HH:2019-07-06T03:19:53.00`. Holds
    the start of every record and the times of every segment, no samples and no open file.

    Args:
        folder: an SDS archive, or any folder.
        files: which files below it, as a glob pattern (`**` is any depth). What does not begin
            like miniSEED is passed over: StationXML, logs, full SEED volumes, miniSEED 3.
        channels: patterns of channel codes, in order of preference.
        stations: patterns of `network.station`.
        start: take records that begin at or after this; UTC where it has no time zone.
        end: take records that end at or before this.
        duration_s: length of a record, s.
        step_s: from the start of a record to that of the next; None is `duration_s`.
        maximum_gap_s: fill gaps up to this.
        missing_components: whether to leave out what lacks a horizontal component, or take it with
            zeros.
        minimum_sampling_rate_hz: leave out channels sampled at less.
        limit: keep at most this many records, drawn at random with `seed`, in their order.
        seed: see `limit`.

    Attributes:
        left_out: why channels and instruments that the patterns asked for are not used, by name.
            If there are any, a UserWarning tells so.

    Raises:
        InputError: no such folder, a file begins like miniSEED and is damaged, or no record is
            left.
    """

    def __init__(
        self,
        folder: Path,
        *,
        files: str = "**",
        channels: Sequence[str] = CHANNELS,
        stations: Sequence[str] = ("*",),
        start: datetime | None = None,
        end: datetime | None = None,
        duration_s: float = 90.0,
        step_s: float | None = None,
        maximum_gap_s: float = 0.0,
        missing_components: Literal["skip", "zero"] = "skip",
        minimum_sampling_rate_hz: float = MINIMUM_SAMPLING_RATE_HZ,
        limit: int | None = None,
        seed: int = 0,
    ) -> None:
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder.", "Give the folder of the recordings.")
        start, end = (None if t is None else utc(t) for t in (start, end))
        self._samples = round(duration_s * SAMPLING_RATE_HZ)
        self._maximum_gap_s = maximum_gap_s
        self.left_out: dict[str, str] = {}

        wanted = Wanted(tuple(channels), tuple(stations), start, end)
        self._archive = index(sorted(walk(folder, files)), wanted, miniseed_only)
        found = self._archive.channels
        if not found:
            raise _nothing(folder, files, self._archive)
        kept = usable(found, minimum_sampling_rate_hz, self.left_out)
        self._instruments: list[Instrument] = []
        zeros = missing_components == "zero"
        chosen = [np.empty((0, 2), np.int64)]
        for instruments in instruments_by_station(kept, wanted, zeros, self.left_out).values():
            chosen.append(self._cut(instruments, round((step_s or duration_s) * NS)))
        records = np.concatenate(chosen)  # columns: instrument, start
        all_records = len(records)
        after, before = (None if t is None else nanoseconds(t) for t in (start, end))
        length = round(duration_s * NS)
        if after is not None:
            records = records[records[:, 1] >= after]
        if before is not None:
            records = records[records[:, 1] + length <= before]
        if not len(records):
            raise InputError(
                f"{folder}: gives no record of {duration_s:g} s.",
                f"There are {all_records}, but none between `start` and `end`."
                if all_records
                else self._why_none(found),
            )
        if limit is not None and limit < len(records):
            drawn = np.random.default_rng(seed).choice(len(records), size=limit, replace=False)
            records = records[np.sort(drawn)]
        self._records = records
        if self.left_out:
            warnings.warn(f"{folder}: left out {some(self._reasons())}.", stacklevel=2)

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Record:
        """The record at `index`, at 100 Hz in order E, N, Z; see `Source.__getitem__`."""
        if not 0 <= index < len(self):
            raise IndexError(f"record {index} of {len(self)}")
        number, start = self._records[index].tolist()
        instrument = self._instruments[number]
        name = _names(self._instruments, self._records[index : index + 1])[0]
        waveform = np.zeros((self._samples, len(COMPONENTS)), np.float32)
        for component, channel in enumerate(instrument.channels):
            if channel is not None:
                waveform[:, component] = self._read(channel, start, name)
        return Record(
            name=name,
            waveform=waveform,
            category=Category.UNLABELLED,
            station=instrument.station,
            original_sampling_rate_hz=min(c.rate_hz for c in instrument.present()),
        )

    def names(self) -> list[str]:
        """See `Source.names`."""
        return _names(self._instruments, self._records)

    def categories(self) -> list[Category]:
        """See `Source.categories`."""
        return [Category.UNLABELLED] * len(self)

    def fingerprint(self) -> str:
        """A hash of the records' names, how they are read, and the files that they are read from.

        The same wherever the files lie and whenever they were copied there. Of a file the size and
        the first and the last 64 KiB count: an archive may have a hundred thousand. Samples
        changed in place in the middle of a file are not noticed. A run asks for it several times,
        so it is computed once.
        """
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        digest = hashlib.sha256(f"{self._samples} {self._maximum_gap_s}".encode())
        digest.update("\0".join(self.names()).encode())
        used: set[int] = set()
        for number in np.unique(self._records[:, 0]):
            starts = np.sort(self._records[self._records[:, 0] == number, 1])
            for channel in self._instruments[number].channels:
                digest.update(f"\0{channel and (channel.id, channel.ratio)}".encode())
                if channel is not None:
                    # Segments between whose ends a record begins or goes on.
                    first = np.searchsorted(starts, channel.starts - self._length_ns(channel))
                    used.update(channel.parts[first < np.searchsorted(starts, channel.ends)])
        files = {self._archive.parts[part].path for part in used}
        for identity in sorted(map(_identity, files)):
            digest.update(identity)
        return digest.hexdigest()

    def _cut(self, instruments: Sequence[Instrument], step: int) -> NDArray[np.int64]:
        """The records of one station in order of time, as rows of instrument and start (ns).

        Adds the instruments that have records to those of the source.
        """
        taken: list[Interval] = []
        records = [np.empty((0, 2), np.int64)]
        for instrument in instruments:
            free: list[Interval] | None = None
            for channel in instrument.present():
                covered = coverage(channel, self._maximum_gap_s)
                free = covered if free is None else common(free, covered)
            length = max(map(self._length_ns, instrument.present()))
            slack = min(HALF_A_SAMPLE * NS / c.rate_hz for c in instrument.present())
            cuts: list[Interval] = []
            for first, end in without(free or [], taken):
                number = (end - first + int(slack) - length) // step + 1
                if number > 0:
                    starts = first + step * np.arange(number)
                    which = np.full(number, len(self._instruments))
                    records.append(np.stack([which, starts], axis=1))
                    cuts.append((first, int(starts[-1]) + length))
            if cuts:
                self._instruments.append(instrument)
                taken = sorted(taken + cuts)
        joined = np.concatenate(records)
        return joined[np.argsort(joined[:, 1], kind="stable")]

    def _length_ns(self, channel: Channel) -> int:
        """How long a channel has to be recorded for one record, ns."""
        return ceil(ceil(self._samples / channel.ratio) * NS / channel.rate_hz)

    def _read(self, channel: Channel, start: int, name: str) -> NDArray[np.float32]:
        """One component of the record that begins at `start` (ns), shape (samples,)."""
        gap = int(self._maximum_gap_s * channel.rate_hz) + 1  # 1: where small time jumps add up
        margin = gap + 1  # so that a gap across an end of the record is seen from both sides
        samples = ceil(self._samples / channel.ratio)
        try:
            values = read_values(self._archive, channel, start, -margin, samples + 2 * margin)
        except InputError as error:
            raise InputError(
                f"{error.message.removesuffix('.')} (record '{name}').",
                "Copy the file anew, or leave it out with `files`.",
            ) from error
        inside = slice(margin, margin + samples)
        longest = longest_run(np.isnan(values[inside]))
        if longest > gap:
            raise InputError(
                f"{self._file_at(channel, start)}: record '{name}': "
                f"{longest} samples of {channel.id} in a row are missing or not finite.",
                "The headers promise them: was the file changed meanwhile, or does it hold NaN? "
                "Leave it out with `files`, `start` and `end`, or set `maximum_gap_s` higher.",
            )
        return resample(filled(values)[inside, np.newaxis], channel.ratio)[: self._samples, 0]

    def _file_at(self, channel: Channel, start: int) -> Path:
        """The first file that the record which begins at `start` (ns) touches."""
        touched = channel.parts[
            (channel.starts < start + self._length_ns(channel)) & (channel.ends > start)
        ]
        return self._archive.parts[touched.min()].path

    def _reasons(self) -> list[str]:
        return [f"{name} ({reason})" for name, reason in self.left_out.items()]

    def _why_none(self, found: Sequence[Channel]) -> str:
        if self._reasons():
            return (
                f"Left out: {some(self._reasons())}. Where horizontals are missing, "
                "`missing_components: zero` takes the record without them."
            )
        ids = sorted({channel.id for channel in found})
        return (
            f"Of {some(ids)} there is no stretch that long with all components. Gaps up to "
            "`maximum_gap_s` are filled."
        )


def holds_miniseed(folder: Path) -> bool:
    """Whether any file in the folder, at any depth, begins like miniSEED."""
    return any(begins_like_miniseed(path) for path in walk(folder, "**"))


def _nothing(folder: Path, pattern: str, archive: Archive) -> InputError:
    """Why there is no channel."""
    return InputError(
        f"{folder}: "
        + (
            f"none of the channels is asked for, {some(sorted(archive.other))} are there."
            if archive.other
            else f"no file is miniSEED and of the channels and days asked for "
            f"({archive.passed_over} matching '{pattern}' were passed over)."
        ),
        "See `files`, `channels`, `stations`, `start` and `end`. Full SEED volumes and "
        "miniSEED 3 are not read.",
    )


def _names(instruments: Sequence[Instrument], records: NDArray[np.int64]) -> list[str]:
    """Instrument and start, to the nearest hundredth of a second."""
    times = np.datetime_as_string((records[:, 1] + NS // 200).astype("datetime64[ns]"), "ms")
    return [
        f"{instruments[number].name}:{time[:-1]}"
        for number, time in zip(records[:, 0].tolist(), times.tolist(), strict=True)
    ]


def _identity(path: Path) -> bytes:
    try:
        return bytes.fromhex(hash_of_ends(path, _IDENTITY_BYTES))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
