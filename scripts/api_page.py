"""The reference page of what filters may import, from the sources' own docstrings.

It is read from the syntax tree and not from the living objects, so that every Python writes the
same page, with annotations as they stand in the sources.
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

#: What a filter's package may import, and what it is for.
MODULES = {
    "easews": "The contract of filters, and the values that they read and write.",
    "easews.upstream": "Backends, for any filter that talks to some.",
    "easews.testing": "What the authors of filters test with.",
}

#: What is neither class nor function, and so has no docstring of its own.
OTHERS = {
    "READ": "An event of a `Poller`: there is something to receive, or the stream has ended.",
    "WRITE": "An event of a `Poller`: there is room to send.",
    "Side": "Who did something in a session: `'client'`, `'backend'`, or `'proxy'` for easews.",
    "hookimpl": (
        "The decorator of `easews_filters()`, the function in which a package returns the list of "
        "its filter classes."
    ),
}

OPENING = """\
# What filters import

A package of filters imports from `easews`, `easews.upstream` and `easews.testing`, and nothing
else of easews: the rest may change at any time. How they are used is told in
[How to write a filter](../how-to/write-a-filter.md) and
[How to test a filter](../how-to/test-a-filter.md).
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
        body = [f"`{_signature(node)}`", _prose(ast.get_docstring(node))]
    else:
        body = [OTHERS.get(name) or f"The value `{value!r}`."]
    return f"### {name}\n\n" + "\n\n".join(filter(None, body)) + "\n"


def _tree(value: Any) -> ast.stmt:
    return ast.parse(textwrap.dedent(inspect.getsource(value))).body[0]


def _class(value: type) -> list[str]:
    node = _tree(value)
    assert isinstance(node, ast.ClassDef)
    bases = [base.__name__ for base in value.__bases__ if base.__module__.startswith("easews")]
    members = [line.replace("`__init__(", f"`{node.name}(") for line in _members(node)]
    return [
        f"A kind of `{bases[0]}`." if bases else "",
        _prose(ast.get_docstring(node)),
        "\n".join(members),
    ]


def _members(node: ast.ClassDef) -> Iterator[str]:
    """A line for each public attribute and method, in the order of the source."""
    for member in node.body:
        if isinstance(member, ast.AnnAssign) and _is_public(ast.unparse(member.target)):
            yield f"- `{ast.unparse(member)}`"
        elif isinstance(member, Definition) and _is_shown(member):
            text = _sentence(ast.get_docstring(member))
            yield f"- `{_signature(member)}`{f': {text}' if text else ''}"


def _is_public(name: str) -> bool:
    return not name.startswith("_")


def _is_shown(member: Definition) -> bool:
    """Public ones are, how an instance is made, and special methods that have something to say."""
    if any(ast.unparse(decorator).endswith(".setter") for decorator in member.decorator_list):
        return False
    is_told = member.name.startswith("__") and bool(ast.get_docstring(member))
    return _is_public(member.name) or member.name == "__init__" or is_told


def _signature(node: Definition) -> str:
    decorators = {ast.unparse(decorator) for decorator in node.decorator_list}
    returns = f" -> {ast.unparse(node.returns)}" if node.returns else ""
    if "property" in decorators:
        return f"{node.name}{returns.replace(' ->', ':', 1)}"
    before = "async with " if "asynccontextmanager" in decorators else ""
    before += "async " if isinstance(node, ast.AsyncFunctionDef) and not before else ""
    arguments = re.sub(r"^(self|cls)(, /)?(, |$)", "", ast.unparse(node.args))
    return f"{before}{node.name}({arguments}){returns}"


def _prose(docstring: str | None) -> str:
    """A docstring as Markdown, in which nothing is indented."""
    lines = (docstring or "").replace("``", "`").split("\n")
    return "\n".join(line.strip() for line in lines)


def _sentence(docstring: str | None) -> str:
    """All of a member's docstring, in one line."""
    return " ".join((docstring or "").split()).replace("``", "`")
