"""What plugins bring: kinds of filter, each with its schema and its package."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..errors import PluginError
from ..filters import INTERNAL_ERROR, Filter, summary_of
from .distributions import Found


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of filter: its class, its schema, and the distribution that brings it."""

    name: str
    filter_class: type[Filter]
    schema: Mapping[str, Any] = field(hash=False)
    distribution: str
    version: str

    @property
    def results(self) -> tuple[str, ...]:
        """The results that `jumpIf` may name: the declared ones, and the one of every kind."""
        return (*self.filter_class.results, INTERNAL_ERROR)

    @property
    def summary(self) -> str:
        return summary_of(self.filter_class)

    @property
    def build_note(self) -> str:
        """The note on this installation, in brackets; empty for most kinds."""
        note = self.filter_class.build_note
        return f" ({note})" if note else ""


def build_notes(kinds: Iterable[Kind]) -> list[str]:
    """A line for each package with a note on its installation."""
    lines = [
        f"{kind.distribution} {kind.version}{kind.build_note}" for kind in kinds if kind.build_note
    ]
    return list(dict.fromkeys(lines))


@dataclass(frozen=True, slots=True)
class Plugin:
    """An entry point that was loaded: what it brings, or its fault.

    seconds  how long that took, with all that it imports and that was not there yet
    """

    found: Found
    kinds: tuple[Kind, ...]
    seconds: float
    fault: PluginError | None = None


class Kinds(Mapping[str, Kind]):
    """The installed kinds by name, and the plugins that are broken."""

    def __init__(self, kinds: Iterable[Kind], broken: Iterable[PluginError] = ()) -> None:
        self._kinds = {kind.name: kind for kind in kinds}
        self.broken: tuple[PluginError, ...] = tuple(broken)

    def __getitem__(self, name: str) -> Kind:
        return self._kinds[name]

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._kinds))

    def __len__(self) -> int:
        return len(self._kinds)

    def with_kinds(self, others: Iterable[Kind]) -> Kinds:
        """These and others, which replace the ones of the same name."""
        return Kinds([*self.values(), *others], self.broken)
