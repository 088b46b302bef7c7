"""What is kept of each trial in the storage, and how it is told in JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import optuna
from optuna.trial import FrozenTrial, TrialState

from compress.tuning.front import Trial
from compress.tuning.space import Dimension, Values

REPEATS = "repeats"
"""Attribute: the trial whose process was killed, and which this one repeats."""

SAME_AS = "same_as"
"""Attribute: the trial whose settings were the same, so that none was trained for this one."""

REASON = "reason"
"""Attribute: why the settings were refused, or training failed."""

RESULT = "result"
"""Attribute: cost, accuracy and all metrics with intervals."""


def values_of(space: Mapping[str, Dimension], params: Mapping[str, Any]) -> Values:
    """A trial's parameters as values by place."""
    return {place: space[place].value(suggested) for place, suggested in params.items()}


def is_done(trial: FrozenTrial) -> bool:
    """Whether it counts: its student was measured, or cannot be trained."""
    failed = trial.state is TrialState.FAIL and REASON in trial.user_attrs
    return trial.state is TrialState.COMPLETE or failed


def stored(study: optuna.Study, number: int) -> FrozenTrial:
    """A trial as the storage has it now."""
    return study.get_trials(deepcopy=False)[number]


def tell(
    study: optuna.Study,
    number: int,
    values: Sequence[float] | None = None,
    state: TrialState | None = None,
) -> bool:
    """End a running trial; False if another process has ended it before."""
    try:
        study.tell(number, values, state=state)
    except optuna.exceptions.UpdateFinishedTrialError:
        return False
    except ValueError:
        if not stored(study, number).state.is_finished():
            raise
        return False
    return True


def row(space: Mapping[str, Dimension], trial: FrozenTrial) -> Trial:
    """A trial for JSON: its settings by place, its state and, where it is finished, its result."""
    state = {
        TrialState.COMPLETE: "finished",
        TrialState.PRUNED: "refused",
        TrialState.FAIL: "failed" if REASON in trial.user_attrs else "interrupted",
    }.get(trial.state, trial.state.name.lower())
    settings = {
        place: value
        for place in space  # in the order of the search file
        if place in trial.params
        for value in [space[place].value(trial.params[place])]
    }
    attributes = {
        name: trial.user_attrs[name]
        for name in (REPEATS, SAME_AS, REASON)
        if name in trial.user_attrs
    }
    result = trial.user_attrs.get(RESULT, {}) if trial.state is TrialState.COMPLETE else {}
    return {"number": trial.number, "state": state, "settings": settings, **attributes, **result}
