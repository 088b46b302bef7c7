"""The documentation is true: its commands exist, its links lead somewhere, its pages are indexed.

Every command is parsed against the real command line. Those whose inputs are there and that answer
within seconds are run; `pytest -rP -k enough tests/test_documents.py` lists the others with the
reason.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import obspy
import pytest
import typer
from pages import COMMAND, PAGES, ROOT, Command, blocks, commands, headings, inline

from compress.cli import app
from compress.config import load_pipeline

EVERY = [command for page in PAGES for command in commands(page)]
OURS = [command for command in EVERY if command.program == "compress"]
WHOLE = ("docs/tutorial.md", "docs/howto-stead.md", "docs/howto-network.md")
"""Pages that test_tutorials.py runs from beginning to end."""

COMMAND_LINE = typer.main.get_command(app)

QUICK = {"baseline list", "gate", "inspect", "pick", "schema", "verify"}
"""Commands that answer within seconds, given small inputs."""

SHIPPED = ("artifacts/released", "pipelines", "pipeline.yaml")
RECORDING = "event.mseed"
"""ObsPy's example, which pages write under this name."""

INPUT_OPTIONS = {"against", "calibration", "config", "data"}
"""Options that name something to be read; positional arguments do, too."""


def argv(command: Command) -> list[str]:
    """Its words, with those in [brackets] and without dots that say "and more"."""
    text = re.sub(r"\[(?=-)|(?<=[\w.])\]|\s?\.\.\.", "", command.text)
    text = re.split(r"\s(?:>|\||\|\||&&|;)\s|;\s", text)[0]
    return shlex.split(text)


def find(words: list[str]) -> tuple[str, Any, list[str]]:
    """The command that some words begin with: its name, itself, and the words after its name."""
    found, rest = COMMAND_LINE, words[1:]
    while hasattr(found, "commands"):
        assert rest, f"{shlex.join(words)} names no command"
        assert rest[0] in found.commands, f"there is no command {shlex.join(words)}"
        found, rest = found.commands[rest[0]], rest[1:]
    return " ".join(words[1 : len(words) - len(rest)]), found, rest


def parse(words: list[str]) -> tuple[str, Any]:
    """The name of a command, and the context with what its options become."""
    name, found, rest = find(words)
    return name, found.make_context(name, rest)


def where(command: Command) -> str:
    return f"{command.place} {' '.join(command.text.split()[:3])}"


@pytest.mark.parametrize("command", OURS, ids=where)
def test_parsed_by_the_command_line(command):
    parse(argv(command))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_options_in_the_text_exist(page):
    for line, token in inline(page, "code_inline"):
        words = token.content.split()
        if len(words) < 2 or words[0] != "compress" or words[1].startswith("-"):
            continue
        found = find(words)[1]
        known = {option for parameter in found.params for option in parameter.opts}
        used = {re.sub(r"[=\].,].*", "", word).lstrip("[") for word in words if "--" in word}
        assert used <= known | {"--help"}, f"{page.name}:{line}: {token.content}"


@pytest.mark.parametrize(
    "command", [command for command in EVERY if command.program != "compress"], ids=where
)
def test_other_programs_are_given_what_exists(command):
    words = shlex.split(COMMAND.sub(r"\1 ", command.text))
    if command.program == "make":
        assert re.search(rf"^{words[1]}:", (ROOT / "Makefile").read_text(), re.M)
    elif command.program == "pip":
        extras = re.findall(r"\.\[(\w+)\]", command.text)
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        assert words[1] == "install"
        assert set(extras) <= set(project["optional-dependencies"])
    elif words[1] == "-c":
        compile(words[2], command.place, "exec")
    elif words[1] == "-m" and words[2] == "venv":
        assert importlib.util.find_spec("venv")
    elif words[1] == "-m":
        source = (ROOT / words[2].replace(".", "/")).with_suffix(".py").read_text()
        for word in words[3:]:
            assert not word.startswith("--") or f'"{word}"' in source, f"{words[2]} has no {word}"
    else:
        written = {block.file for block in blocks(command.page)}
        assert words[1] in written or (ROOT / words[1]).is_file()


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    """What quick commands read, to be written into."""
    folder = tmp_path_factory.mktemp("clone")
    for name in SHIPPED:
        source, copy = ROOT / name, folder / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, copy)
        else:
            shutil.copy(source, copy)
    (folder / "docs" / "images").mkdir(parents=True)
    obspy.read().write(str(folder / RECORDING), format="MSEED")
    return folder


def is_there(name: str) -> bool:
    """Whether a fresh clone holds what a command is to read."""
    if name == RECORDING:
        return True
    return any(name.startswith(shipped) for shipped in SHIPPED) and any(ROOT.glob(name))


def why_not_run(command: Command) -> str | None:
    """The reason for which no test runs it; None if one does."""
    if str(command.page.relative_to(ROOT)) in WHOLE:
        return "its page is run as a whole by test_tutorials.py"
    if command.not_run:
        return command.not_run
    name, context = parse(argv(command))
    inputs = [
        str(one)
        for parameter in context.command.params
        if parameter.param_type_name == "argument" or parameter.name in INPUT_OPTIONS
        for value in [context.params[parameter.name]]
        if value is not None
        for one in (value if isinstance(value, list | tuple) else [value])
    ]
    missing = [one for one in inputs if not is_there(one)]
    if missing:
        return f"there is no {', '.join(missing)}"
    return None if name in QUICK else f"compress {name} takes long"


RUN = {command.text: command for command in OURS if why_not_run(command) is None}


@pytest.mark.parametrize("command", RUN.values(), ids=where)
def test_run_where_that_is_quick(command, clone):
    program = Path(sys.executable).with_name("compress")
    done = subprocess.run(
        ["bash", "-c", command.text.replace("compress", str(program), 1)],
        cwd=clone,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_enough_is_run():
    for command in OURS:
        if reason := why_not_run(command):
            print(f"parsed only: {command.place}: {command.text}: {reason}")
    assert {"pick", "schema", "verify"} <= {parse(argv(command))[0] for command in RUN.values()}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_and_images_lead_somewhere(page):
    targets = [
        (line, token.attrGet("href" if kind == "link_open" else "src"))
        for kind in ("link_open", "image")
        for line, token in inline(page, kind)
    ]
    for line, target in targets:
        if re.match(r"\w+:", target):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        assert there.exists(), f"{page.name}:{line}: {target}: no such file"
        if anchor:
            assert anchor in headings(there), f"{page.name}:{line}: {target}: no such heading"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_results_that_are_named_are_there(page):
    text = page.read_text(encoding="utf-8")
    for name in re.findall(r"benchmarks/results/[\w.*-]+\.json", text):
        assert list(ROOT.glob(name)), f"{page.name}: {name}"


@pytest.mark.parametrize(
    "block",
    [
        block
        for page in PAGES
        for block in blocks(page)
        if block.info == "yaml" and re.search(r"^version: 1\n(?s:.*)^stages:", block.text, re.M)
    ],
    ids=lambda block: f"{block.page.name}:{block.line}",
)
def test_whole_pipelines_are_valid(block, tmp_path):
    path = tmp_path / "pipeline.yaml"
    path.write_text(block.text, encoding="utf-8")
    load_pipeline(path)


def test_every_page_is_in_the_index():
    index = ROOT / "docs" / "README.md"
    linked = {token.attrGet("href").partition("#")[0] for _, token in inline(index, "link_open")}
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert pages <= linked


def test_every_package_is_in_the_architecture():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    packages = [
        path.parent.relative_to(ROOT)
        for top in ("baseline", "compress", "export")
        for path in [*(ROOT / top).glob("__init__.py"), *(ROOT / top).glob("*/__init__.py")]
    ]
    assert [str(one) for one in packages if f"`{one}/`" not in text] == []
    for folder, first in re.findall(r"^\| `([\w/]+/)` \|.*\| `([\w.]+)` \|$", text, re.M):
        assert (ROOT / folder / first).is_file(), f"{folder}{first}"
