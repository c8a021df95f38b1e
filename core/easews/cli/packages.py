"""One package of filters: as a row, as a page, as JSON."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from ..config.fields import fields_of
from ..config.phrases import listed
from ..config.schemas import entry_schema
from ..errors import PluginError
from ..plugins import Kind, Plugin
from .costs import class_reads, cost, hooks_of, reads_json
from .report import BOLD, BOLD_RED, details, folded, painted

_HEADING = ("PACKAGE", "VERSION", "LOADED IN", "KINDS")
#: The fields that every entry of `filters` has.
_OF_EVERY_ENTRY = ("kind", "name")


def brief(plugins: Iterable[Plugin]) -> list[tuple[str, ...]]:
    """The rows of a table, with its heading."""
    return [_HEADING, *map(_row, plugins)]


def _row(plugin: Plugin) -> tuple[str, ...]:
    kinds = "broken" if plugin.fault else ", ".join(map(_marked, plugin.kinds))
    found = plugin.found
    return (found.distribution, found.version, _loaded_in(plugin), kinds)


def _marked(kind: Kind) -> str:
    return kind.name if class_reads(kind.filter_class) is None else f"{kind.name} (reads messages)"


def names(plugins: Iterable[Plugin]) -> list[str]:
    """What `named` finds: packages, and the kinds that they bring."""
    return list(dict.fromkeys(name for plugin in plugins for name in _names(plugin)))


def _names(plugin: Plugin) -> list[str]:
    return [plugin.found.distribution, *(kind.name for kind in plugin.kinds)]


def named(name: str, plugins: Iterable[Plugin]) -> list[Plugin]:
    """The plugins of a package, or the one that brings a kind."""
    return [plugin for plugin in plugins if name in _names(plugin)]


def package_page(plugin: Plugin, width: int | None, *, colour: bool) -> str:
    """Where it comes from, and what each of its kinds is and costs."""
    found = plugin.found
    rows = [
        ("entry point", f"{found.entry_point.name} = {found.entry_point.value}"),
        ("file", _file(plugin)),
        ("docs", found.docs or "its metadata names none"),
        ("asks for", f"easews{found.asks_for}" if found.asks_for else ""),
        ("loaded in", _loaded_in(plugin)),
        ("trouble", f"{plugin.fault.problem}; {plugin.fault.remedy}" if plugin.fault else ""),
    ]
    heading = painted(f"{found.distribution} {found.version}", BOLD, colour)
    parts = [f"{heading}\n{details(rows, width, colour=colour)}"]
    for kind in plugin.kinds:
        title = painted(kind.name, BOLD, colour)
        parts.append(f"{title}\n{details(_kind_rows(kind), width, colour=colour)}")
    return "\n\n".join(parts)


def _kind_rows(kind: Kind) -> Iterator[tuple[str, str]]:
    yield "summary", kind.summary + kind.build_note
    yield "API version", str(kind.filter_class.api)
    yield "hooks", listed(hooks_of(kind.filter_class))
    yield "messages", cost(kind.filter_class)
    yield "results", listed(kind.results)
    yield "fields", listed(_fields(kind))
    yield "more", f"easews kinds {kind.name}"


def _fields(kind: Kind) -> Sequence[str]:
    """The fields at the top, those that are required marked."""
    return [
        f"{field.path} (required)" if field.required else field.path
        for field in fields_of(entry_schema(kind))
        if field.supported and "." not in field.path and field.path not in _OF_EVERY_ENTRY
    ]


def _file(plugin: Plugin) -> str:
    """The file of the module that the entry point names; empty where none was loaded."""
    module = sys.modules.get(plugin.found.entry_point.value.partition(":")[0])
    return getattr(module, "__file__", None) or ""


def _loaded_in(plugin: Plugin) -> str:
    return f"{plugin.seconds * 1000:.0f} ms"


def trouble_text(fault: PluginError, width: int | None, *, colour: bool) -> str:
    """What is wrong, and below it the remedy; without a `width` in one line."""
    if width is None:
        return str(fault)
    wrong = folded(f"{fault.distribution}: {fault.problem}", width)
    first, *more = folded(fault.remedy, width - 4)
    lines = [*(painted(line, BOLD_RED, colour) for line in wrong), f"  = {first}"]
    return "\n".join([*lines, *(f"    {line}" for line in more)])


def package_json(plugin: Plugin) -> Mapping[str, Any]:
    """Everything that the page has, for machines."""
    found, fault = plugin.found, plugin.fault
    return {
        "package": found.distribution,
        "version": found.version,
        "entryPoint": {"name": found.entry_point.name, "value": found.entry_point.value},
        "file": _file(plugin),
        "docs": found.docs,
        "asksFor": found.asks_for,
        "seconds": round(plugin.seconds, 6),
        "trouble": {"problem": fault.problem, "remedy": fault.remedy} if fault else None,
        "kinds": [_kind_json(kind) for kind in plugin.kinds],
    }


def _kind_json(kind: Kind) -> Mapping[str, Any]:
    return {
        "kind": kind.name,
        "summary": kind.summary,
        "buildNote": kind.filter_class.build_note,
        "api": kind.filter_class.api,
        "hooks": hooks_of(kind.filter_class),
        "reads": reads_json(class_reads(kind.filter_class)),
        "results": list(kind.results),
        "schema": kind.schema,
    }
