"""The reference of pipeline files, made from their JSON Schema: `docs/pipeline.md`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

Schema = dict[str, Any]

HEAD = """# Pipeline files

Made from what the program checks files against, by

    compress schema --markdown > docs/pipeline.md

`compress schema` alone prints the same as JSON Schema, by which editors complete and check YAML.

A pipeline file is YAML. A key that is not listed here is an error, and so is a value out of its
bounds; the error names file, line and key. Paths are relative to the folder of the file.
`compress run FILE --set PLACE=VALUE` replaces a value for one run (`--set stages.1.steps=500`; the
first stage is 0), and `compress run FILE --dry-run` checks file and data and says what would run.
"""

DEEPEST_HEADING = 6

NAMES = {
    "boolean": "`true` or `false`",
    "date-time": "date and time",
    "integer": "whole number",
    "number": "number",
    "path": "path",
    "string": "text",
}
"""What formats and types of JSON Schema are called."""


def pipeline_reference(schema: Schema) -> str:
    """Every section, kind and key of a JSON Schema that pydantic made, in Markdown.

    Objects get a heading each, in the order in which they are first met. Of objects that a `kind`
    tells apart, keys that all of them have are listed once. Examples are those in the schema.
    """
    page = _Page(schema["$defs"])
    lines = [HEAD, *_about(page, schema), *_keys(page, "", schema, schema["properties"], level=1)]
    return "\n".join(lines).rstrip() + "\n"


class _Page:
    """The definitions of a schema, and the headings of those that have theirs already."""

    def __init__(self, definitions: dict[str, Schema]) -> None:
        self._definitions = definitions
        self.headings: dict[str, str] = {}

    def resolve(self, schema: Schema) -> Schema:
        """The definition that a schema refers to, or the schema itself."""
        return self._definitions[schema["$ref"].rpartition("/")[2]] if "$ref" in schema else schema

    def objects(self, schema: Schema) -> list[Schema]:
        """The objects that a value may be, or that it may be a list of."""
        schema = self.resolve(schema)
        if "properties" in schema:
            return [schema]
        parts = [*_union(schema), *([schema["items"]] if "items" in schema else [])]
        return [found for part in parts for found in self.objects(part)]

    def object_of(self, schema: Schema, value: dict[str, Any]) -> Schema:
        """Which of the objects that a schema allows `value` is, by its kind."""
        (found,) = (one for one in self.objects(schema) if _kind(one) == value.get("kind", ""))
        return found


def _about(page: _Page, schema: Schema) -> Iterator[str]:
    """What an object is, and examples."""
    yield schema["description"] + "\n"
    for example in schema.get("examples", ()):
        document = _ordered(page, example, schema)
        document = [document] if "kind" in document else document
        text = yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=96)
        yield f"```yaml\n{text}```\n"


def _ordered(page: _Page, value: Any, schema: Schema) -> Any:
    """An example with its keys as in the tables, `kind` first; pydantic sorts them by letters."""
    if isinstance(value, list):
        return [_ordered(page, one, schema) for one in value]
    if not isinstance(value, dict):
        return value
    found = page.object_of(schema, value)
    return {
        name: _ordered(page, value[name], found["properties"][name])
        for name in sorted(_required_first(found), key=lambda name: name != "kind")
        if name in value
    }


def _required_first(schema: Schema) -> list[str]:
    required = schema.get("required", ())
    return sorted(schema["properties"], key=lambda name: name not in required)


def _keys(
    page: _Page, path: str, schema: Schema, properties: dict[str, Schema], level: int
) -> Iterator[str]:
    """A table of keys without the `kind`, which headings tell, and the objects under them."""
    required = schema.get("required", ())
    names = [name for name in _required_first(schema) if name in properties and name != "kind"]
    under: list[tuple[str, list[Schema]]] = []
    for name in names:
        place = f"{path}.{name}" if path else name
        new = [one for one in page.objects(properties[name]) if one["title"] not in page.headings]
        page.headings |= {one["title"]: _heading(place, one) for one in new}
        if new:
            under.append((place, new))
    if names:
        yield "| key | value | default | what |"
        yield "|---|---|---|---|"
    for name in names:
        value = _value(page, properties[name])
        default = "required" if name in required else _default(page, properties[name])
        what = properties[name]["description"].replace("|", "\\|")
        yield f"| `{name}` | {value} | {default} | {what} |"
    yield ""
    for place, members in under:
        yield from _under(page, place, members, level + 1)


def _under(page: _Page, place: str, members: list[Schema], level: int) -> Iterator[str]:
    """The objects that may stand at one place: one, or several kinds."""
    hashes = "#" * min(level, DEEPEST_HEADING - 1)
    if len(members) == 1:
        yield f"{hashes} {page.headings[members[0]['title']]}\n"
        yield from _about(page, members[0])
        yield from _keys(page, place, members[0], members[0]["properties"], level)
        return
    yield f"{hashes} {_place_of_kinds(place)}\n"
    kinds = ", ".join(f"[{_kind(one)}]({_link(page, one)})" for one in members)
    common = _common(members)
    yield f"The `kind` of each is one of: {kinds}." + (" All of them have:" * bool(common)) + "\n"
    if common:
        yield from _keys(page, place, members[0], common, level)
    for member in members:
        yield f"{hashes}# {page.headings[member['title']]}\n"
        yield from _about(page, member)
        own = {name: one for name, one in member["properties"].items() if name not in common}
        stem = _kind(member) if place == "stages" else place
        yield from _keys(page, stem, member, own, level + 1)


def _common(members: list[Schema]) -> dict[str, Schema]:
    """The properties that are the same in all of them."""
    first, *others = (member["properties"] for member in members)
    return {
        name: schema
        for name, schema in first.items()
        if all(other.get(name) == schema for other in others)
    }


def _place_of_kinds(place: str) -> str:
    """Sources stand at three places in `data`, and are described at the first."""
    return "source" if place.startswith("data.") else place


def _heading(place: str, member: Schema) -> str:
    kind = _kind(member)
    return f"{_place_of_kinds(place)}: {kind}" if kind else place


def _kind(member: Schema) -> str:
    return str(member["properties"].get("kind", {}).get("const", ""))


def _link(page: _Page, member: Schema) -> str:
    """How GitHub names a heading in links."""
    heading = page.headings[member["title"]].lower()
    return "#" + "".join(c for c in heading if c.isalnum() or c in "_- ").replace(" ", "-")


def _union(schema: Schema) -> list[Schema]:
    """What a value may be alternatively, but for null."""
    parts = schema.get("oneOf", []) + schema.get("anyOf", [])
    return [part for part in parts if part.get("type") != "null"]


def _value(page: _Page, schema: Schema) -> str:
    """What a value may be, with its bounds."""
    alternatives = list(dict.fromkeys(_alternatives(page, schema)))
    if len(alternatives) == 1:
        return alternatives[0]
    # Where they have commas themselves, commas would not keep them apart.
    comma, last = ("; ", "; or ") if any("," in one for one in alternatives) else (", ", " or ")
    return comma.join(alternatives[:-1]) + last + alternatives[-1]


def _alternatives(page: _Page, schema: Schema) -> Iterator[str]:
    schema = page.resolve(schema)
    if "properties" in schema:
        heading = page.headings[schema["title"]]
        yield f"[{_kind(schema) or heading}]({_link(page, schema)})"
    elif "enum" in schema:
        yield from (f"`{one}`" for one in schema["enum"])
    elif "const" in schema:
        yield f"`{schema['const']}`"
    elif parts := _union(schema):
        for part in parts:
            yield from _alternatives(page, part)
    elif "prefixItems" in schema:
        items = list(dict.fromkeys(_value(page, part) for part in schema["prefixItems"]))
        yield f"list of {len(schema['prefixItems'])}: {' and '.join(items)}"
    elif schema["type"] == "array":
        least, most = schema.get("minItems", 0), schema.get("maxItems")
        length = f" of {least} to {most}" if most else " of at least 1" if least else ""
        yield f"list{length}: {_value(page, schema['items'])}"
    else:
        yield ", ".join([NAMES[schema.get("format") or schema["type"]], *_bounds(schema)])


def _bounds(schema: Schema) -> Iterator[str]:
    """Such as `1 to 64`, or `above 0` and `at most 1`."""
    if "minimum" in schema and "maximum" in schema:
        yield f"{schema['minimum']:,.10g} to {schema['maximum']:,.10g}"
    else:
        for word, key in (
            ("at least", "minimum"),
            ("above", "exclusiveMinimum"),
            ("at most", "maximum"),
            ("below", "exclusiveMaximum"),
        ):
            if key in schema:
                yield f"{word} {schema[key]:,.10g}"
    if "multipleOf" in schema:
        yield f"a multiple of {schema['multipleOf']}"


def _default(page: _Page, schema: Schema) -> str:
    if "default" not in schema:
        return "see there"
    value = _without_defaults(page, schema["default"], schema)
    if value == []:
        return "none"
    if value == {}:
        return "as below"
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, sort_keys=False)
    text = text.strip().removesuffix("...").strip()  # which ends a document of one value
    return f"`{text}`"


def _without_defaults(page: _Page, value: Any, schema: Schema) -> Any:
    """A default, of its objects only what is not their own default, such as their `kind`."""
    if isinstance(value, list):
        # An object that is all defaults keeps its first key, or nothing would be seen of it.
        return [
            _without_defaults(page, one, schema)
            or (dict([next(iter(one.items()))]) if isinstance(one, dict) else one)
            for one in value
        ]
    if not isinstance(value, dict):
        return value
    properties = page.object_of(schema, value)["properties"]
    return {
        name: one
        for name, one in value.items()
        if name == "kind" or one != properties[name].get("default", one)
    }
