"""Problems and tables as text: aligned and coloured for people, plain for pipes.

Colour follows https://no-color.org: on a terminal only, and never with NO_COLOR set.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import textwrap
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TextIO

from ..errors import PluginError, Problem
from .excerpt import underlined

#: Text is not stretched over more columns than this, however wide the terminal is.
WIDEST = 130
#: A table's last column is not squeezed into fewer columns than this.
_NARROWEST = 40

Style = tuple[str, str]

BOLD: Style = ("\x1b[1m", "\x1b[0m")
RED: Style = ("\x1b[31m", "\x1b[0m")
GREEN: Style = ("\x1b[32m", "\x1b[0m")
YELLOW: Style = ("\x1b[33m", "\x1b[0m")
BOLD_RED: Style = ("\x1b[1;31m", "\x1b[0m")
CYAN: Style = ("\x1b[36m", "\x1b[0m")
DIM: Style = ("\x1b[2m", "\x1b[0m")


def say(text: str, stream: TextIO | None = None) -> None:
    """Print `text`; what the stream's encoding cannot hold is escaped."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def say_json(value: object) -> None:
    """Print `value` for machines."""
    say(json.dumps(value, indent=2))


def printable(text: str) -> str:
    """`text` with what a terminal could take for a command escaped."""
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def complain(text: str) -> None:
    """Say on stderr what is not part of the answer."""
    say(f"easews: {text}", sys.stderr)


def complain_of_broken(faults: Iterable[PluginError], told: Iterable[Problem] = ()) -> None:
    """Warn of the plugins that are left out, but for those that a problem tells of anyhow."""
    known = {problem.accepted for problem in told}
    for fault in faults:
        if str(fault) not in known:
            complain(f"warning: a plugin is left out, because it is broken: {fault}")


def has_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def width_of(stream: TextIO) -> int | None:
    """How many columns there are to write in; None when that is no terminal."""
    return min(shutil.get_terminal_size().columns, WIDEST) if stream.isatty() else None


def problems_text(
    problems: Sequence[Problem], *, width: int | None, colour: bool, kinds: Container[str] = ()
) -> str:
    """One line a problem for pipes, which have no width; for a terminal each with its excerpt.

    `kinds` are those whose fields `easews kinds` can show.
    """
    if width is None:
        return "\n".join(map(str, problems))
    blocks = ["\n".join(_block(problem, width, colour)) for problem in problems]
    return "\n\n".join([*blocks, _closing(problems, kinds)])


def _block(problem: Problem, width: int, colour: bool) -> Iterable[str]:
    """
    what is wrong
      --> file:line:column  path
       |
     3 | the line
       | ^^^^
       = what would be accepted
    """
    number = str(problem.line)
    gutter = " " * (len(number) + 1)
    bar = painted(f"{gutter}|", DIM, colour)
    yield from (painted(line, BOLD_RED, colour) for line in folded(problem.wrong, width))
    place = f"{problem.file}:{problem.line}:{problem.column}" if problem.end_line else problem.file
    path = f"  {painted(problem.path, CYAN, colour)}" if problem.path else ""
    yield f"{painted(gutter[:-1] + '-->', DIM, colour)} {place}{path}"
    line, carets = underlined(problem, width - len(gutter) - 2)
    if line:
        yield bar
        yield f"{painted(f'{number} |', DIM, colour)} {line}"
        yield f"{bar} {painted(carets, RED, colour)}"
    if problem.accepted:
        first, *others = folded(problem.accepted, width - len(gutter) - 2)
        yield f"{painted(f'{gutter}=', DIM, colour)} {first}"
        yield from (f"{gutter}  {other}" for other in others)


def folded(text: str, width: int) -> list[str]:
    """`text` in lines; names of files and fields are not taken apart."""
    return textwrap.wrap(text, width, break_on_hyphens=False, break_long_words=False)


def _closing(problems: Sequence[Problem], kinds: Container[str]) -> str:
    """How many there are, and where the fields of the kinds that they are about are told."""
    about = dict.fromkeys(problem.kind for problem in problems if problem.kind in kinds)
    commands = " and ".join(f"easews kinds {kind}" for kind in about)
    count = summary(len(problems), "problem")
    return f"{count}; for the fields: {commands}" if commands else count


def problems_json(problems: Iterable[Problem]) -> str:
    """``{"problems": [...]}``, each with file, line, column, path, wrong, accepted, and the end
    of its spot, which is 0 where it is not known."""
    return json.dumps({"problems": [_machine_readable(problem) for problem in problems]}, indent=2)


def _machine_readable(problem: Problem) -> dict[str, object]:
    return {
        "file": problem.file,
        "line": problem.line,
        "column": problem.column,
        "path": problem.path,
        "wrong": problem.wrong,
        "accepted": problem.accepted,
        "endLine": problem.end_line,
        "endColumn": problem.end_column,
    }


def summary(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def details(rows: Iterable[tuple[str, str]], width: int | None, *, colour: bool) -> str:
    """Labels, and beside each its text, in as many lines as it needs; empty ones are left out."""
    shown = [(label, text) for label, text in rows if text.strip()]
    column = max((len(label) for label, _ in shown), default=0)
    lines = []
    for label, text in shown:
        first, *more = (
            [text] if width is None else folded(text, max(_NARROWEST, width - column - 4))
        )
        lines.append(f"  {painted(label.ljust(column), DIM, colour)}  {first}")
        lines += [" " * (column + 4) + line for line in more]
    return "\n".join(lines)


def table(rows: Sequence[Sequence[str]], *, colour: bool = False) -> str:
    """Rows in aligned columns, the first one as the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([painted(lines[0], BOLD, colour), *lines[1:]])


def fitted_table(rows: Sequence[Sequence[str]], width: int | None, colour: bool) -> str:
    """The table; where it is too wide, with the text of each last cell in the lines below it."""
    if width is None:
        return table(rows, colour=colour)
    columns = list(zip(*rows, strict=True))
    left = width - sum(max(map(len, column)) + 2 for column in columns[:-1])
    if left >= _NARROWEST:
        return table(list(_folded_rows(rows, left)), colour=colour)
    cells = [row[:-1] for row in rows]
    if left < 0:  # not even without the text: then nothing is aligned
        cells = [["  ".join(row)] for row in cells]
    heading, *lines = table(cells, colour=colour).split("\n")
    texts = [textwrap.indent("\n".join(folded(row[-1], width - 4)), "    ") for row in rows[1:]]
    return "\n".join([heading, *chain(*zip(lines, texts, strict=True))])


def _folded_rows(rows: Sequence[Sequence[str]], width: int) -> Iterator[tuple[str, ...]]:
    """The rows with their last cell in as many lines as it needs in `width`."""
    for *cells, text in rows:
        first, *more = folded(text, width) or [""]
        yield (*cells, first)
        yield from ((*[""] * len(cells), line) for line in more)


def painted(text: str, style: Style, colour: bool) -> str:
    """`text` in this style, or as it is."""
    begin, end = style if colour else ("", "")
    return f"{begin}{text}{end}"
