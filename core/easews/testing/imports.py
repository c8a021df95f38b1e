"""What a filter's package imports of easews: a filter that takes private names breaks some day."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import easews

from ..filters import Filter

_PUBLIC = ("upstream", "testing", "lowlevel")


def private_imports(filter_class: type[Filter]) -> list[str]:
    """What the filter's package imports of easews although it is internal, as ``FILE:LINE: NAME``.

    Empty when everything is public. A module outside of a package is looked at by itself.
    """
    file = Path(inspect.getfile(filter_class))
    package = _package(file)
    files = sorted(package.rglob("*.py")) if package else [file]
    return [
        f"{each.name}:{line}: {name}"
        for each in files
        for line, name in _imported(ast.parse(each.read_text("utf-8")))
        if not _is_public(name)
    ]


def _package(file: Path) -> Path | None:
    """The outermost package that `file` is in."""
    packages = [parent for parent in file.parents if (parent / "__init__.py").is_file()]
    return packages[-1] if packages else None


def _imported(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _is_public(name: str) -> bool:
    root, _, rest = name.partition(".")
    first, _, more = rest.partition(".")
    if root != "easews" or not first:
        return True
    if first not in _PUBLIC:
        return first in easews.__all__ and not more
    public = getattr(getattr(easews, first, None), "__all__", ())
    return not more or more == "*" or more in public
