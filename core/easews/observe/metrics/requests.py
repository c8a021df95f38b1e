"""Requests, and those that were refused, by cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from ...filters import Context
from .catalogue import REQUEST_DURATION, REQUESTS, REQUESTS_REFUSED, Figures, status_label
from .histogram import WAITS, Histogram
from .ways import ByWay

#: Why a request is refused that no filter has a result for, by the status.
CAUSES: Mapping[int, str] = {
    0: "noAnswer",
    400: "malformed",
    403: "forbidden",
    404: "notFound",
    405: "methodNotAllowed",
    408: "tooSlow",
    413: "bodyTooLarge",
    414: "targetTooLong",
    417: "expectationFailed",
    431: "headersTooLarge",
    499: "clientLeft",
    500: "internalError",
    501: "notImplemented",
    502: "badAnswer",
    503: "unavailable",
    504: "timeout",
    505: "version",
}
_OPENS = 101


@dataclass(slots=True)
class _Counts:
    statuses: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    durations: Histogram = field(default_factory=lambda: Histogram(WAITS))


class RequestCounts:
    """Its method `request` listens to the access log."""

    def __init__(self) -> None:
        self.ways: ByWay[_Counts] = ByWay(_Counts)

    def request(self, ctx: Context, status: int, seconds: float) -> None:
        """A request is over, or has opened a session. `status` is what the log has."""
        counts = self.ways[ctx.route.server, ctx.route.path]
        counts.statuses[status_label(status)] += 1
        if status != _OPENS:
            counts.durations.add(seconds)
        if status >= 400 or not status:
            kind = "handshake" if ctx.request.wants_upgrade else "request"
            counts.refused[kind, *_refused_by(ctx, status)] += 1

    def figures(self) -> Iterator[Figures]:
        """The figures."""
        ways = list(self.ways)
        statuses = ((way, counts.statuses.items()) for way, counts in ways)
        yield REQUESTS, [((*way, it), n) for way, counts in statuses for it, n in counts]
        yield REQUEST_DURATION, [(way, counts.durations) for way, counts in ways]
        refused = ((way, counts.refused.items()) for way, counts in ways)
        yield REQUESTS_REFUSED, [((*way, *why), n) for way, counts in refused for why, n in counts]


def _refused_by(ctx: Context, status: int) -> tuple[str, str]:
    """The filter, empty for the engine, and the cause: its result, or what the status means."""
    name, result = "", ""
    if ctx.trace and ctx.answered_by:
        name, result = next((step for step in reversed(ctx.trace) if step[1]), ctx.trace[-1])
    return name, result or CAUSES.get(status, "other")
