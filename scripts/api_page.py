"""The API reference, from the sources' own docstrings.

It is read from the syntax tree and not from the living objects, so that every Python writes the
same page, with annotations as they stand in the sources.

Where a class explains attributes in a table of its docstring, these are its public attributes:
others that `__init__` assigns are the engine's, and are not shown.
"""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

from docstrings import explained, markdown

#: What a filter's package may import, and what it is for.
MODULES = {
    "easews": "The contract between filters and engine, and the values that they exchange.",
    "easews.upstream": "Backends: pools of servers, connections to them, a request to one.",
    "easews.testing": "What a filter's tests need.",
    "easews.lowlevel": "For filters that relay data by themselves.",
}

#: What is neither class nor function, and so has no docstring of its own.
OTHERS = {
    "READ": "An event of a `Poller`: there is data to receive, or the stream has ended.",
    "WRITE": "An event of a `Poller`: there is room to send.",
    "Side": "Who closed a session: `'client'`, `'backend'`, or `'proxy'` for easews itself.",
    "hookimpl": (
        "The decorator of `easews_filters()`, the function in which a package returns the list of "
        "its filter classes."
    ),
}

OPENING = """\
# API reference

A package of filters may import from `easews`, `easews.upstream`, `easews.testing` and
`easews.lowlevel`. Every other module is internal and may change in any release.
[Write a filter](../how-to/write-a-filter.md) and [Test a filter](../how-to/test-a-filter.md) show
how these names are used.
"""

Definition = ast.FunctionDef | ast.AsyncFunctionDef


def api_page() -> str:
    """The page: a part for each module, a heading for each of its public names."""
    parts = [OPENING]
    for name, purpose in MODULES.items():
        module = import_module(name)
        parts.append(f"## {name}\n\n{purpose}\n")
        parts += [_entry(module, public) for public in sorted(module.__all__)]
    return "\n".join(parts)


def _entry(module: ModuleType, name: str) -> str:
    value = getattr(module, name)
    if inspect.isclass(value):
        body = _class(value)
    elif inspect.isfunction(value):
        node = _tree(value)
        assert isinstance(node, Definition)
        body = [f"`{_signature(node)}`", _prose(node)]
    else:
        body = [OTHERS.get(name) or f"The value `{value!r}`."]
    return f"### {name}\n\n" + "\n\n".join(filter(None, body)) + "\n"


def _tree(value: Any) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


def _class(value: type) -> list[str]:
    node = _tree(value)
    assert isinstance(node, ast.ClassDef)
    bases = [
        f"`{base.__name__}`" for base in value.__bases__ if base.__module__.startswith("easews")
    ]
    fields, assigned = dict(_fields(node)), dict(_assigned(node))
    attributes = fields | assigned
    in_prose = explained(ast.get_docstring(node) or "")
    if unknown := in_prose - {*attributes}:
        raise ValueError(f"the docstring of {node.name} explains {unknown}, but they do not exist")
    listed = fields if in_prose else attributes
    members = [f"- `{text}`" for name, text in listed.items() if name not in in_prose]
    return [
        f"A subclass of {' and '.join(bases)}." if bases else "",
        _prose(node, attributes),
        "\n".join([*members, *_methods(node)]),
    ]


def _fields(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Each public attribute that the class annotates, with its annotation and its default."""
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and not ast.unparse(member.target).startswith("_"):
            text = re.sub(r"field\(default_factory=(\w+)\)", r"\1()", ast.unparse(member))
            yield ast.unparse(member.target), text


def _assigned(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    """Each public attribute that `__init__` assigns and annotates, with its annotation."""
    made = (member for member in node.body if getattr(member, "name", "") == "__init__")
    for member in (part for method in made for part in ast.walk(method)):
        if isinstance(member, ast.AnnAssign):
            owner, _, name = ast.unparse(member.target).partition(".")
            if owner == "self" and not name.startswith("_"):
                yield name, f"{name}: {ast.unparse(member.annotation)}"


def _methods(node: ast.ClassDef) -> Iterator[str]:
    """A line for each property and method, in the order of the source."""
    for member in node.body:
        if isinstance(member, Definition) and _is_shown(member):
            text = _sentence(ast.get_docstring(member))
            signature = _signature(member).replace("__init__(", f"{node.name}(")
            yield f"- `{signature}`{f': {text}' if text else ''}"


def _is_shown(member: Definition) -> bool:
    """Public ones are, how an instance is made, and special methods that have a docstring."""
    if any(ast.unparse(decorator).endswith(".setter") for decorator in member.decorator_list):
        return False
    is_special = member.name.startswith("__") and bool(ast.get_docstring(member))
    return not member.name.startswith("_") or member.name == "__init__" or is_special


def _signature(node: Definition) -> str:
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if "property" in decorators:
        return f"{node.name}{returns.replace(' ->', ':', 1)}"
    if node.name == "__init__":
        returns = ""
    before = "async with " if "asynccontextmanager" in decorators else ""
    before += "async " if isinstance(node, ast.AsyncFunctionDef) and not before else ""
    arguments = re.sub(r"^(self|cls)(, /)?(, |$)", "", ast.unparse(node.args))
    return f"{before}{node.name}({arguments}){returns}"


def _prose(node: ast.ClassDef | Definition, attributes: dict[str, str] | None = None) -> str:
    """The docstring as Markdown; the rows of its tables get the attributes' annotations."""

    def row(names: str, meaning: str) -> str:
        shown = [(attributes or {}).get(name, name) for name in names.split(", ")]
        return f"- {', '.join(f'`{text}`' for text in shown)}: {meaning}"

    return markdown(ast.get_docstring(node) or "", row)


def _sentence(docstring: str | None) -> str:
    """All of a member's docstring, in one line."""
    return " ".join((docstring or "").split()).replace("``", "`")
