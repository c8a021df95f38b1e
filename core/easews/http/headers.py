"""Header fields: an ordered list, with names that are compared without case (RFC 9110 §5)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from typing import ClassVar

# RFC 9110 §5.1 and §5.5. Checked when a field is set by hand; parsed heads come checked.
is_header_name: Callable[[str], object] = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch

_HYPHENS = str.maketrans("_.", "--")


def hyphenated(name: str) -> str:
    """The field that a CGI-like backend takes `name` for, in lower case.

    Such a backend reads `X-Auth-User` as the variable HTTP_X_AUTH_USER (RFC 3875 §4.1.18), and
    `X_Auth_User` as well; some do the same with `X.Auth.User`.
    """
    return name.lower().translate(_HYPHENS)


def _may_be_respelled(names: Iterable[str]) -> bool:
    """Whether one of `names` differs from its `hyphenated` form: rarely, and quick to tell."""
    written = "".join(names)
    return "_" in written or "." in written


class Headers:
    """Header fields in their order, repeated ones included (RFC 9110 §5.2).

    Names are compared without case. Values are str, one character for each byte (latin-1). `set`
    and `remove` also remove other spellings of a name, with `_` or `.` for `-`, because some
    backends read them as the same field.
    """

    __slots__ = ("_fields", "_found")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        # The values by lower-case name, once anybody has asked: a handshake asks 40 times.
        self._found: dict[str, tuple[str, ...]] | None = None
        for name, value in fields:
            self.add(name, value)

    @classmethod
    def parsed(cls, fields: list[tuple[str, str, str]]) -> Headers:
        """Make headers from (lower-case name, name, value) triples without checking them."""
        headers = cls.__new__(cls)
        headers._fields = fields
        headers._found = None
        return headers

    @property
    def triples(self) -> list[tuple[str, str, str]]:
        """The fields as `parsed` takes them. Not a copy: do not change it."""
        return self._fields

    @property
    def by_name(self) -> Mapping[str, tuple[str, ...]]:
        """The values by lower-case name, each name once. Not a copy: read only."""
        return self._found or self._index()

    def get(self, name: str, default: str = "") -> str:
        """The first value of `name`, or `default`."""
        values = (self._found or self._index()).get(name.lower())
        return values[0] if values else default

    def get_all(self, name: str) -> list[str]:
        """All values of `name`, one for each line, in order."""
        return [*(self._found or self._index()).get(name.lower(), ())]

    def elements(self, name: str) -> list[str]:
        """The comma-separated elements of all lines of `name` (RFC 9110 §5.6.1)."""
        values = (self._found or self._index()).get(name.lower())
        return _elements(",".join(values)) if values else []

    def tokens(self, name: str) -> list[str]:
        """`elements` in lower case, for fields whose values are compared without case."""
        values = (self._found or self._index()).get(name.lower())
        return [*tokens_of(values)] if values else []

    def add(self, name: str, value: str) -> None:
        """Append a field. ValueError when its name or value must not be sent."""
        key = _key(name)
        if not _VALUE(value):
            raise ValueError(f"the value of {name} has a character that no header may have")
        self._fields.append((key, name, value))
        if self._found is not None:
            self._found[key] = (*self._found.get(key, ()), value)

    def extend(self, fields: list[tuple[str, str, str]]) -> None:
        """Append fields that are already checked, as `parsed` takes them."""
        self._fields += fields
        self._found = None

    def set(self, name: str, value: str) -> None:
        """Replace every field of that name, in any spelling, by this one."""
        self.remove(name)
        self.add(name, value)

    def remove(self, *names: str) -> None:
        """Remove all fields of these names, in any spelling; absent ones are no error."""
        found = self._found or self._index()
        if _may_be_respelled([*found, *names]):
            wanted = {*map(hyphenated, names)}
            keys = {key for key in found if hyphenated(key) in wanted}
        else:
            keys = found.keys() & map(str.lower, names)
        if keys:
            self._fields = [field for field in self._fields if field[0] not in keys]
            self._found = None

    def copy(self) -> Headers:
        """An independent copy."""
        headers = Headers.parsed(self._fields.copy())
        headers._found = None if self._found is None else self._found.copy()
        return headers

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in (self._found or self._index())

    def _index(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {key: (value,) for key, _, value in self._fields}
        if len(found) < len(self._fields):  # some are repeated, which is rare
            values: dict[str, list[str]] = {key: [] for key in found}
            for key, _, value in self._fields:
                values[key].append(value)
            found = {key: tuple(lines) for key, lines in values.items()}
        self._found = found
        return found

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, name, value in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        """Same fields in the same order; names without case."""
        if not isinstance(other, Headers):
            return NotImplemented
        return [(k, v) for k, _, v in self._fields] == [(k, v) for k, _, v in other._fields]

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        # Values may be secrets (Cookie, Authorization), and a repr ends up in a log.
        return f"<Headers {', '.join(name for _, name, _ in self._fields)}>"


@lru_cache(maxsize=128)  # filters set the same few fields again and again
def _key(name: str) -> str:
    if not is_header_name(name):
        raise ValueError(f"{name!r} is no header name (RFC 9110 §5.1)")
    return name.lower()


def _elements(text: str) -> list[str]:
    return [element for raw in text.split(",") if (element := raw.strip(" \t"))]


@lru_cache(maxsize=128)  # what stands in Connection and Upgrade is hardly ever anything new
def tokens_of(values: tuple[str, ...]) -> list[str]:
    return _elements(",".join(values).lower())
