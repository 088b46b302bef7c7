"""Continuous recordings as an archive of channels: what was recorded when, from headers alone.

Instruments
    Channels of one network, station, location, band and instrument code (`CI.CCC..HH`) belong
    together. Vertical is Z; horizontals are E and N, or 2 and 1, which stand for E and N as in the
    other sources. Anything else (U, V, W of a sensor's own axes, 3 of a tilted borehole sensor) is
    left out: a picker needs to know which component is the vertical one.
Missing components
    Are no reason to leave out a stretch if asked for: then what lacks one or both horizontals is
    taken too. The vertical one is always needed.
Gaps
    Longer ones than `maximum_gap_s` end a stretch. Time jumps of less than half a sample are none.
    Samples that are not finite count as a gap, but are only found when they are read.
Overlaps
    Where a channel was recorded twice, the file that begins later counts, and in one file what
    stands later in it (as ObsPy's merge with method 1).

Only headers are read to find all that (10 ms for a day of 100 Hz in records of 512 bytes, 2 ms in
records of 4096), and of the files of an SDS archive only those that by their names are asked for.

Whatever is read of a miniSEED file, ObsPy goes through all of its headers. A file of more than
16 MiB, such as a month in one, is therefore known by parts of that size, and only those that were
recorded at the time asked for are read.
"""

from __future__ import annotations

import glob
import io
import itertools
import re
import struct
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from baseline.errors import InputError
from compress.data.resampling import resampling_ratio

if TYPE_CHECKING:
    from obspy import Stream, Trace

MINISEED = "MSEED"
"""What ObsPy calls it."""

CHANNELS = ("HH?", "BH?", "EH?", "SH?", "HN?", "EN?")
"""Seismometers before accelerometers, and high rates before low ones."""

ORIENTATIONS = (("E", "N", "Z"), ("2", "1", "Z"))
"""Last letters of channel codes that stand for E, N, Z."""

NS = 1_000_000_000
HALF_A_SAMPLE = 0.49  # so that rounding to the nearest sample stays within what was recorded

PART_BYTES = 2**24
"""A day of one channel at 100 Hz has 10 MB."""

_FIXED_HEADER_BYTES = 48
_YEARS = range(1900, 2201)
_FURTHEST_NS = 231 * 366 * 86400 * NS  # from 1970; 64 bits of nanoseconds end in 2262
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 1.0, 100_000.0  # outside are logs and nonsense
_SDS_NAME = re.compile(
    r"(?P<station>[^.]*\.[^.]*)\.[^.]*\.(?P<channel>[^.]*)\.(?P<type>[A-Z])"
    r"\.(?P<year>\d{4})\.(?P<day>\d{3})"
)
_SDS_SLACK = timedelta(hours=1)  # the miniSEED record that crosses midnight lies in one file
_SHOWN = 5

Interval = tuple[int, int]
"""First time and the one after the last, ns since 1970."""

FormatOf = Callable[[Path], str | None]


class Part(NamedTuple):
    """Whole records of a file, or all of it.

    Attributes:
        path: the file.
        format: what ObsPy calls its format.
        first: byte to begin with.
        size: in bytes; None is all of the file.
    """

    path: Path
    format: str
    first: int = 0
    size: int | None = None


@dataclass(frozen=True, eq=False)
class Channel:
    """All that was recorded on one channel at one sampling rate, by segments without a gap.

    Attributes:
        id: network, station, location and channel code, joined by dots.
        ratio: samples at 100 Hz for each recorded one.
        rate_hz: the sampling rate (the lowest of the headers; they differ by less than 0.05 %).
        starts: times of the first samples, ns since 1970, shape (segments,), ascending.
        ends: times one sample after the last ones, likewise.
        parts: the part of a file that holds each segment, as its place in `Archive.parts`.
    """

    id: str
    ratio: Fraction
    rate_hz: float
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    parts: NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Archive:
    """What was found in files.

    Attributes:
        parts: those with something that is wanted, their files in order of time.
        channels: of them.
        other: identities of channels that are not wanted.
        passed_over: how many files were, by name or format.
    """

    parts: list[Part]
    channels: list[Channel]
    other: set[str]
    passed_over: int


@dataclass(frozen=True, eq=False)
class Instrument:
    """The channels that make the components E, N, Z; None is a missing one."""

    name: str
    station: str
    channels: tuple[Channel | None, ...]

    def present(self) -> list[Channel]:
        """The channels that are there."""
        return [channel for channel in self.channels if channel is not None]


@dataclass(frozen=True)
class Wanted:
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


def usable(
    found: Sequence[Channel], minimum_sampling_rate_hz: float, left_out: dict[str, str]
) -> list[Channel]:
    """The channels that can be a component at that rate; why others are not goes to `left_out`."""
    kept = []
    letters = {letter for orientation in ORIENTATIONS for letter in orientation}
    for channel in found:
        if channel.id[-1] not in letters:
            left_out[channel.id] = f"component {channel.id[-1]} is none of E, N, Z, 1, 2"
        elif channel.rate_hz < minimum_sampling_rate_hz:
            left_out[channel.id] = f"{channel.rate_hz:g} Hz, below {minimum_sampling_rate_hz:g} Hz"
        else:
            kept.append(channel)
    return kept


def instruments_by_station(
    channels: Sequence[Channel], wanted: Wanted, zeros: bool, left_out: dict[str, str]
) -> dict[str, list[Instrument]]:
    """Of each station, in order of its code, what its components are made of, the best first.

    Args:
        channels: those that can be a component, as `usable` says.
        wanted: its patterns are in order of preference.
        zeros: whether instruments without horizontals are taken.
        left_out: gains why instruments are not used, by name.
    """
    by_station = defaultdict(list)
    for channel in channels:
        by_station[station_of(channel.id)].append(channel)
    return {
        station: _instruments(by_station[station], wanted, zeros, left_out)
        for station in sorted(by_station)
    }


def _instruments(
    channels: Sequence[Channel], wanted: Wanted, zeros: bool, left_out: dict[str, str]
) -> list[Instrument]:
    groups: dict[str, dict[str, list[Channel]]] = defaultdict(lambda: defaultdict(list))
    for channel in sorted(channels, key=lambda channel: (channel.id, -channel.rate_hz)):
        groups[channel.id[:-1]][channel.id[-1]].append(channel)

    def preference(name: str) -> tuple[int, str]:
        codes = [(name + letter).rpartition(".")[2] for letter in groups[name]]
        return min(wanted.rank(code) for code in codes), name

    found = []
    for name in sorted(groups, key=preference):
        by_letter = groups[name]
        choices: dict[tuple[Channel | None, ...], None] = {}
        for letters in ORIENTATIONS:
            options: list[list[Channel | None]] = [[*by_letter[c]] for c in letters]
            if zeros:
                options = [[*options[0], None], [*options[1], None], options[2]]
            choices |= dict.fromkeys(itertools.product(*options))
        if not choices:
            left_out[name] = f"has only {', '.join(c for c in by_letter if by_letter[c])}"
        found += [Instrument(name, station_of(name), channels) for channels in choices]
    return sorted(found, key=lambda instrument: -len(instrument.present()))


def walk(folder: Path, pattern: str) -> Iterator[Path]:
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


def miniseed_only(path: Path) -> str | None:
    """The format of a file that begins like miniSEED; None for any other."""
    return MINISEED if begins_like_miniseed(path) else None


def begins_like_miniseed(path: Path) -> bool:
    """Whether the file begins with the fixed header of a data record of miniSEED 2."""
    return _is_header(_read_bytes(path, 0, _FIXED_HEADER_BYTES))


def _read_bytes(path: Path, first: int, number: int) -> bytes:
    """Some of a file; raises InputError if it cannot be read."""
    try:
        with path.open("rb") as stream:
            stream.seek(first)
            return stream.read(number)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None


def _is_header(header: bytes) -> bool:
    """Whether these are the first bytes of a data record of miniSEED 2.

    Sequence number, quality indicator, a reserved blank and a possible time (SEED manual 2.4,
    chapter 8), in either byte order.
    """
    if len(header) < _FIXED_HEADER_BYTES or not re.match(rb"[0-9 \0]{6}[DRQM][ \0]", header):
        return False
    for order in "><":
        year, day, hour, minute, second = struct.unpack_from(f"{order}HHBBB", header, 20)
        if year in _YEARS and 1 <= day <= 366 and hour < 24 and minute < 60 and second <= 60:
            return True
    return False


def index(paths: Iterable[Path], wanted: Wanted, format_of: FormatOf) -> Archive:
    """What the headers of these files tell.

    Args:
        paths: files; in this order damaged ones are told of.
        wanted: which channels and times.
        format_of: what ObsPy calls a file's format; None passes it over.

    Raises:
        InputError: files are damaged.
    """
    segments = defaultdict(list)
    begins: dict[Path, int] = {}
    parts: dict[Part, None] = {}
    other: set[str] = set()
    damaged: list[str] = []
    passed_over = 0
    for path in paths:
        format = format_of(path) if wanted.file(path) else None
        if format is None:
            passed_over += 1
            continue
        try:
            traces = [
                (part, trace)
                for part in _parts(path, format)
                for trace in read_stream(part, headonly=True)
            ]
        except InputError as error:
            damaged.append(error.message.removesuffix("."))
            continue
        for part, trace in traces:
            stats = trace.stats
            if not wanted.channel(f"{stats.network}.{stats.station}", stats.channel):
                other.add(trace.id)
            elif abs(stats.starttime.ns) > _FURTHEST_NS:
                damaged.append(f"{path}: {trace.id} begins {stats.starttime.ns / NS:g} s from 1970")
            elif ratio := ratio_of(trace):
                start = stats.starttime.ns
                end = start + round(stats.npts * NS / stats.sampling_rate)
                begins[path] = min(start, begins.get(path, start))
                parts[part] = None
                segments[trace.id, ratio].append((start, end, part, stats.sampling_rate))
    if damaged:
        raise InputError(
            f"{len(damaged)} damaged file{'s' * (len(damaged) > 1)}: {some(damaged)}.",
            "Copy them anew, or leave them out.",
        )
    ordered = sorted(parts, key=lambda part: (begins[part.path], part.path, part.first))
    number = {part: index for index, part in enumerate(ordered)}
    channels = []
    for (identity, ratio), found in sorted(segments.items()):
        table = np.array(sorted((start, end, number[part]) for start, end, part, _ in found))
        rate = min(rate for *_, rate in found)
        channels.append(Channel(identity, ratio, rate, *table.T))
    return Archive(ordered, channels, other, passed_over)


def _parts(path: Path, format: str) -> list[Part]:
    """A file as a whole or, if it is long, by parts that begin and end with records of miniSEED.

    It stays whole where records are not all of the length of the first.
    """
    size = path.stat().st_size
    if format == MINISEED and size > PART_BYTES:
        from obspy.io.mseed.util import get_record_information

        try:
            length = get_record_information(str(path))["record_length"]
        except Exception:  # whatever is wrong with its first record, reading the file tells
            return [Part(path, format)]
        step = max(PART_BYTES // length, 1) * length
        firsts = range(0, size, step)
        if all(_is_header(_read_bytes(path, first, _FIXED_HEADER_BYTES)) for first in firsts):
            return [Part(path, format, first, step) for first in firsts]
    return [Part(path, format)]


def ratio_of(trace: Trace) -> Fraction | None:
    """Samples at 100 Hz for each of the trace; None if it is no waveform, such as a log."""
    rate = trace.stats.sampling_rate
    return (
        resampling_ratio(rate)
        if trace.stats.npts and _LOWEST_RATE_HZ <= rate <= _HIGHEST_RATE_HZ
        else None
    )


def read_stream(part: Part, **options: Any) -> Stream:
    """What ObsPy reads of a part of a file; raises InputError if it is damaged."""
    from obspy import read
    from obspy.io.mseed import InternalMSEEDWarning

    path, format, first, size = part
    # ObsPy takes any path for a glob pattern, and unpacks archives.
    source = glob.escape(str(path)) if size is None else io.BytesIO(_read_bytes(path, first, size))
    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            stream = read(source, format=format, check_compression=False, **options)
    except Exception as error:  # ObsPy raises plain Exception, among others
        name = "miniSEED" if format == MINISEED else format
        raise InputError(f"{path}: cannot be read as {name}: {error}.") from error
    faults = [str(t.message) for t in told if issubclass(t.category, InternalMSEEDWarning)]
    if faults:
        raise InputError(f"{path}: damaged: {faults[0].removeprefix('readMSEEDBuffer(): ')}")
    if any(trace.data.dtype.kind not in "if" for trace in stream):
        raise InputError(f"{path}: holds text where its headers promise samples.")
    return stream


def read_values(
    archive: Archive, channel: Channel, origin: int, first: int, number: int
) -> NDArray[np.float64]:
    """Samples of a channel at its own rate, NaN where there are none or none that are finite.

    Args:
        archive: where the channel is from.
        channel: the channel.
        origin: time of sample 0, ns since 1970.
        first: sample to begin with.
        number: of samples.

    Raises:
        InputError: a file cannot be read.
    """
    from obspy import UTCDateTime

    values = np.full(number, np.nan)
    start, end = (origin + round(i * NS / channel.rate_hz) for i in (first, first + number))
    touched = channel.parts[(channel.starts < end) & (channel.ends > start)]
    for part in (archive.parts[place] for place in np.unique(touched)):
        # All its channels: ObsPy selects channels by codes as they are in the file, and gives
        # codes without the characters that do not belong in them.
        for trace in read_stream(
            part, starttime=UTCDateTime(ns=start), endtime=UTCDateTime(ns=end)
        ):
            if trace.id != channel.id or ratio_of(trace) != channel.ratio:
                continue
            place = round((trace.stats.starttime.ns - origin) * channel.rate_hz / NS) - first
            data = trace.data[max(-place, 0) :][: max(number - max(place, 0), 0)]
            values[max(place, 0) :][: len(data)] = data
    values[~(np.abs(values) <= np.finfo(np.float32).max)] = np.nan
    return values


def filled(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The values with a straight line where there are none, between those beside.

    Zeros would be steps where counts have an offset. Of no values at all zeros become.
    """
    known = np.isfinite(values)
    if known.all():
        return values
    if not known.any():
        return np.zeros_like(values)
    places = np.arange(len(values))
    return np.interp(places, places[known], values[known])


def coverage(channel: Channel, maximum_gap_s: float) -> list[Interval]:
    """When a channel was recorded, without what ends at gaps that are filled."""
    reach = np.maximum.accumulate(channel.ends)
    tolerance = round((maximum_gap_s + HALF_A_SAMPLE / channel.rate_hz) * NS)
    breaks = np.flatnonzero(channel.starts[1:] > reach[:-1] + tolerance)
    firsts = channel.starts[np.concatenate([[0], breaks + 1])]
    lasts = reach[np.concatenate([breaks, [len(reach) - 1]])]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def common(ours: Sequence[Interval], theirs: Sequence[Interval]) -> list[Interval]:
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


def without(intervals: Sequence[Interval], taken: Sequence[Interval]) -> list[Interval]:
    """What is left of `intervals` where `taken` is taken out; both ascending and disjoint."""
    far = np.iinfo(np.int64).max
    edges = [-far, *(time for interval in taken for time in interval), far]
    return common(intervals, list(zip(edges[::2], edges[1::2], strict=True)))


def longest_run(missing: NDArray[np.bool_]) -> int:
    """How many in a row are true, at most."""
    edges = np.flatnonzero(np.diff(missing, prepend=False, append=False))
    return int((edges[1::2] - edges[::2]).max(initial=0))


def station_of(identity: str) -> str:
    """Network and station of an identity that begins with them."""
    return ".".join(identity.split(".")[:2])


def utc(time: datetime) -> datetime:
    """In UTC, which is what a time without a zone is taken to be in."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def nanoseconds(time: datetime) -> int:
    """Since 1970."""
    return (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) * 1000


def some(items: Sequence[str]) -> str:
    """The first few, and how many more."""
    more = len(items) - _SHOWN
    return ", ".join(items[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
