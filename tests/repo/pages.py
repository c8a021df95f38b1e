"""The project's pages as data: their blocks of code, and what the comments above them say.

A comment directly above a block, which no reader sees, says what is to be done with it:

    <!-- file: NAME -->       it is the file NAME, for the commands that follow on the page
    <!-- given: NAME = FILE --> before it, the repository's FILE is there as NAME
    <!-- fields of: KIND -->  it is a part of a config: fields of an object or filter of that kind
    <!-- exits: NUMBER -->    the last of its commands ends with this status
    <!-- not run: REASON -->  it is shown only, and why
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("plugins/*/README.md")])
MARKS = ("file", "given", "fields of", "exits", "not run")

_block = re.compile(
    r"^(?P<marks>(?:<!-- .*? -->\n)*)```(?P<language>[^\n`]*)\n(?P<text>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)
_mark = re.compile(r"<!-- (.*?): (.*?) -->\n")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: the line that its text begins at, its language, and its marks."""

    page: Path
    line: int
    language: str
    text: str
    marks: Mapping[str, str]

    @property
    def is_shown_only(self) -> bool:
        return "not run" in self.marks

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def without_blocks(page: Path) -> str:
    return _block.sub("", page.read_text())


def blocks_of(page: Path) -> Iterator[Block]:
    """The blocks of a page in the order of reading."""
    text = page.read_text()
    for match in _block.finditer(text):
        line = text.count("\n", 0, match.start("text")) + 1
        marks = dict(_mark.findall(match["marks"]))
        yield Block(page, line, match["language"], match["text"], marks)


def blocks(*languages: str) -> list[Block]:
    """The blocks of all pages that are in one of these languages, or in any."""
    found = [block for page in PAGES for block in blocks_of(page)]
    return [block for block in found if not languages or block.language in languages]
