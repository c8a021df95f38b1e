"""HTTP as values: what a filter reads and writes. No I/O happens here.

`Headers` is an ordered list of fields, `Request` what the client wants, `Response` what it
will get. (The third answer, an `Upgrade`, lives in `easews.upgrade`.)
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
from urllib.parse import unquote_to_bytes

from ..addresses import Address

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
    """Header fields in the order they came in, repeated ones kept (RFC 9110 §5.2).

    Names are compared without case; values are str, one character a byte (latin-1). `set` and
    `remove` also take out other spellings of a name, with `_` or `.` for `-`: a backend may take
    them for the same field.
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
        """From (lower-case name, name, value) triples that a parser has already checked."""
        headers = cls.__new__(cls)
        headers._fields = fields
        headers._found = None
        return headers

    @property
    def triples(self) -> list[tuple[str, str, str]]:
        """The fields as `parsed` takes them. Not a copy: read only."""
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
        """Every value of `name`, a line each, in order."""
        return [*(self._found or self._index()).get(name.lower(), ())]

    def elements(self, name: str) -> list[str]:
        """The comma-separated elements of all lines of `name` (RFC 9110 §5.6.1)."""
        values = (self._found or self._index()).get(name.lower())
        return _elements(",".join(values)) if values else []

    def tokens(self, name: str) -> list[str]:
        """`elements`, in lower case: for fields whose values are compared without case."""
        values = (self._found or self._index()).get(name.lower())
        return [*_tokens(values)] if values else []

    def add(self, name: str, value: str) -> None:
        """Append a field. ValueError when name or value could not be sent as they are."""
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
        """Put one field in place of every field of that name, in any spelling."""
        self.remove(name)
        self.add(name, value)

    def remove(self, *names: str) -> None:
        """Take out every field of these names, in any spelling; absent ones are no error."""
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

    __hash__ = None  # type: ignore[assignment]  # mutable

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

    `target` is path and query in the client's own encoding: what is sent on. `path` is the
    path percent-decoded once: what is matched. `peer` is the other end of the TCP connection,
    `client` the address that the trusted proxies vouch for (the peer, where there are none),
    `local` our end of the connection. `vouched` are the forwarding fields (`X-Forwarded-*` and
    their like, in lower case) in `headers` that a trusted peer sent.
    """

    __slots__ = (
        "body",
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
        body: AsyncIterator[bytes] | None = None,
        vouched: Collection[str] = (),
    ) -> None:
        self.method = method
        self.target = target
        self.headers = Headers() if headers is None else headers
        self.version = version
        self.scheme = scheme
        self.peer = peer
        self.client = client or peer
        self.local = local
        self.body = _Content() if body is None else body
        self.vouched = vouched

    @property
    def raw_path(self) -> str:
        """The path as the client wrote it, still percent-encoded."""
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        """What stands behind the first `?`, as written; empty when there is none."""
        return self.target.partition("?")[2]

    @property
    def path(self) -> str:
        """The path, percent-decoded once; bytes that are not UTF-8 as surrogate escapes."""
        raw = self.raw_path
        if "%" not in raw:
            return raw
        return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")

    @property
    def host(self) -> str:
        """Host (RFC 9110 §7.2) as the client wrote it, port and all."""
        return self.headers.get("host")

    @property
    def wants_upgrade(self) -> bool:
        """An upgrade attempt: `Connection: upgrade` with `Upgrade` on HTTP/1.1 (RFC 9110 §7.8)."""
        headers = self.headers
        return (
            "upgrade" in headers
            and self.version == "1.1"
            and "upgrade" in headers.tokens("connection")
        )

    def __repr__(self) -> str:
        return f"<Request {self.method} {self.raw_path}>"


class Response:
    """An answer with a status, headers and a body.

    `content` is a body known as a whole; its length is sent. `body` is one that comes in
    pieces; it is sent as it comes, and is closed when the client leaves. `on_close` lets go of
    what the body reads from. It may be async; the engine calls it once, when the answer was sent,
    replaced or given up. `reason` says in the access log why a client was refused.
    """

    __slots__ = ("_on_close", "body", "content_length", "headers", "reason", "status")

    def __init__(
        self,
        status: int,
        headers: Headers | Iterable[tuple[str, str]] = (),
        content: bytes | str = b"",
        *,
        body: AsyncIterable[bytes] | None = None,
        on_close: Callable[[], Awaitable[object] | None] | None = None,
        reason: str = "",
    ) -> None:
        self.status: int = status
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
        """Whether there is anything that `aclose` would let go of."""
        return self._on_close is not None

    async def aclose(self) -> None:
        """Let go of the body's source. Safe to call twice. Raises what `on_close` raises."""
        on_close, self._on_close = self._on_close, None
        if on_close is not None and (closing := on_close()) is not None:
            await closing

    def __repr__(self) -> str:
        return f"<Response {self.status}>"


# RFC 9110 §7.6.1, and the Proxy-* fields, which are meant for this hop only.
_HOP_BY_HOP = (
    "connection",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "proxy-connection",
)


def end_to_end(headers: Headers, *besides: str) -> Headers:
    """A copy without what is meant for one hop only: the hop-by-hop fields, those that
    `Connection` names, `Proxy-*`, and the fields named in `besides`; in any spelling.
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
    return frozenset(map(hyphenated, (*_HOP_BY_HOP, *besides, *_tokens(connection))))
