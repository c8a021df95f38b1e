"""Schemas: which are accepted, what is filled in, and which faults are told."""

from __future__ import annotations

from typing import Any

import pytest
from jsonschema import SchemaError

from easews.config.schemas import OBJECT_KINDS, object_schema
from easews.schema import (
    bound,
    check_schema,
    complete,
    errors,
    is_write_only,
    known_keys,
    load,
)

COMMON = "urn:easews:common#/$defs/"


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties}


@pytest.mark.parametrize("kind", OBJECT_KINDS)
def test_the_engines_own_schemas_are_good(kind: str) -> None:
    check_schema(object_schema(kind))
    check_schema(load("common"))


@pytest.mark.parametrize("kind", OBJECT_KINDS)
def test_every_field_is_described(kind: str) -> None:
    schema = load(kind)
    common = load("common")["$defs"]
    for place in (schema, *schema["$defs"].values()):
        for name, field in place.get("properties", {}).items():
            target = field.get("$ref", "").rpartition("/")[2]
            definition = schema["$defs"].get(target) or common.get(target, {})
            described = field.get("description") or definition.get("description")
            assert described or name == "kind", name


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "strin"}, "'strin'"),
        (of(a={"$ref": "#/$defs/nowhere"}), "leads nowhere"),
        (of(a={"$ref": COMMON + "nothing"}), "leads nowhere"),
        (of(a={"$ref": COMMON + "duration", "default": "soon"}), "the default 'soon'"),
        (of(a={"type": "integer", "default": "1"}), "the default '1'"),
        (of(a={"$dynamicRef": "#node"}), "write \\$ref"),
        (of(a={"$ref": "#/properties/a"}), "leads back to its own schema"),
        (of(a={"anyOf": [{"type": "string"}, {"$ref": "#/properties/a"}]}), "leads back"),
        (
            of(a={**of(b={"$ref": "#/properties/a"}), "default": {}}),
            "the default {} contains itself",
        ),
    ],
)
def test_a_bad_schema_is_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(SchemaError, match=reason):
        check_schema(schema)


def test_a_schema_that_was_changed_is_checked_again() -> None:
    schema = of(a={"type": "integer"})
    check_schema(schema)
    schema["properties"]["a"]["default"] = "1"
    for _ in range(2):
        with pytest.raises(SchemaError, match="the default '1'"):
            check_schema(schema)


def test_defaults_are_filled_in_and_units_converted() -> None:
    timeouts = of(connect={"$ref": COMMON + "duration", "default": "5s"})
    schema = of(
        timeouts={**timeouts, "default": {}},
        limit={"$ref": COMMON + "size", "default": "64KiB"},
        pools={"type": "array", "items": timeouts},
        absent={"type": "string"},
    )
    given = {"pools": [{}, {"connect": "250ms"}], "limit": -1}
    assert complete(schema, given) == {
        "timeouts": {"connect": 5.0},
        "pools": [{"connect": 5.0}, {"connect": 0.25}],
        "limit": -1,
    }
    assert given == {"pools": [{}, {"connect": "250ms"}], "limit": -1}


def test_units_are_found_through_local_references_and_alternatives() -> None:
    schema = {
        **of(wait={"anyOf": [{"const": "forever"}, {"$ref": "#/$defs/wait"}]}),
        "additionalProperties": {"$ref": "#/$defs/wait"},
        "$defs": {"wait": {"$ref": COMMON + "duration"}},
    }
    assert complete(schema, {"wait": "1m", "x": "2s"}) == {"wait": 60.0, "x": 2.0}
    assert complete(schema, {"wait": "forever"}) == {"wait": "forever"}


def test_defaults_are_those_of_the_branch_that_holds() -> None:
    kind = {"properties": {"tls": {"const": True}}, "required": ["tls"]}
    schema = {
        "if": kind,
        "then": of(port={"default": 443}),
        "else": of(port={"default": 80}),
        "allOf": [of(host={"default": "localhost"})],
    }
    assert complete(schema, {"tls": True}) == {"tls": True, "host": "localhost", "port": 443}
    assert complete(schema, {}) == {"host": "localhost", "port": 80}


def test_what_has_to_be_completed_is_found_out_once(monkeypatch: pytest.MonkeyPatch) -> None:
    wait = {"$ref": COMMON + "duration", "default": "5s"}
    schema = bound(of(pools={"type": "array", "items": of(wait=wait)}))
    assert complete(schema, {"pools": [{}, {}]}) == {"pools": [{"wait": 5.0}] * 2}
    monkeypatch.setattr("easews.schema.completion._Plan", None)
    assert complete(schema, {"pools": [{}] * 9}) == {"pools": [{"wait": 5.0}] * 9}


def test_a_default_is_never_shared() -> None:
    schema = of(tags={"type": "array", "default": []})
    complete(schema, {})["tags"].append("mine")
    assert complete(schema, {}) == {"tags": []}


def test_the_faults_of_alternatives_are_those_of_the_likeliest() -> None:
    near = {**of(port={"type": "integer"}), "required": ["port"]}
    schema = {"anyOf": [{"type": "string"}, near]}
    (error,) = errors(schema, {"port": "x"})
    assert (list(error.absolute_path), error.validator) == (["port"], "type")


def test_a_schema_may_be_a_boolean() -> None:
    schema = {**of(a=True), "allOf": [True, of(b={"default": 1})]}
    assert complete(schema, {"a": "x"}) == {"a": "x", "b": 1}


def test_keys_are_known_below_patterns_too() -> None:
    schema = {"patternProperties": {"^x-": of(here={})}, **of(named=of(there={}))}
    assert known_keys(schema, ("x-a",)) == ["here"]
    assert known_keys(schema, ("named",)) == ["there"]
    assert known_keys({"anyOf": [of(either={})], **of(own={})}, ()) == ["own", "either"]


def test_a_secret_is_known_wherever_the_schema_hides_it() -> None:
    secret = {"type": "string", "writeOnly": True}
    schema = {
        **of(a={"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/user"}]}}, b={}),
        "$defs": {"user": of(password=secret)},
    }
    assert is_write_only(schema, ("a", 0, "password"))
    assert not is_write_only(schema, ("a", 0))
    assert not is_write_only(schema, ("b", "password"))
    assert known_keys(schema, ("a", 3)) == ["password"]


def test_a_name_of_a_file_begins_at_the_folder_that_is_given() -> None:
    file = {"type": "string", "x-file": True}
    schema = {"properties": {"a": file, "b": {"items": file}, "c": {"type": "string"}}}
    written = {"a": "x.pem", "b": ["/y.pem", "z/z.pem"], "c": "x"}
    assert complete(schema, written, "/etc") == {
        "a": "/etc/x.pem",
        "b": ["/y.pem", "/etc/z/z.pem"],
        "c": "x",
    }
    assert complete(schema, written) == written
