"""The search: trains one student after another and keeps what came of each in a shared storage.

Several processes, on one machine or several, may search in the same storage at once. Whatever they
finish counts for all; a trial whose process was killed is repeated from its last checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler, NSGAIISampler, TPESampler
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from rich.progress import Progress

from baseline.errors import InputError
from baseline.keras import keras
from baseline.weights import load_eqtransformer
from compress.data.sources import check_disjoint, open_set
from compress.evaluation.cost import keras_multiply_adds
from compress.evaluation.protocol import Protocol, labelled
from compress.models import find
from compress.pipeline import RULES, resolve_baseline
from compress.results import interval_document, metrics_document
from compress.store import content_key, file_hash, heading
from compress.tuning.front import Trial, accuracy, front_of_trials
from compress.tuning.space import Search
from compress.tuning.storage import without_password
from compress.tuning.trials import SAME_AS, row
from compress.tuning.worker import TRIALS, TuningData, Worker, evaluate_student

SEARCH, BASELINE = "search", "baseline"
"""Attributes of the study: hashes of what trials depend on, and what the baseline scored."""


def tune(
    search: Search,
    storage: BaseStorage,
    output: Path,
    trials: int,
    progress: Progress,
    on_trial: Callable[[Trial], None] = lambda trial: None,
) -> dict[str, Any]:
    """Search until so many trials are done, by whichever processes share the storage.

    Args:
        search: what to search.
        storage: where its state is.
        output: folder for students and work in progress.
        trials: how many students to train, with those of earlier runs.
        progress: where it is shown.
        on_trial: called with each trial that this process has ended.

    Returns:
        A JSON document: all trials, the front, and the baseline on the same windows.

    Raises:
        InputError: data or settings cannot be used, or the storage holds another search.
    """
    data = _open_data(search)
    baseline_path, baseline_hash = resolve_baseline(search.pipeline, search.folder)
    study = _open_study(search, storage, data, baseline_hash, output)
    baseline = load_eqtransformer(baseline_path)
    _measure_baseline(study, baseline, search, data, progress)
    Worker(search, study, data, baseline, output, trials, progress, on_trial).work()
    return _document(search, study, data)


def _open_data(search: Search) -> TuningData:
    """Open the sets; what accuracy is measured on is no part of any other.

    Raises:
        InputError: a set cannot be opened or shares records, or has no labels where needed.
    """
    declared = search.pipeline.data
    sets = {
        "train": open_set(declared.train),
        "calibration": open_set(declared.calibration),
        "evaluation": open_set(declared.evaluation),
    }
    if search.config.validation is not None:
        sets["validation"] = open_set(search.config.validation)
    elif any(stage.calibrate != "none" for stage in search.stages()):
        raise InputError(
            "The students would be calibrated and measured on the same records: calibrate is on "
            "and the search names no validation set.",
            "Name labelled records that the pipeline does not use, under validation.",
        )
    check_disjoint(sets)
    validation = sets.get("validation", sets["calibration"])
    labelled(validation)
    return TuningData(sets["train"], sets["calibration"], validation)


def _open_study(
    search: Search, storage: BaseStorage, data: TuningData, baseline_hash: str, output: Path
) -> optuna.Study:
    """The study in the storage, or a new one.

    Raises:
        InputError: it is that of another search.
    """
    parts = _parts(search, data, baseline_hash)
    costs = 2 if search.config.objective.bytes else 1
    study = optuna.create_study(
        storage=storage,
        study_name=search.name,
        sampler=_SeededByTrial(search),
        directions=[StudyDirection.MAXIMIZE, *costs * [StudyDirection.MINIMIZE]],
        load_if_exists=True,
    )
    known = study.user_attrs.get(SEARCH)
    if known is None:
        if any((output / TRIALS).glob("*")):
            raise InputError(
                f"{output}: holds students of another search.", "Give another --output folder."
            )
        study.set_user_attr(SEARCH, parts)
    elif known != parts:
        changed = sorted(name for name in parts if known.get(name) != parts[name])
        raise InputError(
            f"The storage holds a search {search.name!r} with other settings: "
            f"{', '.join(changed)} changed since it was begun, and its trials cannot be compared "
            "with new ones.",
            "Take the change back, or begin anew: another --output folder, or another name of the "
            "search file where the storage is a database.",
        )
    return study


def _parts(search: Search, data: TuningData, baseline_hash: str) -> dict[str, str]:
    """Hashes of everything that trials depend on, by what the user would call it."""
    config, pipeline = search.config, search.pipeline
    teachers = {name for stage in search.stages() for name in stage.named_models()}
    protocol = {name: getattr(pipeline.evaluation, name) for name in Protocol.model_fields}
    parts = {
        "space": {place: d.model_dump(mode="json") for place, d in config.space.items()},
        "objective": config.objective.model_dump(mode="json"),
        "maximum_multiply_adds": config.maximum_multiply_adds,
        "sampler": config.sampler,
        "the distill stage": search.stage.model_dump(mode="json", exclude=RULES),
        "teachers": {name: file_hash(find(name).path) for name in sorted(teachers)},
        "seed": pipeline.seed,
        "baseline": baseline_hash,
        "evaluation": {name: str(value) for name, value in protocol.items()},
        **{f"data.{name}": source.fingerprint() for name, source in vars(data).items()},
    }
    return {name: content_key(part)[:16] for name, part in parts.items()}


class _SeededByTrial(BaseSampler):
    """Proposes settings from the trials before and a seed of the trial's number.

    With one seed for each process, processes would make the same random proposals; and a search
    that was interrupted would go on otherwise than one that was not.
    """

    def __init__(self, search: Search) -> None:
        self._search = search
        self._sampler = self._make(0)

    def _make(self, number: int) -> BaseSampler:
        sequence = np.random.SeedSequence([self._search.pipeline.seed, number])
        seed = int(sequence.generate_state(1)[0])
        if self._search.config.sampler == "nsga2":
            return NSGAIISampler(seed=seed)
        return TPESampler(seed=seed)

    def before_trial(self, study: optuna.Study, trial: FrozenTrial) -> None:
        """See BaseSampler."""
        self._sampler = self._make(trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: optuna.Study, trial: FrozenTrial
    ) -> dict[str, optuna.distributions.BaseDistribution]:
        """See BaseSampler."""
        return self._sampler.infer_relative_search_space(study, trial)

    def sample_relative(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        search_space: dict[str, optuna.distributions.BaseDistribution],
    ) -> dict[str, Any]:
        """See BaseSampler."""
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: optuna.Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: optuna.distributions.BaseDistribution,
    ) -> Any:
        """See BaseSampler."""
        return self._sampler.sample_independent(study, trial, param_name, param_distribution)


def _measure_baseline(
    study: optuna.Study, baseline: keras.Model, search: Search, data: TuningData, progress: Progress
) -> None:
    """Keep the baseline's accuracy on the same windows, one pass, where it is not known yet.

    Raises:
        InputError: a metric of the objective cannot be measured on these records.
    """
    if BASELINE in study.user_attrs:
        return
    counts = evaluate_student(baseline, search, data, progress, "the baseline: evaluate")
    metrics = metrics_document(counts)
    for metric in search.config.objective.accuracy:
        if metrics[metric]["point"] is None:
            raise InputError(
                f"objective: {metric} cannot be measured on the records for validation.",
                "It needs picks of that phase, for detections noise records too: name others under "
                "validation, or another metric.",
            )
    study.set_user_attr(
        BASELINE,
        {
            "name": search.pipeline.baseline,
            "parameters": baseline.count_params(),
            "multiply_adds": keras_multiply_adds(baseline),
            "accuracy": interval_document(accuracy(counts, search.config.objective.accuracy)),
            "metrics": metrics,
        },
    )


def _document(search: Search, study: optuna.Study, data: TuningData) -> dict[str, Any]:
    """Everything the storage holds, for JSON."""
    config = search.config
    trials = [row(config.space, trial) for trial in study.get_trials(deepcopy=False)]
    finished = [trial for trial in trials if trial["state"] == "finished" and SAME_AS not in trial]
    best = front_of_trials(finished, count_bytes=config.objective.bytes)
    document = heading("compress")
    return {
        **document,
        "command": without_password(document["command"]),
        "name": search.name,
        "search": config.model_dump(mode="json", exclude={"output", "pipeline", "validation"}),
        "pipeline": search.pipeline.name,
        "steps": search.stage.steps,
        "data": {
            "records": len(labelled(data.validation)),
            "fingerprints": {name: source.fingerprint() for name, source in vars(data).items()},
        },
        "baseline": study.user_attrs[BASELINE],
        "trials": trials,
        "front": [trial["number"] for trial in best],
    }
