"""Who declares a plugin: entry points, and what their packages say of themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from typing import Any, Protocol

from .. import hookspecs
from ..filters import Filter

GROUP = hookspecs.PROJECT

#: The labels of a project's URLs under which its documentation may be, the best first.
_DOCS = ("documentation", "docs", "homepage", "repository", "source")
_requires_easews = re.compile(r"(?i)easews(?![\w.-])\s*(?:\[[^]]*\])?\s*\(?([^;)]*)").match


class EntryPoint(Protocol):
    """The part of `importlib.metadata.EntryPoint` that discovery reads."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str: ...
    def load(self) -> Any: ...


@dataclass(frozen=True, slots=True)
class Found:
    """An entry point and the distribution that declares it.

    docs      the page that the distribution's metadata names, empty if none
    asks_for  the versions of easews that it asks for, such as ``>=0.1,<0.2``, empty if any
    """

    distribution: str
    version: str
    entry_point: EntryPoint
    docs: str = ""
    asks_for: str = ""

    @property
    def where(self) -> str:
        """How its faults name it."""
        return f"entry point {self.entry_point.name} = {self.entry_point.value}"


class Classes:
    """An entry point that leads to these classes, and the plugin that brings them."""

    def __init__(self, name: str, filters: Iterable[type[Filter]]) -> None:
        self.name: str = name
        self.value: str = name
        self._filters = list(filters)

    def load(self) -> Classes:
        """Itself: it is the plugin, too."""
        return self

    @hookspecs.hookimpl
    def easews_filters(self) -> list[type[Filter]]:
        """The classes."""
        return self._filters


def installed() -> list[Found]:
    """Every entry point of the group, in a stable order, with its distribution."""
    found = {
        (distribution.name, entry_point.name, entry_point.value): Found(
            distribution.name,
            distribution.version,
            entry_point,
            docs_of(distribution.metadata.get_all("Project-URL") or ()),
            asks_for(distribution.requires or ()),
        )
        for distribution in metadata.distributions()
        for entry_point in distribution.entry_points
        if entry_point.group == GROUP
    }
    return [found[key] for key in sorted(found)]


def docs_of(project_urls: Iterable[str]) -> str:
    """The best of the URLs, each written ``LABEL, URL``, to read about a project; or nothing."""
    urls = {}
    for line in project_urls:
        label, _, url = line.partition(",")
        urls[label.strip().lower()] = url.strip()
    return next((urls[label] for label in _DOCS if label in urls), "")


def asks_for(requirements: Iterable[str]) -> str:
    """The versions of easews that the requirements of a distribution name, or nothing."""
    matches = filter(None, map(_requires_easews, requirements))
    return next((match[1].strip() for match in matches), "")
