"""The objects of a config as they may be shown: defaults filled in, durations with their unit,
secrets masked.

A secret is the value of a writeOnly field; what a variable was put into; what a URL has of user,
password and query; and, among keys of the user's own (headers, `data`), what the key's name tells
to be one. What is masked without need does less harm than what is not.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

from ..plugins import Kinds
from ..schema import Bound
from ..schema.parts import below, possible
from ..schema.units import written_seconds
from .checks import Checked
from .documents import MASK, Node, without_url_secrets
from .schemas import entry_schema, object_schema

#: What stands in the place of a secret.
MASKED = MASK * 3

_TELLING = re.compile(
    "authori[sz]ation|cookie|passw|secret|token|api.?key|credential|private", re.IGNORECASE
)
#: Where a name and what belongs to it are fields of their own.
_NAMES, _OF_NAMES = ("key", "name"), ("value", "values", "regexp")
_RUN = re.compile(re.escape(MASK) + "+")


def shown(objects: Iterable[tuple[Mapping[str, Any], Checked]], kinds: Kinds) -> str:
    """The completed objects as JSON, a list."""
    masks = _Masks(kinds)
    return json.dumps([masks.of(given, checked) for given, checked in objects])


class _Masks:
    """A mask for each kind, which learns the schema as it goes."""

    def __init__(self, kinds: Kinds) -> None:
        self._kinds = kinds
        self._made: dict[str, Mask] = {}

    def of(self, given: Mapping[str, Any], checked: Checked) -> Any:
        root = checked.document.root
        done = self._mask(given["kind"], object_schema(given["kind"])).masked(given, root)
        if given["kind"] == "Pipeline":
            nodes = dict(root.items("filters"))
            done["filters"] = [
                self._entry(entry, checked.specs[number], nodes.get(number))
                for number, entry in enumerate(given["filters"])
            ]
        return done

    def _entry(self, entry: Mapping[str, Any], spec: Mapping[str, Any], node: Node | None) -> Any:
        name = entry["kind"]
        whole = {"kind": name, "name": entry["name"], **spec}
        return self._mask(name, entry_schema(self._kinds[name])).masked(whole, node)

    def _mask(self, kind: str, schema: Bound) -> Mask:
        return self._made.setdefault(kind, Mask(possible(schema)))


class Mask:
    """What is masked of values that all of these schemas may describe."""

    def __init__(self, parts: Iterable[Bound]) -> None:
        self._parts = [*parts]
        self._is_secret = any(part.get("writeOnly") for part in self._parts)
        self._is_duration = any(part.get("x-unit") == "seconds" for part in self._parts)
        self._below: dict[str | int, Mask] = {}

    def masked(self, value: Any, node: Node | None = None) -> Any:
        """A copy of `value`, which was written as `node`, without secrets."""
        is_hidden = node is not None and node.hidden
        if (self._is_secret or is_hidden) and value not in ("", None, {}, []):
            return MASKED
        children = {} if node is None else node.children
        if isinstance(value, Mapping):
            told = any(_tells(value.get(name)) for name in _NAMES)
            return {
                key: MASKED
                if item and (self._is_telling(key) or (told and key in _OF_NAMES))
                else self._at(key).masked(item, children.get(key))
                for key, item in value.items()
            }
        if isinstance(value, list):
            return [
                self._at(min(number, self._longest_prefix)).masked(item, children.get(number))
                for number, item in enumerate(value)
            ]
        if self._is_duration and isinstance(value, float):
            return written_seconds(value)
        return _scalar(value)

    def _is_telling(self, key: str) -> bool:
        return key not in self._properties and _tells(key)

    @cached_property
    def _properties(self) -> frozenset[str]:
        return frozenset(key for part in self._parts for key in part.get("properties", ()))

    @cached_property
    def _longest_prefix(self) -> int:
        return max((len(part.get("prefixItems", ())) for part in self._parts), default=0)

    def _at(self, step: str | int) -> Mask:
        """Masks for keys of the user's own are not kept: their number has no limit."""
        found = self._below.get(step)
        if found is None:
            found = Mask(part for sub in below(self._parts, step) for part in possible(sub))
            if isinstance(step, int) or step in self._properties:
                self._below[step] = found
        return found


def _tells(name: object) -> bool:
    return isinstance(name, str) and _TELLING.search(name) is not None


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        bare = without_url_secrets(value)
        return str(value) if bare == value else _RUN.sub(MASKED, bare)
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)  # which JSON has no number for
    return value
