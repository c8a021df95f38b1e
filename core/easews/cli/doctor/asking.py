"""What is sent: the URL's parts, and each handshake of the battery as bytes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...addresses import bracketed
from ...http.urls import DEFAULT_PORTS, server_url

Field = tuple[str, str]

AGENT = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)"
    " Chrome/131.0.0.0 Safari/537.36"
)
OFFER = "permessage-deflate; client_max_window_bits"
#: An origin that has nothing to do with the server.
FOREIGN = "https://foreign-origin.example"


@dataclass(frozen=True, slots=True)
class Target:
    """The parts of a URL that a hop is asked at. `host` is the path of a unix socket there."""

    scheme: str
    host: str
    port: int
    target: str

    @property
    def secure(self) -> bool:
        return self.scheme in ("wss", "https")

    @property
    def is_unix(self) -> bool:
        return self.scheme == "unix"

    @property
    def authority(self) -> str:
        """What a browser writes into Host."""
        if self.is_unix:
            return "localhost"
        usual = DEFAULT_PORTS[self.scheme] == self.port
        return bracketed(self.host) if usual else f"{bracketed(self.host)}:{self.port}"

    @property
    def origin(self) -> str:
        """The Origin of a page that the server itself delivers."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"

    @property
    def shown(self) -> str:
        """The URL for a report: a query may hold a token, and reports are passed on."""
        path, question, _ = self.target.partition("?")
        query = "?..." if question else ""
        if self.is_unix:
            return f"unix:{self.host}:{path}{query}"
        scheme = "wss" if self.secure else "ws"
        return f"{scheme}://{self.authority}{path}{query}"


def target_of(url: str) -> Target:
    """The parts of `url`. ValueError when nothing can be asked there."""
    parts = server_url(url)
    question = url.find("?")
    query = url[question:] if question >= 0 else ""
    return Target(parts.scheme, parts.host, parts.port, (parts.path or "/") + query)


@dataclass(frozen=True, slots=True)
class Client:
    """What all requests have in common.

    host       the Host: that of the public URL at every hop, as proxies should pass it on
    origin     the page that a browser is on
    protocols  the subprotocols to offer
    headers    further fields
    """

    host: str
    origin: str
    protocols: tuple[str, ...] = ()
    headers: tuple[Field, ...] = ()


Change = Callable[[list[Field]], list[Field]]


@dataclass(frozen=True, slots=True)
class Variant:
    """A handshake that differs from a browser's in one thing. `title` says which."""

    name: str
    title: str
    change: Change


def _without(*names: str) -> Change:
    return lambda fields: [field for field in fields if field[0] not in names]


def _with(name: str, value: str) -> Change:
    return lambda fields: [(one, value if one == name else was) for one, was in fields]


def _respelled(fields: list[Field]) -> list[Field]:
    other = {
        "Upgrade": ("UPGRADE", "WebSocket"),
        "Connection": ("connection", "keep-alive, UPGRADE"),
    }
    return [other.get(name, (name, value)) for name, value in fields]


#: What a client without a browser around it leaves out.
_BROWSERS = (
    *("Pragma", "Cache-Control", "User-Agent", "Origin", "Accept-Encoding", "Accept-Language"),
    *("Sec-WebSocket-Extensions", "Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "Cookie"),
)

VARIANTS = (
    Variant("browser", "as a browser", lambda fields: fields),
    Variant("no-origin", "without Origin", _without("Origin")),
    Variant("foreign-origin", "from a foreign page", _with("Origin", FOREIGN)),
    Variant("no-deflate", "without compression", _without("Sec-WebSocket-Extensions")),
    Variant("no-subprotocol", "without subprotocol", _without("Sec-WebSocket-Protocol")),
    Variant("bare", "with no more than RFC 6455 asks for", _without(*_BROWSERS)),
    Variant("respelled", "with Upgrade in other letters", _respelled),
    Variant("own-host", "with the hop's own Host", lambda fields: fields),
)
TITLES = {variant.name: variant.title for variant in VARIANTS}


def variants_for(target: Target, client: Client) -> list[Variant]:
    """The variants that differ from the browser's handshake, which is the first."""
    left_out = {
        *(() if client.protocols else ("no-subprotocol",)),
        *(("own-host",) if client.host == target.authority else ()),
    }
    return [variant for variant in VARIANTS if variant.name not in left_out]


def handshake_request(variant: Variant, target: Target, client: Client, key: str) -> bytes:
    """The bytes of this handshake."""
    host = target.authority if variant.name == "own-host" else client.host
    given = {name.lower() for name, _ in client.headers}
    fields = [
        field
        for field in variant.change(_browser_fields(client, host, key))
        if field[0].lower() not in given
    ]
    return _encoded(target.target, [*fields, *client.headers])


def plain_request(target: Target, client: Client) -> bytes:
    """The bytes of a GET of the same URL, as a browser makes it for a page."""
    fields = [
        ("Host", client.host),
        ("Connection", "close"),
        ("User-Agent", AGENT),
        ("Accept", "text/html,application/problem+json;q=0.9,*/*;q=0.1"),
        *client.headers,
    ]
    given = {name.lower() for name, _ in client.headers}
    own = [field for field in fields[:4] if field[0].lower() not in given]
    return _encoded(target.target, [*own, *client.headers])


def _browser_fields(client: Client, host: str, key: str) -> list[Field]:
    protocols = [("Sec-WebSocket-Protocol", ", ".join(client.protocols))]
    return [
        ("Host", host),
        ("Connection", "Upgrade"),
        ("Pragma", "no-cache"),
        ("Cache-Control", "no-cache"),
        ("User-Agent", AGENT),
        ("Upgrade", "websocket"),
        ("Origin", client.origin),
        ("Sec-WebSocket-Version", "13"),
        ("Accept-Encoding", "gzip, deflate, br, zstd"),
        ("Accept-Language", "en"),
        ("Cookie", "easews_doctor=1"),
        ("Sec-WebSocket-Key", key),
        ("Sec-WebSocket-Extensions", OFFER),
        *(protocols if client.protocols else ()),
        ("Sec-Fetch-Dest", "websocket"),
        ("Sec-Fetch-Mode", "websocket"),
        ("Sec-Fetch-Site", "same-origin"),
    ]


def _encoded(target: str, fields: Sequence[Field]) -> bytes:
    lines = [f"GET {target} HTTP/1.1", *(f"{name}: {value}" for name, value in fields)]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
