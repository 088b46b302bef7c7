"""Help: at once, in groups, with examples that are right, and the same options everywhere."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Iterator

import pytest
import typer

from compress.cli import COMPRESS, DATA_AND_MODELS, MEASURE, USE, app

ROOT_COMMAND = typer.main.get_command(app)

HEAVY = (
    "numpy", "yaml", "matplotlib", "obspy", "h5py", "pandas", "scipy", "sklearn",
    "onnx", "onnxruntime", "ai_edge_litert", "tensorflow", "tf_keras", "optuna", "sqlalchemy",
    "rich.progress",
)  # fmt: skip

WITHOUT_JSON = {"schema", "report"}
"""The one prints a JSON document as it is, the other writes a page for people."""


def commands(group=ROOT_COMMAND, words=()) -> Iterator:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*words, name))
        else:
            yield " ".join((*words, name)), command


COMMANDS = dict(commands())


def parse(words):
    """What Typer makes of the words of a command, which is not run."""
    command, context = ROOT_COMMAND, None
    words = list(words)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("compress.cli.options.leave_output_alone", lambda: None)
        while words:
            name = command.name if context is None else words.pop(0)
            context = command.make_context(name, words, parent=context)
            if not hasattr(command, "commands"):
                return context
            words = [*context._protected_args, *context.args]
            command = command.commands[words[0]]
    return context


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["run", "--help"], ["pick", "-h"]]
)
def test_help_imports_nothing_heavy(arguments):
    program = (
        "import json, sys\n"
        "sys.argv = ['compress', *sys.argv[1:]]\n"
        "from compress.cli import main\n"
        "try:\n    main()\n"
        "finally:\n    print(json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    loaded = json.loads(done.stdout.splitlines()[-1])
    assert [name for name in HEAVY if name in loaded] == []


def test_commands_stand_in_groups(run_cli):
    code, printed = run_cli("--help")
    assert code == 0
    places = [printed.index(f"─ {panel} ─") for panel in (COMPRESS, MEASURE, USE, DATA_AND_MODELS)]
    assert places == sorted(places)
    assert "─ Commands ─" not in printed  # each is in a group
    for name in ROOT_COMMAND.commands:
        assert f"│ {name} " in printed
    assert "Exit codes:" in printed


@pytest.mark.parametrize("name", COMMANDS)
def test_help_ends_with_examples_a_line_each(name, run_cli, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    code, printed = run_cli(*name.split(), "--help")
    assert code == 0
    lines = [line.strip() for line in printed.strip().splitlines()]
    examples = lines[lines.index("Examples:") + 1 :]
    assert 2 <= len(examples) <= 4
    for example in examples:
        assert example.startswith("compress ")
        assert f" {name} " in f"{example} "


@pytest.mark.parametrize("name", COMMANDS)
def test_examples_are_right(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for example in COMMANDS[name].epilog.replace("\\[", "[").splitlines()[1:]:
        words = shlex.split(example.partition(" | ")[0].partition(" > ")[0])
        assert parse(words[1:]).command is COMMANDS[name]


def test_a_wrong_example_would_be_noticed():
    with pytest.raises(typer.BadParameter.__bases__[0], match="--thread"):
        parse(["bench", "a.tflite", "--thread", "2"])


def test_options_of_one_name_say_the_same():
    said = {}
    for command in COMMANDS.values():
        for parameter in command.params:
            if parameter.opts[0] in ("--json", "--junit", "--placements", "--seed"):
                text = parameter.help.partition(" Default:")[0]
                said.setdefault(parameter.opts[0], set()).add((text, parameter.metavar))
    said["--seed"].discard(
        ("Seed of everything random.", None)
    )  # of `data show`, which has no places
    assert {name: len(texts) for name, texts in said.items()} == dict.fromkeys(said, 1)


def test_every_result_can_be_had_as_json():
    without = {
        name
        for name, command in COMMANDS.items()
        if not any("--json" in parameter.opts for parameter in command.params)
    }
    assert without == WITHOUT_JSON


def test_every_option_has_words():
    for name, command in COMMANDS.items():
        for parameter in command.params:
            assert parameter.help, (name, parameter.name)
