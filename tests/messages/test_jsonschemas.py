"""Schemas of messages: what is wrong is told without content, and costs no more than it may."""

from __future__ import annotations

from time import process_time
from typing import Any

import pytest

from easews_messages.jsonschemas import MessageSchema
from easews_messages.schemafaults import schema_faults

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name"],
    "properties": {
        "name": {"type": "string", "pattern": "^[a-z]+$", "minLength": 2},
        "a b": {"type": "integer"},
        "tags": {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        "child": {"$ref": "#"},
        "step": {"multipleOf": 0.5},
        "kind": {"enum": ["x", "y"]},
        "either": {"type": ["string", "null"]},
        "map": {"type": "object", "patternProperties": {"^n": {"type": "number"}}},
    },
    "patternProperties": {"^x-": {"type": "string"}},
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ({"name": "ab", "tags": ["a", "b"], "x-1": "", "child": {"name": "cd"}}, None),
        ({"name": "ab", "map": {"n": 1, "m": "any"}, "either": None, "step": 1.5}, None),
        ("secret", "$ is not of type object"),
        ({"secret": 1}, "$ lacks 'name'"),
        ({"name": "SECRET"}, "$.name does not have the form that is required"),
        ({"name": "a"}, "$.name is too short"),
        ({"name": "ab", "secret": 1}, "$ has a field that is not allowed"),
        ({"name": "ab", "x-secret": 1}, "$.* is not of type string"),
        ({"name": "ab", "a b": "secret"}, "$['a b'] is not of type integer"),
        ({"name": "ab", "tags": ["a", 1]}, "$.tags[1] is not of type string"),
        ({"name": "ab", "tags": ["a", "b", "a"]}, "$.tags has an item twice"),
        ({"name": "ab", "child": {"name": 1}}, "$.child.name is not of type string"),
        ({"name": "ab", "kind": "secret"}, "$.kind is none of the values that are allowed"),
        ({"name": "ab", "either": 1}, "$.either is not of type string or null"),
        ({"name": "ab", "step": 0.3}, "$.step does not fit multipleOf"),
        ({"name": "ab", "step": 10**400}, "has a number that is too large"),
        ({"name": "ab", "map": {"nine": ""}}, "$.map.* is not of type number"),
    ],
)
def test_a_fault_is_told_by_place_and_rule_without_content(value: Any, fault: str | None) -> None:
    assert MessageSchema(SCHEMA).fault(value) == fault


@pytest.mark.parametrize(
    ("items", "is_valid"),
    [
        ([1, 1.0], False),
        ([1, True], True),
        ([{"a": 1, "b": 2}, {"b": 2, "a": 1.0}], False),
        ([[1], ["1"]], True),
        ([None, 0, "", False], True),
    ],
)
def test_items_are_compared_as_json_schema_says(items: list[Any], is_valid: bool) -> None:
    assert (MessageSchema({"uniqueItems": True}).fault(items) is None) is is_valid


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"pattern": "^(a+)+$"}, "a" * 50_000 + "!"),
        ({"patternProperties": {"^(a+)+$": True}}, {"a" * 50_000 + "!": 1}),
        (
            {"patternProperties": {"^(a+)+$": True}, "additionalProperties": {}},
            {"a" * 50_000 + "!": 1},
        ),
        ({"uniqueItems": True}, [*range(20_000), *map(str, range(20_000))]),
    ],
)
def test_no_message_makes_a_check_take_long(schema: dict[str, Any], value: Any) -> None:
    began = process_time()
    MessageSchema(schema).fault(value)
    assert process_time() - began < 2  # otherwise it is minutes


def test_what_is_no_object_has_no_fields() -> None:
    schema = MessageSchema({"patternProperties": {"a": False}, "additionalProperties": False})
    assert schema.fault(["a"]) is None
    assert MessageSchema({"uniqueItems": True, "pattern": "a"}).fault({}) is None


@pytest.mark.parametrize("part", [False, {"type": "string"}, True])
def test_fields_beside_patterns_are_additional(part: Any) -> None:
    schema = MessageSchema({"patternProperties": {"^n": True}, "additionalProperties": part})
    assert schema.fault({"n1": 1}) is None
    assert (schema.fault({"other": 1}) is None) is (part is True)


@pytest.mark.parametrize(
    ("schema", "path", "wrong"),
    [
        ([], (), "this is no JSON Schema"),
        ({"type": "text"}, ("type",), "'text' is not valid"),
        ({"properties": {"a": {"minimum": "1"}}}, ("properties", "a", "minimum"), "'1' is not of"),
        ({"items": {"pattern": "a(?=b)"}}, ("items", "pattern"), "no regular expression of RE2"),
        (
            {"properties": {"pattern": {"patternProperties": {"(a)\\1": True}}}},
            ("properties", "pattern", "patternProperties", "(a)\\1"),
            "no regular expression of RE2",
        ),
        ({"anyOf": [{}, {"$ref": "#/$defs/a"}]}, ("anyOf", 1, "$ref"), "leads nowhere"),
        ({"$ref": "http://127.0.0.1:1/x"}, ("$ref",), "leads nowhere"),
        ({"$ref": "#"}, (), "back to its own schema"),
        (
            {"patternProperties": {"a": True}, "allOf": [{"unevaluatedProperties": False}]},
            ("allOf", 0, "unevaluatedProperties"),
            "cannot be checked beside",
        ),
    ],
)
def test_a_schema_with_a_fault_is_told_where(
    schema: Any, path: tuple[str | int, ...], wrong: str
) -> None:
    (fault,) = schema_faults(schema)
    assert tuple(fault.path) == path
    assert wrong in fault.wrong


@pytest.mark.parametrize(
    "schema",
    [
        SCHEMA,
        {},
        {"enum": [{"$ref": "nowhere", "pattern": "("}]},
        {"$schema": "http://json-schema.org/draft-07/schema#", "definitions": {"a": {}}},
        {"$defs": {"a": {"$id": "urn:a", "$defs": {"b": {}}, "$ref": "#/$defs/b"}}},
        {"properties": {"$ref": {"type": "string"}, "pattern": {"type": "string"}}},
    ],
)
def test_a_good_schema_has_no_fault(schema: Any) -> None:
    assert not [*schema_faults(schema)]


def test_the_dialect_is_the_one_that_the_schema_names() -> None:
    old = {"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}]}
    assert MessageSchema(old).fault([1]) == "$[0] is not of type string"


def test_a_value_that_is_too_deep_for_a_schema_is_not_valid() -> None:
    deep: Any = []
    for _ in range(3000):
        deep = [deep]
    fault = MessageSchema({"items": {"$ref": "#"}}).fault(deep)
    assert fault == "is nested too deep to be checked"
