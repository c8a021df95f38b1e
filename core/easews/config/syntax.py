"""What PyYAML's complaints mean to somebody who wrote a config: where, what, and the remedy.

PyYAML tells which token it did not expect. What is wrong is often the line before, a quote, or
the indentation, so each of its texts has one of ours; an unknown one is passed on as it is.
"""

from __future__ import annotations

import re
from typing import NamedTuple

import yaml


class SyntaxFault(NamedTuple):
    """`line` and `column` count from 1."""

    line: int
    column: int
    wrong: str
    accepted: str


class _Meaning(NamedTuple):
    """`at_context` tells that the spot is where the unfinished thing began."""

    complaint: re.Pattern[str]
    wrong: str
    accepted: str
    at_context: bool = False


_BEGUN_ABOVE = ", begun in a line above"
_QUOTE_IT = "put the text in quotes"
_INDENTATION = "check the indentation of this line and of those above"

_GLUED = re.compile(r"\s*(?:- +)*([A-Za-z_][\w-]*):(?!//)\S")

# Searched in "context; problem", to which _BEGUN_ABOVE is added where that is so. The first that
# is found counts; \1 is its first group.
_MEANINGS = [
    _Meaning(
        re.compile(r"found character '\\t'"),
        "a tab stands here, and YAML is indented with spaces",
        "put spaces in its place",
    ),
    _Meaning(re.compile(r"found character '(.)'"), r"no text begins with \1 in YAML", _QUOTE_IT),
    _Meaning(
        re.compile(r"mapping values are not allowed here"),
        "a second ': ' stands in this line, or the line is indented too far",
        "put text that has ': ' in it in quotes, or mend the indentation",
    ),
    _Meaning(
        re.compile(r"could not find expected ':'"),
        "this line is no key with a value",
        "write 'key: value', and text of several lines in quotes",
        at_context=True,
    ),
    _Meaning(
        re.compile(r"sequence entries are not allowed here"),
        "a list cannot begin in the middle of a line",
        "begin it on the next line, or put the text in quotes",
    ),
    _Meaning(
        re.compile(r"quoted scalar; found unexpected (end of stream|document separator)"),
        "this quote is never closed",
        "close it; a ' within '...' is written '', and a \" within \"...\" is written \\\\\"",
        at_context=True,
    ),
    _Meaning(
        re.compile(r"found unknown escape character '(.)'"),
        r"\\\1 is no escape in double quotes",
        "use single quotes, in which a backslash is a backslash",
    ),
    _Meaning(
        re.compile(r"scanning an alias; expected alphabetic"),
        "a text that begins with * is an alias in YAML",
        _QUOTE_IT,
        at_context=True,
    ),
    _Meaning(
        re.compile(r"scanning an anchor; expected alphabetic"),
        "a text that begins with & is an anchor in YAML",
        _QUOTE_IT,
        at_context=True,
    ),
    _Meaning(
        re.compile(
            r"flow (?:sequence|mapping); expected ',' or '(.)', but got '(?:<stream|.*"
            + _BEGUN_ABOVE
            + ")"
        ),
        r"the closing \1 is missing",
        r"close it with a \1",
        at_context=True,
    ),
    _Meaning(
        re.compile(r"flow (?:sequence|mapping); expected ',' or '(.)'"),
        r"a comma or the closing \1 is missing before this",
        r"put a comma between the entries; text with ,[]{} in it goes in quotes",
    ),
    _Meaning(
        re.compile(r"expected the node content"),
        "a value is missing before this",
        "write one, or take the comma out",
    ),
    _Meaning(
        re.compile(r"expected <block end>, but found '-'"),
        "a '- ' stands where a key has to",
        _INDENTATION,
    ),
    _Meaning(
        re.compile(r"block collection; expected <block end>"),
        "a '- ' has to stand here, as in the entries above",
        _INDENTATION,
    ),
    _Meaning(
        re.compile(r"expected <block end>, but found '<scalar>'"),
        "there is more text behind a value that is complete",
        "put all of it in one pair of quotes",
    ),
    _Meaning(
        re.compile(r"expected <block end>|unindent does not match|expected '<document start>'"),
        "this does not belong to anything above it",
        _INDENTATION,
    ),
    _Meaning(
        re.compile(r"undefined tag handle|expected URI|scanning a tag"),
        "YAML tags are not accepted",
        "remove the tag; text goes in quotes",
    ),
]


def syntax_fault(error: yaml.MarkedYAMLError) -> SyntaxFault:
    """The place, the fault and the remedy of what PyYAML could not parse."""
    complaint = "; ".join(filter(None, (error.context, error.problem)))
    if (
        error.context_mark
        and error.problem_mark
        and error.problem_mark.line > error.context_mark.line
    ):
        complaint += _BEGUN_ABOVE
    for meaning in _MEANINGS:
        if found := meaning.complaint.search(complaint):
            mark = error.context_mark if meaning.at_context else None
            wrong, accepted = found.expand(meaning.wrong), found.expand(meaning.accepted)
            break
    else:
        mark, wrong, accepted = None, complaint, ""
    mark = mark or error.problem_mark or error.context_mark
    line, column = (mark.line, mark.column) if mark else (0, 0)
    if mark and (glued := _glued_key(complaint, mark)):
        return glued
    if "flow " in complaint and "${" in _line_of(mark):
        wrong = "a ${NAME} stands between [] or {} without quotes"
        accepted = "write quotes around it"
    return SyntaxFault(line + 1, column + 1, f"not YAML: {wrong}", accepted)


def _glued_key(complaint: str, mark: yaml.Mark) -> SyntaxFault | None:
    """A key whose value follows its ``:`` at once, in this line or in the one above.

    To YAML that is a text, which then goes on in the next line.
    """
    above = {"mapping values are not allowed here": 1, "could not find expected ':'": 0}
    for number in (mark.line - lines for text, lines in above.items() if text in complaint):
        if found := _GLUED.match(_line(mark, number)):
            wrong = f"not YAML: no space behind the ':' of {found[1]!r}"
            return SyntaxFault(number + 1, found.end(1) + 1, wrong, "write a space there")
    return None


def _line_of(mark: yaml.Mark | None) -> str:
    return _line(mark, mark.line) if mark else ""


def _line(mark: yaml.Mark, number: int) -> str:
    lines = (mark.buffer or "").splitlines()
    return lines[number] if 0 <= number < len(lines) else ""
