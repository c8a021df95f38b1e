"""Why no path is responsible: of several reasons the one that says most about what is missing.

403 before 400, because who is not let in learns nothing else; 400 before 405, because a path
whose method fits is nearer to what was asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ...http import Request

#: Of these the first one that occurs is told; without any it is 404.
_PRECEDENCE = (403, 400, 405)


@dataclass(frozen=True, slots=True)
class Refused:
    """No path is responsible: what to answer."""

    status: int
    detail: str
    headers: tuple[tuple[str, str], ...] = ()


class Failure(NamedTuple):
    """Why one path is not responsible: `words` are what was missing, or the methods it has."""

    status: int
    words: tuple[str, ...] = ()


NOT_LET_IN = Failure(403)
_NOT_FOUND = Refused(404, "no rule of this server matches this host and path")


def refused(failures: Sequence[Failure], request: Request) -> Refused:
    """What to answer when all paths of this host and path have failed."""
    if not failures:
        return _NOT_FOUND
    statuses = {failure.status for failure in failures}
    status = next(status for status in _PRECEDENCE if status in statuses)
    words = dict.fromkeys(
        word for failure in failures if failure.status == status for word in failure.words
    )
    return _ANSWERS[status](words, request)


def ambiguous(fault: str) -> Refused:
    """The path has a part that servers resolve differently."""
    return Refused(400, f"the path has {fault}: send it resolved, and without any such character")


def _not_let_in(_: Iterable[str], request: Request) -> Refused:
    return Refused(403, f"clients at {request.client.host} are not allowed here")


def _mismatch(words: Iterable[str], _: Request) -> Refused:
    return Refused(400, f"no path here takes the values of: {', '.join(words)}")


def _method_not_allowed(allowed: Iterable[str], request: Request) -> Refused:
    methods = ", ".join(allowed)
    detail = f"{request.method} is not allowed on this path; allowed: {methods}"
    return Refused(405, detail, (("Allow", methods),))


_ANSWERS = {403: _not_let_in, 400: _mismatch, 405: _method_not_allowed}
