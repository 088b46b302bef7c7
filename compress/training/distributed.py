"""Training on several machines: who takes part, and how they come to know the same.

Workers are declared as TensorFlow wants it, in the environment variable TF_CONFIG: the addresses of
all of them, the same everywhere, and which of these a process is:

    {"cluster": {"worker": ["10.0.0.1:2222", "10.0.0.2:2222"]},
     "task": {"type": "worker", "index": 0}}

The first (the `chief`, or worker 0 where none is called that) decides and writes; the others learn
from it over the network. Each worker computes on one device.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from baseline.errors import InputError

if TYPE_CHECKING:
    from baseline.keras import tf

VARIABLE = "TF_CONFIG"
HEARTBEAT_TIMEOUT_S = 60
"""A worker that the first one does not hear of for so long is lost. TensorFlow's 10 s are too few
for a machine that has much else to do."""

RIGHT = (
    'It should read like {"cluster": {"worker": ["HOST:PORT", "HOST:PORT"]}, "task": {"type": '
    '"worker", "index": 0}}: the same cluster for every process, another index for each.'
)

Address = Annotated[str, Field(pattern=r"^[^\s:/]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$")]


class _Cluster(BaseModel):
    model_config = ConfigDict(extra="forbid")

    chief: list[Address] = Field(default=[], max_length=1)
    worker: list[Address] = []

    def addresses(self) -> list[str]:
        """Of all workers, the first one first: in the order TensorFlow numbers them."""
        return self.chief + self.worker


class _Task(BaseModel):
    type: Literal["chief", "worker"]
    index: int = Field(ge=0)


class _TfConfig(BaseModel):
    cluster: _Cluster
    task: _Task

    @model_validator(mode="after")
    def _task_is_in_cluster(self) -> Self:
        known = getattr(self.cluster, self.task.type)
        if self.task.index >= len(known):
            raise ValueError(
                f"task: this is {self.task.type} {self.task.index}, and the cluster has "
                f"{len(known)} of them, counted from 0"
            )
        addresses = self.cluster.addresses()
        if len(set(addresses)) < len(addresses):
            raise ValueError("cluster: the same address stands there twice")
        return self


@dataclass(frozen=True)
class Place:
    """One of several workers: `index` counts from 0, the first; `number` is that of all."""

    index: int
    number: int


def declared_place() -> Place | None:
    """This process's place among the workers that TF_CONFIG declares; None where it is not set.

    Raises:
        InputError: it is set and cannot be used.
    """
    text = os.environ.get(VARIABLE, "").strip()
    if not text:
        return None
    try:
        config = _TfConfig.model_validate_json(text)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        said = first["msg"].removeprefix("Value error, ")
        raise InputError(f"{VARIABLE}: {key + ': ' if key else ''}{said}.", RIGHT) from None
    before = len(config.cluster.chief) if config.task.type == "worker" else 0
    return Place(before + config.task.index, len(config.cluster.addresses()))


class Workers:
    """The processes that train together, seen from one of them; by itself, this process alone.

    Where there are several, all of them have to call the methods below in the same order: each
    call waits for all.

    Attributes:
        place: which of them this one is.
        strategy: what runs a step on all of them.
    """

    def __init__(self, place: Place = Place(0, 1), strategy: Any = None) -> None:
        self.place = place
        self._strategy = strategy

    @property
    def strategy(self) -> tf.distribute.Strategy:
        from baseline.keras import tf

        return self._strategy or tf.distribute.get_strategy()

    @property
    def number(self) -> int:
        return self.place.number

    @property
    def is_first(self) -> bool:
        """Whether this one decides and writes."""
        return self.place.index == 0

    def from_first(self, make: Callable[[], Any]) -> Any:
        """What `make` gives on the first worker, on all of them.

        The others do not call it. What it gives has to be of JSON, unless there is one worker only.

        Raises:
            InputError: on the others, if it failed on the first.
        """
        if self.number == 1:
            return make()
        if not self.is_first:
            answer = json.loads(self._sent(b"").decode())
            if "failed" in answer:
                raise InputError(f"The first worker stopped: {answer['failed']}")
            return answer["made"]
        try:
            made = make()
        except BaseException as error:
            self._sent(json.dumps({"failed": str(error) or type(error).__name__}).encode())
            raise
        self._sent(json.dumps({"made": made}).encode())
        return made

    def of_each(self, value: float) -> list[float]:
        """What each worker gave here, in their order."""
        values = np.zeros(self.number)
        values[self.place.index] = value
        return self._sum(values).tolist()

    def share_state(self, variables: list[tf.Variable]) -> None:
        """Give the values that variables have on the first worker to those of the others."""
        if self.number == 1:
            return
        # To read a statistic of BatchNorm would give the mean over the workers, not its own.
        own = [self.strategy.experimental_local_results(variable)[0] for variable in variables]
        values = [np.asarray(variable.numpy()) for variable in own]
        flat = np.concatenate([value.ravel().astype(np.float64) for value in values])
        flat = self._sum(flat if self.is_first else np.zeros_like(flat))
        ends = np.cumsum([value.size for value in values])[:-1]
        for variable, value, shared in zip(variables, values, np.split(flat, ends), strict=True):
            variable.assign(shared.reshape(value.shape).astype(value.dtype))

    @contextmanager
    def together(self) -> Iterator[None]:
        """Tell in one paragraph what it means that another worker is not there any more.

        Raises:
            InputError: another worker ended, or cannot be reached, while this one needed it.
        """
        from baseline.keras import tf

        lost = (
            tf.errors.UnavailableError,
            tf.errors.AbortedError,
            tf.errors.CancelledError,
            tf.errors.DeadlineExceededError,
        )
        try:
            yield
        except lost as error:
            if self.number == 1:
                raise
            raise InputError(
                "Another worker of the distributed training ended or cannot be reached.",
                "See what it says; then start all of them again: training goes on from its last "
                "checkpoint.",
            ) from error

    def _sent(self, message: bytes) -> bytes:
        """The first worker's message, on all of them."""
        length = int(self._sum(np.array([len(message)], dtype=np.float64))[0])
        numbers = np.frombuffer(message or bytes(length), dtype=np.uint8)
        return self._sum(numbers.astype(np.float64)).astype(np.uint8).tobytes()

    def _sum(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        from baseline.keras import tf

        with self.together(), _ended_by_interrupt():
            total = self.strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(values), axis=None)
            return np.asarray(total.numpy())


def _be_patient() -> None:
    """Let the strategy configure TensorFlow's coordination with another heartbeat."""
    from tensorflow.python.eager import context  # there is no public way to

    own = context.context()
    own.configure_coordination_service = partial(
        own.configure_coordination_service, heartbeat_timeout_in_ms=1000 * HEARTBEAT_TIMEOUT_S
    )


@contextmanager
def _ended_by_interrupt() -> Iterator[None]:
    """Ctrl-C ends the process at once: while TensorFlow waits for others, Python cannot hear it."""
    heard = signal.getsignal(signal.SIGINT)
    if not callable(heard):  # ignored, or already so
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


def gather(place: Place) -> Workers:
    """Join the workers that TF_CONFIG declares; waits until all of them are there.

    TensorFlow can do this only before it has computed anything in this process.

    Raises:
        InputError: this worker cannot listen at its address, the others do not come, or there is
            more than one GPU to each.
    """
    from baseline.keras import tf

    _be_patient()
    on_termination = signal.getsignal(signal.SIGTERM)
    try:
        with _ended_by_interrupt():
            strategy = tf.distribute.MultiWorkerMirroredStrategy()
    except tf.errors.OpError as error:
        raise InputError(
            f"The workers of {VARIABLE} did not come together: {error.message}",
            "Every address has to be reachable from all machines, and free on its own.",
        ) from None
    # TensorFlow took SIGTERM for the notice that a machine will go away, and would live on.
    signal.signal(signal.SIGTERM, on_termination)
    if strategy.num_replicas_in_sync != place.number:
        raise InputError(
            f"{VARIABLE} declares {place.number} workers, and they have "
            f"{strategy.num_replicas_in_sync} GPUs.",
            "Start one worker for each GPU, and show it to that one alone (CUDA_VISIBLE_DEVICES).",
        )
    return Workers(place, strategy)
