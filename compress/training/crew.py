"""Stages that several workers train together: what the first tells the others of its run.

All are started with the same command. The first runs the pipeline; the others wait for its orders,
train along, and are dismissed when no stage needs them any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from baseline.errors import InputError
from compress.training.distributed import Workers

Order = dict[str, Any]


class Crew:
    """The workers of a run, and whether the others wait for an order of the first.

    Attributes:
        workers: all of them.
    """

    def __init__(self, workers: Workers) -> None:
        self.workers = workers
        self._waiting = workers.is_first and workers.number > 1

    @contextmanager
    def called(self, order: Order) -> Iterator[None]:
        """The first worker's: send the others to do what they do together in this block.

        Afterwards they wait again. If the block fails they noticed it themselves, or lose the
        connection when this process ends.
        """
        if self.workers.number == 1:
            yield
            return
        self._waiting = False
        self.workers.from_first(lambda: order)
        yield
        self._waiting = True

    def dismiss(self, failure: str = "") -> None:
        """The first worker's: let the others go, well or with what went wrong; only once."""
        if self._waiting:
            self._waiting = False
            self.workers.from_first(lambda: {"end": failure})

    @contextmanager
    def dismissed_after(self) -> Iterator[None]:
        """The first worker's: nobody waits in vain, whatever ends the run in this block."""
        try:
            yield
        except BaseException as error:
            self.dismiss(str(error) or type(error).__name__)
            raise
        self.dismiss("its run ended before the distributed training: a gate failed")

    def orders(self) -> Iterator[Order]:
        """Another worker's: one order after the other, until it is dismissed.

        Raises:
            InputError: the first worker failed, or is not there any more.
        """
        while True:
            order = self.workers.from_first(dict)
            if "end" not in order:
                yield order
            elif order["end"]:
                raise InputError(f"The first worker stopped: {order['end']}")
            else:
                return
