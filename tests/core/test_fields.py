"""What editors and `easews kinds KIND` show of a kind: every field is told, with an example."""

from __future__ import annotations

import pytest
from tests.ourkinds import OUR_KINDS

from easews.config.fields import Field, fields_of
from easews.config.schemas import OBJECT_KINDS, kind_schema
from easews.schema import errors

KINDS = OUR_KINDS
OURS = {name: kind_schema(name, KINDS) for name in (*OBJECT_KINDS, *KINDS)}
FIELDS = [
    pytest.param(field, id=f"{name}-{field.path}")
    for name in OURS
    for field in fields_of(OURS[name])
]


def says_its_values(field: Field) -> bool:
    return bool({"enum", "const"} & field.schema.keys()) or field.schema.get("type") == "boolean"


@pytest.mark.parametrize("field", FIELDS)
def test_a_field_of_ours_is_told(field: Field) -> None:
    assert len(field.description.split()) > 2
    if field.supported:
        assert says_its_values(field) or field.schema.get("examples"), "an example"
        told = field.required or field.default or "ithout" in field.description
        assert told, "a default, or a description that says 'Without it ...'"


@pytest.mark.parametrize("field", FIELDS)
def test_an_example_is_valid(field: Field) -> None:
    for example in field.schema.get("examples", ()):
        assert not [*errors(field.schema, example)], example


@pytest.mark.parametrize("name", OURS)
def test_the_example_of_a_whole_kind_is_valid(name: str) -> None:
    assert OURS[name].get("examples")
    for example in OURS[name]["examples"]:
        own = {} if name in OBJECT_KINDS else {"kind": name, "name": "x"}
        assert not [*errors(OURS[name], {**own, **example})]


def test_fields_are_listed_by_path_with_type_and_default() -> None:
    schema = {
        "type": "object",
        "required": ["pools"],
        "properties": {
            "pools": {"type": "array", "items": {"$ref": "#/$defs/pool"}},
            "wait": {"$ref": "urn:easews:common#/$defs/duration", "default": "5s"},
            "later": {"not": {}, "description": "Not supported yet: waiting."},
            "free": {},
        },
        "$defs": {"pool": {"type": "object", "properties": {"mode": {"enum": ["a", 1]}}}},
    }
    found = [(field.path, field.type, field.default, field.required) for field in fields_of(schema)]
    assert found == [
        ("pools", "list of mapping", "", True),
        ("pools[].mode", "a | 1", "", False),
        ("wait", "duration", "5s", False),
        ("later", "any value", "", False),
        ("free", "any value", "", False),
    ]


def test_a_schema_that_contains_itself_has_an_end() -> None:
    tree = {"type": "object", "properties": {"child": {"$ref": "#/$defs/tree"}}}
    schema = {**tree, "$defs": {"tree": tree}}
    assert [field.path for field in fields_of(schema)] == ["child", "child.child"]


def test_a_mapping_of_mappings_of_its_own_kind_has_an_end() -> None:
    tree = {"type": "object", "additionalProperties": {"$ref": "#/$defs/tree"}}
    leaf = {"properties": {"leaf": {"type": "string"}}}
    schema = {"allOf": [leaf], **tree, "$defs": {"tree": {"allOf": [leaf], **tree}}}
    assert [field.path for field in fields_of(schema)] == ["leaf", "*.leaf"]


def test_a_list_of_lists_of_its_own_kind_has_an_end() -> None:
    lists = {"type": "array", "items": {"$ref": "#/$defs/lists"}}
    schema = {"properties": {"lists": {"$ref": "#/$defs/lists"}}, "$defs": {"lists": lists}}
    assert [(field.path, field.type) for field in fields_of(schema)] == [
        ("lists", "list of list of lists")
    ]


def test_a_list_of_what_contains_it_has_an_end() -> None:
    children = {"type": "array", "items": {"$ref": "#/$defs/tree"}}
    tree = {"type": "object", "properties": {"children": children, "any": True}}
    schema = {**tree, "$defs": {"tree": tree}}
    paths = [field.path for field in fields_of(schema)]
    assert paths == ["children", "children[].children", "children[].any", "any"]
