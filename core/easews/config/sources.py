"""Which files make up a config: files, folders, and `-` for the standard input."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import Problem, why_unreadable

STDIN = "-"
ENDINGS = (".yaml", ".yml")


@dataclass(frozen=True, slots=True)
class Source:
    """A file as the user would name it, and its text."""

    name: str
    text: str


def read_sources(paths: Sequence[str]) -> Iterator[Source | Problem]:
    """Every file that `paths` lead to, each once and in order, or why it cannot be read."""
    seen: set[str] = set()
    for path in paths:
        if path == STDIN:
            yield _decoded("<stdin>", sys.stdin.buffer.read())
            continue
        for file in _files(path):
            if isinstance(file, Problem):
                yield file
            elif (real := os.path.realpath(file)) not in seen:
                seen.add(real)
                yield _read(file)


def source_files(paths: Sequence[str]) -> list[Path]:
    """The files that `paths` lead to now, whether they are there or not."""
    found = [file for path in paths if path != STDIN for file in _files(path)]
    return [file for file in found if isinstance(file, Path)]


def _files(path: str) -> list[Path] | list[Problem]:
    """The file itself, or a folder's files by name, those that a shell's * would take."""
    folder = Path(path)
    if not folder.is_dir():
        return [folder]
    try:
        names = sorted(entry.name for entry in folder.iterdir())
    except OSError as error:
        return [_unreadable(path, error)]
    chosen = [folder / name for name in names if name.endswith(ENDINGS) and name[0] != "."]
    files = [file for file in chosen if not file.is_dir()]
    return files or [_fault(path, "has no *.yaml or *.yml in it", "name a file or another folder")]


def _read(file: Path) -> Source | Problem:
    try:
        return _decoded(str(file), file.read_bytes())
    except OSError as error:
        return _unreadable(str(file), error)


def _decoded(name: str, content: bytes) -> Source | Problem:
    try:
        return Source(name, content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        column = error.start - content.rfind(b"\n", 0, error.start)
        return Problem(name, line, column, "", "is not UTF-8", "save the file as UTF-8")


def _unreadable(name: str, error: OSError) -> Problem:
    return _fault(name, *why_unreadable(error))


def _fault(name: str, wrong: str, accepted: str = "") -> Problem:
    return Problem(name, 1, 1, "", wrong, accepted)
