"""TLS on a connection that has come in: the handshake, and what a client is told when it fails."""

from __future__ import annotations

import socket
from contextlib import suppress

from ...http import ClientCertificate
from ...http.problems import problem
from ...net.tls import TlsWire
from ...net.tlserrors import SpeaksHttp
from ...net.waiting import linger
from ..writer import ResponseWriter
from .certificates import ServerTls

#: Seconds to wait for the client's end, so that it reads why it was refused.
_LINGER = 5.0


class HandshakeError(Exception):
    """There is no agreement on TLS; the text says why."""


async def secured(sock: socket.socket, tls: ServerTls) -> tuple[TlsWire, ClientCertificate | None]:
    """TLS over `sock`, and the client's certificate. HandshakeError when there is no agreement,
    which the client was told as far as it can be; OSError when the client has left.
    """
    front = tls.context
    wire = TlsWire(sock, front)
    try:
        await tls.handshakes.run(wire)
        certificate = tls.client(wire)
    except TimeoutError as error:
        raise _failed(tls, error) from None
    except SpeaksHttp as error:
        await _answer_in_plain_text(sock)
        await linger(sock, _LINGER)
        raise _failed(tls, error) from None
    except (ConnectionAbortedError, ConnectionResetError) as error:
        if wire.ssl.context is front:  # nothing has come: somebody looks whether the port is open
            raise
        raise _failed(tls, f"{error}; perhaps it does not trust the certificate") from None
    except ConnectionError as error:
        await linger(sock, _LINGER)
        raise _failed(tls, error) from None
    tls.handshakes.counts["agreed"] += 1
    return wire, certificate


def _failed(tls: ServerTls, reason: object) -> HandshakeError:
    tls.handshakes.counts["failed"] += 1
    return HandshakeError(reason)


async def _answer_in_plain_text(sock: socket.socket) -> None:
    response = problem(None, 400, "this port speaks TLS: write https:// or wss://")
    with suppress(OSError):
        await ResponseWriter(sock).write(response, method="GET", version="1.1", close=True)
