"""Values are completed: defaults filled in, units converted, and names of files made absolute.

A schema with ``"x-unit": "seconds"`` or ``"bytes"`` is written with units and read as a number.
One with ``"x-file": true`` is the name of a file; with ``"x-file": "read"`` of one whose content
counts as if it stood in place.
What has to be done is found out once for each schema, not for each value.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import PurePath
from typing import Any

from .loading import Bound, Schema, bound
from .parts import ABSENT, below, depends_on_value, holding
from .units import UNITS


class ReadFile(str):
    """The name of a file whose content counts."""

    __slots__ = ()


def complete(schema: Schema, instance: Any, folder: str = "") -> Any:
    """A copy of the valid `instance` with defaults filled in and units converted. Names of files
    that are relative begin at `folder`.

    Defaults and units are found wherever the schema says something of a value. An absent object
    gets the defaults of its properties when its own default is ``{}``.
    """
    schema = bound(schema)
    if schema.plan is None:
        schema.plan = _Plan([schema]).completed
    return schema.plan(instance, folder)


class _Plan:
    """What is done with values that several schemas describe together."""

    def __init__(self, schemas: Sequence[Bound]) -> None:
        self._schemas = schemas

    def completed(self, value: Any, folder: str) -> Any:
        parts = self._parts or _Parts(self._schemas, value)
        if isinstance(value, Mapping):
            return parts.completed(value, folder)
        if isinstance(value, list):
            return [
                parts.below(number).completed(item, folder) for number, item in enumerate(value)
            ]
        if parts.is_file:
            return parts.is_file(PurePath(folder, value))
        return parts.convert(value) if parts.convert else value

    @cached_property
    def _parts(self) -> _Parts | None:
        """The parts that hold, unless each value has its own."""
        if any(map(depends_on_value, self._schemas)):
            return None
        return _Parts(self._schemas, ABSENT)

    @cached_property
    def default(self) -> Any:
        parts = _Parts(self._schemas, ABSENT).parts
        return next((part["default"] for part in parts if "default" in part), ABSENT)


class _Parts:
    """All that schemas say about a value, and what follows for the values in it."""

    def __init__(self, schemas: Sequence[Bound], value: Any) -> None:
        self.parts = [part for schema in schemas for part in holding(schema, value)]
        units = [part["x-unit"] for part in self.parts if "x-unit" in part]
        self.convert = UNITS[units[0]] if units else None
        files = [part["x-file"] for part in self.parts if part.get("x-file")]
        self.is_file = (ReadFile if "read" in files else str) if files else None
        self._plans: dict[str | int, _Plan] = {}

    def completed(self, value: Schema, folder: str) -> dict[str, Any]:
        done = {key: self.below(key).completed(item, folder) for key, item in value.items()}
        for key in self._properties:
            if key not in done and (plan := self.below(key)).default is not ABSENT:
                done[key] = plan.completed(plan.default, folder)
        return done

    @cached_property
    def _properties(self) -> list[str]:
        return list(dict.fromkeys(key for part in self.parts for key in part.get("properties", ())))

    @cached_property
    def _longest_prefix(self) -> int:
        return max((len(part.get("prefixItems", ())) for part in self.parts), default=0)

    def below(self, step: str | int) -> _Plan:
        """The plan for what stands at `step`. Those for keys of the user's own are not kept."""
        if isinstance(step, int):
            step = min(step, self._longest_prefix)
        if step in self._plans:
            return self._plans[step]
        plan = _Plan(below(self.parts, step))
        if isinstance(step, int) or step in self._properties:
            self._plans[step] = plan
        return plan
