"""What texts and headers have to be like: `exact`, `prefix`, `regex` or `empty`, as in configs.

The specs are those of ``urn:easews:common#/$defs/textMatch``, and of ``bodyMatch`` with `contains`.
Matches of equal specs are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .headers import Headers
from .regexps import compile_regexp


class TextMatch:
    """Whether a text is as a spec asks for: one of `exact`, `prefix`, `contains`, `regex` and
    `empty` is enough.
    """

    __slots__ = ("_contains", "_empty", "_exact", "_prefix", "_search", "_spec")

    def __init__(self, spec: Mapping[str, Any]) -> None:
        self._spec = frozenset(spec.items())
        self._exact: str | None = spec.get("exact")
        self._prefix: str | None = spec.get("prefix")
        self._contains: str | None = spec.get("contains")
        self._empty: bool = spec.get("empty", False)
        self._search = compile_regexp(spec["regex"]).search if "regex" in spec else None

    def fits(self, text: str) -> bool:
        """Whether `text` matches. `regex` matches anywhere in it."""
        return (
            (self._empty and not text)
            or text == self._exact
            or (self._prefix is not None and text.startswith(self._prefix))
            or (self._contains is not None and self._contains in text)
            or (self._search is not None and bool(self._search(text)))
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, TextMatch):
            return NotImplemented
        return self._spec == other._spec

    def __hash__(self) -> int:
        return hash(self._spec)


class HeaderMatch:
    """Whether headers are as a spec asks for: names with a text match each.

    One of them is enough, unless `match_all`. A header fits with any one of its lines, compared
    as UTF-8. One that is absent counts as empty.
    """

    __slots__ = ("_enough", "_tests")

    def __init__(self, spec: Mapping[str, Mapping[str, Any]], *, match_all: bool) -> None:
        self._tests = tuple((name, TextMatch(match)) for name, match in spec.items())
        self._enough: Callable[..., bool] = all if match_all else any

    def fits(self, headers: Headers) -> bool:
        """Whether `headers` match. Without any tests they do."""
        if not self._tests:
            return True
        return self._enough(
            any(test.fits(_text(value)) for value in headers.get_all(name) or ("",))
            for name, test in self._tests
        )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, HeaderMatch):
            return NotImplemented
        return (self._enough, self._tests) == (other._enough, other._tests)

    def __hash__(self) -> int:
        return hash((self._enough, self._tests))


def _text(value: str) -> str:
    """A header's value, one character for each byte, as text."""
    return value if value.isascii() else value.encode("latin-1").decode("utf-8", "replace")
