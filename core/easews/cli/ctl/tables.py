"""Rows that fit the width of a terminal: cells are cut, then columns left out. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ..report import BOLD, painted

_GAP = "  "
_CUT = "…"


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table.

    right  whether it has numbers, which are aligned at their end
    rank   columns with the highest are left out first, those with 0 never
    least  to how many characters its cells may be cut; 0: they are not cut
    """

    title: str
    right: bool = False
    rank: int = 0
    least: int = 0


def table_lines(
    columns: Sequence[Column],
    rows: Sequence[Sequence[str]],
    width: int | None,
    *,
    colour: bool = False,
) -> list[str]:
    """The lines of the table, the heading first. None is a `width` without an end: a pipe's."""
    table = [[column.title for column in columns], *rows]
    widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
    if width is not None:
        widths = fitted_widths(columns, widths, width)
    heading, *lines = [_line(columns, widths, cells, width) for cells in table]
    return [painted(heading, BOLD, colour), *lines]


def fitted_widths(columns: Sequence[Column], widths: Sequence[int], width: int) -> list[int]:
    """The width of each column, 0 for those that are left out."""
    shown = [*range(len(columns))]
    while True:
        cut = _cut(columns, widths, shown, width)
        droppable = [at for at in shown if columns[at].rank]
        if _total(cut, shown) <= width or not droppable:
            return [cut[at] if at in shown else 0 for at in range(len(columns))]
        shown.remove(max(droppable, key=lambda at: (columns[at].rank, at)))


def _cut(
    columns: Sequence[Column], widths: Sequence[int], shown: Sequence[int], width: int
) -> list[int]:
    """The widths with the widest cells cut, as far as they may be and have to."""
    cut = [*widths]
    while _total(cut, shown) > width:
        longest = [at for at in shown if 0 < columns[at].least < cut[at]]
        if not longest:
            break
        cut[max(longest, key=lambda at: cut[at])] -= 1
    return cut


def _total(widths: Sequence[int], shown: Sequence[int]) -> int:
    return sum(widths[at] for at in shown) + len(_GAP) * (len(shown) - 1)


def _line(
    columns: Sequence[Column], widths: Sequence[int], cells: Sequence[str], width: int | None
) -> str:
    shown = [
        _cell(cell, size, column.right)
        for column, size, cell in zip(columns, widths, cells, strict=True)
        if size
    ]
    line = _GAP.join(shown).rstrip()
    return line if width is None else shortened(line, width)


def _cell(text: str, size: int, right: bool) -> str:
    text = shortened(text, size)
    return text.rjust(size) if right else text.ljust(size)


def shortened(text: str, size: int) -> str:
    """The text, or its beginning with a sign that there is more."""
    return text if len(text) <= size else text[: max(0, size - 1)] + _CUT[: max(0, size)]
