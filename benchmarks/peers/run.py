"""Every way a user has to run this network, and others on the same minute, beside this project's.

    python -m benchmarks.peers.environments      # once
    python -m benchmarks.peers.models            # once
    python -m benchmarks.peers.run --json benchmarks/results/peers.json
    python -m benchmarks.peers.run --json benchmarks/results/peers.json --table --figure FILE

The last one measures nothing: it shows what the file holds. `benchmarks/peers/README.md` says what
is measured, how, and how to add a way.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from baseline.errors import InputError
from benchmarks.peers import environments, models
from benchmarks.peers.catalogue import REFERENCE, Peer, catalogue, released
from benchmarks.peers.measure import Settings, measure
from benchmarks.peers.process import WorkerFailed
from benchmarks.peers.report import draw, table
from compress.store import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--json", type=Path, required=True, help="where the results are kept")
    parser.add_argument("--table", action="store_true", help="only print the table of the results")
    parser.add_argument("--figure", type=Path, help="only draw the figure of the results")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measure these alone")
    parser.add_argument(
        "--also", nargs="+", type=Path, default=[], metavar="BUNDLE", help="measure these, too"
    )
    parser.add_argument(
        "--seconds", type=float, default=300.0, help="for each batch and number of threads"
    )
    parser.add_argument("--blocks", type=int, default=3, help="starts of every process")
    parser.add_argument("--models", type=Path, default=models.FOLDER, help="files to measure")
    parser.add_argument("--venvs", type=Path, default=environments.FOLDER, help="environments")
    arguments = parser.parse_args()
    try:
        if arguments.table or arguments.figure:
            show(arguments.json, arguments.table, arguments.figure)
            return
        peers = chosen(catalogue(arguments.models, [*released(), *arguments.also]), arguments.only)
        require_environments(peers, arguments.venvs)
    except InputError as error:
        parser.error(str(error))
    settings = Settings(
        windows=arguments.models / models.WINDOWS,
        answers=arguments.models / models.ANSWERS,
        venvs=arguments.venvs,
        blocks=arguments.blocks,
        seconds=arguments.seconds,
    )
    reference = next(peer for peer in peers if peer.name == REFERENCE)
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    try:
        for document in measure(peers, reference, settings):
            write_json(arguments.json, document)
    except WorkerFailed as failure:
        sys.exit(f"{failure}; {arguments.json} holds the blocks before, if there were any.")
    print(table(document))


def show(path: Path, as_table: bool, figure: Path | None) -> None:
    """Print and draw what a file holds.

    Raises:
        InputError: it cannot be read.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}).", "Measure first.") from None
    if as_table:
        print(table(document))
    if figure:
        draw(document, figure)


def chosen(peers: list[Peer], only: Sequence[str] | None) -> list[Peer]:
    """Those that were asked for, and the reference.

    Raises:
        InputError: there is none of a name.
    """
    names = [peer.name for peer in peers]
    for name in only or ():
        if name not in names:
            raise InputError(f"--only: there is no {name}.", f"Known are {', '.join(names)}.")
    return [peer for peer in peers if not only or peer.name in (*only, REFERENCE)]


def require_environments(peers: Sequence[Peer], venvs: Path) -> None:
    """See that all environments are there.

    Raises:
        InputError: one is not, or its requirements have changed since.
    """
    for name in sorted({peer.environment for peer in peers if peer.environment}):
        if not environments.is_made(name, venvs):
            raise InputError(
                f"{venvs / name}: is not there as its requirements say now.",
                f"Run `python -m benchmarks.peers.environments --only {name}`.",
            )


if __name__ == "__main__":
    main()
