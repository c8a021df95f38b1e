"""The words for failures that `retries.on`, `ejection.on` and `circuitBreaker.on` share.   (pure)

connect  the server cannot be reached
timeout  it does not answer in time
5xx      it answers with a status from 500 to 599
503      it answers with this status; so for every other one
"""

from __future__ import annotations

from collections.abc import Iterable

from ..errors import ConnectError, UpstreamTimeout

#: A word of a failure without an answer, or the status of an answer.
Cause = str | int


def causes(words: Iterable[Cause]) -> frozenset[Cause]:
    """What the words of an `on` stand for: with `5xx` there is each of its statuses."""
    named = {*words}
    return frozenset(named - {"5xx"} | {*(range(500, 600) if "5xx" in named else ())})


def cause_of(error: Exception) -> Cause:
    """The word for this failure; empty where there is none."""
    if isinstance(error, ConnectError):
        return "connect"
    return "timeout" if isinstance(error, UpstreamTimeout) else ""
