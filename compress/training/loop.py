"""The training loop: steps, averaged weights, checkpoints, and searches for hard negatives."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

from baseline.checkpoint import is_finite
from baseline.contract import PREDICTION_SHAPE, WINDOW_SHAPE
from baseline.errors import InputError
from baseline.files import cannot_write, writing
from baseline.keras import keras, tf
from compress.data.feeds import Draw, TargetFeed
from compress.store import TRAINING_ENDING, write_json, write_text
from compress.students.matching import Matching
from compress.training.distributed import Workers
from compress.training.hard_negatives import Predict, kept_or_mined, mine
from compress.training.loss import cross_entropy
from compress.training.settings import HardNegatives, LossSettings, Precision
from compress.training.twin import FLOAT32, twin_of

CHECKPOINT_STEPS = 250
HISTORY_STEPS = 25
GRADIENT_NORM = 5.0
BATCHES_AHEAD = 4
FEEDING_THREADS = 2

AfterStep = Callable[[keras.Model, int], None]
"""What is done after each step, with the model in training and the number of steps done.

That model is a twin of the one that was given: the same layers by the same names, other variables.
All variables of its layers are part of the checkpoints.
"""


@dataclass(frozen=True)
class Plan:
    """How long and how fast is trained, and against what.

    Attributes:
        steps: how many.
        learning_rate: its peak.
        warmup_steps: steps until it is reached; a cosine brings it down to zero afterwards.
        average: decay of the moving average of the weights per step.
        frozen_statistics: keep BatchNorm statistics (fine-tuning) or learn them (from scratch).
        loss: weights and temperature of the cross-entropy.
        hard_negatives: the search for them; None for none.
        precision: what layers compute in; see `compute_policy`.
        matching: makes the loss between inner layers for the model in training; None for none.
    """

    steps: int
    learning_rate: float
    warmup_steps: int
    average: float
    frozen_statistics: bool
    loss: LossSettings = field(default_factory=LossSettings)
    hard_negatives: HardNegatives | None = None
    precision: Precision = "float32"
    matching: Callable[[keras.Model], Matching] | None = None


def compute_policy(precision: Precision) -> str:
    """The Keras policy that layers compute by: mixed_float16 if there is a GPU and it is wanted.

    Variables, losses and the model that comes out are float32 in any case.
    """
    half = precision == "auto" and tf.config.get_visible_devices("GPU")
    return "mixed_float16" if half else FLOAT32


def train(
    model: keras.Model,
    feed: TargetFeed,
    plan: Plan,
    *,
    scratch: Path,
    products: Path,
    progress: Progress,
    what: str,
    after_step: AfterStep | None = None,
    workers: Workers | None = None,
) -> None:
    """Fit `model` to the feed's targets, in place, and resume where an earlier call was stopped.

    Adam with a linear warm-up and a cosine decay to zero; the weights that remain are an
    exponential moving average over the steps. Resuming gives the same weights as not having been
    stopped: checkpoints hold everything that steps depend on.

    Several workers each make and compute their part of every batch. Statistics, loss and gradients
    are those of the whole batch, so that the steps are those of one process, up to rounding.

    Args:
        model: from (batch, 6000, 3) to (batch, 6000, 3) probabilities.
        feed: the batches.
        plan: how.
        scratch: folder for checkpoints and hard negatives.
        products: folder for `WHAT.history.csv` (step, loss) and `WHAT.training.json` (time, and
            how much of it was spent waiting for input).
        progress: where it is shown.
        what: what it is called there.
        after_step: done after each step, before the step's checkpoint.
        workers: who trains; None for this process alone. All of them call this alike, each with a
            folder `products` of its own; only the first one uses `scratch`.

    Raises:
        InputError: the loss or a weight is not finite: the training diverged, and no checkpoint
            holds such weights; the batch cannot be divided
            among the workers; another worker was lost.
    """
    workers = workers or Workers()
    if feed.batch % workers.number:
        raise InputError(
            f"{what}: a batch of {feed.batch} cannot be divided among {workers.number} workers.",
            f"Take a multiple of {workers.number}.",
        )
    if workers.number > 1:
        feed = replace(feed, part=(workers.place.index, workers.number))
    name = what.replace(" ", "-")
    with workers.together():
        state = _State(model, plan, workers.strategy)
        checkpoints = _Checkpoints(state.checkpoint, scratch / "checkpoints", workers)
        first = int(state.done.numpy())
        task = progress.add_task(what, total=plan.steps, completed=first)
        clock = _Clock()
        history = _History(products / f"{name}.history.csv", first)
        for begin, end in _segments(first, plan):
            current = _with_hard_negatives(feed, plan, begin, state, scratch, workers)
            batches = iter(_dataset(current, begin, end))
            for number in range(begin + 1, end + 1):
                with clock.waiting():
                    windows, targets = next(batches)
                loss = float(state.step(windows, targets))
                _require_finite(loss, what, number, plan)
                if after_step is not None:
                    after_step(state.twin, number)
                checkpoint = number == end or number % CHECKPOINT_STEPS == 0
                if checkpoint and not state.finite():
                    raise _diverged(what, number, plan, "a weight is no number")
                history.add(number, loss, line=checkpoint or number % HISTORY_STEPS == 0)
                if checkpoint:
                    checkpoints.save()
                progress.update(task, completed=number)
        if first < plan.steps:  # otherwise an earlier call has told of it
            report = clock.report(plan.steps - first, feed.batch, workers)
            write_json(products / f"{name}{TRAINING_ENDING}", report)
        state.finish()


def _require_finite(loss: float, what: str, number: int, plan: Plan) -> None:
    if not math.isfinite(loss):
        raise _diverged(what, number, plan, "the loss is not finite")


def _diverged(what: str, number: int, plan: Plan, sign: str) -> InputError:
    kept = (number - 1) // CHECKPOINT_STEPS * CHECKPOINT_STEPS
    return InputError(
        f"{what}: {sign} at step {number}: the training diverged.",
        f"Lower its learning_rate ({plan.learning_rate:g})."
        + (f" The checkpoint of step {kept} is kept: its weights are finite." if kept else ""),
    )


def _segments(first: int, plan: Plan) -> list[tuple[int, int]]:
    """Steps from `first` on, cut where hard negatives are looked for: first of each, and end."""
    every = plan.hard_negatives.every if plan.hard_negatives else max(plan.steps, 1)
    begins = sorted({first, *range((first // every + 1) * every, plan.steps, every)})
    return [
        (begin, end)
        for begin, end in zip(begins, [*begins[1:], plan.steps], strict=True)
        if begin < end
    ]


def _with_hard_negatives(
    feed: TargetFeed, plan: Plan, begin: int, state: _State, scratch: Path, workers: Workers
) -> TargetFeed:
    """The feed with what the last search found, which the first worker makes if it was not yet."""
    settings = plan.hard_negatives
    if settings is None or begin < settings.every:
        return feed
    round_ = begin // settings.every
    predict = state.averaged_predictor()
    found = workers.from_first(
        lambda: kept_or_mined(
            scratch / f"hard-negatives-{round_}.json",
            lambda: mine(predict, feed, settings, round_),
        )
    )
    draws = [Draw(*draw) for draw in found]
    return replace(feed, hard_negatives=draws, hard_share=settings.share)


def _dataset(feed: TargetFeed, begin: int, end: int) -> tf.data.Dataset:
    """The batches of the steps from `begin` to `end`, made ahead by several threads, in order."""

    def batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        windows, targets = tf.numpy_function(
            lambda k: feed.batch_at(int(k)), [step], (tf.float32, tf.float32), stateful=False
        )
        windows.set_shape((feed.part_size, *WINDOW_SHAPE))
        targets.set_shape((feed.part_size, *PREDICTION_SHAPE))
        return windows, targets

    return (
        tf.data.Dataset.range(begin, end)
        .map(batch, num_parallel_calls=FEEDING_THREADS, deterministic=True)
        .prefetch(BATCHES_AHEAD)
    )


class _State:
    """The model in training, its optimizer and averaged weights, and the step that moves them."""

    def __init__(self, model: keras.Model, plan: Plan, strategy: tf.distribute.Strategy) -> None:
        self._model = model
        self._plan = plan
        self._strategy = strategy
        policy = compute_policy(plan.precision)
        with strategy.scope():
            self.twin = twin_of(
                model,
                policy,
                joint_statistics=strategy.num_replicas_in_sync > 1 and not plan.frozen_statistics,
            )
            self._variables = self.twin.trainable_variables
            self._matching = plan.matching(self.twin) if plan.matching else None
            self._learned = [
                *self._variables,
                *(self._matching.trainable_variables if self._matching else []),
            ]
            self._optimizer = _optimizer(plan)
            self._optimizer.build(self._learned)
            # Gradients of probabilities near 0 are too small for 16 bits.
            self._scaler = (
                keras.mixed_precision.LossScaleOptimizer(self._optimizer)
                if policy == "mixed_float16"
                else None
            )
            self._averaged = [tf.Variable(v, trainable=False) for v in self._variables]
            self.done = tf.Variable(0, dtype=tf.int64, trainable=False)
            # Adam stands for itself, so that a training goes on where there is no GPU any more.
            further = {} if self._scaler is None else {"scaling": self._scaler}
            if self._matching:
                further["projections"] = self._matching.projections
            self.checkpoint = tf.train.Checkpoint(
                model=self.twin,
                optimizer=self._optimizer,
                averaged=self._averaged,
                done=self.done,
                **further,
            )

    @tf.function
    def step(self, windows: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """One step on one batch, of which this worker has its part; the loss of the whole batch."""
        losses = self._strategy.run(self._descend, args=(windows, targets))
        # The average follows faster at first, so that it forgets the initial weights.
        count = tf.cast(self.done, tf.float32)
        decay = tf.minimum(self._plan.average, (1.0 + count) / (10.0 + count))
        for mean, variable in zip(self._averaged, self._variables, strict=True):
            mean.assign(decay * mean + (1.0 - decay) * variable)
        self.done.assign_add(1)
        return self._strategy.reduce(tf.distribute.ReduceOp.SUM, losses, axis=None)

    def _descend(self, windows: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
        """Move the weights by the gradients of all workers; this one's share of the loss."""
        with tf.GradientTape() as tape:
            prediction, apart = self._predict(windows)
            loss = cross_entropy(targets, prediction, self._plan.loss) + apart
            loss /= self._strategy.num_replicas_in_sync
            scaled = self._scaler.get_scaled_loss(loss) if self._scaler else loss
        gradients = tape.gradient(scaled, self._learned)
        if self._scaler:
            gradients = self._scaler.get_unscaled_gradients(gradients)
        # Gradients are summed over the workers, and their norm is limited after that.
        optimizer = self._scaler or self._optimizer
        optimizer.apply_gradients(zip(gradients, self._learned, strict=True))
        return loss

    def _predict(self, windows: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """The prediction in training, and how far the student is from its teacher inside."""
        training = not self._plan.frozen_statistics
        if self._matching:
            return self._matching.loss(windows, training)
        return self.twin(windows, training=training), tf.zeros(())

    def finite(self) -> bool:
        """Whether all weights, and their averages, are numbers: else no checkpoint is worth it."""
        every = (*self.twin.weights, *self._learned, *self._averaged)
        return all(is_finite(weight) for weight in every)

    def averaged_predictor(self) -> Predict:
        """What the model with the averaged weights says of windows (batch, 6000, 3).

        Its weights are those of now; all workers have to ask for it.
        """
        judge, judged = self._judge
        self._copy_averaged(judge)
        return lambda windows: judged(tf.constant(windows)).numpy()

    @cached_property
    def _judge(self) -> tuple[keras.Model, Callable[[tf.Tensor], tf.Tensor]]:
        """A model for the averaged weights, and what asks it."""
        judge = twin_of(self._model)
        return judge, tf.function(lambda windows: judge(windows, training=False))

    def finish(self) -> None:
        """Give the averaged weights to the model that training began with."""
        self._copy_averaged(self._model)

    def _copy_averaged(self, model: keras.Model) -> None:
        model.set_weights(self.twin.get_weights())
        for variable, mean in zip(model.trainable_variables, self._averaged, strict=True):
            variable.assign(mean.numpy())


def _optimizer(plan: Plan) -> keras.optimizers.Optimizer:
    schedule = keras.optimizers.schedules.CosineDecay(
        plan.learning_rate / max(plan.warmup_steps, 1),
        decay_steps=max(plan.steps - plan.warmup_steps, 1),
        warmup_target=plan.learning_rate,
        warmup_steps=plan.warmup_steps,
    )
    return keras.optimizers.Adam(schedule, global_clipnorm=GRADIENT_NORM)


class _Checkpoints:
    """The checkpoints of the first worker, from which all go on when it is made.

    Reading some variables takes all workers, so the others write as well, and throw it away.
    """

    def __init__(self, checkpoint: tf.train.Checkpoint, folder: Path, workers: Workers) -> None:
        self._checkpoint = checkpoint
        self._folder = folder
        self._manager = None
        if workers.is_first:
            self._manager = tf.train.CheckpointManager(checkpoint, str(folder), max_to_keep=2)
            try:
                self._manager.restore_or_initialize()
            except tf.errors.OpError as error:
                raise InputError(
                    f"{folder}: the checkpoint there cannot be read ({_first_line(error)}).",
                    "Remove that folder, and this training begins anew.",
                ) from None
        assert checkpoint.save_counter is not None  # made when first asked for, on every worker
        parts = tf.train.TrackableView(checkpoint).descendants()
        workers.share_state([part for part in parts if isinstance(part, tf.Variable)])

    def save(self) -> None:
        """Keep everything that steps depend on.

        Raises:
            InputError: it cannot be written; the checkpoint before is kept.
        """
        if self._manager:
            try:
                self._manager.save()
            except (OSError, tf.errors.OpError) as error:
                raise cannot_write(self._folder, error) from None
            return
        with tempfile.TemporaryDirectory() as folder:
            self._checkpoint.write(str(Path(folder) / "unused"))


def _first_line(error: tf.errors.OpError) -> str:
    return str(error.message).partition("\n")[0][:200]


class _History:
    """A CSV of step and mean loss since the line before; lines beyond a resumed step go.

    There is a line at every checkpoint, so that no line means anything else after an interruption.
    """

    def __init__(self, path: Path, first: int) -> None:
        # Of the last line a full disk may have left the beginning.
        lines = path.read_text(encoding="utf-8").split("\n")[1:-1] if path.is_file() else []
        kept = [line for line in lines if int(line.split(",")[0]) <= first]
        write_text(path, "\n".join(["step,loss", *kept, ""]))
        self._path = path
        self._losses: list[float] = []

    def add(self, step: int, loss: float, line: bool) -> None:
        """Note the loss of a step, and write a line if there is to be one."""
        self._losses.append(loss)
        if line:
            with writing(self._path), self._path.open("a", encoding="utf-8") as file:
                file.write(f"{step},{np.mean(self._losses):.6g}\n")
            self._losses.clear()


class _Clock:
    """How long training took, and how long it waited for its input."""

    def __init__(self) -> None:
        self._began = time.perf_counter()
        self._waited = 0.0

    def waiting(self) -> _Clock:
        return self

    def __enter__(self) -> None:
        self._entered = time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self._waited += time.perf_counter() - self._entered

    def report(self, steps: int, batch: int, workers: Workers) -> dict[str, Any]:
        """For `training.json`; of the steps since training was last resumed.

        The worker counts that waited longest: the others waited for it.
        """
        seconds = time.perf_counter() - self._began
        waited = max(workers.of_each(self._waited))
        return {
            "steps": steps,
            "batch": batch,
            "workers": workers.number,
            "seconds": round(seconds, 1),
            "waiting_for_input_s": round(waited, 1),
            "waiting_share": round(waited / max(seconds, 1e-9), 4),
        }
