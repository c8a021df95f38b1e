"""The filters of a single file, for development: no package, no entry point."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from ..errors import PluginError
from ..filters import Filter
from .checks import checked_kind
from .discovery import raised_at
from .distributions import Classes, Found
from .kinds import Kind

#: In place of a version, which a file has not.
_VERSION = "file"


def load_file(path: Path) -> list[Kind]:
    """Run the file, and return its filters: the classes in it that have a `kind`.

    Each call makes new classes; those of earlier calls go on working. PluginError, with the line,
    when the file cannot be used; then everything is as it was.
    """
    name = f"watched_{path.stem}"
    before = sys.modules.get(name)
    try:
        module = _run(path, name)
        classes = list(_filters(module))
        if not classes:
            raise _NoFilter("it has no filter: no subclass of easews.Filter with a kind")
        found = Found(path.name, _VERSION, Classes(path.name, classes))
        return [checked_kind(found, item) for item in classes]
    except (Exception, SystemExit) as error:
        _put_back(name, before)
        if isinstance(error, PluginError):
            raise
        raise PluginError(path.name, _wrong(error, name), "correct it, and save it") from error


class _NoFilter(Exception):
    """There is nothing in the file that a config could name."""


def _run(path: Path, name: str) -> ModuleType:
    """A new module. Python's cache of compiled modules may miss a change within a second."""
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # where dataclasses look for the names in annotations
    exec(compile(path.read_bytes(), str(path), "exec", dont_inherit=True), vars(module))
    return module


def _put_back(name: str, module: ModuleType | None) -> None:
    if module is None:
        sys.modules.pop(name, None)
    else:
        sys.modules[name] = module


def _filters(module: ModuleType) -> Iterator[type[Filter]]:
    """The classes that were written in it, and not only imported."""
    for item in dict.fromkeys(filter(inspect.isclass, vars(module).values())):
        own = item.__module__ == module.__name__
        if own and issubclass(item, Filter) and hasattr(item, "kind"):
            yield item


def _wrong(error: BaseException, module: str) -> str:
    if isinstance(error, _NoFilter):
        return str(error)
    text = error.msg if isinstance(error, SyntaxError) else str(error)
    return f"{type(error).__name__}: {text}{raised_at(error, module)}"
