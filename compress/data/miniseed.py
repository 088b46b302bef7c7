"""Continuous recordings that nobody labelled: miniSEED files, cut into records.

What becomes a record
    Stretches over which all components of an instrument were recorded are cut into records of
    equal length, the first at the start of the stretch, the next a step later; what is left over
    at the end and shorter than a record is not used. All records are of category unlabelled.
Instruments
    Channels of one network, station, location, band and instrument code (`CI.CCC..HH`) belong
    together. Vertical is Z; horizontals are E and N, or 2 and 1, which stand for E and N as in the
    other sources. Anything else (U, V, W of a sensor's own axes, 3 of a tilted borehole sensor) is
    left out: a picker needs to know which component is the vertical one.
One instrument at a time
    Several at one station record the same ground motion. Those with all three components come
    first, then the order of the channel patterns, then location; the others only contribute the
    time that those before them leave.
Missing components
    Are no reason to leave out a record if asked for: then what lacks one or both horizontals is
    taken too, with zeros in their place, which is what EQTransformer was trained to expect. The
    vertical one is always needed.
Gaps
    Longer ones than `maximum_gap_s` end a stretch; shorter ones are filled by a straight line
    between the samples beside them, for zeros would be steps where counts have an offset. Time
    jumps of less than half a sample are none. Samples that are not finite count as a gap, but are
    only found when the record is read.
Overlaps
    Where a channel was recorded twice, the file that begins later counts, and in one file what
    stands later in it (as ObsPy's merge with method 1).
Time
    A record begins at a time, and each of its components with the sample nearest to that, at most
    half a sample away. Components at other rates than 100 Hz are resampled one by one.
Dead channels
    Constant samples are kept as they are. Normalisation makes zeros of them; finding them would
    mean to decode the archive, and a station that fails so has to be endured after training too.

Only headers are read to find all that (10 ms for a day of 100 Hz in records of 512 bytes, 2 ms in
records of 4096), and of the files of an SDS archive only those that by their names are asked for.
Waveforms are read record by record, three files each (5 ms a file), and nothing is kept.
"""

from __future__ import annotations

import glob
import hashlib
import itertools
import re
import struct
import warnings
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from fractions import Fraction
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from compress.data.folder import MINIMUM_SAMPLING_RATE_HZ
from compress.data.identity import hash_of_ends
from compress.data.records import COMPONENTS, SAMPLING_RATE_HZ, Category, Record
from compress.data.resampling import resample, resampling_ratio

if TYPE_CHECKING:
    from obspy import Stream, Trace

CHANNELS = ("HH?", "BH?", "EH?", "SH?", "HN?", "EN?")
"""Seismometers before accelerometers, and high rates before low ones."""

_NS = 1_000_000_000
_ORIENTATIONS = (("E", "N", "Z"), ("2", "1", "Z"))
_HALF_A_SAMPLE = 0.49  # so that rounding to the nearest sample stays within what was recorded
_FIXED_HEADER_BYTES = 48
_IDENTITY_BYTES = 1 << 16
_YEARS = range(1900, 2201)
_FURTHEST_NS = 231 * 366 * 86400 * _NS  # from 1970; 64 bits of nanoseconds end in 2262
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 1.0, 100_000.0  # outside are logs and nonsense
_SDS_NAME = re.compile(
    r"(?P<station>[^.]*\.[^.]*)\.[^.]*\.(?P<channel>[^.]*)\.(?P<type>[A-Z])"
    r"\.(?P<year>\d{4})\.(?P<day>\d{3})"
)
_SDS_SLACK = timedelta(hours=1)  # the miniSEED record that crosses midnight lies in one file
_SHOWN = 5

Interval = tuple[int, int]


@dataclass(frozen=True, eq=False)
class _Channel:
    """All that was recorded on one channel at one sampling rate, by segments without a gap.

    Attributes:
        id: network, station, location and channel code, joined by dots.
        ratio: samples at 100 Hz for each recorded one.
        rate_hz: the sampling rate (the lowest of the headers; they differ by less than 0.05 %).
        starts: times of the first samples, ns since 1970, shape (segments,), ascending.
        ends: times one sample after the last ones, likewise.
        files: the file of each segment.
    """

    id: str
    ratio: Fraction
    rate_hz: float
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    files: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class _Instrument:
    """The channels that make the components E, N, Z of records; None is a missing one."""

    name: str
    station: str
    channels: tuple[_Channel | None, ...]

    def present(self) -> list[_Channel]:
        return [channel for channel in self.channels if channel is not None]


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
        start, end = (None if t is None else _utc(t) for t in (start, end))
        self._samples = round(duration_s * SAMPLING_RATE_HZ)
        self._maximum_gap_s = maximum_gap_s
        self.left_out: dict[str, str] = {}

        wanted = _Wanted(tuple(channels), tuple(stations), start, end)
        self._files, found = _index(folder, files, wanted)
        usable = self._usable(found, minimum_sampling_rate_hz)
        self._instruments: list[_Instrument] = []
        by_station = defaultdict(list)
        for channel in usable:
            by_station[_station(channel.id)].append(channel)
        zeros = missing_components == "zero"
        chosen = [np.empty((0, 2), np.int64)]
        for station in sorted(by_station):
            instruments = self._instruments_of(by_station[station], wanted, zeros)
            chosen.append(self._cut(instruments, round((step_s or duration_s) * _NS)))
        records = np.concatenate(chosen)  # columns: instrument, start
        all_records = len(records)
        after, before = (None if t is None else _nanoseconds(t) for t in (start, end))
        length = round(duration_s * _NS)
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
            warnings.warn(f"{folder}: left out {_some(self._reasons())}.", stacklevel=2)

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
        changed in place in the middle of a file are not noticed.
        """
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
                    used.update(channel.files[first < np.searchsorted(starts, channel.ends)])
        for identity in sorted(_identity(self._files[file]) for file in used):
            digest.update(identity)
        return digest.hexdigest()

    def _usable(self, found: Sequence[_Channel], minimum_sampling_rate_hz: float) -> list[_Channel]:
        usable = []
        letters = {letter for orientation in _ORIENTATIONS for letter in orientation}
        for channel in found:
            if channel.id[-1] not in letters:
                self.left_out[channel.id] = f"component {channel.id[-1]} is none of E, N, Z, 1, 2"
            elif channel.rate_hz < minimum_sampling_rate_hz:
                self.left_out[channel.id] = (
                    f"{channel.rate_hz:g} Hz, below {minimum_sampling_rate_hz:g} Hz"
                )
            else:
                usable.append(channel)
        return usable

    def _instruments_of(
        self, channels: Sequence[_Channel], wanted: _Wanted, zeros: bool
    ) -> list[_Instrument]:
        """What one station's records are made of, the best first."""
        groups: dict[str, dict[str, list[_Channel]]] = defaultdict(lambda: defaultdict(list))
        for channel in sorted(channels, key=lambda channel: (channel.id, -channel.rate_hz)):
            groups[channel.id[:-1]][channel.id[-1]].append(channel)

        def preference(name: str) -> tuple[int, str]:
            codes = [(name + letter).rpartition(".")[2] for letter in groups[name]]
            return min(wanted.rank(code) for code in codes), name

        found = []
        for name in sorted(groups, key=preference):
            by_letter = groups[name]
            choices: dict[tuple[_Channel | None, ...], None] = {}
            for letters in _ORIENTATIONS:
                options: list[list[_Channel | None]] = [[*by_letter[c]] for c in letters]
                if zeros:
                    options = [[*options[0], None], [*options[1], None], options[2]]
                choices |= dict.fromkeys(itertools.product(*options))
            if not choices:
                self.left_out[name] = f"has only {', '.join(c for c in by_letter if by_letter[c])}"
            found += [_Instrument(name, _station(name), channels) for channels in choices]
        return sorted(found, key=lambda instrument: -len(instrument.present()))

    def _cut(self, instruments: Sequence[_Instrument], step: int) -> NDArray[np.int64]:
        """The records of one station in order of time, as rows of instrument and start (ns).

        Adds the instruments that have records to those of the source.
        """
        taken: list[Interval] = []
        records = [np.empty((0, 2), np.int64)]
        for instrument in instruments:
            free: list[Interval] | None = None
            for channel in instrument.present():
                covered = _coverage(channel, self._maximum_gap_s)
                free = covered if free is None else _common(free, covered)
            length = max(map(self._length_ns, instrument.present()))
            slack = min(_HALF_A_SAMPLE * _NS / c.rate_hz for c in instrument.present())
            cuts: list[Interval] = []
            for first, end in _without(free or [], taken):
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

    def _length_ns(self, channel: _Channel) -> int:
        """How long a channel has to be recorded for one record, ns."""
        return ceil(ceil(self._samples / channel.ratio) * _NS / channel.rate_hz)

    def _read(self, channel: _Channel, start: int, name: str) -> NDArray[np.float32]:
        """One component of the record that begins at `start` (ns), shape (samples,)."""
        gap = int(self._maximum_gap_s * channel.rate_hz) + 1  # 1: where small time jumps add up
        margin = gap + 1  # so that a gap across an end of the record is seen from both sides
        samples = ceil(self._samples / channel.ratio)
        values = np.full(samples + 2 * margin, np.nan)
        first = start - round(margin * _NS / channel.rate_hz)
        end = first + round(len(values) * _NS / channel.rate_hz)
        touched = channel.files[(channel.starts < end) & (channel.ends > first)]
        for path in (self._files[file] for file in np.unique(touched)):
            for trace in _traces(path, first, end, name):
                if trace.id != channel.id or _ratio(trace) != channel.ratio:
                    continue
                place = round((trace.stats.starttime.ns - first) * channel.rate_hz / _NS)
                data = trace.data[max(-place, 0) :][: max(len(values) - max(place, 0), 0)]
                values[max(place, 0) :][: len(data)] = data

        known = np.abs(values) <= np.finfo(np.float32).max
        inside = slice(margin, margin + samples)
        longest = _longest_run(~known[inside])
        if longest > gap:
            raise InputError(
                f"{self._files[touched[0]] if len(touched) else channel.id}: record '{name}': "
                f"{longest} samples of {channel.id} in a row are missing or not finite.",
                "The headers promise them: was the file changed meanwhile, or does it hold NaN? "
                "Leave it out with `files`, `start` and `end`, or set `maximum_gap_s` higher.",
            )
        if not known.all():
            places = np.arange(len(values))
            values = np.interp(places, places[known], values[known])
        return resample(values[inside, np.newaxis], channel.ratio)[: self._samples, 0]

    def _reasons(self) -> list[str]:
        return [f"{name} ({reason})" for name, reason in self.left_out.items()]

    def _why_none(self, found: Sequence[_Channel]) -> str:
        if self._reasons():
            return (
                f"Left out: {_some(self._reasons())}. Where horizontals are missing, "
                "`missing_components: zero` takes the record without them."
            )
        ids = sorted({channel.id for channel in found})
        return (
            f"Of {_some(ids)} there is no stretch that long with all components. Gaps up to "
            "`maximum_gap_s` are filled."
        )


@dataclass(frozen=True)
class _Wanted:
    """Which channels and times are asked for."""

    channels: tuple[str, ...]
    stations: tuple[str, ...]
    start: datetime | None
    end: datetime | None

    def rank(self, channel: str) -> int:
        """The first pattern that the channel code matches; their number if it matches none."""
        matches = (fnmatchcase(channel, pattern) for pattern in self.channels)
        return next((i for i, match in enumerate(matches) if match), len(self.channels))

    def channel(self, station: str, channel: str) -> bool:
        """Whether a channel of `network.station` is asked for."""
        return self.rank(channel) < len(self.channels) and any(
            fnmatchcase(station, pattern) for pattern in self.stations
        )

    def file(self, path: Path) -> bool:
        """False if the name of a file in an SDS archive says that it holds nothing of interest."""
        sds = _SDS_NAME.fullmatch(path.name)
        if sds is None or path.parent.name != f"{sds['channel']}.{sds['type']}":
            return True
        if sds["type"] != "D" or not self.channel(sds["station"], sds["channel"]):
            return False
        try:
            day = datetime(int(sds["year"]), 1, 1, tzinfo=UTC) + timedelta(int(sds["day"]) - 1)
        except (ValueError, OverflowError):
            return True
        too_late = self.end is not None and day - _SDS_SLACK >= self.end
        too_early = self.start is not None and day + timedelta(1) + _SDS_SLACK <= self.start
        return not (too_late or too_early)


def holds_miniseed(folder: Path) -> bool:
    """Whether any file in the folder, at any depth, begins like miniSEED."""
    return any(_begins_like_miniseed(path) for path in _walk(folder, "**"))


def _walk(folder: Path, pattern: str) -> Iterator[Path]:
    """The files below `folder` that match, also behind symbolic links, each once."""
    seen = set()
    # Path.glob does not follow links, of which archives over several disks are made.
    for name in glob.iglob(pattern, root_dir=folder, recursive=True):  # noqa: PTH207
        path = folder / name
        if path.is_file():
            status = path.stat()
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                yield path


def _begins_like_miniseed(path: Path) -> bool:
    """Whether the file begins with the fixed header of a data record of miniSEED 2.

    Sequence number, quality indicator, a reserved blank and a possible time (SEED manual 2.4,
    chapter 8), in either byte order.
    """
    try:
        with path.open("rb") as stream:
            header = stream.read(_FIXED_HEADER_BYTES)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
    if len(header) < _FIXED_HEADER_BYTES or not re.match(rb"[0-9 \0]{6}[DRQM][ \0]", header):
        return False
    for order in "><":
        year, day, hour, minute, second = struct.unpack_from(f"{order}HHBBB", header, 20)
        if year in _YEARS and 1 <= day <= 366 and hour < 24 and minute < 60 and second <= 60:
            return True
    return False


def _index(folder: Path, pattern: str, wanted: _Wanted) -> tuple[list[Path], list[_Channel]]:
    """The files with something that is wanted, in order of time, and what their headers tell.

    Raises:
        InputError: files are damaged, there is no miniSEED at all, or nothing that is wanted.
    """
    segments = defaultdict(list)
    begins: dict[Path, int] = {}
    other: set[str] = set()
    damaged: list[str] = []
    passed_over = 0
    for path in sorted(_walk(folder, pattern)):
        if not wanted.file(path) or not _begins_like_miniseed(path):
            passed_over += 1
            continue
        try:
            stream = _read_stream(path, headonly=True)
        except InputError as error:
            damaged.append(error.message.removesuffix("."))
            continue
        for trace in stream:
            stats = trace.stats
            if not wanted.channel(f"{stats.network}.{stats.station}", stats.channel):
                other.add(trace.id)
            elif abs(stats.starttime.ns) > _FURTHEST_NS:
                damaged.append(
                    f"{path}: {trace.id} begins {stats.starttime.ns / _NS:g} s from 1970"
                )
            elif ratio := _ratio(trace):
                start = stats.starttime.ns
                end = start + round(stats.npts * _NS / stats.sampling_rate)
                begins[path] = min(start, begins.get(path, start))
                segments[trace.id, ratio].append((start, end, path, stats.sampling_rate))
    if damaged:
        raise InputError(
            f"{len(damaged)} damaged miniSEED file{'s' * (len(damaged) > 1)}: {_some(damaged)}.",
            "Copy them anew, or leave them out with `files`.",
        )
    if not segments:
        raise InputError(
            f"{folder}: "
            + (
                f"none of the channels is asked for, {_some(sorted(other))} are there."
                if other
                else f"no file is miniSEED and of the channels and days asked for "
                f"({passed_over} matching '{pattern}' were passed over)."
            ),
            "See `files`, `channels`, `stations`, `start` and `end`. Full SEED volumes and "
            "miniSEED 3 are not read.",
        )

    files = sorted(begins, key=lambda path: (begins[path], path))
    number = {path: index for index, path in enumerate(files)}
    channels = []
    for (identity, ratio), parts in sorted(segments.items()):
        table = np.array(sorted((start, end, number[path]) for start, end, path, _ in parts))
        rate = min(rate for *_, rate in parts)
        channels.append(_Channel(identity, ratio, rate, *table.T))
    return files, channels


def _ratio(trace: Trace) -> Fraction | None:
    """Samples at 100 Hz for each of the trace; None if it is no waveform, such as a log."""
    rate = trace.stats.sampling_rate
    return (
        resampling_ratio(rate)
        if trace.stats.npts and _LOWEST_RATE_HZ <= rate <= _HIGHEST_RATE_HZ
        else None
    )


def _read_stream(path: Path, **options: Any) -> Stream:
    """What ObsPy reads of a miniSEED file; raises InputError if it is damaged."""
    from obspy import read
    from obspy.io.mseed import InternalMSEEDWarning

    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            # ObsPy takes any path for a glob pattern.
            stream = read(glob.escape(str(path)), format="MSEED", **options)
    except Exception as error:  # ObsPy raises plain Exception, among others
        raise InputError(f"{path}: cannot be read as miniSEED: {error}.") from error
    faults = [str(t.message) for t in told if issubclass(t.category, InternalMSEEDWarning)]
    if faults:
        raise InputError(f"{path}: damaged: {faults[0].removeprefix('readMSEEDBuffer(): ')}")
    if any(trace.data.dtype.kind not in "if" for trace in stream):
        raise InputError(f"{path}: holds text where its headers promise samples.")
    return stream


def _traces(path: Path, first: int, end: int, record: str) -> Stream:
    """What a file holds between two times (ns).

    All its channels: ObsPy selects channels by codes as they are in the file, and gives codes
    without the characters that do not belong in them.
    """
    from obspy import UTCDateTime

    try:
        return _read_stream(path, starttime=UTCDateTime(ns=first), endtime=UTCDateTime(ns=end))
    except InputError as error:
        raise InputError(
            f"{error.message.removesuffix('.')} (record '{record}').",
            "Copy the file anew, or leave it out with `files`.",
        ) from error


def _coverage(channel: _Channel, maximum_gap_s: float) -> list[Interval]:
    """When a channel was recorded, without what ends at gaps that are filled."""
    reach = np.maximum.accumulate(channel.ends)
    tolerance = round((maximum_gap_s + _HALF_A_SAMPLE / channel.rate_hz) * _NS)
    breaks = np.flatnonzero(channel.starts[1:] > reach[:-1] + tolerance)
    firsts = channel.starts[np.concatenate([[0], breaks + 1])]
    lasts = reach[np.concatenate([breaks, [len(reach) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _common(ours: Sequence[Interval], theirs: Sequence[Interval]) -> list[Interval]:
    """Where two ascending sequences of disjoint intervals overlap."""
    found = []
    i = j = 0
    while i < len(ours) and j < len(theirs):
        first, end = max(ours[i][0], theirs[j][0]), min(ours[i][1], theirs[j][1])
        if first < end:
            found.append((first, end))
        if ours[i][1] < theirs[j][1]:
            i += 1
        else:
            j += 1
    return found


def _without(intervals: Sequence[Interval], taken: Sequence[Interval]) -> list[Interval]:
    """What is left of `intervals` where `taken` is taken out; both ascending and disjoint."""
    far = np.iinfo(np.int64).max
    edges = [-far, *(time for interval in taken for time in interval), far]
    return _common(intervals, list(zip(edges[::2], edges[1::2], strict=True)))


def _names(instruments: Sequence[_Instrument], records: NDArray[np.int64]) -> list[str]:
    """Instrument and start, to the nearest hundredth of a second."""
    times = np.datetime_as_string((records[:, 1] + _NS // 200).astype("datetime64[ns]"), "ms")
    return [
        f"{instruments[number].name}:{time[:-1]}"
        for number, time in zip(records[:, 0].tolist(), times.tolist(), strict=True)
    ]


def _longest_run(missing: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(missing, prepend=False, append=False))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def _identity(path: Path) -> bytes:
    try:
        return bytes.fromhex(hash_of_ends(path, _IDENTITY_BYTES))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _station(identity: str) -> str:
    return ".".join(identity.split(".")[:2])


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _nanoseconds(time: datetime) -> int:
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def _some(items: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
