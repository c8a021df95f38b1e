"""Which trace a request belongs to: `traceparent` of W3C Trace Context, read and written."""

from __future__ import annotations

import re
from typing import NamedTuple

from .headers import Headers

#: The fields of a trace.
TRACEPARENT, TRACESTATE = "traceparent", "tracestate"
_SAMPLED = 0x01
_form = re.compile(
    r"(?P<version>[0-9a-f]{2})-(?P<trace>[0-9a-f]{32})-(?P<parent>[0-9a-f]{16})"
    r"-(?P<flags>[0-9a-f]{2})(?P<more>-.*)?"
)


class TraceParent(NamedTuple):
    """Who has called.

    trace    the number of the trace, which all that happens for one request have in common
    span     the number of the caller's part in it
    sampled  whether the caller has recorded that part
    """

    trace: int
    span: int
    sampled: bool

    def __str__(self) -> str:
        return f"00-{self.trace:032x}-{self.span:016x}-{self.sampled:02x}"


def traceparent_of(headers: Headers) -> TraceParent | None:
    """The caller's, None when there is none that is valid: then a new trace begins.

    Later versions may have more behind what version 00 has (§3.2.4, "Versioning of traceparent").
    """
    values = headers.get_all(TRACEPARENT)
    found = _form.fullmatch(values[0].strip(" \t")) if len(values) == 1 else None
    if found is None or found["version"] == "ff" or (found["version"] == "00" and found["more"]):
        return None
    trace, span = int(found["trace"], 16), int(found["parent"], 16)
    if not trace or not span:
        return None
    return TraceParent(trace, span, bool(int(found["flags"], 16) & _SAMPLED))


def set_traceparent(headers: Headers, own: TraceParent, caller: TraceParent | None) -> None:
    """Make our part the caller of whoever gets `headers`.

    `tracestate` goes on with the trace that it belongs to, and with no other (§3.3.1.5).
    """
    headers.set(TRACEPARENT, str(own))
    if caller is None:
        headers.remove(TRACESTATE)
