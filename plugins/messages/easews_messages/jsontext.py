"""JSON, read so that no two readers can differ about it, and written. Pure.

A filter that reads a message differently from the backend behind it can be passed by: one of them
takes the first of two equal keys, the other the second. So what RFC 8259 leaves to each reader is
refused: keys that are there twice, numbers that are infinite as a double, halves of characters,
more nesting than `MAX_DEPTH`; and NaN and Infinity, which are no JSON.
"""

from __future__ import annotations

import json
from math import isinf
from typing import Any, NoReturn

#: How deep lists and objects may be in each other.
MAX_DEPTH = 64


class NotJson(ValueError):
    """The text is no JSON that can be relied on. Says why, with nothing of the content."""


def read(text: str) -> Any:
    """The value of the JSON `text`. NotJson when it is none.

    Whole numbers are exact. Python refuses those of more than 4300 digits, and so does this.
    """
    try:
        value = _decoder.decode(text)
    except json.JSONDecodeError as error:
        raise NotJson(f"is no JSON from character {error.pos + 1} on") from None
    except RecursionError:
        raise NotJson(_TOO_DEEP) from None
    except NotJson:
        raise
    except ValueError:
        raise NotJson("has a number of too many digits") from None
    if text.count("[") + text.count("{") > MAX_DEPTH:
        _check_depth(value)
    if "\\ud" in text or "\\uD" in text:
        _check_characters(value)
    return value


def write(value: Any) -> str:
    """`value` as JSON, as short as it gets. ValueError when it cannot be written so."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


_TOO_DEEP = f"is nested deeper than {MAX_DEPTH}"


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        raise NotJson("has a key twice in one object")
    return made


def _finite(text: str) -> float:
    value = float(text)
    if isinf(value):
        raise NotJson("has a number that is too large")
    return value


def _no_constant(name: str) -> NoReturn:
    raise NotJson(f"has {name}, which is no JSON")


_decoder = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_constant
)


def _check_depth(value: Any) -> None:
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(MAX_DEPTH):
        level = [inner for each in level for inner in within(each)]
        if not level:
            return
    raise NotJson(_TOO_DEEP)


def within(value: Any) -> list[Any]:
    """The lists and objects directly within one."""
    items = value.values() if isinstance(value, dict) else value
    return [item for item in items if isinstance(item, (dict, list))]


def _check_characters(value: Any) -> None:
    """Half of a pair of surrogates (RFC 8259 §8.2) cannot be written as UTF-8."""
    try:
        write(value).encode()
    except UnicodeEncodeError:
        raise NotJson("has half of a character") from None
