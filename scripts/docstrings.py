"""Docstrings as Markdown: prose, lists, code behind `::`, and tables of names and meanings.

A table explains the attributes of a class, a row for each::

    status    the status code
    headers   the header fields; those that are long go on
              in the next line
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

#: What a page makes of a row: its names and its meaning in, list items out.
Row = Callable[[str, str], str]

_row = re.compile(r"(\w+(?:, \w+)*) {2,}(\S.*)").fullmatch


def explained(docstring: str) -> set[str]:
    """The names that the tables of a docstring explain."""
    tables = filter(_is_table, docstring.split("\n\n"))
    return {name for table in tables for names, _ in _rows(table) for name in names.split(", ")}


def markdown(docstring: str, row: Row) -> str:
    """The docstring as Markdown; `row` makes the items of a table."""
    parts: list[str] = []
    for part in docstring.split("\n\n"):
        if _is_table(part):
            parts.append("\n".join(row(names, meaning) for names, meaning in _rows(part)))
        elif parts and parts[-1].endswith("::"):
            parts[-1] = parts[-1][:-1]
            parts.append(f"```python\n{_dedented(part)}\n```")
        else:
            parts.append(part.replace("``", "`"))
    return "\n\n".join(parts)


def _is_table(part: str) -> bool:
    first, *others = part.split("\n")
    return bool(_row(first)) and all(_row(line) or line.startswith("  ") for line in others)


def _rows(table: str) -> Iterator[tuple[str, str]]:
    """The names and the meaning of each row, the lines of a meaning joined."""
    for text in re.split(r"\n(?=\S)", table):
        first, *others = text.replace("``", "`").split("\n")
        if match := _row(first):
            yield match[1], " ".join([match[2], *map(str.strip, others)])


def _dedented(code: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in code.split("\n"))
