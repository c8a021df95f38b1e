"""YAML to documents: types, variables, places, and what is not read at all."""

from __future__ import annotations

from typing import Any

import pytest

from easews.config import Source
from easews.config.documents import Document
from easews.config.reader import MAX_ALIASED, MAX_DEPTH, read_documents
from easews.config.scalars import typed

ENVIRON = {"PORT": "8080", "EMPTY": "", "SECRET": "hunter2", "YES": "true"}


def read(text: str) -> list[Document]:
    documents, problems = read_documents(Source("f", text), ENVIRON)
    assert not problems
    return documents


def value(text: str) -> Any:
    (document,) = read(f"v: {text}")
    return document.root.value["v"]


def faults(text: str) -> list[str]:
    return [str(problem) for problem in read_documents(Source("f", text), ENVIRON)[1]]


@pytest.mark.parametrize(
    ("plain", "means"),
    [
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("12:30", "12:30"),
        ("017", 17),
        ("0o17", 15),
        ("0x1F", 31),
        ("1_000", "1_000"),
        ("0b1", "0b1"),
        ("-1", -1),
        ("1e3", 1000.0),
        (".5", 0.5),
        ("2001-01-01", "2001-01-01"),
        ("TRUE", True),
        ("tRUE", "tRUE"),
        ("~", None),
        ("", None),
        ("<<", "<<"),
        (".inf", float("inf")),
        ("9" * 5000, float("inf")),
    ],
)
def test_a_plain_scalar_has_the_type_of_the_core_schema(plain: str, means: object) -> None:
    assert typed(plain) == means
    assert type(typed(plain)) is type(means)


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ("${PORT}", 8080),
        ("'${PORT}'", "8080"),
        ("1${PORT}", 18080),
        ("${YES}", True),
        ("${EMPTY}", None),
        ("${EMPTY:-7}", 7),
        ("${NOPE:-}", None),
        ("${NOPE:-a b}", "a b"),
        ("a$$b", "a$b"),
        ("$${PORT}", "${PORT}"),
        ("/$1/${1}$", "/$1/${1}$"),
        ("|\n  x ${PORT}", "x 8080"),
    ],
)
def test_variables_are_put_in_before_the_type_is_decided(written: str, means: object) -> None:
    assert value(written) == means


def test_every_unset_variable_is_told() -> None:
    assert faults("name: x\na: ${ONE}/${TWO}\nb: [c, '${THREE}']") == [
        "f:2:4: x.a: the variables ONE and TWO are not set; "
        "set them, or write a default: ${ONE:-default}",
        "f:3:8: x.b[1]: the variable THREE is not set; "
        "set it, or write a default: ${THREE:-default}",
    ]


def test_an_unfinished_variable_is_no_text() -> None:
    assert "write ${NAME} or ${NAME:-default}" in faults("a: ${PORT")[0]
    assert "write ${NAME} or ${NAME:-default}" in faults("a: ${A:-${PORT}}")[0]


def test_half_of_a_character_is_no_text() -> None:
    assert "1:4: document 1.v: half of a character" in faults('v: "\\ud83d"')[0]
    (fault,) = faults('"\\udc00": 1')
    assert "half of a character" in fault
    _, problems = read_documents(Source("f", "v: ${RAW}"), {"RAW": "\udcff"})
    assert "half of a character" in problems[0].wrong


def test_keys_are_taken_as_they_are_written() -> None:
    (document,) = read("'${PORT}': 1\non: 2")
    assert document.root.value == {"${PORT}": 1, "on": 2}


def test_every_key_and_value_knows_its_place() -> None:
    (document,) = read("# note\nname: x\nlist:\n  - a\n  - key:   b\n")
    root = document.root
    assert root.keys["list"] == (3, 1, 3, 5)
    assert root.children["list"].children[1].keys["key"] == (5, 5, 5, 8)
    node = document.at(("list", 1, "key"))
    assert node is not None
    assert node.place == (5, 12, 5, 13)
    assert document.at(("list", 2)) is None


def test_empty_documents_do_not_count() -> None:
    assert [document.number for document in read("---\n---\na: 1\n--- # nothing\n---\nb: 2")] == [
        2,
        4,
    ]


# Each way of being refused: the text, and what the message has in it.
REFUSED = {
    "a key twice": ("a: 1\na: 2", "f:2:1: document 1.a: 'a' is there twice"),
    "a tag that builds": ("a: !!python/object/apply:os.system [x]", "tags are not accepted"),
    "a standard tag": ("a: !!str 1", "tags are not accepted"),
    "a number for a key": ("a: {1: x}", "put the key in quotes"),
    "a list for a key": ("? [a]\n: b", "put the key in quotes"),
    "an alias to nothing": ("a: *b", "the alias *b has no anchor"),
    "an alias to itself": ("a: &a [*a]", "stands inside its own anchor"),
    "no YAML": ("a: [1", "f:1:4: not YAML: the closing ] is missing"),
    "a key without a space": ("- b:c\n  d: 1", "f:1:4: not YAML: no space behind the ':' of 'b'"),
    "a URL without a key": ("http://b\nc: d", "f:2:2: not YAML: a second ': '"),
    "a variable in a flow": ("a: {b: ${PORT}}", "a ${NAME} stands between [] or {} without quotes"),
    "a control character": ("a: b\nc: \x07", "f:2:4: the character U+0007"),
    "an impossible escape": ('a: "\\UFFFFFFFF"', "out of range"),
    "too deep": ("[" * 500, f"more than {MAX_DEPTH} levels deep"),
    "too deep in keys": ("? " * 500, f"more than {MAX_DEPTH} levels deep"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_read(case: str) -> None:
    text, message = REFUSED[case]
    (fault,) = faults(text)
    assert message in fault


def test_a_second_kind_and_name_tell_of_a_forgotten_separator() -> None:
    documents, problems = read_documents(
        Source("f", "kind: A\nname: a\nx: 1\nx: 2\nname: b\nx: ${NOPE}\nkind: B\n"), ENVIRON
    )
    assert [document.root.value for document in documents] == [
        {"kind": "A", "name": "a", "x": 2},
        {"name": "b", "x": None, "kind": "B"},
    ]
    assert sorted(str(problem).partition(";")[0] for problem in problems) == [
        "f:4:1: a.x: 'x' is there twice, first in line 3",
        "f:5:1: b: another object begins here",
        "f:6:4: b.x: the variable NOPE is not set",
    ]


@pytest.mark.parametrize("text", ["kind: A\nkind: B\nname: a", "kind: A\nname: a\nname: b"])
def test_a_kind_or_name_that_is_there_twice_is_one_object(text: str) -> None:
    (fault,) = faults(text)
    assert "is there twice" in fault


def test_an_alias_stands_for_its_anchor() -> None:
    (document,) = read("a: &x {b: 1}\nc: *x")
    assert document.root.value == {"a": {"b": 1}, "c": {"b": 1}}


def test_an_alias_bomb_is_refused() -> None:
    layers = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    layers += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    (fault,) = faults("\n".join(layers))
    assert f"more than {MAX_ALIASED} values" in fault


def test_a_syntax_error_does_not_hide_the_documents_before_it() -> None:
    documents, problems = read_documents(Source("f", "a: 1\n---\nb: ]"), ENVIRON)
    assert [document.root.value for document in documents] == [{"a": 1}, None]
    assert documents[-1].root.void
    assert [problem.line for problem in problems] == [3]


def test_a_complaint_of_pyyaml_that_is_not_known_is_passed_on() -> None:
    (fault,) = faults("%YAML 2.0\n---\na: 1")
    assert "not YAML: found incompatible YAML document" in fault
