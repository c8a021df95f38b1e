"""Which sessions are meant: as the options have it, as a query, and as a body. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True)
class Conditions:
    """Sessions for which all of this holds; what is empty says nothing."""

    fields: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.fields or self.labels)

    def query(self, **page: str | int) -> str:
        """For a URL, with the limits of a page."""
        labels = {f"label.{name}": value for name, value in self.labels.items()}
        pairs = {**self.fields, **labels, **page}
        return f"?{urlencode(pairs)}" if pairs else ""

    def body(self) -> dict[str, Any]:
        """For a request to do something with them."""
        return {**self.fields, **({"labels": {**self.labels}} if self.labels else {})}


def conditions(labels: Sequence[str], **fields: str | None) -> Conditions:
    """What these options mean. ValueError when a label is not NAME=VALUE."""
    found = {}
    for label in labels:
        name, equals, value = label.partition("=")
        if not equals or not name:
            raise ValueError(f"{label!r} is no label; write NAME=VALUE")
        found[name] = value
    return Conditions({name: text for name, text in fields.items() if text}, found)
