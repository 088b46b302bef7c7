"""Figures as SVG inside a page, in the page's own colours: they can be read on dark, too."""

from __future__ import annotations

import io
import re
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

from compress.report.plots import COLOURS, STYLE

INK = "#010203"
"""Drawn in this, text and axes take the page's colour of text."""

LINE = "#dddcdb"
"""Likewise, for grids: the page's colour of lines."""

PAGE_STYLE: dict[Any, Any] = {
    **STYLE,
    "grid.color": LINE,
    "hatch.linewidth": 0.8,
    "path.simplify_threshold": 0.3,
    # A name with two dollar signs is a name, not a formula.
    "text.parse_math": False,
    **dict.fromkeys(
        ("text.color", "axes.edgecolor", "axes.labelcolor", "xtick.color", "ytick.color"), INK
    ),
}
"""What figures for a page are drawn with; as PNG they look like all others."""

_REPLACED = {INK: "currentColor", LINE: "var(--line)", COLOURS[0].lower(): "var(--blue)"}
_ALONE = f"color: {INK}; background: #ffffff; --line: {LINE}; --blue: {COLOURS[0]}"
_SVG = "{http://www.w3.org/2000/svg}"
_HREF = "{http://www.w3.org/1999/xlink}href"
_DECIMALS = re.compile(r"\d+\.\d{3,}")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def inline_svg(figure: Figure, name: str, alt: str) -> Markup:
    """A figure as an SVG element.

    Args:
        figure: drawn with PAGE_STYLE.
        name: unlike that of any other figure of the page; the ids of its parts are made of it.
        alt: what it shows, for whoever does not see it.
    """
    stream = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(stream, format="svg", transparent=True, metadata={"Date": None})
    root = ElementTree.fromstring(stream.getvalue())
    for element in [each for each in root if each.tag in (f"{_SVG}metadata", f"{_SVG}defs")]:
        if element.tag == f"{_SVG}metadata" or element.find(f"{_SVG}style") is not None:
            root.remove(element)
    used = {
        reference
        for element in root.iter()
        for value in element.attrib.values()
        for reference in (value[1:] if value[:1] == "#" else None, *_REFERENCE.findall(value))
        if reference
    }
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        if element.get("id") not in used:
            element.attrib.pop("id", None)
        if _HREF in element.attrib:
            element.set("href", element.attrib.pop(_HREF))
        for key, value in element.attrib.items():
            element.set(key, _shortened(value))
    for size in ("width", "height"):
        root.attrib.pop(size)
    root.set("role", "img")
    root.set("aria-label", alt)
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def standalone(svg: Markup) -> str:
    """What `inline_svg` made, as a file of its own: black on white."""
    root = ElementTree.fromstring(svg)
    root.set("xmlns", _SVG.strip("{}"))
    root.set("style", _ALONE)
    return ElementTree.tostring(root, encoding="unicode")


def _shortened(value: str) -> str:
    """With the page's colours, and hundredths of a point where matplotlib writes millionths."""
    for drawn, shown in _REPLACED.items():
        value = value.replace(drawn, shown)
    return _DECIMALS.sub(lambda number: f"{float(number[0]):.2f}", value)
