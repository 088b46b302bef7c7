"""Bad input of every kind: what `compress` is given, and the command that it is given to.

A case is a function that writes its files into an empty folder and returns the arguments of the
command. `named()` has those that were thought of, each once; `random_case` damages a valid file at
random. A case whose damage may leave the file valid says so: then other exit codes are right, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

Arguments = list[object]


@dataclass(frozen=True)
class Case:
    """One bad input.

    Attributes:
        kind: of the file, such as `tflite`.
        name: what is wrong with it.
        write: makes its files in a folder that is there, and returns the command's arguments.
        refused: whether only exit code 2 is right; otherwise the input may have stayed valid.
    """

    kind: str
    name: str
    write: Callable[[Path], Arguments]
    refused: bool = True

    def __str__(self) -> str:
        return f"{self.kind}: {self.name}"


def named() -> Iterator[Case]:
    """Every case that was thought of, the same ones each time."""
    from benchmarks.fuzzing import bundles, documents, keras_files, records, runtime_files

    for module in (runtime_files, keras_files, bundles, records, documents):
        yield from module.cases()


def kinds() -> dict[str, Callable[[np.random.Generator, Path], Arguments]]:
    """By kind of file, what damages a valid one at random and returns a command for it."""
    from benchmarks.fuzzing import bundles, documents, keras_files, records, runtime_files

    found: dict[str, Callable[[np.random.Generator, Path], Arguments]] = {}
    for module in (runtime_files, keras_files, bundles, records, documents):
        found |= module.RANDOM
    return found


def random_case(kind: str, seed: int) -> Case:
    """The file of a kind that a seed damages."""
    write = kinds()[kind]
    return Case(
        kind, f"seed {seed}", lambda folder: write(np.random.default_rng(seed), folder), False
    )


def damaged(content: bytes, random: np.random.Generator) -> bytes:
    """Some bytes cut off, flipped, set, repeated or left out."""
    changed = bytearray(content)
    way = random.integers(8)
    if way == 0:
        return bytes(changed[: random.integers(len(changed))])
    if way == 1:
        start, length = random.integers(len(changed)), random.integers(1, 64)
        del changed[start : start + length]
        return bytes(changed)
    if way == 2:
        start, length = random.integers(len(changed)), random.integers(1, 64)
        changed[start:start] = changed[start : start + length]
        return bytes(changed)
    # Headers and indices stand at the ends of most formats, so half of the damage goes there.
    near = min(len(changed), 4096)
    for _ in range(random.choice([1, 1, 2, 4, 16])):
        place = int(random.choice([random.integers(len(changed)), random.integers(near),
                                   len(changed) - 1 - random.integers(near)]))  # fmt: skip
        changed[place] = random.choice(
            [changed[place] ^ (1 << random.integers(8)), 0, 127, 255, random.integers(256)]
        )
    return bytes(changed)


def cuts(kind: str, write: Callable[[Path, bytes], Arguments], content: bytes) -> Iterator[Case]:
    """The first few bytes of a valid file, and several shares of it."""
    for length in (0, 8, len(content) // 2, -1):
        what = "cut by one byte" if length == -1 else f"cut to {length} bytes"
        yield Case(kind, what, lambda folder, length=length: write(folder, content[:length]))
