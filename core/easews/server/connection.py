"""One client's connection: request after request, until it ends or is handed over.

    reader       a head, and the body behind it
    exchange     route -> pipeline -> answer -> log
    writer       the answer

An upgrade attempt is always the last request of its connection: should it fail, nobody knows
what the client takes the following bytes for.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from time import perf_counter

from anyio.lowlevel import checkpoint

from ..addresses import Address, is_within
from ..errors import MessageError
from ..filters import Context
from ..http import Headers, Request
from ..http.forwarded import forwarding_names
from ..http.h1 import RequestHead, encode_response_head
from ..http.problems import problem
from ..net.sockets import linger, send_all
from ..pipeline.isolation import must_go_on
from ..sessions import Connection, Ending, Route, Upgrade
from .address import client_address
from .exchange import CLIENT_LEFT, Exchange
from .fields import received_fields
from .reader import RequestReader
from .site import Site
from .writer import SEND_TIMEOUT, ResponseWriter

log = logging.getLogger("easews.server")

#: Seconds to wait for the client's end of a connection that we end.
LINGER = 5.0


class HttpConnection:
    """`site` is asked anew for every request; `on_end` is called once, when all is over."""

    def __init__(
        self,
        sock: socket.socket,
        peer: Address,
        site: Callable[[], Site],
        on_end: Callable[[], None],
    ) -> None:
        self._sock = sock
        self._peer = peer
        self._local = Address(*sock.getsockname()[:2])
        self._site = site
        self._on_end = on_end
        self._reader = RequestReader(sock, site().spec.max_header_bytes)
        self._handed_over = False

    async def serve(self) -> None:
        """Serve the client until its connection ends."""
        try:
            idle = self._site().spec.header_timeout
            while await self._serve_one(idle):
                await checkpoint()  # a client that always has another request waits its turn
                idle = self._site().spec.keep_alive_timeout
            if not self._handed_over:
                await linger(self._sock, LINGER)
        except OSError:
            pass  # the client is gone
        except BaseException as error:
            if must_go_on(error):
                raise
            log.exception("the connection from %s failed", self._peer)
        finally:
            if not self._handed_over:
                self._sock.close()
                self._on_end()

    async def _serve_one(self, idle: float) -> bool:
        """Serve one request; False when it was the last one."""
        site = self._site()
        try:
            head = await self._reader.read_head(idle, site.spec.header_timeout)
            if head is None:
                self._sock.close()
                return False
        except MessageError as error:
            await self._refuse(site, error)
            return False
        exchange = Exchange(site, self._sock, self._reader, head, self._request(site, head))
        try:
            await exchange.run()
            response = exchange.ctx.response
            if response is None:
                return False
            if isinstance(response, Upgrade) and site.stopping:
                response = exchange.answer(503, "the gateway is stopping")
            if isinstance(response, Upgrade):
                await self._hand_over(response, exchange)
                return False
            return await exchange.respond(response)
        finally:
            if not self._handed_over:
                await exchange.end()

    def _request(self, site: Site, head: RequestHead) -> Request:
        spec, peer = site.spec, self._peer
        trusted = is_within(peer.host, spec.trusted_proxies)
        headers = received_fields(head.headers, trusted, spec.client_address_from)
        return Request(
            head.method,
            head.target,
            headers,
            version=head.version,
            peer=peer,
            client=client_address(headers, peer, spec.trusted_proxies, spec.client_address_from),
            local=self._local,
            vouched=forwarding_names(headers) if trusted else (),
        )

    async def _refuse(self, site: Site, error: MessageError) -> None:
        """Answer what could not be read as a request."""
        began = perf_counter()
        ctx = Context(
            Request("-", "-", peer=self._peer),
            id=site.ids.new(),
            route=Route(server=site.spec.name),
        )
        ctx.response = response = problem(None, error.status, error.detail, id=ctx.id)
        writer, status = ResponseWriter(self._sock), CLIENT_LEFT
        try:
            await writer.write(response, method="-", version="1.1", close=True)
            status = error.status
        finally:
            site.access.request(ctx, status, writer.sent, perf_counter() - began)

    async def _hand_over(self, upgrade: Upgrade, exchange: Exchange) -> None:
        """Write the 101 and let the filter go on from there."""
        fields = Headers.parsed(_switch_to(upgrade.protocol) + upgrade.headers.triples)
        try:
            await send_all(self._sock, encode_response_head(101, fields), SEND_TIMEOUT)
        except OSError:
            exchange.status = CLIENT_LEFT
            return

        on_end, release = self._on_end, exchange.release

        def over() -> None:  # what lives as long as the session keeps nothing else alive
            release()
            on_end()

        self._handed_over = True
        exchange.status = upgrade.status
        opening = exchange.opening(upgrade)
        connection = Connection(
            self._sock,
            opening,
            bytes(self._reader.received),
            sessions=exchange.ctx.sessions,
            release=over,
        )
        exchange.write_log()
        try:
            await upgrade.accept(connection)
        except BaseException as error:
            self._sock.close()
            connection.over(Ending("proxy", 1006, "failed to start", 0.0))
            if must_go_on(error):
                raise
            log.exception("request %s: its filter failed to go on from the 101", opening.id)


def _switch_to(protocol: str) -> list[tuple[str, str, str]]:
    """What HTTP/1.1 needs for it (RFC 9110 §7.8), as `Headers.parsed` takes it."""
    return [("connection", "Connection", "Upgrade"), ("upgrade", "Upgrade", protocol)]
