"""JSON is read in one way only, and paths find the fields that they name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews_messages.changes import changes_of
from easews_messages.jsontext import MAX_DEPTH, NotJson, read, write
from easews_messages.paths import JsonPath, PathFault


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "is no JSON from character 1 on"),
        ("{'a': 1}", "is no JSON from character 2 on"),
        ("[1] 2", "is no JSON from character 5 on"),
        ("\ufeff{}", "is no JSON from character 1 on"),
        ('{"secret": 1, "b": {"x": 1, "x": 2}}', "has a key twice in one object"),
        ('{"a": 1, "\\u0061": 2}', "has a key twice in one object"),
        ("[NaN]", "has NaN, which is no JSON"),
        ("[-Infinity]", "has -Infinity, which is no JSON"),
        ("[1e999]", "has a number that is too large"),
        ("[-1e999]", "has a number that is too large"),
        ("1" * 5000, "has a number of too many digits"),
        ('"\\ud83d"', "has half of a character"),
        ('{"\\uDE00": 1}', "has half of a character"),
        ("[" * 65 + "]" * 65, "is nested deeper than 64"),
        ('{"a":' * 65 + "1" + "}" * 65, "is nested deeper than 64"),
        ("[" * 100_000, "is nested deeper than 64"),
        ("[" * 100_000 + "]" * 100_000, "is nested deeper than 64"),
    ],
)
def test_what_readers_may_read_differently_is_refused(text: str, why: str) -> None:
    with pytest.raises(NotJson) as caught:
        read(text)
    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[" * MAX_DEPTH + "1" + "]" * MAX_DEPTH, None),
        ('["' + "[" * 100 + '"]', ["[" * 100]),  # brackets in a text are no depth
        (json.dumps([[]] * 100), [[]] * 100),
        ("123456789012345678901234567890", 123456789012345678901234567890),
        ('"\\ud83d\\ude00"', "😀"),
        ('"\\\\ud83d"', "\\ud83d"),
        ("1.5e3", 1500.0),
        ("-0", 0),
    ],
)
def test_what_all_read_alike_is_read(text: str, value: Any) -> None:
    found = read(text)
    assert value is None or found == value


_json = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(_json)
def test_what_was_read_is_written_as_it_was(value: Any) -> None:
    assert read(write(value)) == value
    write(value).encode()


# Paths

VALUE = {
    "a": 1,
    "odd name": 2,
    "list": [{"t": 3}, {"t": 4, "in": {"t": 5}}, 6],
    "it's": 7,
    "é": 8,
    "1": 9,
}


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("$", [VALUE]),
        ("$.a", [1]),
        ("$.b", []),
        ("$.a.b", []),
        ("$['odd name']", [2]),
        ('$["odd name"]', [2]),
        ("$['it\\'s']", [7]),
        ("$.é", [8]),
        ("$['1']", [9]),
        ("$[1]", []),
        ("$.list[0].t", [3]),
        ("$.list[-1]", [6]),
        ("$.list[3]", []),
        ("$.list[-4]", []),
        ("$.list[*].t", [3, 4]),
        ("$.list[1].*", [4, {"t": 5}]),
        ("$.a.*", []),
        ("$.list[1].in.t", [5]),
        ("$..t", [3, 4, 5]),
        ("$..['t']", [3, 4, 5]),
        ('$.list[1]..["t"]', [4, 5]),
        ("$..in.t", [5]),
    ],
)
def test_a_path_finds_its_fields(path: str, found: list[Any]) -> None:
    values = [place.value for place in JsonPath(path).places(VALUE)]
    assert sorted(values, key=str) == found


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("", "a path begins with $"),
        ("a", "a path begins with $"),
        ("$a", "character 2 begins no step"),
        ("$.", "character 2 begins no step"),
        ("$.a b", "character 4 begins no step"),
        ("$.1", "character 2 begins no step"),
        ("$[?(@.a)]", "character 2 begins no step"),
        ("$[0:2]", "character 2 begins no step"),
        ("$['a]", "character 2 begins no step"),
        ("$..*", "character 2 begins no step"),
        ("$..a..b", "character 5 begins a second .."),
    ],
)
def test_a_path_that_is_none_is_told_from_where(path: str, wrong: str) -> None:
    with pytest.raises(PathFault, match=wrong.replace(".", r"\.").replace("$", r"\$")):
        JsonPath(path)


# Changes


def changed(value: Any, **spec: Any) -> tuple[bool, Any]:
    value = json.loads(json.dumps(value))
    spec = {"remove": [], "mask": [], "set": {}, **spec}
    results = [change.apply(value) for change in changes_of(spec)]
    return any(results), value


def mask(path: str, keep: int = 0, text: str = "***") -> dict[str, Any]:
    return {"path": path, "keepLast": keep, "with": text}


@pytest.mark.parametrize(
    ("value", "spec", "result"),
    [
        ({"a": 1, "b": 2}, {"remove": ["$.a"]}, {"b": 2}),
        ([1, 2, 3], {"remove": ["$[*]"]}, []),
        ({"x": {"x": 1}, "l": [{"x": 2}]}, {"remove": ["$..x"]}, {"l": [{}]}),
        ({"c": "4000123412341234"}, {"mask": [mask("$.c", 4)]}, {"c": "***1234"}),
        ({"c": "1234567"}, {"mask": [mask("$.c", 4)]}, {"c": "***"}),
        ({"c": "secret"}, {"mask": [mask("$.c", text="…")]}, {"c": "…"}),
        ({"c": 5}, {"mask": [mask("$.c", 4)]}, {"c": "***"}),
        ({"c": {"c": 5}}, {"mask": [mask("$..c")]}, {"c": "***"}),
        ({"a": 1}, {"set": {"$.b": [1], "$.c.d": 1}}, {"a": 1, "b": [1]}),
        ({"a": 1}, {"set": {"$.a": True}}, {"a": True}),
        ({"a": [0, 0]}, {"set": {"$.a[1]": None, "$.a[2]": 1}}, {"a": [0, None]}),
        ({"a": 1}, {"set": {"$.b": {}, "$.b.c": 1}}, {"a": 1, "b": {"c": 1}}),
        ({"a": 1}, {"remove": ["$.a"], "set": {"$.a": 1}}, {"a": 1}),
    ],
)
def test_a_change_changes_what_its_path_names(value: Any, spec: Any, result: Any) -> None:
    has_changed, made = changed(value, **spec)
    assert has_changed
    assert write(made) == write(result)


@pytest.mark.parametrize(
    ("value", "spec"),
    [
        ({"b": 2}, {"remove": ["$.a"], "mask": [mask("$.a")], "set": {"$.a.b": 1}}),
        ({"a": 1}, {"set": {"$.a": 1}}),
        ({"a": "***"}, {"mask": [mask("$.a")]}),
        ([], {"set": {"$.a": 1, "$..b": 1, "$[0]": 1}}),
    ],
)
def test_what_is_as_it_should_be_counts_as_no_change(value: Any, spec: Any) -> None:
    assert changed(value, **spec) == (False, value)


def test_a_value_of_the_config_is_not_changed_by_a_message() -> None:
    spec: dict[str, Any] = {"remove": [], "mask": [], "set": {"$.b": {}, "$.b.c": 1}}
    changes = changes_of(spec)
    for _ in range(2):
        value: dict[str, Any] = {}
        for change in changes:
            change.apply(value)
        assert value == {"b": {"c": 1}}
    assert spec["set"]["$.b"] == {}
