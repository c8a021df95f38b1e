"""What the probes have seen of one hop, as values. The rules make findings of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from ...http import Headers


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request. `body` is its beginning."""

    status: int
    reason: str
    version: str
    headers: Headers
    body: bytes = b""

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        return self.headers.get("content-type").partition(";")[0].strip().lower()


@dataclass(frozen=True, slots=True)
class Lost:
    """Why there is no answer.

    how     silent: none came in time; closed: the connection was closed in an orderly way;
            reset: it was reset; malformed: what came is not HTTP; unreachable: no connection
    detail  what is known besides
    """

    how: Literal["silent", "closed", "reset", "malformed", "unreachable"]
    detail: str = ""


Heard = Answer | Lost


@dataclass(frozen=True, slots=True)
class AddressSeen:
    """One address of the host. `error` is empty when it accepts connections."""

    ip: str
    seconds: float
    error: str = ""


TlsFault = Literal["", "name", "expired", "early", "untrusted", "not-tls", "failed"]


@dataclass(frozen=True, slots=True)
class TlsSeen:
    """What TLS has come to.

    fault    why a browser refuses it; empty when it does not
    detail   what OpenSSL says of that
    version  such as TLSv1.3; empty without an agreement
    names    the hosts that the certificate is for
    """

    fault: TlsFault = ""
    detail: str = ""
    version: str = ""
    names: tuple[str, ...] = ()
    issuer: str = ""
    not_after: datetime | None = None
    days_left: float | None = None


#: What may be wrong with an answer 101.
Flaw = Literal[
    "accept", "upgrade-header", "connection-header", "foreign-subprotocol", "foreign-extension"
]


@dataclass(frozen=True, slots=True)
class Handshake:
    """One handshake and what came of it.

    variant      which one: a name of `asking.VARIANTS`
    flaws        what is wrong with an answer 101
    subprotocol  what was agreed on; empty if nothing
    deflate      the parameters of permessage-deflate that were agreed on; None if it was not
    """

    variant: str
    heard: Heard
    flaws: tuple[Flaw, ...] = ()
    subprotocol: str = ""
    deflate: str | None = None

    @property
    def works(self) -> bool:
        return self.switches and not self.flaws

    @property
    def switches(self) -> bool:
        return isinstance(self.heard, Answer) and self.heard.status == 101


@dataclass(frozen=True, slots=True)
class SessionSeen:
    """A session: a ping, a message where one was asked for, and a Close.

    pong       seconds from the ping to its pong; None when none came
    unasked    how many messages came before any was sent
    reply      the answer to the message, or None; "" before one was sent
    sent       whether there was a message to send
    code       the code of the peer's Close; None when it sent none (a browser shows 1006)
    reason     the text beside the code
    early      whether the peer ended the session before it was asked to
    malformed  why what came are no frames; empty when they are
    """

    pong: float | None = None
    unasked: int = 0
    sent: bool = False
    reply: str | None = None
    expected: bool = True
    code: int | None = None
    reason: str = ""
    early: bool = False
    malformed: str = ""


@dataclass(frozen=True, slots=True)
class IdleSeen:
    """A session in which nothing was sent.

    asked  for how many seconds
    ended  after how many seconds it was gone; None when it was not
    code   the code of the Close that ended it, None without one
    pings  how many pings came meanwhile
    pong   whether a ping afterwards was answered
    """

    asked: float
    ended: float | None = None
    code: int | None = None
    pings: int = 0
    pong: bool = True


@dataclass(frozen=True, slots=True)
class Hop:
    """All that was seen at one URL. `number` counts from 1, from the client on."""

    number: int
    url: str
    secure: bool = False
    dns_error: str = ""
    addresses: tuple[AddressSeen, ...] = ()
    tls: TlsSeen | None = None
    plain: Heard | None = None
    handshakes: Mapping[str, Handshake] = field(default_factory=dict)
    session: SessionSeen | None = None
    idle: IdleSeen | None = None

    @property
    def browser(self) -> Handshake | None:
        """The handshake as a browser makes it."""
        return self.handshakes.get("browser")

    @property
    def reachable(self) -> bool:
        return any(not address.error for address in self.addresses)

    def works(self, variant: str) -> bool | None:
        """Whether that handshake opens a session; None when it was not tried."""
        handshake = self.handshakes.get(variant)
        return None if handshake is None else handshake.works
