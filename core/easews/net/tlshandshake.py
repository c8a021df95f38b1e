"""Agreeing on TLS with the peer of a `TlsWire`."""

from __future__ import annotations

import ssl

import anyio
from anyio.lowlevel import checkpoint

from .tls import TlsWire

TOO_SLOW = "the TLS handshake was not complete within {:g} s"


async def handshake(wire: TlsWire, timeout: float) -> None:
    """Agree on TLS with the peer. TlsError with the reason when there is no agreement, another
    OSError when the connection ends, TimeoutError when there is none within `timeout` seconds.
    """
    with anyio.move_on_after(timeout):
        await agree(wire)
        return
    raise TimeoutError(TOO_SLOW.format(timeout))


async def agree(wire: TlsWire) -> None:
    """The same, however long it takes."""
    if wire.ssl.server_side:
        await _fill(wire)  # the client begins
    while True:
        try:
            wire.ssl.do_handshake()
        except ssl.SSLWantReadError:
            await _flush(wire)
            await checkpoint()
            await _fill(wire)
        except ssl.SSLError as error:
            raise wire.failed(error) from None
        else:
            break
    if not wire.pending:  # else the answer to what has come takes a server's session tickets along
        await _flush(wire)


async def _flush(wire: TlsWire) -> None:
    while True:
        try:
            return wire.flush()
        except BlockingIOError:
            await anyio.wait_writable(wire)


async def _fill(wire: TlsWire) -> None:
    while True:
        try:
            if wire.fill():
                return
            raise ConnectionAbortedError("the connection ended in the middle of the TLS handshake")
        except BlockingIOError:
            await anyio.wait_readable(wire)
