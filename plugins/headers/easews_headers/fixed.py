"""An answer that a config has in full: its status, headers and body."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from easews import Context, HeaderChanges, Response, SpecFault

#: What has no body (RFC 9110 §6.4.1).
_NO_BODY = (204, 205, 304)


class FixedAnswer:
    """Makes the same answer for each request; only the values of its headers are templates."""

    def __init__(self, status: int, headers: Mapping[str, str], body: str) -> None:
        self._status = status
        self._headers = HeaderChanges({"set": headers})
        self._body = body.encode()

    def make(self, ctx: Context, reason: str = "") -> Response:
        """The answer. `reason` is for the access log."""
        answer = Response(self._status, (), self._body, reason=reason)
        self._headers.apply(answer.headers, ctx)
        if self._body and "content-type" not in answer.headers:
            answer.headers.add("Content-Type", "text/plain; charset=utf-8")
        return answer


def answer_faults(
    status: int, headers: Mapping[str, str], body: str, at: Sequence[str | int], keys: Sequence[str]
) -> Iterator[SpecFault]:
    """The faults of such an answer, which stands at `at`; `keys` are those of headers and body."""
    of_headers, of_body = keys
    for fault in HeaderChanges.faults({"set": headers}, ()):
        yield fault._replace(path=(*at, of_headers, *fault.path[1:]))
    if body and status in _NO_BODY:
        yield SpecFault((*at, of_body), f"an answer with the status {status} has no body", "")
