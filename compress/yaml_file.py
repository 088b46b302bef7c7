"""YAML files whose errors can be shown with their line."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ValidationError

from baseline.errors import InputError

Model = TypeVar("Model", bound=BaseModel)
Location = Sequence[str | int]

MAXIMUM_BYTES = 50_000
"""Of a file, which takes up to five seconds to parse; pipelines have 5,000."""

MAXIMUM_CAUSES = 1000

MAXIMUM_PROBLEMS = 20
MAXIMUM_SHOWN = 200
"""Of one error: problems, and characters of a value."""


@dataclass
class YamlFile:
    """A parsed YAML file.

    Attributes:
        path: where it is.
        data: its content, as plain Python values.
        lines: the line (from 1) of every key and list item, by location.
    """

    path: Path
    data: Any
    lines: dict[tuple[str | int, ...], int]

    def line(self, location: Location) -> int:
        """The line of a location, or of the closest thing around it."""
        place = tuple(location)
        while place and place not in self.lines:
            place = place[:-1]
        return self.lines.get(place, 1)


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file of plain values: mappings, lists, text, numbers.

    Raises:
        InputError: no such file, no YAML, too large, aliases, tags or a key twice; with the line.
    """
    try:
        if path.stat().st_size > MAXIMUM_BYTES:
            raise InputError(f"{path}: larger than {MAXIMUM_BYTES:,} bytes.")
        text = path.read_text(encoding="utf-8")
        loader = _WithoutAliases(path, text)
        try:
            node = loader.get_single_node()
            data = None if node is None else loader.construct_document(node)
        finally:
            loader.dispose()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from None
    except UnicodeDecodeError:
        raise InputError(f"{path}: is not UTF-8 text.") from None
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InputError(f"{path}, line {line}: not valid YAML: {error.problem}.") from None
    except RecursionError:
        raise InputError(f"{path}: nested too deep.") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise InputError(f"{path}: not valid YAML: {error}.") from None
    lines: dict[tuple[str | int, ...], int] = {}
    _note_lines(path, node, (), lines)
    return YamlFile(path, data, lines)


class _WithoutAliases(yaml.SafeLoader):
    """Plain values only, and each written out: a few aliases can stand for billions of values."""

    def __init__(self, path: Path, text: str) -> None:
        super().__init__(text)
        self._path = path

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            line = self.peek_event().start_mark.line + 1
            raise InputError(f"{self._path}, line {line}: aliases are not allowed.")
        return super().compose_node(parent, index)


def _note_lines(path: Path, node: Any, place: tuple[str | int, ...], lines: dict[Any, int]) -> None:
    if node is None:
        return
    lines.setdefault(place, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*place, key.value)
            if inner in lines:
                raise InputError(
                    f"{path}, line {key.start_mark.line + 1}: {key.value!r} stands twice, first in "
                    f"line {lines[inner]}."
                )
            lines[inner] = key.start_mark.line + 1
            _note_lines(path, value, inner, lines)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            _note_lines(path, value, (*place, index), lines)


def override(file: YamlFile, assignment: str) -> None:
    """Set one value in the file's data, as `stages.2.steps=500`; the value is YAML.

    Raises:
        InputError: no such place, or no valid value.
    """
    place, separator, text = assignment.partition("=")
    keys = [int(part) if part.isdigit() else part for part in place.split(".")]
    if not separator or not all(str(key) for key in keys):
        raise InputError(
            f"--set {assignment}: not of the form PLACE=VALUE.", "For example stages.2.steps=500."
        )
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        raise InputError(f"--set {assignment}: the value is not valid YAML ({error}).") from None
    target = file.data
    for depth, key in enumerate(keys):
        last = depth == len(keys) - 1
        if isinstance(target, list):
            known: list[str | int] = list(range(len(target)))
        else:
            known = list(target) if isinstance(target, dict) else []
        # A key may be new in its section (it may have a default); an item of a list may not.
        if key not in known and not (last and isinstance(target, dict)):
            reached = ".".join(map(str, keys[:depth])) or "the file"
            raise InputError(
                f"--set {assignment}: there is no {key!r} in {reached}.",
                f"It holds {', '.join(map(str, known)) or 'nothing'}.",
            )
        if last:
            target[key] = value
        else:
            target = target[key]


def validate(file: YamlFile, model: type[Model]) -> Model:
    """The file's content as `model`; relative paths in it are taken from the file's folder.

    Raises:
        InputError: with file, line and key of everything that is wrong, and what would be right.
    """
    if not isinstance(file.data, dict):
        raise InputError(f"{file.path}: holds no keys and values.")
    try:
        return model.model_validate(file.data, context={"folder": file.path.resolve().parent})
    except ValidationError as error:
        found = error.errors(include_url=False)[:MAXIMUM_CAUSES]
        # What is said of a whole list or section follows from what is wrong inside it.
        causes = [
            problem
            for problem in found
            if not any(
                len(other["loc"]) > len(problem["loc"])
                and other["loc"][: len(problem["loc"])] == problem["loc"]
                for other in found
            )
        ]
        problems = [_describe(file, problem, model) for problem in causes[:MAXIMUM_PROBLEMS]]
        if len(causes) > MAXIMUM_PROBLEMS:
            problems.append("More is wrong.")
        raise InputError("\n".join(problems)) from None


def _describe(file: YamlFile, problem: Any, model: type[BaseModel]) -> str:
    place = _without_tags(file.data, problem["loc"])
    key = ".".join(map(str, place)) or "the file"
    where = f"{file.path}, line {file.line(place)}: {key}"
    if problem["type"] == "extra_forbidden":
        known = _known_keys(model, problem["loc"][:-1])
        close = difflib.get_close_matches(str(place[-1]), known, n=1)
        guess = f" Did you mean {close[0]!r}?" if close else ""
        return f"{where}: there is no such key.{guess} Known here: {', '.join(known)}."
    message = problem["msg"].removeprefix("Value error, ")
    message = message[:1].lower() + message[1:]
    given = problem.get("input")
    shown = (
        ""
        if isinstance(given, dict | list) or problem["type"] == "missing"
        else f": {_short(given)}"
    )
    if problem["type"] == "missing":
        message = "this key is missing"
    return f"{where}{shown}: {message}."


def _short(given: Any) -> str:
    try:
        text = repr(given)
    except ValueError:  # Python writes no number of more than 4300 digits
        return "a number of thousands of digits"
    return text if len(text) <= MAXIMUM_SHOWN else f"{text[:MAXIMUM_SHOWN]}..."


def _without_tags(data: Any, location: Location) -> list[str | int]:
    """Pydantic's location without the tags of unions, which are no keys of the file."""
    place: list[str | int] = []
    for index, part in enumerate(location):
        if isinstance(data, dict):
            last = index == len(location) - 1
            if part not in data and not last and data.get("kind") == part:
                continue
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        elif not isinstance(part, int) and place:
            continue
        place.append(part)
    return place


def _known_keys(model: type[BaseModel], location: Location) -> list[str]:
    """The keys that the model knows at a location of pydantic's."""
    schema = model.model_json_schema()
    definitions = schema.get("$defs", {})

    def resolve(node: dict[str, Any]) -> dict[str, Any]:
        while "$ref" in node:
            node = definitions[node["$ref"].rsplit("/", 1)[-1]]
        return node

    node = resolve(schema)
    for part in location:
        if isinstance(part, int):
            node = resolve(node.get("items", {}))
        elif part in node.get("properties", {}):
            node = resolve(node["properties"][part])
        elif isinstance(node.get("additionalProperties"), dict):  # any key, one kind of value
            node = resolve(node["additionalProperties"])
        else:
            tagged = node.get("discriminator", {}).get("mapping", {})
            if part in tagged:
                node = resolve({"$ref": tagged[part]})
    return sorted(node.get("properties", {}))
