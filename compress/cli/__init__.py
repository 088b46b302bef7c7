"""The command line: `compress run`, `evaluate`, `bench`, `gate`, `export`, `tune`, `data` and more.

Nothing heavy is imported before a command needs it, so that `--help` answers at once.
Exit codes: 0 all gates pass; 1 unexpected error; 2 invalid usage, configuration or input; 3 a gate
failed.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

import typer

from baseline.errors import InputError
from baseline.files import FULL, cannot_write, name_of, writing
from compress.cli import (
    baseline,
    bench,
    compare,
    data,
    doctor,
    evaluate,
    export,
    gate,
    inspect,
    pick,
    quantization,
    report,
    run,
    schema,
    sensitivity,
    tune,
    verify,
)
from compress.cli.console import (
    EXIT_INPUT,
    EXIT_INTERRUPTED,
    EXIT_TERMINATED,
    STANDARD_OUTPUT_NAME,
    errors,
    print_to_output,
    show_error,
)

COMPRESS = "Compress"
MEASURE = "Measure"
USE = "Use"
DATA_AND_MODELS = "Data and models"

app = typer.Typer(
    name="compress",
    epilog="\n".join(
        (
            "Examples:",
            "compress run pipeline.yaml",
            "compress evaluate artifacts/released/student-tflite-int8",
            "compress pick artifacts/released/student-tflite-int8 event.mseed --plot event.png",
            "compress --quiet verify BUNDLE --json -",
            "",
            "Exit codes: 0 all well, 1 unexpected error, 2 wrong usage or input, 3 a gate failed.",
        )
    ),
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"]},
)


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import PackageNotFoundError, version

        try:
            typer.echo(f"eqt-compress {version('eqt-compress')}")
        except PackageNotFoundError:
            typer.echo("eqt-compress, run from its source")
        raise typer.Exit


@app.callback()
def _options(
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet", "-q", help="Print errors and what --json - asks for; else nothing."
        ),
    ] = False,
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=_show_version, help="Print the version and exit."
        ),
    ] = False,
) -> None:
    """Make the trained EQTransformer small and fast, prove what it still picks, export it."""
    print_to_output(quiet)


def _add(
    command: Callable[..., Any],
    examples: tuple[str, ...],
    panel: str | None = None,
    *,
    to: typer.Typer = app,
    name: str | None = None,
) -> None:
    """Add a command whose help is its docstring, and ends with examples, a line each."""
    paragraphs = (command.__doc__ or "").split("\n\n")
    to.command(
        name,
        help="\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs),
        epilog="\n".join(("Examples:", *(example.replace("[", r"\[") for example in examples))),
        rich_help_panel=panel,
    )(command)


_add(run.run, run.EXAMPLES, COMPRESS)
_add(tune.tune, tune.EXAMPLES, COMPRESS)
_add(sensitivity.sensitivity, sensitivity.EXAMPLES, COMPRESS)
_add(quantization.quantization, quantization.EXAMPLES, COMPRESS)
_add(schema.schema, schema.EXAMPLES, COMPRESS)

_add(evaluate.evaluate, evaluate.EVALUATE_EXAMPLES, MEASURE)
_add(evaluate.agree, evaluate.AGREE_EXAMPLES, MEASURE)
_add(evaluate.tune_thresholds, evaluate.TUNE_THRESHOLDS_EXAMPLES, MEASURE)
_add(bench.bench, bench.EXAMPLES, MEASURE)
_add(inspect.inspect_model, inspect.EXAMPLES, MEASURE, name="inspect")
_add(gate.gate, gate.EXAMPLES, MEASURE)
_add(compare.compare, compare.EXAMPLES, MEASURE)
_add(report.report, report.EXAMPLES, MEASURE)

_add(export.export, export.EXAMPLES, USE)
_add(verify.verify, verify.EXAMPLES, USE)
_add(pick.pick, pick.EXAMPLES, USE)
_add(doctor.doctor, doctor.EXAMPLES, USE)

app.add_typer(data.data_app, name="data", rich_help_panel=DATA_AND_MODELS)
_add(data.show, data.SHOW_EXAMPLES, to=data.data_app)
app.add_typer(baseline.baseline_app, name="baseline", rich_help_panel=DATA_AND_MODELS)
_add(baseline.list_models, baseline.LIST_EXAMPLES, to=baseline.baseline_app, name="list")
_add(baseline.fetch, baseline.FETCH_EXAMPLES, to=baseline.baseline_app)

AGAIN_S = 3.0
SOON_S = 0.02
"""After this time a command that was interrupted and goes on is interrupted again: where nothing
tells that the interrupt was lost, and where something does."""

# Typer keeps a copy of Click of its own, which has no public name for this.
_UsageError: Any = typer.BadParameter.__bases__[0]


def main() -> None:
    """Run a command; show what the user has to mend as one paragraph, without a traceback."""
    with _interruptible() as signals:
        try:
            code = app(prog_name="compress", standalone_mode=False)
        except InputError as error:
            show_error(error)
            code = EXIT_INPUT
        except _UsageError as error:
            _show_usage_error(error)
            code = EXIT_INPUT
        except OSError as error:
            if error.errno not in FULL:
                raise
            unknown = f"A file, perhaps a temporary one in {tempfile.gettempdir()}"
            show_error(cannot_write(name_of(error) or unknown, error))
            code = EXIT_INPUT
    if code == EXIT_INTERRUPTED:
        errors.print("Interrupted. Finished stages are kept; run again to go on from there.")
        code = EXIT_TERMINATED if signals[:1] == [signal.SIGTERM] else code
    sys.exit(_finish_output(code or 0))


@contextmanager
def _interruptible() -> Iterator[list[int]]:
    """Have SIGTERM end a command as Ctrl-C does, and both end it wherever they find it.

    Batch systems, containers and service managers send SIGTERM. Where either comes while Python
    calls a destructor, the exception is lost, and the command would go on: it is raised again as
    soon as that is over, and in any case, until the command is. Given is a list that the signals
    get into.
    """
    came: list[int] = []
    show_lost = sys.unraisablehook

    def end(number: int, _: object) -> None:
        if number != signal.SIGALRM:
            came.append(number)
        signal.setitimer(signal.ITIMER_REAL, AGAIN_S)
        raise KeyboardInterrupt

    def lose(lost: sys.UnraisableHookArgs) -> None:
        if lost.exc_type is KeyboardInterrupt:
            signal.setitimer(signal.ITIMER_REAL, SOON_S)
        else:
            show_lost(lost)

    # Whoever started it may have it ignore Ctrl-C, as shells do for what runs in the background.
    wanted = [signal.SIGTERM, signal.SIGALRM]
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        wanted.append(signal.SIGINT)
    before = {number: signal.signal(number, end) for number in wanted}
    sys.unraisablehook = lose
    try:
        yield came
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        sys.unraisablehook = show_lost
        for number, handler in before.items():
            signal.signal(number, handler)


def _finish_output(code: int) -> int:
    """Print what is left to be printed; the exit code, which is another where that fails."""
    try:
        with writing(STANDARD_OUTPUT_NAME):
            sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read it has seen enough
        pass
    except InputError as error:
        show_error(error)
        code = EXIT_INPUT
    # Python would try again in the end, and make the exit code 120.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


def _show_usage_error(error: Any) -> None:
    """What was wrong with the words of the command, as one paragraph; its help where none came."""
    message = " ".join(error.format_message().split())
    if not message:
        return
    hints = []
    parameter = getattr(error, "param", None)
    if parameter and parameter.help:
        name = parameter.opts[0] if parameter.opts[0].startswith("-") else parameter.metavar
        hints.append(f"{name}: {parameter.help}")
    named = next((word for word in sys.argv[1:] if not word.startswith("-")), "")
    place = error.ctx.command_path if error.ctx else f"compress {named}".strip()
    hints.append(f"See `{place} --help`.")
    sentence = message if message.endswith((".", "?")) else f"{message}."
    show_error(InputError(sentence, " ".join(hints)))
