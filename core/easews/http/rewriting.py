"""What becomes of a path, in the client's encoding wherever it is the client's; and of other texts.

In the replacement for a match of a regular expression, `$1`, `${1}`, `$name` and `${name}` stand
for its groups as in Go's regexp.Expand: the name is as long as it can be (`$1x` is the group `1x`),
a group that is not there is empty, and `$$` is a dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from .paths import ambiguity, decoded, located, merged
from .regexps import compile_regexp

Rewrite = Callable[[str], str]
#: A replacement: text, and the groups in between by their number.
_Parts = Sequence[str | int]

_PCHAR = "!$&'()*+,;=:@~/"  # RFC 3986 §3.3, besides letters, digits and -._
_triplets = re.compile(r"(%[0-9A-Fa-f]{2})")
_reference = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})", re.ASCII)


def replace_path(target: str) -> Rewrite:
    """Every path becomes `target`."""
    path = _absolute(_encoded(target))
    return lambda raw: path


def replace_path_prefix(prefix: str, target: str) -> Rewrite:
    """A path that begins with `prefix`, when decoded, begins with `target` instead."""
    begin, target = merged(prefix), _encoded(target)
    length = len(begin)

    def rewrite(raw: str) -> str:
        path, offsets = located(raw)
        return _absolute(target + raw[offsets[length] :]) if path.startswith(begin) else raw

    return rewrite


def replace_in_path(regexp: Any, target: str) -> Rewrite:
    """Each match in the decoded path becomes `target`. `regexp` is a pattern, or RE2's object."""
    if isinstance(regexp, str):
        regexp = compile_regexp(regexp)
    parts = _parsed(target, regexp, _encoded)
    return lambda raw: _absolute(_replaced(regexp, parts, *located(raw), raw))


def replace_in_text(regexp: str, replacement: str) -> Callable[[str], str | None]:
    """Each match in a text becomes `replacement`. None is the result for a text without match."""
    pattern = compile_regexp(regexp)
    parts = _parsed(replacement, pattern, str)

    def rewrite(text: str) -> str | None:
        if pattern.search(text) is None:
            return None
        return _replaced(pattern, parts, text, range(len(text) + 1), text)

    return rewrite


def rewrite_target(target: str, rewrite: Rewrite) -> str:
    """`target`, which may have a query, with its path rewritten.

    ValueError, with a text for the client, when servers would read the new path differently: in
    `/files../x` there is no dot segment, but there is one with `/files` replaced by `/data/`.
    """
    raw, mark, query = target.partition("?")
    path = rewrite(raw)
    if fault := ambiguity(decoded(path)):
        raise ValueError(f"the path has {fault}: send it resolved, and without any such character")
    return path + mark + query


def missing_groups(replacement: str, regexp: Any) -> list[str]:
    """The groups that `replacement` names and RE2's object `regexp` has not."""
    named = [one or other for _, one, other in _reference.findall(replacement)]
    return [name for name in dict.fromkeys(named) if name and _group(name, regexp) == ""]


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _encoded(text: str) -> str:
    """Config text as it can stand in a path: percent-encoded where need be, but not twice."""
    pieces = _triplets.split(text)
    return "".join(
        piece if index % 2 else quote(piece, safe=_PCHAR) for index, piece in enumerate(pieces)
    )


def _parsed(text: str, regexp: Any, written: Callable[[str], str]) -> _Parts:
    parts: list[str | int] = []
    end = 0
    for reference in _reference.finditer(text):
        parts.append(written(text[end : reference.start()]))
        dollar, *names = reference.groups()
        parts.append(dollar or _group(names[0] or names[1], regexp))
        end = reference.end()
    return [*parts, written(text[end:])]


def _group(name: str, regexp: Any) -> str | int:
    """The group's number, or "" when there is no such group."""
    number = int(name) if name.isdigit() else regexp.groupindex.get(name, -1)
    return number if 0 <= number <= regexp.groups else ""


def _replaced(regexp: Any, parts: _Parts, text: str, offsets: Sequence[int], raw: str) -> str:
    """`raw` with the matches in `text` replaced, whose characters have these offsets in it."""
    done: list[str] = []
    end = 0
    for match in regexp.finditer(text):
        start = match.start()
        # As in Go, an empty match right behind another match is none. (RE2's finditer also
        # reports an empty match twice.)
        if start == match.end() == end and done:
            continue
        done.append(raw[offsets[end] : offsets[start]])
        done += [
            raw[offsets[match.start(part)] : offsets[match.end(part)]]
            if isinstance(part, int)
            else part
            for part in parts
        ]
        end = match.end()
    return "".join(done) + raw[offsets[end] :]
