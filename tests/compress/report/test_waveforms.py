"""Panels of waveforms show the analyst's picks and what each model picks, and say it."""

from __future__ import annotations

import finished_run as made
import numpy as np
import pytest
from matplotlib.axes import Axes

from compress.report.waveforms import (
    COMPONENT_HEIGHT,
    COMPONENT_PLACES,
    MODEL_PLACES,
    draw,
    story,
)


def picks(axes: Axes, place: float) -> list[list[float]]:
    """Where triangles stand above the probabilities that begin at this height: of P, of S."""
    return [
        [x for x, y in zip(*line.get_data(), strict=True) if place < y - 1 < place + 0.5]
        for line in axes.lines
        if line.get_marker() == "v"
    ]


def test_onsets_and_picks_stand_where_they_are() -> None:
    whole, around_p, around_s = draw(made.examples(), 0, "black").axes
    upright = [line.get_xdata()[0] for line in whole.lines if len(line.get_xdata()) == 2]
    assert upright == [10.0, 14.0]
    baseline, other = MODEL_PLACES
    assert [each for each in picks(whole, baseline) if each] == [[10.0], [14.0]]
    assert [each for each in picks(whole, other) if each] == [[10.0]]
    assert around_p.get_xlim() == pytest.approx((8.5, 11.5))
    assert around_s.get_xlim() == pytest.approx((12.5, 15.5))


def test_noise_is_shown_around_the_picks() -> None:
    assert draw(made.examples(), 2, "black").axes[1].get_xlim() == pytest.approx((8.5, 11.5))
    silent = made.examples(predictions=np.zeros((3, 2, 6000, 3), np.float32))
    assert [axes.get_visible() for axes in draw(silent, 2, "black").axes] == [True, False, False]


def test_extremes_of_a_long_trace_are_drawn() -> None:
    shown = made.examples()
    shown.waveforms[0, 1234, 0] = 50.0
    axes = draw(shown, 0, "black").axes[0]
    highest = COMPONENT_PLACES[0] + COMPONENT_HEIGHT / 2
    assert np.max(axes.lines[0].get_ydata()) == pytest.approx(highest)


def test_the_story_names_who_did_what() -> None:
    told = story(made.examples(), 0)
    assert told[0] == "The analyst picked P and S. Signal-to-noise ratio 12 dB."
    assert "2-quantize alone: S missed." in told
    assert "S from the analyst's pick: 0-baseline +0.00 s, 2-quantize did not find it." in told
    assert story(made.examples(), 2)[0].startswith("Noise, in which every pick is false.")
    shown = made.examples()
    shown.errors[0] = [[0, 2, 0, 0, 0, 0], [0, 1, 0, 0, 0, 0]]
    told = story(shown, 0)
    assert "Both: false detection." in told
    assert "0-baseline alone: false detection." in told
