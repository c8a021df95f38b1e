"""What a filter reads and writes: `Request` is what the client asks for, `Response` what it gets.

(The other kind of answer, `Upgrade`, is in `easews.sessions`.)
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Collection, Iterable
from urllib.parse import unquote_to_bytes

from ..addresses import Address
from .certificates import ClientCertificate
from .headers import Headers

_LOOPBACK = Address("127.0.0.1")


class _Content:
    """A body that is there as a whole."""

    __slots__ = ("_content",)

    def __init__(self, content: bytes = b"") -> None:
        self._content = content

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        content, self._content = self._content, b""
        if not content:
            raise StopAsyncIteration
        return content


class Request:
    """What the client asked for, and who it is.

    method       the method, such as ``GET``
    target       path and query in the client's own encoding, as they are sent to the backend
    headers      the header fields, without those that a client must not set
    version      the version of HTTP, such as ``1.1``
    scheme       ``http``, or ``https`` when the client came over TLS
    peer         the other end of the TCP connection
    client       the client's address as trusted proxies report it; without any, the peer
    local        our end of the connection
    certificate  the certificate that the client has shown, None without one
    body         the body, to be read with ``async for``
    vouched      the names, in lower case, of `X-Forwarded-*` and similar fields in `headers` that
                 a trusted peer has sent
    """

    __slots__ = (
        "body",
        "certificate",
        "client",
        "headers",
        "local",
        "method",
        "peer",
        "scheme",
        "target",
        "version",
        "vouched",
    )

    def __init__(
        self,
        method: str,
        target: str,
        headers: Headers | None = None,
        *,
        version: str = "1.1",
        scheme: str = "http",
        peer: Address = _LOOPBACK,
        client: Address | None = None,
        local: Address = _LOOPBACK,
        certificate: ClientCertificate | None = None,
        body: AsyncIterator[bytes] | None = None,
        vouched: Collection[str] = (),
    ) -> None:
        self.method: str = method
        self.target: str = target
        self.headers: Headers = Headers() if headers is None else headers
        self.version: str = version
        self.scheme: str = scheme
        self.peer: Address = peer
        self.client: Address = client or peer
        self.local: Address = local
        self.certificate: ClientCertificate | None = certificate
        self.body: AsyncIterator[bytes] = _Content() if body is None else body
        self.vouched: Collection[str] = vouched

    @property
    def raw_path(self) -> str:
        """The path as the client wrote it, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind the first `?`, as the client wrote it; empty when there is none."""
        return self.target.partition("?")[2]

    @property
    def path(self) -> str:
        """The path, percent-decoded once, as routes are matched with it.

        Bytes that are not UTF-8 are surrogate escapes.
        """
        raw = self.raw_path
        if "%" not in raw:
            return raw
        return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")

    @property
    def host(self) -> str:
        """Host (RFC 9110 §7.2) as the client wrote it, including the port."""
        return self.headers.get("host")

    @property
    def wants_upgrade(self) -> bool:
        """Whether it asks for another protocol: `Connection: upgrade` with `Upgrade`, on HTTP/1.1
        (RFC 9110 §7.8).
        """
        headers = self.headers
        return (
            "upgrade" in headers
            and self.version == "1.1"
            and "upgrade" in headers.tokens("connection")
        )

    @property
    def trailers(self) -> Headers:
        """The fields behind a chunked `body`, once that was read to its end (RFC 9110 §6.5).

        Not a copy: do not change them. A client can name them as it likes, so decide nothing by
        them.
        """
        found = getattr(self.body, "trailers", None)
        return found if isinstance(found, Headers) else Headers()

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.raw_path}>"


class Response:
    """An answer with a status, headers and a body.

    status          the status code
    headers         the header fields; the server adds those that frame the body
    body            the body in pieces; `content` makes one of a single piece
    content_length  the length of `content`, None for a `body`
    trailers        gives the fields behind the body, None when there are none
    reason          why the client is refused, for the access log

    Pass `content` for a body that is known in full, or `body` for one that comes in pieces: each
    piece is sent as it comes, and the iterator is closed when the client leaves. `trailers` is
    asked for the fields behind such a body when it has ended; they are sent if the body goes in
    chunks. `on_close`
    releases what the body is read from. It may be async; it is called once, when the answer was
    sent, replaced or given up.
    """

    __slots__ = ("_on_close", "body", "content_length", "headers", "reason", "status", "trailers")

    def __init__(
        self,
        status: int,
        headers: Headers | Iterable[tuple[str, str]] = (),
        content: bytes | str = b"",
        *,
        body: AsyncIterable[bytes] | None = None,
        trailers: Callable[[], Headers] | None = None,
        on_close: Callable[[], Awaitable[object] | None] | None = None,
        reason: str = "",
    ) -> None:
        self.status: int = status
        self.trailers: Callable[[], Headers] | None = trailers
        self.reason: str = reason
        self.headers: Headers = headers if isinstance(headers, Headers) else Headers(headers)
        self._on_close = on_close
        self.body: AsyncIterable[bytes]
        self.content_length: int | None
        if body is not None:
            self.body, self.content_length = body, None
        else:
            content = content.encode() if isinstance(content, str) else content
            self.body, self.content_length = _Content(content), len(content)

    @property
    def held(self) -> bool:
        """Whether `aclose` has anything to do."""
        return self._on_close is not None

    async def aclose(self) -> None:
        """Call `on_close`, at most once. Raises what it raises."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None and (closing := on_close()) is not None:
            await closing

    def __repr__(self) -> str:
        return f"<Response {self.status}>"
