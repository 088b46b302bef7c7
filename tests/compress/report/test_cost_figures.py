"""Accuracy against cost, and what each stage saved, drawn from the rows of a run."""

from __future__ import annotations

import finished_run as made
import numpy as np
import pytest

from compress.report.cost_figures import COSTS, accuracy_cost, waterfall


def test_every_model_has_a_point_where_its_cost_is_known() -> None:
    rows = made.results()["models"]
    peer = {**rows[0], "label": "peer $x$", "peer": True, "latency": None}
    figure = accuracy_cost([*rows, peer])
    grid = np.array(figure.axes).reshape(2, len(COSTS))
    points = [len(axes.containers) for axes in grid[0]]
    assert points == [5, 5, 4]  # a peer was not timed here
    legend = [each.get_text() for each in figure.legends[0].get_texts()]
    assert legend == [*(row["label"] for row in rows), "peer $x$"]
    assert grid[0, 0].get_xscale() == "log"
    (chain,) = (line for line in grid[0, 1].lines if len(line.get_xdata()) > 1)
    assert chain.get_xdata().tolist() == [2400.0, 300.0, 80.0]


def test_bars_begin_where_the_stage_before_ended() -> None:
    figure = waterfall(made.results()["models"])
    file, multiply_adds, time = figure.axes
    bars = [(bar.get_x(), bar.get_x() + bar.get_width()) for bar in file.patches]
    assert bars[0] == (0.0, 100.0)
    assert bars[1] == pytest.approx((100.0, 12.5))
    assert bars[2] == pytest.approx((12.5, 100 / 30))
    assert bars[3] == pytest.approx((0.0, 100 / 30))
    texts = [text.get_text() for text in multiply_adds.texts]
    assert texts == ["100 %", "-93 %", "no change", "7.03 %"]
    assert [text.get_text() for text in time.texts][-1] == "12.5 %"
    names = [label.get_text() for label in file.get_yticklabels()]
    assert names == [*made.LABELS, "what is left"]


def test_a_cost_that_was_not_measured_is_said() -> None:
    rows = made.results()["models"]
    rows[1]["latency"] = None
    time = waterfall(rows).axes[2]
    assert [text.get_text() for text in time.texts] == ["not measured"]
