"""Our regular expressions work on every Python from 3.11.0 on.

Python 3.11.2, which is Debian 12's, mishandles a possessive repeat of a group: the same input
that a greedy repeat takes is not matched. A possessive repeat of a single character class is fine.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator

import pytest

import easews
import easews_headers
import easews_httpproxy
import easews_messages
import easews_wsproxy

# The parser's names have no public home, and typeshed knows none of them.
from re import _constants as ops, _parser as parser  # type: ignore[attr-defined]  # isort: skip

_SINGLE = {ops.ANY, ops.IN, ops.LITERAL, ops.NOT_LITERAL}


def expressions(value: object) -> Iterator[re.Pattern[str]]:
    """The compiled expressions that a module's global holds: itself, its method, in a table."""
    owner = getattr(value, "__self__", value)
    if isinstance(owner, re.Pattern):
        yield owner
    elif isinstance(value, tuple | list):
        for item in value:
            yield from expressions(item)


def modules() -> list[str]:
    return [
        found.name
        for package in (easews, easews_headers, easews_httpproxy, easews_messages, easews_wsproxy)
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
        if not found.name.endswith((".__main__", "._batch"))
    ]


def possessive_groups(tree: object) -> Iterator[str]:
    """What Python 3.11.2 mishandles in a parsed expression."""
    if isinstance(tree, tuple) and tree and tree[0] is ops.ATOMIC_GROUP:
        yield "an atomic group"
    if isinstance(tree, tuple) and tree and tree[0] is ops.POSSESSIVE_REPEAT:
        (_, _, repeated) = tree[1]
        if len(repeated) != 1 or repeated[0][0] not in _SINGLE:
            yield "a possessive repeat of a group"
    if isinstance(tree, tuple | list | parser.SubPattern):
        for part in tree:
            yield from possessive_groups(part)


@pytest.mark.parametrize("module", modules())
def test_no_group_is_atomic_or_repeated_possessively(module: str) -> None:
    for value in vars(importlib.import_module(module)).values():
        for expression in expressions(value):
            tree = parser.parse(expression.pattern, expression.flags)
            assert not [*possessive_groups(tree)], expression.pattern


def test_expressions_are_found_bare_as_methods_and_in_tables() -> None:
    bare = re.compile("a")
    assert [*expressions((bare, [(bare.search, "a text")], 1, None))] == [bare, bare]


@pytest.mark.parametrize("pattern", [r"(?:ab|c)*+", r"(?:ab?)?+", r"(x)++", r"a(b(?>c|d))"])
def test_what_it_looks_for_is_found(pattern: str) -> None:
    assert [*possessive_groups(parser.parse(pattern))]


def test_a_possessive_repeat_of_one_character_class_is_none_of_it() -> None:
    assert not [*possessive_groups(parser.parse(r"(?:a++|[bc]*+|.?+|[^d]{2,3}+)+"))]
