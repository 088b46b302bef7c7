"""Options that several commands have: the same name, the same words, the same checks."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import typer

from baseline.errors import InputError
from compress.cli.completion import complete_model
from compress.cli.console import STANDARD_OUTPUT, leave_output_alone, require_folder


def _writable_file(
    context: typer.Context, parameter: typer.CallbackParam, path: Path | None
) -> Path | None:
    """See that a file can be written before anything is measured for it."""
    if not context.resilient_parsing:
        require_folder(parameter.opts[0], path)
    return path


def _writable_folder(
    context: typer.Context, parameter: typer.CallbackParam, path: Path | None
) -> Path | None:
    """See that a path can be a folder before anything is measured for it."""
    if path and not context.resilient_parsing:
        for part in (path, *path.parents):
            if part.exists() and not part.is_dir():
                raise InputError(
                    f"{parameter.opts[0]} {path}: {part} is no folder.", "Name another place."
                )
    return path


def _document_file(
    context: typer.Context, parameter: typer.CallbackParam, path: Path | None
) -> Path | None:
    if path == STANDARD_OUTPUT and not context.resilient_parsing:
        leave_output_alone()
        return path
    return _writable_file(context, parameter, path)


def output_file(help: str, *names: str, panel: str | None = None) -> Any:
    """An option that names a file to write."""
    return typer.Option(
        *names, metavar="FILE", help=help, callback=_writable_file, rich_help_panel=panel
    )


def output_folder(help: str, *names: str, panel: str | None = None) -> Any:
    """An option that names a folder to write to, which may have to be made."""
    return typer.Option(
        *names, metavar="DIR", help=help, callback=_writable_folder, rich_help_panel=panel
    )


def json_option(default: str = "", panel: str | None = None) -> Any:
    """The option `--json`.

    Args:
        default: a sentence on what is written where it is not given.
        panel: of the help.
    """
    return typer.Option(
        "--json",
        metavar="FILE",
        help=f"Write the result here, as JSON; - for standard output.{default and ' ' + default}",
        callback=_document_file,
        rich_help_panel=panel,
    )


def model_argument(help: str, metavar: str = "MODEL") -> Any:
    """An argument that names a model."""
    return typer.Argument(metavar=metavar, autocompletion=complete_model, help=help)


def records_folder(help: str) -> Any:
    """An option that names a folder of records."""
    return typer.Option(metavar="DIR", help=help)


JsonFile = Annotated[Path | None, json_option()]
JunitFile = Annotated[Path | None, output_file("Write the verdicts here, as JUnit XML.")]
Split = Annotated[
    str | None, typer.Option(metavar="NAME", help="Take only this split of the data.")
]
Placements = Annotated[
    int, typer.Option(min=1, max=100, help="Windows per record, at random places.")
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of the windows' places.")]


def require_known(option: str, value: str, known: Iterable[str]) -> None:
    """See that a value is one of those that an option knows.

    Raises:
        InputError: it is not.
    """
    names = list(known)
    if value not in names:
        close = get_close_matches(value, names, n=1)
        meant = f" Did you mean {close[0]}?" if close else ""
        raise InputError(f"{option} {value}: not known.{meant}", f"Known: {', '.join(names)}.")
