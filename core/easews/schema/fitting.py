"""Whether a value fits a schema: yes or no, quickly, and without saying why.

What holds other schemas is walked here, each schema turned into a function once. Everything else
is judged by jsonschema's own functions, which `checking` asks what is wrong where something is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jsonschema import Draft202012Validator

from .formats import CHECKER
from .loading import Bound

Test = Callable[[Any], bool]


def fits(schema: Bound | bool, value: object) -> bool:
    """Whether `value` is valid."""
    if isinstance(schema, bool):
        return schema
    test = schema.test
    if test is None:
        test = schema.test = _test_of(schema)
    return test(value)


def _test_of(schema: Bound) -> Test:
    tests = [
        _WALKS[keyword](value, schema) if keyword in _WALKS else _judged(keyword, value, schema)
        for keyword, value in schema.items()
        if keyword in _WALKS or keyword in Draft202012Validator.VALIDATORS
    ]

    def test(value: Any) -> bool:
        # A generator for all() would cost more than what it asks.
        for each in tests:  # noqa: SIM110
            if not each(value):
                return False
        return True

    return test


def _judged(keyword: str, argument: Any, schema: Bound) -> Test:
    judge = Draft202012Validator.VALIDATORS[keyword]
    validator = Draft202012Validator(schema, format_checker=CHECKER)
    return lambda value: next(iter(judge(validator, argument, value, schema) or ()), None) is None


def _properties(subs: Mapping[str, Bound | bool], _: Bound) -> Test:
    def test(value: Any) -> bool:
        if isinstance(value, dict):
            for key, item in value.items():
                if key in subs and not fits(subs[key], item):
                    return False
        return True

    return test


def _additional(sub: Bound | bool, schema: Bound) -> Test:
    known = schema.get("properties", {})
    patterns = [re.compile(pattern) for pattern in schema.get("patternProperties", ())]

    def is_known(key: str) -> bool:
        return key in known or any(pattern.search(key) for pattern in patterns)

    return lambda value: (
        not isinstance(value, dict)
        or all(is_known(key) or fits(sub, item) for key, item in value.items())
    )


def _items(sub: Bound | bool, schema: Bound) -> Test:
    first = len(schema.get("prefixItems", ()))
    return lambda value: (
        not isinstance(value, list) or all(fits(sub, item) for item in value[first:])
    )


def _all_of(subs: Sequence[Bound | bool], _: Bound) -> Test:
    return lambda value: all(fits(sub, value) for sub in subs)


def _any_of(subs: Sequence[Bound | bool], _: Bound) -> Test:
    return lambda value: any(fits(sub, value) for sub in subs)


def _one_of(subs: Sequence[Bound | bool], _: Bound) -> Test:
    return lambda value: sum(fits(sub, value) for sub in subs) == 1


def _not(sub: Bound | bool, _: Bound) -> Test:
    return lambda value: not fits(sub, value)


def _if(condition: Bound | bool, schema: Bound) -> Test:
    then, otherwise = schema.get("then", True), schema.get("else", True)
    return lambda value: fits(then if fits(condition, value) else otherwise, value)


_WALKS: dict[str, Callable[[Any, Bound], Test]] = {
    "additionalProperties": _additional,
    "allOf": _all_of,
    "anyOf": _any_of,
    "if": _if,
    "items": _items,
    "not": _not,
    "oneOf": _one_of,
    "properties": _properties,
}
