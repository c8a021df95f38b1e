"""Problems and tables as text: aligned and coloured for people, plain for pipes.

Colour follows https://no-color.org: on a terminal only, and never with NO_COLOR set.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TextIO

from ..errors import Problem

Style = tuple[str, str]

_PLAIN: Style = ("", "")
_BOLD: Style = ("\x1b[1m", "\x1b[0m")
_RED: Style = ("\x1b[31m", "\x1b[0m")
_CYAN: Style = ("\x1b[36m", "\x1b[0m")
_DIM: Style = ("\x1b[2m", "\x1b[0m")


def say(text: str, stream: TextIO | None = None) -> None:
    """Print `text`; what the stream's encoding cannot hold is escaped."""
    stream = stream or sys.stdout
    encoding = stream.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding), file=stream)


def complain(text: str) -> None:
    """Say on stderr what is not part of the answer."""
    say(f"easews: {text}", sys.stderr)


def has_colour(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def problems_text(problems: Sequence[Problem], *, terminal: bool, colour: bool) -> str:
    """One line a problem for pipes; for a terminal by file, with the remedy below."""
    if not terminal:
        return "\n".join(map(str, problems))
    files = dict.fromkeys(problem.file for problem in problems)
    blocks = [
        "\n".join([_painted(file, _BOLD, colour), *_block(problems, file, colour)])
        for file in files
    ]
    return "\n\n".join([*blocks, summary(len(problems), "problem")])


def _block(problems: Sequence[Problem], file: str, colour: bool) -> list[str]:
    here = [problem for problem in problems if problem.file == file]
    places = [f"{problem.line}:{problem.column}" for problem in here]
    width = max(map(len, places))
    lines: list[str] = []
    for problem, place in zip(here, places, strict=True):
        indent = " " * (width + 4)
        path = f"{_painted(problem.path, _CYAN, colour)}: " if problem.path else ""
        lines.append(f"  {place:>{width}}  {path}{_painted(problem.wrong, _RED, colour)}")
        if problem.accepted:
            lines.append(indent + _painted(problem.accepted, _DIM, colour))
    return lines


def problems_json(problems: Iterable[Problem]) -> str:
    """``{"problems": [{file, line, column, path, wrong, accepted}, ...]}``."""
    return json.dumps({"problems": [asdict(problem) for problem in problems]}, indent=2)


def summary(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def table(rows: Sequence[Sequence[str]], *, colour: bool = False) -> str:
    """Rows in aligned columns, the first one as the heading."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    return "\n".join([_painted(lines[0], _BOLD, colour), *lines[1:]])


def _painted(text: str, style: Style, colour: bool) -> str:
    begin, end = style if colour else _PLAIN
    return f"{begin}{text}{end}"
