"""The reference of pipeline files, and what it is made of: descriptions, bounds, examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import BaseModel, Field, TypeAdapter

from compress.config import Pipeline
from compress.data.sources import SourceConfig
from compress.report.reference import pipeline_reference
from compress.stages import AnyStage

PAGE = Path(__file__).parents[3] / "docs" / "pipeline.md"
SCHEMA = Pipeline.model_json_schema()
OBJECTS = {
    name: one
    for name, one in [("Pipeline", SCHEMA), *SCHEMA["$defs"].items()]
    if "properties" in one
}


def test_the_page_is_what_the_code_says():
    assert PAGE.read_text(encoding="utf-8") == pipeline_reference(SCHEMA), (
        "docs/pipeline.md is not what the code generates: renew it by "
        "`compress schema --markdown > docs/pipeline.md`"
    )


def test_the_command_prints_the_page(run_cli):
    assert run_cli("schema", "--markdown") == (0, pipeline_reference(SCHEMA))


@pytest.mark.parametrize("name", OBJECTS)
def test_everything_is_described(name):
    assert OBJECTS[name].get("description")
    silent = [
        key
        for key, field in OBJECTS[name]["properties"].items()
        if key != "kind" and not field.get("description")
    ]
    assert not silent, f"{name} has keys without a description: {', '.join(silent)}"


def test_every_object_has_a_heading_and_every_link_leads_to_one():
    page = pipeline_reference(SCHEMA)
    headings = [line.lstrip("#").strip() for line in page.splitlines() if line.startswith("#")]
    assert len(headings) == len(set(headings))
    kinds = [
        one["properties"]["kind"]["const"]
        for one in OBJECTS.values()
        if "kind" in one["properties"]
    ]
    assert all(any(heading.endswith(f": {kind}") for heading in headings) for kind in kinds)
    anchors = {
        "".join(c for c in heading.lower() if c.isalnum() or c in "_- ").replace(" ", "-")
        for heading in headings
    }
    linked = {part.partition(")")[0] for part in page.split("](#")[1:]}
    assert linked
    assert linked <= anchors


@pytest.mark.parametrize(
    ("kinds", "members"),
    [
        (AnyStage, SCHEMA["properties"]["stages"]["items"]["oneOf"]),
        (SourceConfig, SCHEMA["$defs"]["DataConfig"]["properties"]["train"]["items"]["oneOf"]),
    ],
)
def test_every_stage_and_source_has_an_example_that_is_valid(kinds, members):
    for member in members:
        one = OBJECTS[member["$ref"].rpartition("/")[2]]
        assert one["examples"]
        for example in one["examples"]:
            assert TypeAdapter(kinds).validate_python(example).kind == example["kind"]


def test_the_example_of_a_whole_file_is_valid():
    for example in SCHEMA["examples"]:
        assert Pipeline.model_validate(example).stages


def test_a_table_tells_value_bounds_and_default():
    class Inner(BaseModel):
        """What is inside."""

        share: float = Field(default=0.5, gt=0, le=1, description="A share.")

    class Outer(BaseModel):
        """What is outside."""

        inner: list[Inner] = Field(default=[Inner()], min_length=1, description="Some | others.")
        number: int = Field(ge=1, multiple_of=4, description="A number.")

    lines = pipeline_reference(Outer.model_json_schema()).splitlines()
    assert (
        "| `number` | whole number, at least 1, a multiple of 4 | required | A number. |" in lines
    )
    assert (
        "| `inner` | list of at least 1: [inner](#inner) | `[{share: 0.5}]` | Some \\| others. |"
        in lines
    )
    assert "| `share` | number, above 0, at most 1 | `0.5` | A share. |" in lines
    assert lines.index("## inner") > lines.index("What is outside.")
