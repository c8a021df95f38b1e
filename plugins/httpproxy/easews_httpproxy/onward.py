"""The request as a server gets it, and the framing of its body (RFC 9110 §7.6, RFC 9112 §6).

No I/O happens here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from easews import BadAnswer, Headers, Request, end_to_end

_CHUNKED = ("transfer-encoding", "Transfer-Encoding", "chunked")
_LAST = ("connection", "Connection", "close")
_EXPECT = ("expect", "Expect", "100-continue")
_TAKES_TRAILERS = [("te", "TE", "trailers"), ("connection", "Connection", "TE")]

#: `clientMaxBodySize` of a server, when a config says nothing of it.
DEFAULT_BODY_LIMIT = 4 * 1024 * 1024


def server_headers(request: Request, host: str, headers: Headers, *, last: bool) -> Headers:
    """The headers of the request to a server.

    `headers` are the client's, X-Forwarded-* already decided on. `host` is the server's own Host,
    or "" for the client's. `last` says that the connection serves no other request.
    """
    # Host is first, where RFC 9110 §7.2 wants it.
    onward = [("host", "Host", host or request.host)]
    # Content-Length, which frames the body, must not come in any other spelling besides.
    onward += end_to_end(headers, "host", "expect", "content-length").triples
    onward += [_length(value) for value in headers.by_name.get("content-length", ())]
    if expects_continue(request):
        onward.append(_EXPECT)
    if "transfer-encoding" in headers:
        onward.append(_CHUNKED)
        onward += [("trailer", "Trailer", names) for names in headers.get_all("trailer")]
    if last:
        onward.append(_LAST)
    if "trailers" in headers.tokens("te"):  # RFC 9110 §10.1.4
        onward += _TAKES_TRAILERS
    return Headers.parsed(onward)


def _length(value: str) -> tuple[str, str, str]:
    return "content-length", "Content-Length", value


def expects_continue(request: Request) -> bool:
    """Whether the client waits for a 100 before it sends its body (RFC 9110 §10.1.1)."""
    return (
        "expect" in request.headers
        and request.version != "1.0"
        and has_body(request)
        and "100-continue" in request.headers.tokens("expect")
    )


def body_limit(pool_limit: int | None, path_limit: int) -> int:
    """The most bytes that a client's body may have: the pool's own limit, else the path's.

    A path without one leads to a WebSocketProxy, too, which wants that. It says nothing about
    bodies, so the default of other paths holds.
    """
    if pool_limit is not None:
        return pool_limit
    return path_limit if path_limit >= 0 else DEFAULT_BODY_LIMIT


def has_body(request: Request) -> bool:
    """Whether a body follows the request's head (RFC 9112 §6.3), if only an empty one in chunks."""
    found = request.headers.by_name
    return "transfer-encoding" in found or found.get("content-length", ("0",))[0].strip("0") != ""


def body_length(request: Request) -> int | None:
    """The length that the request's head announces, None when its body comes in chunks."""
    headers = request.headers
    if "transfer-encoding" in headers:
        return None
    return int(headers.get("content-length", "0"))


async def within(body: AsyncIterator[bytes], limit: int) -> AsyncIterator[bytes]:
    """`body`, as long as it has no more than `limit` bytes. BadAnswer otherwise."""
    size = 0
    async for piece in body:
        size += len(piece)
        if size > limit:
            raise BadAnswer(over(limit))
        yield piece


def over(limit: int) -> str:
    """Why an answer is refused whose body is over `limit`."""
    return f"the body of its answer is over {limit} bytes (serverMaxBodySize)"


class Nothing:
    """The body of an answer that has none, whatever length its head announces."""

    def __aiter__(self) -> Nothing:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration
