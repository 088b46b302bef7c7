"""The page of a run in a browser: complete, silent, sortable, narrow, dark, and on paper."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import finished_run as made
import pytest

from compress.report.contents import contents
from compress.report.page import write_page

sync_api = pytest.importorskip("playwright.sync_api")

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="module")
def page_file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "report.html"
    write_page(path, contents(made.results(), made.examples()))
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator[sync_api.Browser]:
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip(f"no browser here: none of {', '.join(BROWSERS)}")
    with sync_api.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=program, args=list(FLAGS))
        yield browser
        browser.close()


@pytest.fixture
def opened(browser, page_file):
    """Opens the page; what it says, asks for and gets wrong is kept beside it."""
    pages = []

    def open_page(**options):
        page = browser.new_page(**options)
        page.said, page.asked = [], []
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(page_file.as_uri())
        pages.append(page)
        return page

    yield open_page
    for page in pages:
        page.close()


def test_it_says_nothing_and_asks_for_nothing(opened, page_file) -> None:
    page = opened()
    assert page.said == []
    assert page.asked == [page_file.as_uri()]
    boxes = [picture.bounding_box() for picture in page.query_selector_all("svg")]
    assert len(boxes) == 6 + 3
    assert all(box["width"] > 300 and box["height"] > 80 for box in boxes)


def column(page, place: int) -> list[str]:
    return page.eval_on_selector_all(
        f"table.sortable tbody tr > :nth-child({place})", "cells => cells.map(c => c.textContent)"
    )


def test_a_heading_sorts_by_numbers(opened) -> None:
    page = opened()
    file, heading = 4, page.locator("table.sortable thead th").nth(3)
    before = column(page, file)
    assert before == ["2,400.0 kB", "300.0 kB", "80.0 kB", "80.0 kB"]
    heading.locator("button").click()
    assert heading.get_attribute("aria-sort") == "ascending"
    assert column(page, file) == ["80.0 kB", "80.0 kB", "300.0 kB", "2,400.0 kB"]
    heading.locator("button").focus()
    page.keyboard.press("Enter")
    assert heading.get_attribute("aria-sort") == "descending"
    assert column(page, file) == before
    other = page.locator("table.sortable thead th").nth(0)
    other.locator("button").click()
    assert heading.get_attribute("aria-sort") is None
    assert column(page, 1)[0].startswith("0-baseline")


def test_a_narrow_page_scrolls_one_way(opened) -> None:
    page = opened(viewport={"width": 400, "height": 800})
    assert page.evaluate("document.scrollingElement.scrollWidth") <= 400


@pytest.mark.parametrize(("scheme", "dark"), [("light", False), ("dark", True)])
def test_it_follows_the_reader_s_colours(scheme, dark, opened) -> None:
    page = opened(color_scheme=scheme)
    background, ink = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor,"
        " getComputedStyle(document.querySelector('svg text')).fill]"
    )
    assert (_brightness(background) < 60) is dark
    assert (_brightness(ink) > 200) is dark


def _brightness(colour: str) -> float:
    channels = colour.removeprefix("rgb(").removesuffix(")").split(",")
    return sum(map(int, channels)) / 3


def test_it_is_complete_without_its_script(opened) -> None:
    page = opened(java_script_enabled=False)
    assert page.locator("table.sortable tbody tr").count() == 4
    assert page.locator("#gates td").count() > 0


def test_it_prints_with_what_is_folded_away(opened) -> None:
    page = opened()
    assert page.pdf().startswith(b"%PDF")
    page.emulate_media(media="print")
    layer = page.get_by_text("not in the student").first
    assert layer.is_visible()
