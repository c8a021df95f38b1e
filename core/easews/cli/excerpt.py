"""A problem's line with the spot underlined, for a terminal.

    |
  3 | prot: 8080
    | ^^^^

Widths are those that the terminal shows, and control characters are replaced.
"""

from __future__ import annotations

import unicodedata
from itertools import accumulate

from ..errors import Problem

#: Columns that stay visible left of the spot when a long line is cut.
_BEFORE_SPOT = 20
_CUT = "..."


def underlined(problem: Problem, width: int) -> tuple[str, str]:
    """The excerpt and the carets below it, each at most `width` columns; empty without one."""
    if not problem.excerpt.strip():
        return "", ""
    cells = [_cell(character) for character in problem.excerpt.rstrip()]
    begin = min(problem.column - 1, len(cells))
    end = len(cells) if problem.end_line > problem.line else max(begin, problem.end_column - 1)
    first = 0 if sum(map(_width, cells)) <= width else max(0, begin - _BEFORE_SPOT)
    before = _CUT if first else ""
    shown = before + "".join(_up_to(cells[first:], width - len(before)))
    left = len(before) + sum(map(_width, cells[first:begin]))
    spot = max(1, sum(map(_width, cells[begin:end])))
    return shown, " " * left + "^" * max(1, min(spot, width - left))


def _up_to(cells: list[str], width: int) -> list[str]:
    """The first cells as far as they fit."""
    if sum(map(_width, cells)) <= width:
        return cells
    ends = accumulate(map(_width, cells))
    return [cell for cell, end in zip(cells, ends, strict=True) if end <= width - len(_CUT)] + [
        _CUT
    ]


def _cell(character: str) -> str:
    """A character as it can be shown: tabs as a space, what is not printable as a sign."""
    if character == "\t":
        return " "
    return character if character.isprintable() else "\N{REPLACEMENT CHARACTER}"


def _width(cell: str) -> int:
    if unicodedata.combining(cell[:1]):
        return 0
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in cell)
