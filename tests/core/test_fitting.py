"""The quick test of a value agrees with jsonschema, whatever the schema."""

from __future__ import annotations

from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from easews.schema import bound, complete, errors
from easews.schema.fitting import fits
from easews.schema.metaschema import metaschema

KEYS = st.sampled_from(["a", "b", "c"])
SCALARS = st.sampled_from([None, True, False, 0, 1, 1.0, -2, "", "a", "ab", "5s"])
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
TYPES = st.sampled_from(["object", "array", "string", "integer", "number", "boolean", "null"])
REFERENCES = st.sampled_from(["#/$defs/text", "#/$defs/tree", "urn:easews:common#/$defs/duration"])
DEFS = {
    "text": {"type": "string", "minLength": 1},
    "tree": {"type": "object", "additionalProperties": {"$ref": "#/$defs/tree"}},
}
KEYWORDS = sorted(metaschema()["properties"])


def schemas(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    several = st.lists(inner, min_size=1, max_size=3)
    named = st.dictionaries(KEYS, inner, max_size=3)
    keywords = {
        "type": TYPES | st.lists(TYPES, min_size=1, max_size=2, unique=True),
        "const": SCALARS,
        "enum": st.lists(SCALARS, min_size=1, max_size=3),
        "minimum": st.just(1),
        "pattern": st.just("^a"),
        "uniqueItems": st.booleans(),
        "required": st.lists(KEYS, max_size=2, unique=True),
        "additionalProperties": inner,
        "unevaluatedProperties": inner,
        "patternProperties": st.dictionaries(st.just("^[ab]"), inner, max_size=1),
        "properties": named,
        "prefixItems": several,
        "contains": inner,
        "propertyNames": inner,
        "$ref": REFERENCES,
        **dict.fromkeys(("allOf", "anyOf", "oneOf"), several),
        **dict.fromkeys(("items", "not", "if", "then", "else"), inner),
    }
    return st.fixed_dictionaries({}, optional=keywords)


SCHEMAS = st.recursive(st.booleans(), schemas, max_leaves=4)


@given(schemas(SCHEMAS), VALUES)
@example({"prefixItems": [True], "items": False}, [1])
@example({"if": {"type": "string"}, "then": {"minLength": 1}, "else": False}, 1)
@example({"if": {"type": "string"}, "then": {"minLength": 1}, "else": {"minimum": 1}}, "")
@example({"oneOf": [True, {"type": "string"}]}, "a")
@example({"$ref": "#/$defs/tree"}, {"a": {"b": {"c": 1}}})
def test_it_judges_as_jsonschema_does(schema: dict[str, Any], value: object) -> None:
    common = bound({"$ref": "urn:easews:common#/$defs/duration"})["allOf"][0]
    alone = {"$defs": {**DEFS, "duration": common}, **_local(schema)}
    with_references = {"$defs": DEFS, **schema}
    valid = Draft202012Validator(alone).is_valid(value)
    assert fits(bound(with_references), value) == valid
    assert bool([*errors(with_references, value)]) != valid
    if valid:
        complete(with_references, value)


def _local(schema: Any) -> Any:
    """With references to the shared definitions leading into the schema itself."""
    if isinstance(schema, dict):
        return {key: _local(value) for key, value in schema.items()}
    if isinstance(schema, list):
        return [_local(item) for item in schema]
    is_common = isinstance(schema, str) and schema.startswith("urn:")
    return "#/$defs/duration" if is_common else schema


@given(
    st.recursive(
        VALUES,
        lambda inner: st.dictionaries(
            st.sampled_from(KEYWORDS), inner | st.lists(inner), max_size=3
        ),
        max_leaves=8,
    )
    | SCHEMAS
)
@example({"$defs": {"a": {"properties": {"a": {"minLength": -1}}}}})
@example({"dependencies": {"a": ["b"], "b": {"type": "string"}}})
@example({"dependencies": {"a": [1]}})
@example({"$anchor": "1a"})
def test_it_judges_schemas_as_the_metaschema_does(schema: Any) -> None:
    by_itself = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    assert fits(metaschema(), schema) == by_itself.is_valid(schema)


def test_a_schema_may_contain_itself() -> None:
    tree = bound({"$ref": "#/$defs/tree", "$defs": DEFS})
    assert fits(tree, {"a": {"b": {}}})
    assert not fits(tree, {"a": {"b": 1}})
