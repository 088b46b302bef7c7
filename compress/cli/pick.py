"""`compress pick`: recordings, or data as they come, picked with any model."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from baseline.errors import InputError
from baseline.files import writing
from compress.cli.completion import complete_stack
from compress.cli.console import console, progress_bar, write_document
from compress.cli.options import (
    json_option,
    model_argument,
    output_file,
    output_folder,
    require_known,
)

if TYPE_CHECKING:
    from compress.models import NamedModel
    from compress.picking.picking import Settings
    from compress.picking.recordings import Recordings

OUTPUTS_PANEL = "What is written"
RECORDINGS_PANEL = "Which recordings"
WINDOWS_PANEL = "How they are picked"
LIVE_PANEL = "Data as they come"

EXAMPLES = (
    "compress pick artifacts/released/student-tflite-int8 event.mseed --plot event.png",
    "compress pick BUNDLE archive --station 'CI.*' --start 2019-07-06 --csv picks.csv --jobs 2",
    "compress --quiet pick BUNDLE archive --json - | jq '.detections[].p.time'",
    "compress pick BUNDLE --follow seedlink://localhost:18000 --station CI.CCC",
)


def pick(
    model: Annotated[
        str,
        model_argument("A bundle, or what else `compress evaluate` takes."),
    ],
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="INPUT...",
            help="Files that ObsPy reads, folders, SDS archives; with --follow miniSEED files "
            "that grow, or seedlink://HOST:PORT.",
        ),
    ] = None,
    csv: Annotated[Path | None, output_file("A row for each pick.", panel=OUTPUTS_PANEL)] = None,
    detections: Annotated[
        Path | None, output_file("A row for each detection, as CSV.", panel=OUTPUTS_PANEL)
    ] = None,
    quakeml: Annotated[
        Path | None, output_file("The picks as QuakeML.", panel=OUTPUTS_PANEL)
    ] = None,
    seisbench: Annotated[
        Path | None,
        output_file("The picks as SeisBench writes them, as CSV.", panel=OUTPUTS_PANEL),
    ] = None,
    json_file: Annotated[Path | None, json_option(panel=OUTPUTS_PANEL)] = None,
    probabilities: Annotated[
        Path | None,
        output_folder(
            "The probabilities as miniSEED, a file for each instrument.", panel=OUTPUTS_PANEL
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        output_file(
            "A picture of 60 s: those at --at, or around the first pick.", panel=OUTPUTS_PANEL
        ),
    ] = None,
    at: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            help="Where the picture begins, UTC, such as 2019-07-06T03:20:00.",
            rich_help_panel=OUTPUTS_PANEL,
        ),
    ] = None,
    station: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NET.STA",
            help="Only stations of this pattern; may be given again.",
            rich_help_panel=RECORDINGS_PANEL,
        ),
    ] = None,
    channel: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="Only channels of this pattern, such as 'HH?'; given again, in order of "
            "preference.",
            rich_help_panel=RECORDINGS_PANEL,
        ),
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            help="Nothing before this, UTC, such as 2019-07-06T03:20:00.",
            rich_help_panel=RECORDINGS_PANEL,
        ),
    ] = None,
    end: Annotated[
        datetime | None,
        typer.Option(
            metavar="TIME",
            help="Nothing from this on, UTC, such as 2019-07-07.",
            rich_help_panel=RECORDINGS_PANEL,
        ),
    ] = None,
    gap: Annotated[
        float,
        typer.Option(
            min=0,
            max=10,
            help="Gaps up to so many seconds are filled by a straight line.",
            rich_help_panel=RECORDINGS_PANEL,
        ),
    ] = 1.0,
    all_components: Annotated[
        bool,
        typer.Option(
            "--all-components",
            help="Leave out what lacks a horizontal, instead of taking zeros for it.",
            rich_help_panel=RECORDINGS_PANEL,
        ),
    ] = False,
    fdsn: Annotated[
        str | None,
        typer.Option(
            metavar="CENTRE",
            help="Download from an FDSN data centre, by name or address; needs --station, --start "
            "and --end.",
            rich_help_panel=RECORDINGS_PANEL,
        ),
    ] = None,
    overlap: Annotated[
        float,
        typer.Option(
            help="Share of a window in common with the next.", rich_help_panel=WINDOWS_PANEL
        ),
    ] = 0.5,
    stack: Annotated[
        str,
        typer.Option(
            metavar="HOW",
            autocompletion=complete_stack,
            help="max, mean or consensus.",
            rich_help_panel=WINDOWS_PANEL,
        ),
    ] = "max",
    shifts: Annotated[
        int,
        typer.Option(min=2, max=50, help="Windows of a consensus.", rich_help_panel=WINDOWS_PANEL),
    ] = 5,
    edge: Annotated[
        float,
        typer.Option(
            min=0,
            help="Seconds at each end of a window that do not count.",
            rich_help_panel=WINDOWS_PANEL,
        ),
    ] = 3.0,
    band: Annotated[
        tuple[float, float],
        typer.Option(
            metavar="LOW HIGH", help="Corners of the band-pass, Hz.", rich_help_panel=WINDOWS_PANEL
        ),
    ] = (1.0, 45.0),
    no_filter: Annotated[
        bool,
        typer.Option("--no-filter", help="No band-pass.", rich_help_panel=WINDOWS_PANEL),
    ] = False,
    no_taper: Annotated[
        bool,
        typer.Option("--no-taper", help="Ends are not tapered.", rich_help_panel=WINDOWS_PANEL),
    ] = False,
    detection: Annotated[
        float | None,
        typer.Option(
            min=1e-6, max=1, help="Threshold, not the model's.", rich_help_panel=WINDOWS_PANEL
        ),
    ] = None,
    p: Annotated[
        float | None,
        typer.Option("--p", min=1e-6, max=1, help="Likewise.", rich_help_panel=WINDOWS_PANEL),
    ] = None,
    s: Annotated[
        float | None,
        typer.Option("--s", min=1e-6, max=1, help="Likewise.", rich_help_panel=WINDOWS_PANEL),
    ] = None,
    jobs: Annotated[
        int,
        typer.Option(min=1, help="Stations at the same time.", rich_help_panel=WINDOWS_PANEL),
    ] = 1,
    chunk: Annotated[
        int,
        typer.Option(
            min=1,
            max=144,
            help="Ten minutes so many times are read at once; changes no pick.",
            rich_help_panel=WINDOWS_PANEL,
        ),
    ] = 6,
    follow: Annotated[
        bool,
        typer.Option("--follow", help="Pick what comes, as it comes.", rich_help_panel=LIVE_PANEL),
    ] = False,
    hop: Annotated[
        float,
        typer.Option(
            min=0.1, max=30, help="Seconds from window to window.", rich_help_panel=LIVE_PANEL
        ),
    ] = 1.0,
    delay: Annotated[
        float,
        typer.Option(
            min=0,
            max=30,
            help="Seconds that a sample has to be old before it counts.",
            rich_help_panel=LIVE_PANEL,
        ),
    ] = 2.0,
    idle: Annotated[
        float | None,
        typer.Option(
            min=0.1,
            help="End when nothing came for so many seconds; default: go on.",
            rich_help_panel=LIVE_PANEL,
        ),
    ] = None,
) -> None:
    """Pick recordings: any rate, any length, no part of it left out, the same picks every time."""
    from compress.models import find

    found = find(model)
    settings = _settings(
        found,
        {"detection": detection, "p": p, "s": s},
        None if no_filter else band,
        not no_taper,
        (overlap, stack, edge, shifts),
        chunk,
    )
    if follow:
        for option, value in (
            ("--detections", detections), ("--quakeml", quakeml), ("--seisbench", seisbench),
            ("--plot", plot), ("--probabilities", probabilities), ("--fdsn", fdsn),
            ("--start", start), ("--end", end), ("--json", json_file),
        ):  # fmt: skip
            if value is not None:
                raise InputError(f"{option}: is not for --follow.", "It has --csv.")
        _follow(found, inputs or [], settings, station, channel, gap, hop, delay, idle, csv)
        return
    if fdsn and (inputs or not (station and start and end)):
        raise InputError("--fdsn needs --station, --start and --end, and takes no INPUT.")
    if not fdsn and not inputs:
        raise InputError("There is no INPUT.", "Give files or folders, or --fdsn.")

    from compress.picking import picks
    from compress.picking.picking import pick_recordings, seconds_of, window_of
    from compress.picking.recordings import ANY_CHANNEL, CHANNELS, find_recordings
    from compress.report.picking import plot_picks, show_picks

    scratch: Any = tempfile.TemporaryDirectory() if fdsn else nullcontext()
    with scratch as folder, progress_bar() as progress:
        places = [Path(name) for name in inputs or [folder]]
        if fdsn:
            from compress.picking.fdsn import download

            assert station and start and end
            seconds = (end - start).total_seconds()
            task = progress.add_task("download", total=seconds)
            download(
                fdsn, Path(folder), station, channel or CHANNELS, start, end,
                lambda done: progress.update(task, completed=done),
            )  # fmt: skip
        recordings = find_recordings(
            places,
            channels=channel or ANY_CHANNEL,
            stations=station or ("*",),
            start=start,
            end=end,
            maximum_gap_s=gap,
            zeros=not all_components,
        )
        task = progress.add_task("pick", total=seconds_of(recordings))
        if probabilities:
            _empty_folder(probabilities)
        result = pick_recordings(
            found.path,
            recordings,
            settings,
            jobs,
            lambda done: progress.update(task, completed=done),
            probabilities,
        )
        for path, write in (
            (csv, picks.write_picks),
            (detections, picks.write_detections),
            (quakeml, picks.write_quakeml),
            (seisbench, picks.write_seisbench),
        ):
            if path:
                write(path, detections=result)
        if plot:
            window = window_of(found.path, recordings, settings, at, result)
            plot_picks(plot, *window, result)
    document = {
        "model": model,
        "thresholds": settings.thresholds.model_dump(),
        "detections": picks.detections_document(result),
        "left_out": recordings.left_out,
        "passed_over": recordings.passed_over,
    }
    write_document(json_file, document)
    show_picks(console, result)
    _tell(recordings)


def _settings(
    model: NamedModel,
    thresholds: dict[str, float | None],
    band_hz: tuple[float, float] | None,
    taper: bool,
    stacking: tuple[float, str, float, int],
    chunk: int,
) -> Settings:
    from compress.evaluation.picker import Thresholds
    from compress.picking.picking import Settings
    from compress.picking.preparation import Preparation
    from compress.picking.stacking import Stack, Stacking

    overlap, stack, edge, shifts = stacking
    require_known("--stack", stack, Stack)
    chosen = {name: value for name, value in thresholds.items() if value is not None}
    return Settings(
        (model.thresholds or Thresholds()).model_copy(update=chosen),
        Preparation(band_hz, taper),
        Stacking(overlap, Stack(stack), edge, shifts),
        chunk,
    )


def _empty_folder(folder: Path) -> None:
    """Make a folder that probabilities can be appended to."""
    with writing(folder):
        folder.mkdir(exist_ok=True)
    if any(folder.iterdir()):
        raise InputError(
            f"--probabilities {folder}: is not empty.", "Give a new folder, or empty it."
        )


@contextmanager
def _growing(path: Path) -> Iterator[TextIO]:
    """A file that gains lines, each to be flushed."""
    with writing(path):
        file = path.open("w", encoding="utf-8", newline="")
    try:
        yield file
    finally:
        with writing(path):
            file.close()


def _tell(recordings: Recordings) -> None:
    from compress.data.archive import some

    if recordings.left_out:
        reasons = [f"{name} ({why})" for name, why in recordings.left_out.items()]
        console.print(f"Not picked: {some(reasons)}.", highlight=False, soft_wrap=True)
    if recordings.passed_over:
        console.print(f"{recordings.passed_over} files are no recordings of what was asked for.")


def _follow(
    model: NamedModel,
    inputs: list[str],
    settings: Settings,
    stations: list[str] | None,
    channels: list[str] | None,
    gap: float,
    hop: float,
    delay: float,
    idle: float | None,
    csv: Path | None,
) -> None:
    """Print a line for each onset as soon as it is known."""
    from compress.picking.follow import follow_inputs
    from compress.picking.live import LiveSettings

    live = LiveSettings(
        settings.thresholds,
        replace(settings.preparation, taper=False),
        hop,
        delay,
        settings.stacking.edge_s,
        gap,
    )
    opened: Any = _growing(csv) if csv else nullcontext()
    with opened as file:
        follow_inputs(
            model.path, inputs, live, stations, channels, idle,
            [*([] if console.quiet else [sys.stdout]), *([file] if file else [])],
        )  # fmt: skip
