"""Changes of JSON fields: removed, masked, set. Pure.

A change works on a value that was just read, and says whether it has changed anything.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Protocol

from .jsontext import write
from .paths import JsonPath

#: What stands for a value that is not shown.
MASK = "***"


class Change(Protocol):
    """One change."""

    def apply(self, value: Any) -> bool:
        """Change `value` in its place. Whether there was anything to change."""


@dataclass(frozen=True, slots=True)
class Remove:
    """Take the fields away. Items of a list that are behind them move up."""

    path: JsonPath

    def apply(self, value: Any) -> bool:
        places = self.path.places(value)
        for place in reversed(places):  # numbers of a list's items in front stay right
            del place.container[place.key]
        return bool(places)


@dataclass(frozen=True, slots=True)
class Mask:
    """Hide the fields' values.

    keep_last  how many characters of a text stay, if it is at least twice as long
    text       what stands in front of them, and in place of anything else
    """

    path: JsonPath
    keep_last: int = 0
    text: str = MASK

    def apply(self, value: Any) -> bool:
        changed = False
        for place in self.path.places(value):
            masked = self._masked(place.value)
            changed = changed or masked != place.value
            place.container[place.key] = masked
        return changed

    def _masked(self, value: Any) -> str:
        if not isinstance(value, str) or len(value) < 2 * self.keep_last or not self.keep_last:
            return self.text
        return self.text + value[-self.keep_last :]


@dataclass(frozen=True, slots=True)
class Set:
    """Give the fields a value; one that its object does not have is added."""

    path: JsonPath
    value: Any

    def apply(self, value: Any) -> bool:
        changed = False
        for place in self.path.places(value, absent=True):
            if not self._is_there(place.container, place.key):
                place.container[place.key] = deepcopy(self.value)
                changed = True
        return changed

    def _is_there(self, container: Any, key: str | int) -> bool:
        if isinstance(container, dict) and key not in container:
            return False
        return write(container[key]) == write(self.value)  # == takes 1 for true


def changes_of(spec: Mapping[str, Any]) -> Sequence[Change]:
    """What a config says in `remove`, `mask` and `set`, in this order."""
    return [
        *(Remove(JsonPath(path)) for path in spec["remove"]),
        *(Mask(JsonPath(it["path"]), it["keepLast"], it["with"]) for it in spec["mask"]),
        *(Set(JsonPath(path), value) for path, value in spec["set"].items()),
    ]
