"""Where commands print: tables and progress, documents, errors; and the exit codes.

Tables, sentences and progress go to `console`: standard output, but standard error where `--json -`
has standard output to itself, and nowhere with `--quiet`. Errors always go to standard error.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from baseline.errors import InputError
from baseline.files import writing

if TYPE_CHECKING:
    from rich.progress import Progress

EXIT_INPUT = 2
EXIT_GATE = 3
EXIT_INTERRUPTED = 130
EXIT_TERMINATED = 143

LOG_WIDTH = 150

LONGEST_MESSAGE = 5000
LONGEST_HINT = 1000
"""Characters of an error that are shown."""

STANDARD_OUTPUT = Path("-")
STANDARD_OUTPUT_NAME = Path("standard output")

console = Console()
if not console.is_terminal:  # a log has no width: never break a table there
    console = Console(width=LOG_WIDTH)
errors = Console(stderr=True)


def print_to_output(quiet: bool) -> None:
    """Where a command prints that was not asked for a document on standard output.

    Args:
        quiet: print nothing but errors and documents.
    """
    console.quiet, console.stderr = quiet, False


def leave_output_alone() -> None:
    """Have tables and progress on standard error, since a document goes to standard output."""
    console.stderr = True
    if sys.stderr.isatty():
        console.width = os.get_terminal_size(sys.stderr.fileno()).columns


def escape(text: str) -> str:
    """Text that rich prints as it is, brackets and all."""
    from rich.markup import escape

    return escape(text)


def show_error(error: InputError) -> None:
    """What the user has to mend, as one paragraph on standard error.

    Its end is left out where it is long: names and reasons in it may come from any file.
    """
    message = _within(error.message, LONGEST_MESSAGE)
    errors.print(f"[bold red]Error:[/] {escape(message)}", highlight=False, soft_wrap=True)
    if error.hint:
        hint = _within(error.hint, LONGEST_HINT)
        errors.print(escape(hint), highlight=False, soft_wrap=True)


def _within(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."


def announce(text: str) -> None:
    """A sentence on standard error, where progress cannot be drawn."""
    if not console.quiet:
        errors.print(escape(text), highlight=False, soft_wrap=True)


def write_document(place: Path | None, document: dict[str, Any]) -> None:
    """Write what a command found as JSON, to a file or standard output.

    It begins like every document of this program: format, command, date, versions.

    Args:
        place: the file; `-` for standard output; None for nowhere.
        document: what was found. What it has of the beginning itself stays as it is.
    """
    if place is None:
        return
    from compress.store import heading, json_text, write_json

    whole = heading("compress") | document
    if place == STANDARD_OUTPUT:
        with writing(STANDARD_OUTPUT_NAME):
            sys.stdout.write(json_text(whole))
    else:
        write_json(place, whole)


def require_folder(option: str, path: Path | None) -> None:
    """Before anything is measured for a file that could not be written."""
    if path is None:
        return
    if path.is_dir():
        raise InputError(
            f"{option} {path}: cannot be written: it is a folder.", "Name a file in it."
        )
    if not path.parent.is_dir():
        raise InputError(
            f"{option} {path}: there is no folder {path.parent}.", "Make it, or name another."
        )
    if not os.access(path if path.exists() else path.parent, os.W_OK):
        raise InputError(
            f"{option} {path}: cannot be written: permission denied.", "Name another place."
        )


def progress_bar() -> Progress:
    """A display with time left; on something that is no terminal it stays silent."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        SpinnerColumn,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    return Progress(
        SpinnerColumn(finished_text=" "),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=console.quiet or not console.is_terminal,
    )
