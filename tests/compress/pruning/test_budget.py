"""The budget foretells what is counted once the channels are gone."""

import numpy as np
import pytest
import small_models

from baseline.architecture import EqtConfig, build_eqtransformer
from compress.graphs.channels import kept_groups, trace, without
from compress.pruning.budget import Budget, count

MODELS = {
    "student": small_models.student,
    "gru and attention": lambda: small_models.recurrent("gru", attention=True),
    "eqtransformer": lambda: build_eqtransformer(EqtConfig()),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("measure", ["multiply_adds", "parameters"])
def test_total_is_what_the_narrower_model_costs(name, measure):
    model = MODELS[name]()
    channels = trace(model)
    random = np.random.default_rng(0)
    removed = [
        group
        for d in channels.dimensions
        if not d.fixed
        for group in random.permutation(d.groups)[: len(d.groups) // 3]
    ]
    budget = Budget(model, channels, measure)
    kept = kept_groups(channels, removed)
    expected = count(without(model, channels, removed), measure)
    assert expected < 0.9 * count(model, measure)
    exact = measure == "parameters" or name == "student"  # the others have attention
    assert budget.total(kept) == pytest.approx(expected, rel=1e-9 if exact else 0.02)
    everything = kept_groups(channels, [])
    assert budget.total(everything) == pytest.approx(count(model, measure), rel=1e-9)


def test_savings_are_those_of_each_group_alone():
    model = small_models.student()
    channels = trace(model)
    budget = Budget(model, channels, "multiply_adds")
    everything = kept_groups(channels, [])
    savings = budget.savings(everything)
    for dimension in channels.dimensions:
        if not dimension.fixed:
            group = dimension.groups[0]
            alone = budget.total(everything) - budget.total(kept_groups(channels, [group]))
            # To first order: what reads and makes the group counts its own share twice.
            assert alone <= savings[group] * (1 + 1e-9)
            assert alone > 0.7 * savings[group]
