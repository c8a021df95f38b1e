"""HTTP as values: what a filter reads and writes. No I/O happens here.

`Headers` is an ordered list of fields, `Request` what the client asks for, `Response` what it
gets. (The other kind of answer, `Upgrade`, is in `easews.sessions`.)
"""

from __future__ import annotations

import re
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
)
from functools import lru_cache
from typing import ClassVar
from urllib.parse import unquote_to_bytes

from ..addresses import Address
from .certificates import ClientCertificate

# RFC 9110 §5.1 and §5.5. Checked when a field is set by hand; parsed heads come checked.
_NAME = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+").fullmatch
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\xff]*").fullmatch

_HYPHENS = str.maketrans("_.", "--")


def hyphenated(name: str) -> str:
    """The field that a CGI-like backend takes `name` for, in lower case.

    Such a backend reads `X-Auth-User` as the variable HTTP_X_AUTH_USER (RFC 3875 §4.1.18), and
    `X_Auth_User` as well; some do the same with `X.Auth.User`.
    """
    return name.lower().translate(_HYPHENS)


def may_be_respelled(names: Iterable[str]) -> bool:
    """Whether one of `names` differs from its `hyphenated` form: rarely, and quick to tell."""
    written = "".join(names)
    return "_" in written or "." in written


_LOOPBACK = Address("127.0.0.1")


class Headers:
    """Header fields in their order, repeated ones included (RFC 9110 §5.2).

    Names are compared without case. Values are str, one character for each byte (latin-1). `set`
    and `remove` also remove other spellings of a name, with `_` or `.` for `-`, because some
    backends read them as the same field.
    """

    __slots__ = ("_fields", "_found")

    def __init__(self, fields: Iterable[tuple[str, str]] = ()) -> None:
        self._fields: list[tuple[str, str, str]] = []
        # The values by lower-case name, once anybody has asked: a handshake asks 40 times.
        self._found: dict[str, tuple[str, ...]] | None = None
        for name, value in fields:
            self.add(name, value)

    @classmethod
    def parsed(cls, fields: list[tuple[str, str, str]]) -> Headers:
        """Make headers from (lower-case name, name, value) triples without checking them."""
        headers = cls.__new__(cls)
        headers._fields = fields
        headers._found = None
        return headers

    @property
    def triples(self) -> list[tuple[str, str, str]]:
        """The fields as `parsed` takes them. Not a copy: do not change it."""
        return self._fields

    @property
    def by_name(self) -> Mapping[str, tuple[str, ...]]:
        """The values by lower-case name, each name once. Not a copy: read only."""
        return self._found or self._index()

    def get(self, name: str, default: str = "") -> str:
        """The first value of `name`, or `default`."""
        values = (self._found or self._index()).get(name.lower())
        return values[0] if values else default

    def get_all(self, name: str) -> list[str]:
        """All values of `name`, one for each line, in order."""
        return [*(self._found or self._index()).get(name.lower(), ())]

    def elements(self, name: str) -> list[str]:
        """The comma-separated elements of all lines of `name` (RFC 9110 §5.6.1)."""
        values = (self._found or self._index()).get(name.lower())
        return _elements(",".join(values)) if values else []

    def tokens(self, name: str) -> list[str]:
        """`elements` in lower case, for fields whose values are compared without case."""
        values = (self._found or self._index()).get(name.lower())
        return [*_tokens(values)] if values else []

    def add(self, name: str, value: str) -> None:
        """Append a field. ValueError when its name or value must not be sent."""
        key = _key(name)
        if not _VALUE(value):
            raise ValueError(f"the value of {name} has a character that no header may have")
        self._fields.append((key, name, value))
        if self._found is not None:
            self._found[key] = (*self._found.get(key, ()), value)

    def extend(self, fields: list[tuple[str, str, str]]) -> None:
        """Append fields that are already checked, as `parsed` takes them."""
        self._fields += fields
        self._found = None

    def set(self, name: str, value: str) -> None:
        """Replace every field of that name, in any spelling, by this one."""
        self.remove(name)
        self.add(name, value)

    def remove(self, *names: str) -> None:
        """Remove all fields of these names, in any spelling; absent ones are no error."""
        found = self._found or self._index()
        if may_be_respelled([*found, *names]):
            wanted = {*map(hyphenated, names)}
            keys = {key for key in found if hyphenated(key) in wanted}
        else:
            keys = found.keys() & map(str.lower, names)
        if keys:
            self._fields = [field for field in self._fields if field[0] not in keys]
            self._found = None

    def copy(self) -> Headers:
        """An independent copy."""
        headers = Headers.parsed(self._fields.copy())
        headers._found = None if self._found is None else self._found.copy()
        return headers

    def __contains__(self, name: object) -> bool:
        return str(name).lower() in (self._found or self._index())

    def _index(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {key: (value,) for key, _, value in self._fields}
        if len(found) < len(self._fields):  # some are repeated, which is rare
            values: dict[str, list[str]] = {key: [] for key in found}
            for key, _, value in self._fields:
                values[key].append(value)
            found = {key: tuple(lines) for key, lines in values.items()}
        self._found = found
        return found

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return ((name, value) for _, name, value in self._fields)

    def __len__(self) -> int:
        return len(self._fields)

    def __eq__(self, other: object) -> bool:
        """Same fields in the same order; names without case."""
        if not isinstance(other, Headers):
            return NotImplemented
        return [(k, v) for k, _, v in self._fields] == [(k, v) for k, _, v in other._fields]

    __hash__: ClassVar[None] = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        # Values may be secrets (Cookie, Authorization), and a repr ends up in a log.
        return f"<Headers {', '.join(name for _, name, _ in self._fields)}>"


@lru_cache(maxsize=128)  # filters set the same few fields again and again
def _key(name: str) -> str:
    if not _NAME(name):
        raise ValueError(f"{name!r} is no header name (RFC 9110 §5.1)")
    return name.lower()


def _elements(text: str) -> list[str]:
    return [element for raw in text.split(",") if (element := raw.strip(" \t"))]


@lru_cache(maxsize=128)  # what stands in Connection and Upgrade is hardly ever anything new
def _tokens(values: tuple[str, ...]) -> list[str]:
    return _elements(",".join(values).lower())


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


# RFC 9110 §7.6.1, and the Proxy-* fields, which are meant for this hop only.
HOP_BY_HOP = (
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
)


def end_to_end(headers: Headers, *besides: str) -> Headers:
    """A copy of `headers` to send on, without what is meant for one hop only.

    The hop-by-hop fields are left out, those that `Connection` names, `Proxy-*`, and the fields
    named in `besides`; each in any spelling.
    """
    found = headers.by_name
    drop: Collection[str] = _for_this_hop(besides, found.get("connection", ()))
    names = "".join(found)
    if "_" in names or "." in names or "proxy-" in names:
        drop = [
            name
            for name in found
            if (plain := hyphenated(name)) in drop or plain.startswith("proxy-")
        ]
    return Headers.parsed([field for field in headers.triples if field[0] not in drop])


@lru_cache(maxsize=128)  # see `_tokens`
def _for_this_hop(besides: tuple[str, ...], connection: tuple[str, ...]) -> frozenset[str]:
    return frozenset(map(hyphenated, (*HOP_BY_HOP, *besides, *_tokens(connection))))


# RFC 9110 §6.5.1: what frames, routes, authenticates or describes a message stands in its head.
_NO_TRAILER = frozenset(
    {
        *("content-length", "host", "max-forwards", "expect", "range"),
        *("authorization", "cookie", "set-cookie", "cache-control"),
        *("content-encoding", "content-range", "content-type"),
    }
)


def passing_trailers(trailers: Headers, headers: Headers) -> Headers:
    """Those of `trailers` that go on behind the body of a message with these `headers`.

    Some recipients take trailers for header fields. So those that only belong into a head are left
    out, and those with the name of a field that is there, in any spelling.
    """
    if not trailers:
        return trailers
    head = {*map(hyphenated, headers.by_name)}
    return Headers.parsed(
        [
            field
            for field in end_to_end(trailers).triples
            if (name := hyphenated(field[0])) not in _NO_TRAILER and name not in head
        ]
    )
