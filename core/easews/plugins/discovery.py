"""Load the plugins. Faults are collected, and each names its distribution."""

from __future__ import annotations

import re
import sys
import traceback
from collections.abc import Iterable, Mapping
from importlib import metadata
from time import perf_counter

import pluggy

from .. import hookspecs
from ..errors import PluginError
from ..spelling import ALIKE, nearest
from .checks import checked_kind
from .distributions import Found, installed
from .kinds import Kind, Kinds, Plugin
from .version import fits

_cannot_import = re.compile(r"cannot import name '(\w+)'").match  # as every Python has it


def discover(found: Iterable[Found] | None = None, checks_schemas: bool = True) -> Kinds:
    """Load the plugins and collect their kinds. Faults are collected in `Kinds.broken`. Schemas
    need not be checked where another process has done that.
    """
    plugins = load_plugins(found, checks_schemas)
    kinds = [kind for plugin in plugins for kind in plugin.kinds]
    return Kinds(kinds, [plugin.fault for plugin in plugins if plugin.fault is not None])


def load_plugins(found: Iterable[Found] | None = None, checks_schemas: bool = True) -> list[Plugin]:
    """Load the plugins, those that are installed unless others are given."""
    kinds: dict[str, Kind] = {}
    owners: dict[str, str] = {}
    plugins: list[Plugin] = []
    for candidate in installed() if found is None else found:
        plugin = _plugin(candidate, kinds, owners, checks_schemas)
        kinds.update((kind.name, kind) for kind in plugin.kinds)
        plugins.append(plugin)
    return plugins


def _plugin(
    found: Found, taken: Mapping[str, Kind], owners: dict[str, str], checks_schemas: bool
) -> Plugin:
    began = perf_counter()
    try:
        _claim_name(found, owners)
        kinds = tuple(checked_kind(found, item, checks_schemas) for item in _load(found))
        for kind in kinds:
            _claim_kind(kind, taken)
    except PluginError as error:
        return Plugin(found, (), perf_counter() - began, error)
    return Plugin(found, kinds, perf_counter() - began)


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
    try:
        plugin = found.entry_point.load()
        manager.register(plugin, name=found.distribution)
        manager.check_pending()
        answers = manager.hook.easews_filters()
    except pluggy.PluginValidationError as error:
        raise PluginError(
            found.distribution,
            f"{found.where}: {error}",
            f"the hooks that exist are: {', '.join(_hook_names())}",
        ) from error
    except (Exception, SystemExit) as error:
        at = raised_at(error, found.entry_point.value.partition(":")[0])
        raise PluginError(
            found.distribution,
            f"{found.where} fails with {type(error).__name__}: {error}{at}",
            _way_out(found, error),
        ) from error
    if not answers and manager.hook.easews_filters.get_hookimpls():  # pluggy leaves None out
        raise PluginError(
            found.distribution,
            "its easews_filters() returned None",
            "return a list of its filter classes",
        )
    if not answers:
        raise PluginError(
            found.distribution,
            f"{found.where} implements no hook",
            "decorate its easews_filters() with @easews.hookimpl",
        )
    return [item for answer in answers for item in _listed(found, answer)]


def _way_out(found: Found, error: BaseException) -> str:
    name = found.distribution
    module = error.name if isinstance(error, ImportError) else None
    if module and module.partition(".")[0] == hookspecs.PROJECT:
        return _right_import(found, module, str(error))
    return f"update or uninstall {name}"


def _right_import(found: Found, module: str, problem: str) -> str:
    """A name that this easews does not have: misspelt, or of another version, older or newer."""
    name, version = found.distribution, metadata.version(hookspecs.PROJECT)
    if fits(version, found.asks_for):
        wanted = _cannot_import(problem)
        near = nearest(wanted[1], _names_of(module), ALIKE) if wanted else ""
        if near:
            return f"correct the import; {module} has {near}"
        if found.asks_for:
            return f"correct the import; easews {version} is what {name} asks for"
    wanted_easews = f"easews{found.asks_for}" if found.asks_for else "the easews"
    return f"install {wanted_easews} that {name} was written for, or {name} for this easews"


def _names_of(module: str) -> Iterable[str]:
    names: Iterable[str] = getattr(sys.modules.get(module), "__all__", ())
    return names


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
