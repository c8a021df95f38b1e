"""rewriteTarget: the groups that it names are those of its pathRegexp.

Another one would be empty on the way to the backend: with `/api/$1x` that is the group `1x`.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Problem
from ..http.regexps import compile_regexp
from ..http.rewriting import missing_groups
from .documents import Document, Node
from .phrases import listed


def check_rewrites(server: Document) -> Iterator[Problem]:
    """Each group that a rewriteTarget names and its pathRegexp has not."""
    for number, rule in server.root.items("rules"):
        for place, path in rule.items("paths"):
            for wrong, accepted in _faults(path):
                at = ("rules", number, "paths", place, "rewriteTarget")
                yield server.problem(at, wrong, accepted)


def _faults(path: Node) -> Iterator[tuple[str, str]]:
    target, pattern = path.text("rewriteTarget"), path.text("pathRegexp")
    if not target or not pattern:
        return
    regexp = compile_regexp(pattern)
    for name in missing_groups(target, regexp):
        shown = "a group" if path.children["rewriteTarget"].hidden else f"the group {name!r}"
        groups = [f"${group}" for group in (*range(regexp.groups + 1), *regexp.groupindex)]
        follows = f"; write ${{{name[0]}}} before a letter or digit" if _runs_on(name) else ""
        yield f"{shown} is none of pathRegexp's", f"it has: {listed(groups)}{follows}"


def _runs_on(name: str) -> bool:
    """Whether a number was meant, and what stands behind it was not."""
    return name[0].isdigit() and len(name) > 1
