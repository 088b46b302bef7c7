"""The page of a run: complete, safe whatever names it is given, small, and honest about gaps."""

from __future__ import annotations

import base64
import fnmatch
import hashlib
import re
import tomllib
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import finished_run as made
import numpy as np
import pytest

from baseline.errors import InputError
from compress.report import page as module
from compress.report.contents import Contents, contents
from compress.report.page import MAXIMUM_BYTES, page, write_page

ROOT = Path(__file__).parents[3]
HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>$\\frac$ ' \" & \x00\ud800"
MEASURED = ("curves", "reliability", "strata", "residuals")
VOID = {"meta", "br", "img", "link", "input", "hr"}


class Parsed(HTMLParser):
    """A page as a browser would take it: elements in order, and whether they close."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        self.text.append(data)

    def all(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]


def without(results: dict, *keys: str) -> dict:
    """The results of a version that did not keep these of each model."""
    rows = [
        {key: value for key, value in row.items() if key not in keys} for row in results["models"]
    ]
    return results | {"models": rows}


@pytest.fixture(scope="module")
def told() -> Contents:
    return contents(made.results(), made.examples())


@pytest.fixture(scope="module")
def text(told) -> str:
    return page(told)


@pytest.fixture(scope="module")
def parsed(text) -> Parsed:
    return Parsed(text)


def test_parts_stand_in_order(parsed) -> None:
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    parts = ["verdict", "models", "accuracy_cost", "waterfall", "residuals", "precision_recall"]
    parts += ["reliability", "strata", "layers", "waveforms", "gates", "provenance"]
    assert [name for name in ids if name in parts] == parts
    assert len(ids) == len(set(ids))
    links = [attributes["href"] for attributes in parsed.all("a")]
    assert {link.removeprefix("#") for link in links} <= set(ids)


def test_headings_are_in_order_and_the_language_is_told(parsed) -> None:
    levels = [int(tag[1]) for tag, _ in parsed.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(below <= above + 1 for above, below in pairwise(levels))
    assert parsed.all("html")[0]["lang"] == "en"


def test_every_picture_says_what_it_shows(parsed) -> None:
    pictures = parsed.all("svg")
    assert len(pictures) == 6 + 3
    assert all(picture["role"] == "img" and picture["aria-label"] for picture in pictures)


def test_nothing_is_loaded_and_one_script_may_run(text, parsed) -> None:
    (policy,) = [each["content"] for each in parsed.all("meta") if "http-equiv" in each]
    (script,) = re.findall("<script>(.*?)</script>", text, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}'" in policy
    assert not re.search(r"""(src|href|action)=["'](?!#)|@import|url\((?!#)""", text)


def test_rows_are_sorted_by_numbers(parsed) -> None:
    cells = [each["data-value"] for each in parsed.all("td") if "data-value" in each]
    assert float(cells[0]) == 378_311
    assert float(cells[3]) == 1.0  # the baseline's own time ratio


def test_colours_are_the_page_s_own(text) -> None:
    assert "currentColor" in text
    assert "var(--line)" in text
    assert "#010203" not in text


def test_hostile_names_stay_names() -> None:
    results = without(made.results(name=HOSTILE), "curves", "reliability", "strata")
    results["models"][2]["label"] = HOSTILE
    results["models"][2]["layers"][0]["layer"] = HOSTILE
    results["models"][2]["verdicts"][0]["reason"] = HOSTILE
    results["versions"][HOSTILE] = HOSTILE
    results["pipeline"]["data"] = {"train": [{"folder": HOSTILE}]}
    hostile = HOSTILE.replace("\x00", "").replace("\ud800", "")  # which NumPy cannot hold
    shown = made.examples(1, records=np.array([hostile]), models=("0-baseline", hostile))
    peer = {**results["models"][0], "label": HOSTILE, "peer": True}
    text = page(contents(results, shown, [peer], title=HOSTILE))
    parsed = Parsed(text)
    text.encode()
    assert not parsed.all("img")
    assert len(parsed.all("script")) == 1
    assert "alert(1)" in "".join(parsed.text)
    assert not any(name.startswith("on") for _, attributes in parsed.tags for name in attributes)


@pytest.mark.parametrize("key", MEASURED)
def test_what_an_older_run_did_not_keep_is_said(key) -> None:
    told = contents(without(made.results(), key), None)
    missing = [picture for picture in told.pictures.values() if picture.draw is None]
    assert len(missing) == 1
    assert "Run the pipeline again" in missing[0].missing
    assert "Run the pipeline again" in told.no_examples


def test_an_older_run_has_a_page() -> None:
    results = without(made.results(), *MEASURED, "sha256", "precision")
    del results["time_shares"]
    text = page(contents(results, None))
    assert text.count("Run the pipeline again with this version to have it.") == 5
    assert len(Parsed(text).all("svg")) == 2


def test_a_run_that_kept_no_stage_has_a_page() -> None:
    results = made.results(models=made.results()["models"][:1])
    text = page(contents(without(results, *MEASURED), None))
    assert "no stage was kept" in text
    assert "there are no two models to compare" in text


def test_the_page_stays_small(monkeypatch, told, tmp_path) -> None:
    write_page(tmp_path / "page.html", told)
    assert (tmp_path / "page.html").stat().st_size < MAXIMUM_BYTES / 3
    monkeypatch.setattr(module, "MAXIMUM_BYTES", 1000)
    with pytest.raises(InputError, match=r"would have .* bytes, more than 1,000"):
        write_page(tmp_path / "other.html", told)
    assert not (tmp_path / "other.html").exists()


def test_templates_are_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["compress.report"]
    found = [each.name for each in files("compress.report").joinpath("templates").iterdir()]
    assert {"report.html.j2", "report.css", "report.js"} == set(found)
    for name in found:
        assert any(fnmatch.fnmatch(f"templates/{name}", pattern) for pattern in patterns)
