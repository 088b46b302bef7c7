"""What the documentation tells its readers to type: code, commands, files, links."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[1]
PAGES = [
    ROOT / "README.md",
    ROOT / "artifacts" / "README.md",
    ROOT / "artifacts" / "released" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]

SHELL = ("", "sh")
"""Info strings of blocks whose lines may be commands; that of an indented block is empty."""

COMMAND = re.compile(r"(?:taskset --cpu-list \d+ )?(compress|make|pip|python) ")

_NOT_RUN = re.compile(r"<!-- not run: (.*) -->\s*")
_FILE = re.compile(r"`([\w-]+\.\w+)`:$")


@dataclass(frozen=True)
class Block:
    """One block of code.

    Attributes:
        page: where it stands.
        line: of the page, the first one in it.
        info: the info string of its fence; empty for one that is indented.
        text: what is in it.
        file: the file it is to be written into: the last word, in backquotes and before a colon,
            of the paragraph before it.
        not_run: why no test may run it, which a comment before it says.
    """

    page: Path
    line: int
    info: str
    text: str
    file: str | None
    not_run: str | None


@dataclass(frozen=True)
class Command:
    """One command as a reader types it: continuation lines joined, without its comment."""

    page: Path
    line: int
    text: str
    not_run: str | None

    @property
    def place(self) -> str:
        """Page and line."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def program(self) -> str:
        """compress, make, pip or python."""
        found = COMMAND.match(self.text)
        assert found
        return found[1]


@cache
def tokens(page: Path) -> tuple[Token, ...]:
    """A page as CommonMark with tables sees it."""
    text = page.read_text(encoding="utf-8")
    return tuple(MarkdownIt("commonmark").enable("table").parse(text))


def inline(page: Path, kind: str) -> Iterator[tuple[int, Token]]:
    """The tokens of a kind within text (`link_open`, `image`, `code_inline`), with their lines."""
    for token in tokens(page):
        for child in token.children or ():
            if child.type == kind:
                yield (token.map or [0])[0] + 1, child


@cache
def blocks(page: Path) -> tuple[Block, ...]:
    """All blocks of code of a page, in order."""
    found = []
    before = ""
    for token in tokens(page):
        if token.type in ("fence", "code_block"):
            file, reason = _FILE.search(before), _NOT_RUN.fullmatch(before)
            assert token.map
            found.append(
                Block(
                    page,
                    token.map[0] + (2 if token.type == "fence" else 1),
                    token.info.strip(),
                    token.content,
                    file[1] if file else None,
                    reason[1] if reason else None,
                )
            )
        if token.content:
            before = token.content
    return tuple(found)


@cache
def commands(page: Path) -> tuple[Command, ...]:
    """All lines in blocks that begin with one of the programs."""
    found = []
    for block in blocks(page):
        if block.info not in SHELL:
            continue
        lines = iter(enumerate(block.text.splitlines(), start=block.line))
        for number, line in lines:
            whole = line.strip()
            while whole.endswith("\\"):
                whole = whole.removesuffix("\\").rstrip() + " " + next(lines)[1].strip()
            whole = re.sub(r"\s+#\s.*$", "", whole)
            if COMMAND.match(whole):
                found.append(Command(page, number, whole, block.not_run))
    return tuple(found)


def headings(page: Path) -> set[str]:
    """The anchors of a page, as GitHub makes them."""
    anchors = set()
    for opening, content in pairwise(tokens(page)):
        if opening.type == "heading_open":
            text = "".join(child.content for child in content.children or ()).lower()
            kept = "".join(c for c in text if c.isalnum() or c in "_- ")
            anchors.add(kept.replace(" ", "-"))
    return anchors
