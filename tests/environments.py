"""Python environments that hold a few packages and what these need, made of links to this one's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement


def site_packages(folder: Path, requirements: Iterable[str]) -> Path:
    """What pip would install for these requirements, extras left out, and nothing else."""
    folder.mkdir()
    wanted, found = list(requirements), set()
    while wanted:
        requirement = Requirement(wanted.pop())
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        installed = distribution(requirement.name)
        if installed.name in found:
            continue
        found.add(installed.name)
        wanted.extend(installed.requires or [])
        # Commands stand beside the folder, so their paths begin with two dots.
        for name in {file.parts[0] for file in installed.files or ()} - {"..", "__pycache__"}:
            if not (folder / name).exists():
                (folder / name).symlink_to(installed.locate_file(name))
    return folder


def run_in(
    site: Path, program: str, *arguments: object, path: Iterable[Path] = ()
) -> subprocess.CompletedProcess[str]:
    """Run Python code that finds the standard library, `site` and `path`, and nothing else.

    Neither this environment's packages nor the variables of the shell nor the working folder count.
    """
    found = [str(each) for each in (site, *path)]
    return subprocess.run(
        [
            *(sys.executable, "-I", "-S", "-c"),
            f"import sys; sys.path[:0] = {found!r}\n{program}",
            *map(str, arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
    )


def importable(site: Path, modules: Iterable[str], path: Iterable[Path] = ()) -> set[str]:
    """Which of these modules can be imported there."""
    program = "import importlib.util\nprint(*filter(importlib.util.find_spec, sys.argv[1:]))"
    done = run_in(site, program, *modules, path=path)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())
