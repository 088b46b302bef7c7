"""One process of a search: takes trials from the storage, trains their students, measures them."""

from __future__ import annotations

import gc
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from filelock import FileLock, Timeout
from optuna.trial import FrozenTrial, TrialState
from rich.progress import Progress

from baseline.checkpoint import save_keras
from baseline.errors import InputError
from baseline.files import WriteError
from baseline.keras import keras
from compress.data.records import Source
from compress.evaluation.cost import file_bytes, keras_multiply_adds
from compress.evaluation.metrics import Counts
from compress.evaluation.protocol import evaluate
from compress.pipeline import RULES
from compress.results import interval_document, metrics_document
from compress.stages.base import Context, StageModel
from compress.stages.distill import Distill
from compress.store import KERAS_FILE, TFLITE_FILE, content_key, write_json
from compress.students import build_student
from compress.tuning.front import Trial, accuracy
from compress.tuning.liveness import Watch, at_work, lock_file
from compress.tuning.space import Search, stage_with
from compress.tuning.trials import (
    REASON,
    REPEATS,
    RESULT,
    SAME_AS,
    is_done,
    row,
    stored,
    tell,
    values_of,
)
from export.convert import Format, convert
from export.runtimes import KerasRunner

POLL_S = 1.0
REFUSALS_IN_A_ROW = 100
ERRORS_IN_A_ROW = 3

TRIALS = "trials"
"""Folder of the students, by number of the trial."""

UNFINISHED = "unfinished"
"""Folder of the work in progress: checkpoints, by number of the trial, and locks."""

TARGETS = "targets"
"""Folder of what the teachers answered, by what they were asked."""

TRIAL_FILE = "trial.json"


@dataclass(frozen=True)
class TuningData:
    """The opened sets of a search: to train on, to calibrate on, to measure accuracy on."""

    train: Source
    calibration: Source
    validation: Source


def evaluate_student(
    model: keras.Model, search: Search, data: TuningData, progress: Progress, what: str
) -> Counts:
    """Counts of a model on the windows that all models of the search are measured on."""
    runner = KerasRunner(model)
    return evaluate(runner, data.validation, search.pipeline.evaluation, progress, what)


class Worker:
    """What one process does in a search."""

    def __init__(
        self,
        search: Search,
        study: optuna.Study,
        data: TuningData,
        baseline: keras.Model,
        output: Path,
        trials: int,
        progress: Progress,
        on_trial: Callable[[Trial], None],
    ) -> None:
        self.search = search
        self.study = study
        self.data = data
        self.baseline = baseline
        self.output = output
        self.trials = trials
        self.progress = progress
        self.on_trial = on_trial
        self.watch = Watch()
        self.refusals = 0
        self.errors = 0
        self.task = progress.add_task("trials", total=trials)

    def work(self) -> None:
        """Run trials until there are enough.

        Raises:
            InputError: hardly anything of the space is allowed, or one trial after another fails.
        """
        for folder in (TRIALS, UNFINISHED, TARGETS):
            (self.output / folder).mkdir(parents=True, exist_ok=True)
        while (trial := self._next()) is not None:
            shown = set(self.progress.task_ids)
            self._run(trial)
            self.on_trial(row(self.search.config.space, stored(self.study, trial.number)))
            for task in set(self.progress.task_ids) - shown:
                self.progress.remove_task(task)
            # Graphs of finished trials would fill the memory.
            keras.backend.clear_session()
            gc.collect()

    def _next(self) -> optuna.Trial | None:
        """Another trial, or None when all are done; waits for others, who may be killed yet."""
        distributions = {
            place: dimension.distribution() for place, dimension in self.search.config.space.items()
        }
        waiting = None
        while True:
            # Whoever shares the folder counts and asks one at a time, so that none is one too many.
            with FileLock(self.output / "ask.lock"):
                for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
                    if self.watch.abandoned(trial):
                        self._repeat(trial)
                trials = self.study.get_trials(deepcopy=False)
                done = sum(map(is_done, trials))
                running = sum(trial.state is TrialState.RUNNING for trial in trials)
                asked = None
                if done + running < self.trials:
                    asked = self.study.ask(distributions)
            self.progress.update(self.task, completed=min(done, self.trials))
            if asked is not None or done >= self.trials:
                if waiting is not None:
                    self.progress.remove_task(waiting)
                return asked
            if waiting is None:
                waiting = self.progress.add_task("wait for other processes", total=None)
            time.sleep(POLL_S)

    def _repeat(self, trial: FrozenTrial) -> None:
        """Mark a trial as interrupted, and line it up to be repeated by anyone."""
        if not tell(self.study, trial.number, state=TrialState.FAIL):
            return  # another process was faster
        if trial.params.keys() == self.search.config.space.keys():
            first = trial.user_attrs.get(REPEATS, trial.number)
            self.study.enqueue_trial(trial.params, user_attrs={REPEATS: first})

    def _run(self, trial: optuna.Trial) -> None:
        """Train and measure the student of a trial, unless it is refused or known already."""
        try:
            stage = stage_with(self.search.stage, values_of(self.search.config.space, trial.params))
        except ValueError as error:
            self._refuse(trial, str(error), excess=1.0)
            return
        multiply_adds = keras_multiply_adds(build_student(stage.student))
        limit = self.search.config.maximum_multiply_adds
        if limit is not None and multiply_adds > limit:
            reason = f"{multiply_adds:,} multiply-adds, more than {limit:,}"
            self._refuse(trial, reason, excess=multiply_adds / limit - 1.0)
            return
        self.refusals = 0
        same = self._same_settings(trial)
        if same is not None:
            trial.set_user_attr(SAME_AS, same.number)
            trial.set_user_attr(RESULT, same.user_attrs[RESULT])
            tell(self.study, trial.number, same.values)
            return
        with self._workshop(trial) as folder:
            try:
                self._train_and_measure(trial, stage, folder)
                self.errors = 0
            except (KeyboardInterrupt, WriteError):  # no fault of the settings
                self._repeat(stored(self.study, trial.number))
                raise
            except InputError as error:
                # Training that diverged is the settings' fault; what is not happens again.
                trial.set_user_attr(REASON, str(error))
                tell(self.study, trial.number, state=TrialState.FAIL)
                self.errors += 1
                if self.errors == ERRORS_IN_A_ROW:
                    raise
            shutil.rmtree(folder)
        lock_file(folder).unlink(missing_ok=True)

    def _refuse(self, trial: optuna.Trial, reason: str, excess: float) -> None:
        """End a trial before anything is trained; `excess` tells the sampler how far off it is."""
        trial.set_constraint("refused", excess)
        trial.set_user_attr(REASON, reason)
        tell(self.study, trial.number, state=TrialState.PRUNED)
        self.refusals += 1
        if self.refusals == REFUSALS_IN_A_ROW:
            raise InputError(
                f"{self.refusals} proposals in a row were refused, the last one: {reason}.",
                "Narrow the space to what is allowed, or raise maximum_multiply_adds.",
            )

    def _same_settings(self, trial: optuna.Trial) -> FrozenTrial | None:
        """A finished trial of these settings: training again would give the same student."""
        for other in self.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
            if other.params == trial.params and SAME_AS not in other.user_attrs:
                return other
        return None

    @contextmanager
    def _workshop(self, trial: optuna.Trial) -> Iterator[Path]:
        """The folder to train in, where others see that this process is at work.

        It is that of the trial that is repeated, with its checkpoints, but for one whose process
        is alive after all and was only out of reach.
        """
        folder = self.output / UNFINISHED / _name(trial.number)
        first = self.output / UNFINISHED / _name(trial.user_attrs.get(REPEATS, trial.number))
        with ExitStack() as stack:
            working = False
            if first != folder and first.is_dir():
                with suppress(Timeout):
                    stack.enter_context(at_work(trial, first))
                    folder, working = first, True
            if not working:
                stack.enter_context(at_work(trial, folder))
            yield folder

    def _train_and_measure(self, trial: optuna.Trial, stage: Distill, folder: Path) -> None:
        began = time.monotonic()
        scratch, products = folder / "scratch", folder / "products"
        for path in (scratch, products):
            path.mkdir(parents=True, exist_ok=True)
        with self._answers(stage) as targets:
            context = Context(
                baseline=self.baseline,
                train=self.data.train,
                calibration=self.data.calibration,
                seed=self.search.pipeline.seed,
                scratch=scratch,
                products=products,
                progress=self.progress,
                targets=targets,
            )
            student = stage.apply(StageModel(self.baseline), context).keras
        what = f"trial {trial.number}: evaluate"
        counts = evaluate_student(student, self.search, self.data, self.progress, what)
        save_keras(student, products / KERAS_FILE)
        objective = self.search.config.objective
        interval = accuracy(counts, objective.accuracy)
        multiply_adds = keras_multiply_adds(student)
        result: dict[str, Any] = {
            "parameters": student.count_params(),
            "multiply_adds": multiply_adds,
            "accuracy": interval_document(interval),
            "metrics": metrics_document(counts),
        }
        objectives = [interval.point, float(multiply_adds)]
        if objective.bytes:
            convert(products / KERAS_FILE, products / TFLITE_FILE, Format.TFLITE)
            result["bytes"] = file_bytes(products / TFLITE_FILE)[0]
            objectives.append(float(result["bytes"]))
        result["seconds"] = round(time.monotonic() - began, 1)
        settings = stage.model_dump(mode="json", exclude=RULES)
        write_json(products / TRIAL_FILE, {"number": trial.number, "stage": settings, **result})
        kept = self.output / TRIALS / _name(trial.number)
        products.rename(kept)
        trial.set_user_attr(RESULT, result)
        if not tell(self.study, trial.number, objectives):
            shutil.rmtree(kept)  # taken for dead, and repeated by another process

    @contextmanager
    def _answers(self, stage: Distill) -> Iterator[Path]:
        """The folder of what the teachers answer; of several processes only one asks them.

        The others wait until the file is there, which is written whole or not at all.
        """
        asked = content_key(
            [teacher.model_dump() for teacher in stage.teachers],
            [stage.shifts, stage.targets, stage.records],
        )
        folder = self.output / TARGETS / asked[:12]
        lock = FileLock(folder.with_name(f"{folder.name}.lock"))
        while not any(folder.glob("*.h5")):
            with suppress(Timeout):
                lock.acquire(timeout=POLL_S)
                break
        try:
            yield folder
        finally:
            lock.release()


def _name(number: int) -> str:
    return f"{number:04}"
