"""rewriteTarget: the path that is sent on, in the client's encoding wherever it is the client's.

With `path` the whole path is replaced, with `pathPrefix` the prefix, and with `pathRegexp` each
match, `$1`, `${1}`, `$name` and `${name}` standing for its groups as in Go's regexp.Expand:
the name is as long as it can be (`$1x` is the group `1x`), a group that is not there is empty,
and `$$` is a dollar sign.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from urllib.parse import quote

from ...config.model import PathSpec
from ...http.paths import located, merged

Rewrite = Callable[[str], str]
#: A replacement: text, and the groups in between by their number.
Template = Sequence[str | int]

_PCHAR = "!$&'()*+,;=:@~/"  # RFC 3986 §3.3, besides letters, digits and -._
_triplets = re.compile(r"(%[0-9A-Fa-f]{2})")
_reference = re.compile(r"\$(?:(\$)|(\w+)|\{(\w+)\})", re.ASCII)


def rewriter(spec: PathSpec, regexp: Any) -> Rewrite | None:
    """What turns the client's path into the one that is sent on; None leaves it as it is.

    `regexp` is `path_regexp` compiled by RE2, or None.
    """
    if not spec.rewrite_target:
        return None
    if regexp is not None:
        template = _parse_template(spec.rewrite_target, regexp)
        return lambda raw: _absolute(_replace(regexp, template, raw))
    target = _encode(spec.rewrite_target)
    if spec.path_prefix is not None:
        length = len(merged(spec.path_prefix))
        return lambda raw: _absolute(target + raw[located(raw)[1][length] :])
    return lambda raw: _absolute(target)


def _absolute(path: str) -> str:
    return path if path.startswith("/") else f"/{path}"


def _encode(text: str) -> str:
    """Config text as it can stand in a path: percent-encoded where need be, but not twice."""
    pieces = _triplets.split(text)
    return "".join(
        piece if index % 2 else quote(piece, safe=_PCHAR) for index, piece in enumerate(pieces)
    )


def _parse_template(text: str, regexp: Any) -> Template:
    template: list[str | int] = []
    end = 0
    for reference in _reference.finditer(text):
        template.append(_encode(text[end : reference.start()]))
        dollar, *names = reference.groups()
        template.append(dollar or _group(names[0] or names[1], regexp))
        end = reference.end()
    return [*template, _encode(text[end:])]


def _group(name: str, regexp: Any) -> str | int:
    """The group's number, or "" when there is no such group."""
    number = int(name) if name.isdigit() else regexp.groupindex.get(name, -1)
    return number if 0 <= number <= regexp.groups else ""


def _replace(regexp: Any, template: Template, raw: str) -> str:
    path, offsets = located(raw)
    done: list[str] = []
    end = 0
    for match in regexp.finditer(path):
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
            for part in template
        ]
        end = match.end()
    return "".join(done) + raw[offsets[end] :]
