"""The figures draw what the document says, also where little could be measured."""

from __future__ import annotations

import copy

import matplotlib.image
import numpy as np
import pytest

from compress.report import plots

NOTHING = {"point": None, "lower": None, "upper": None}


def interval(point: float) -> dict:
    return {"point": point, "lower": max(point - 0.1, 0.0), "upper": min(point + 0.1, 1.0)}


def stratum(label: str, point: float) -> dict:
    metrics = {metric: interval(point) for metric in plots.STRATUM_ROWS}
    return {"label": label, "windows": 10, "records": 5, "metrics": metrics}


def model(name: str, quality: float = 0.8) -> dict:
    curve = {
        "average_precision": interval(quality),
        "threshold": [0.1, 0.5, 0.9],
        "precision": [0.5, quality, 1.0],
        "recall": [quality, 0.6, 0.2],
    }
    edges = np.linspace(-0.495, 0.495, 34).tolist()
    bins = [
        {
            "lower": i / 10,
            "upper": (i + 1) / 10,
            "windows": i,
            "records": i,
            "probability": (i + 0.5) / 10 if i else None,
            "right": interval(quality) if i else NOTHING,
        }
        for i in range(10)
    ]
    claimed = {"windows": 45, "calibration_error": interval(1 - quality), "bins": bins}
    histogram = {"windows": 33, "counts": [1] * 33, "outside": 0}
    return {
        "name": f"somewhere/{name}",
        "curves": dict.fromkeys(("detection", "p", "s"), curve),
        "reliability": dict.fromkeys(("detection", "p", "s"), claimed),
        "strata": {
            "snr_db": [stratum("< 10", quality), stratum("≥ 10", 0.9)],
            "s_minus_p_s": [stratum("0–2", quality), stratum("2–5", 0.7)],
            "p_position_s": [],
            "original_sampling_rate_hz": [stratum("100", 0.9)],
        },
        "residuals": {"edges_s": edges, "p": histogram, "s": histogram},
        "whole_second_bias": {
            "records": 5,
            "difference": interval(0.1),
            "by_offset": [{"offset_s": i / 10, **interval(quality)} for i in range(10)],
        },
    }


@pytest.fixture
def models() -> list[dict]:
    return [model("teacher"), model("student", 0.6)]


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.get_legend().get_texts()]


def test_every_figure_is_written(models, tmp_path) -> None:
    written = plots.write_plots({"models": models}, tmp_path / "figures")

    names = {"precision_recall", "reliability", "strata", "residuals", "whole_second_bias"}
    assert {path.stem for path in written} == names
    for path in written:
        image = matplotlib.image.imread(path)
        assert image.shape[0] > 300
        assert image[..., :3].std() > 0.01


def test_precision_recall(models) -> None:
    figure = plots.precision_recall(models)

    for axes, title in zip(figure.axes, ("Detection", "P", "S"), strict=True):
        assert axes.get_title() == title
        assert axes.get_xlabel() == "recall"
        assert texts(axes) == ["teacher, AP 0.800", "student, AP 0.600"]
        curves = [line for line in axes.get_lines() if line.get_label().startswith("student")]
        assert curves[0].get_xdata().tolist() == [0.6, 0.6, 0.2]
    assert figure.axes[0].get_ylabel() == "precision"


def test_what_could_not_be_measured_is_said(models) -> None:
    nothing = {"average_precision": NOTHING, "threshold": [], "precision": [], "recall": []}
    models[0]["curves"] = dict(models[0]["curves"], s=nothing)

    assert texts(plots.precision_recall(models).axes[2])[0] == "teacher, not measurable"


def test_reliability(models) -> None:
    unknown = models[1]["reliability"]["s"] | {"calibration_error": NOTHING}
    models[1]["reliability"] = models[1]["reliability"] | {"s": unknown}

    figure = plots.reliability(models)

    diagrams, histograms = figure.axes[:3], figure.axes[3:]
    assert [axes.get_title() for axes in diagrams] == ["Detection", "P", "S"]
    assert texts(diagrams[1]) == ["teacher, ECE 0.200", "student, ECE 0.400"]
    assert texts(diagrams[2])[1] == "student, not measurable"
    points = diagrams[0].containers[1].lines[0]  # bins of five records and more
    assert points.get_xdata().tolist() == pytest.approx([0.55, 0.65, 0.75, 0.85, 0.95])
    assert points.get_ydata().tolist() == [0.6] * 5
    for axes in histograms:
        assert [[bar.get_height() for bar in bars] for bars in axes.containers] == [
            [*range(10)]
        ] * 2


def test_strata_leave_out_what_all_windows_share(models) -> None:
    figure = plots.strata(models)

    assert len(figure.axes) == 2 * len(plots.STRATUM_ROWS)
    bottom = figure.axes[-2]
    assert "(dB)" in bottom.get_xlabel()
    assert [tick.get_text() for tick in bottom.get_xticklabels()] == ["< 10\n5", "≥ 10\n5"]
    assert figure.axes[0].get_ylim()[0] == pytest.approx(0.48)


def test_strata_of_few_records_are_not_drawn(models) -> None:
    few = stratum("≥ 40", 0.1) | {"records": 4}
    for each in models:
        each["strata"] = dict(each["strata"], snr_db=[*each["strata"]["snr_db"], few])

    bottom = plots.strata(models).axes[-2]

    assert len(bottom.get_xticklabels()) == 2


def test_a_stratum_without_a_value_is_left_out(models) -> None:
    group = copy.deepcopy(models[0]["strata"]["snr_db"])
    group[0]["metrics"]["p_f1_0.5s"] = NOTHING
    models[0]["strata"]["snr_db"] = group

    axes = plots.strata(models).axes[2 * list(plots.STRATUM_ROWS).index("p_f1_0.5s")]

    points = [bar.lines[0].get_ydata().tolist() for bar in axes.containers]
    assert points == [[0.9], [0.6, 0.9]]


def test_the_second_is_a_circle(models) -> None:
    figure = plots.whole_second_bias(models)
    axes = figure.axes[0]

    assert "(s)" in axes.get_xlabel()
    points = axes.containers[0].lines[0].get_xdata()
    assert len(points) == 11
    assert "+0.100 (+0.000 to +0.200)" in figure.legends[0].get_texts()[0].get_text()


def test_no_record_that_can_be_moved_is_no_figure(models, tmp_path) -> None:
    models[1]["whole_second_bias"] = None

    written = plots.write_plots({"models": models}, tmp_path)

    assert "whole_second_bias" not in {path.stem for path in written}


def test_residuals(models) -> None:
    models[0]["residuals"] = dict(
        models[0]["residuals"], s={"windows": 0, "counts": [0] * 33, "outside": 0}
    )

    figure = plots.residuals(models)

    assert [len(texts(axes)) for axes in figure.axes] == [2, 1]
    assert figure.axes[0].get_xlabel() == "most probable P minus label (s)"


def test_no_label_at_all_draws_nothing(models) -> None:
    empty = {"windows": 0, "counts": [0] * 33, "outside": 0}
    for each in models:
        each["residuals"] = dict(each["residuals"], p=empty, s=empty)
        each["strata"] = {name: [] for name in each["strata"]}
        nothing = [
            bin_ | {"windows": 0, "records": 0, "probability": None, "right": NOTHING}
            for bin_ in each["reliability"]["p"]["bins"]
        ]
        unknown = {"windows": 0, "calibration_error": NOTHING, "bins": nothing}
        each["reliability"] = dict.fromkeys(each["reliability"], unknown)

    plots.reliability(models)
    plots.residuals(models)
    plots.strata(models)
