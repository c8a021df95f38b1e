"""Discovery: from installed distributions to the kinds of filter that a config may name.

pluggy calls the hook, but the entry points are loaded here, because pluggy skips a second entry
point of the same name, ignores a misspelt hook, and does not say whose import has failed. Each of
these is a `PluginError` that names the distribution.
"""

from __future__ import annotations

import inspect
import traceback
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from importlib import metadata
from typing import Any, Protocol

import pluggy
from jsonschema.exceptions import SchemaError

from . import hookspecs
from .errors import PluginError
from .filters import API, END, HOOKS, INTERNAL_ERROR, Filter, overrides, schema_of, summary_of
from .schema import check_schema

GROUP = hookspecs.PROJECT


class EntryPoint(Protocol):
    """The part of `importlib.metadata.EntryPoint` that discovery reads."""

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str: ...
    def load(self) -> Any: ...


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
class Found:
    """An entry point and the distribution that declares it."""

    distribution: str
    version: str
    entry_point: EntryPoint


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


def raised_at(error: BaseException, module: str) -> str:
    """Where `error` was last in the package of `module`, as `` (FILE:LINE)``; empty if nowhere.

    The author of the plugin has to look at that line; the code that it calls belongs to others.
    """
    if isinstance(error, SyntaxError) and error.filename:
        return f" ({error.filename}:{error.lineno})"
    package = module.partition(".")[0]
    for frame, line in reversed(list(traceback.walk_tb(error.__traceback__))):
        if str(frame.f_globals.get("__name__")).partition(".")[0] == package:
            return f" ({frame.f_code.co_filename}:{line})"
    return ""


def installed() -> list[Found]:
    """Every entry point of the group, in a stable order, with its distribution."""
    found = {
        (distribution.name, entry_point.name, entry_point.value): Found(
            distribution.name, distribution.version, entry_point
        )
        for distribution in metadata.distributions()
        for entry_point in distribution.entry_points
        if entry_point.group == GROUP
    }
    return [found[key] for key in sorted(found)]


def discover(found: Iterable[Found] | None = None) -> Kinds:
    """Load the plugins and collect their kinds. Faults are collected in `Kinds.broken`."""
    kinds: dict[str, Kind] = {}
    broken: list[PluginError] = []
    owners: dict[str, str] = {}
    for candidate in installed() if found is None else found:
        try:
            _claim_name(candidate, owners)
            brought = [_kind(candidate, item) for item in _load(candidate)]
            for kind in brought:
                _claim_kind(kind, kinds)
        except PluginError as error:
            broken.append(error)
        else:
            kinds.update((kind.name, kind) for kind in brought)
    return Kinds(kinds.values(), broken)


def _claim_name(found: Found, owners: dict[str, str]) -> None:
    name = found.entry_point.name
    owner = owners.setdefault(name, found.distribution)
    if owner != found.distribution:
        raise PluginError(
            found.distribution,
            f"its entry point {name!r} is also declared by {owner}",
            "rename one of them, or uninstall one of the two",
        )


def _claim_kind(kind: Kind, taken: Mapping[str, Kind]) -> None:
    if kind.name in taken:
        raise PluginError(
            kind.distribution,
            f"the kind {kind.name} is already taken by {taken[kind.name].distribution}",
            "uninstall one of the two",
        )


def _load(found: Found) -> list[object]:
    """The items that the plugin's hooks return. Each plugin has its own manager, so that a fault
    can be attributed to it.
    """
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    where = f"entry point {found.entry_point.name} = {found.entry_point.value}"
    try:
        plugin = found.entry_point.load()
        manager.register(plugin, name=found.distribution)
        manager.check_pending()
        answers = manager.hook.easews_filters()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            found.distribution,
            f"{where}: {error}",
            f"the hooks that exist are: {', '.join(_hook_names())}",
        ) from error
    except (Exception, SystemExit) as error:
        at = raised_at(error, found.entry_point.value.partition(":")[0])
        raise PluginError(
            found.distribution,
            f"{where} fails with {type(error).__name__}: {error}{at}",
            f"update or uninstall {found.distribution}",
        ) from error
    if not answers:
        raise PluginError(
            found.distribution,
            f"{where} implements no hook",
            "decorate its easews_filters() with @easews.hookimpl",
        )
    return [item for answer in answers for item in _listed(found, answer)]


def _listed(found: Found, answer: object) -> list[object]:
    if isinstance(answer, (list, tuple)):
        return list(answer)
    raise PluginError(
        found.distribution,
        f"easews_filters() returned {answer!r}",
        "return a list of Filter subclasses",
    )


def _hook_names() -> list[str]:
    return [name for name in vars(hookspecs) if name.startswith("easews_")]


def _kind(found: Found, item: object) -> Kind:
    """Check one returned item against the contract of `easews.Filter`."""

    def fault(problem: str, remedy: str) -> PluginError:
        return PluginError(found.distribution, problem, remedy)

    if not (inspect.isclass(item) and issubclass(item, Filter)):
        raise fault(
            f"easews_filters() returned {item!r}, which is no filter",
            "return subclasses of easews.Filter",
        )
    kind = getattr(item, "kind", None)
    if not isinstance(kind, str) or not kind.isidentifier():
        raise fault(f"{item.__name__}.kind is {kind!r}", "set it to a name such as 'MyFilter'")
    if not any(overrides(item, hook) for hook in HOOKS):
        raise fault(f"{kind} has no hook", f"write one of its methods: {', '.join(HOOKS)}")
    if not inspect.iscoroutinefunction(item.handle):
        raise fault(f"{kind}.handle is no coroutine", "write 'async def handle(self, ctx)'")
    if not inspect.iscoroutinefunction(item.on_answer):
        raise fault(f"{kind}.on_answer is no coroutine", "write 'async def on_answer(self, ctx)'")
    results: Iterable[object] = item.results
    if isinstance(results, str) or not all(isinstance(r, str) and r for r in results):
        raise fault(f"{kind}.results is {results!r}", "set it to a tuple of strings")
    if item.api != API:
        raise fault(
            f"{kind} was written for version {item.api!r} of the filter contract",
            f"this easews has version {API}: install a version of {found.distribution} for it",
        )
    if END in results:
        raise fault(f"{kind} declares the result END", "choose another name: END ends a flow")
    if not isinstance(item.build_note, str):
        raise fault(f"{kind}.build_note is {item.build_note!r}", "set it to a string")
    try:
        schema = schema_of(item)
        check_schema(schema)
    except (OSError, ValueError, TypeError, ModuleNotFoundError, SchemaError) as error:
        text = error.message if isinstance(error, SchemaError) else str(error)
        raise fault(
            f"{kind}.schema cannot be used: {text}",
            "give a JSON Schema (draft 2020-12) as a dict, or the name of a file in schemas/",
        ) from error
    if taken := sorted({"kind", "name"} & schema.get("properties", {}).keys()):
        raise fault(
            f"{kind}.schema has a field {taken[0]!r}, which every filter has",
            "give that field another name",
        )
    return Kind(kind, item, schema, found.distribution, found.version)
