"""The figure of the pruning curve is drawn from its points, and settings are stored plainly."""

from pathlib import Path

from benchmarks.pruning_pareto import METRICS, _plain, draw, show


def point(name, multiply_adds, value, **more):
    metric = {"point": value, "lower": value - 0.02, "upper": value + 0.01}
    cost = {"multiply_adds": multiply_adds, "parameters": 1e5, "bytes": 4e5}
    return {"name": name, "cost": cost, "metrics": dict.fromkeys(METRICS, metric), **more}


POINTS = [
    point("baseline", 128e6, 0.95),
    point("simplified", 84e6, 0.95, latency={"ratio": 0.6}),
    point("5x", 25e6, 0.93, latency={"ratio": 0.3}),
]


def test_points_are_drawn(tmp_path):
    draw(POINTS, tmp_path / "figures" / "pareto.png")
    assert (tmp_path / "figures" / "pareto.png").read_bytes().startswith(b"\x89PNG")


def test_points_are_shown(capsys):
    show(POINTS)
    printed = capsys.readouterr().out
    assert "128.0 M" in printed
    assert "3.33x" in "".join(printed.split())


def test_settings_name_folders_only():
    assert _plain([Path("/somewhere/else/records")]) == ["records"]
    assert _plain(3) == 3
