"""One client's connection: request after request, until it ends or is handed over.

    reader       a head, and the body behind it
    exchange     route -> pipeline -> answer -> log
    writer       the answer
    fate         what becomes of the connection then

An upgrade attempt is always the last request of its connection: should it fail, nobody knows
what the client takes the following bytes for.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from time import perf_counter

from anyio.lowlevel import checkpoint

from ..addresses import Address, is_within
from ..config.model import ServerSpec
from ..errors import MessageError
from ..filters import Context
from ..http import ClientCertificate, Headers, Request
from ..http.forwarded import forwarding_names
from ..http.h1 import RequestHead, encode_response_head
from ..http.problems import problem
from ..net.waiting import linger, send_all
from ..net.wire import Wire
from ..pipeline.isolation import must_go_on
from ..sessions import Connection, Ending, Route, Upgrade
from .address import client_address
from .exchange import CLIENT_LEFT, Exchange
from .fate import Fate
from .fields import add_certificate, received_fields, without_reserved
from .reader import RequestReader
from .site import Site
from .writer import SEND_TIMEOUT, ResponseWriter

log: logging.Logger = logging.getLogger("easews.server")

#: Seconds to wait for the client's end of a connection that we end.
LINGER = 5.0


class HttpConnection:
    """Owns `wire` until it is closed or handed over; then `on_end` is called, once.

    `site` is asked anew for every request. `peer` and `local` are the two ends. `certificate` is
    the client's, if it has shown one.
    """

    def __init__(
        self,
        wire: Wire,
        peer: Address,
        local: Address,
        site: Callable[[], Site],
        on_end: Callable[[], None],
        scheme: str = "http",
        certificate: ClientCertificate | None = None,
    ) -> None:
        self._wire = wire
        self._peer = peer
        self._local = local
        self._site = site
        self._on_end = on_end
        self._scheme = scheme
        self._certificate = certificate
        self._tls = site().spec.tls
        self._reader = RequestReader(wire, site().spec.limits)

    async def serve(self) -> None:
        """Serve the client until its connection ends, or is the filter's."""
        fate, site = Fate.DROP, self._site()
        try:
            idle = site.spec.limits.header_timeout
            while (fate := await self._serve_one(site, idle)) is Fate.KEEP:
                await checkpoint()  # a client that always has another request waits its turn
                site = self._site()
                idle = site.spec.keep_alive_timeout
            if fate is Fate.LINGER:
                if site.idle is not None:
                    site.idle.add(self._wire)
                await linger(self._wire, LINGER)
        except OSError:
            pass  # the client is gone
        except BaseException as error:
            if must_go_on(error):
                raise
            log.exception("the connection from %s failed", self._peer)
        finally:
            if fate is not Fate.HANDED_OVER:
                if site.idle is not None:
                    site.idle.discard(self._wire)
                self._wire.close()
                self._on_end()

    async def _serve_one(self, site: Site, idle: float) -> Fate:
        """Read and serve one request."""
        if site.idle is not None:
            site.idle.add(self._wire)
        try:
            head = await self._reader.read_head(idle, site.spec.limits.header_timeout)
        except MessageError as error:
            await self._refuse(site, error)
            return Fate.LINGER
        if head is None:
            return Fate.DROP
        if site.idle is not None:
            site.idle.discard(self._wire)
        site = self._site()  # another one, perhaps, than when the waiting began
        if site.spec.tls is not self._tls and site.spec.tls != self._tls:
            return Fate.DROP  # a new config asks of clients what this one may not have shown
        exchange = Exchange(site, self._wire, self._reader, head, self._request(site, head))
        fate = Fate.DROP
        try:
            await exchange.run()
            response = exchange.ctx.response
            if isinstance(response, Upgrade) and site.stopping:
                response = exchange.answer(503, "the gateway is stopping")
            if isinstance(response, Upgrade):
                fate = await self._hand_over(response, exchange)
            elif response is not None:
                fate = await exchange.respond(response)
        finally:
            if fate is not Fate.HANDED_OVER:
                await exchange.end()
        return fate

    def _request(self, site: Site, head: RequestHead) -> Request:
        spec, peer = site.spec, self._peer
        trusted = is_within(peer.host, spec.trusted_proxies)
        headers = received_fields(head.headers, trusted, spec.client_address_from)
        if spec.reserved:
            headers = self._with_certificate(spec, headers)
        return Request(
            head.method,
            head.target,
            headers,
            version=head.version,
            scheme=self._scheme,
            peer=peer,
            client=client_address(headers, peer, spec.trusted_proxies, spec.client_address_from),
            local=self._local,
            certificate=self._certificate,
            vouched=forwarding_names(headers) if trusted else (),
        )

    def _with_certificate(self, spec: ServerSpec, headers: Headers) -> Headers:
        """What is said of certificates is said by us; also where nobody is asked for one."""
        headers = without_reserved(headers, spec.reserved)
        if self._certificate is not None and spec.tls is not None:
            add_certificate(headers, spec.tls.client_fields, self._certificate)
        return headers

    async def _refuse(self, site: Site, error: MessageError) -> None:
        """Answer what could not be read as a request."""
        began = perf_counter()
        ctx = Context(
            Request("-", "-", peer=self._peer),
            id=site.ids.new(),
            route=Route(server=site.spec.name),
        )
        ctx.response = response = problem(None, error.status, error.detail, id=ctx.id)
        writer, status = ResponseWriter(self._wire), CLIENT_LEFT
        try:
            await writer.write(response, method="-", version="1.1", close=True)
            status = error.status
        finally:
            site.access.request(ctx, status, writer.sent, perf_counter() - began)

    async def _hand_over(self, upgrade: Upgrade, exchange: Exchange) -> Fate:
        """Write the 101 and let the filter go on from there."""
        fields = Headers.parsed(_switch_to(upgrade.protocol) + upgrade.headers.triples)
        try:
            await send_all(self._wire, encode_response_head(101, fields), SEND_TIMEOUT)
        except OSError:
            exchange.status = CLIENT_LEFT
            return Fate.DROP

        on_end, pipeline = self._on_end, exchange.pipeline

        def over() -> None:  # lives as long as the session: it must not keep the exchange alive
            if pipeline is not None:
                pipeline.release()
            on_end()

        opening, received = exchange.opening(upgrade), bytes(self._reader.received)
        ctx = exchange.ctx
        hooks = None if pipeline is None else pipeline.flow.hooks_for(ctx)
        connection = Connection(
            self._wire,
            opening,
            received,
            sessions=ctx.sessions,
            release=over,
            hooks=hooks,
            notes=None if hooks is None else ctx.notes,
        )
        exchange.status = upgrade.status
        exchange.write_log()
        try:
            await upgrade.accept(connection)
        except BaseException as error:
            self._wire.close()
            connection.over(Ending("proxy", 1006, "failed to start", 0.0))
            if must_go_on(error):
                raise
            log.exception("request %s: its filter failed to go on from the 101", opening.id)
        return Fate.HANDED_OVER


def _switch_to(protocol: str) -> list[tuple[str, str, str]]:
    """What HTTP/1.1 needs for it (RFC 9110 §7.8), as `Headers.parsed` takes it."""
    return [("connection", "Connection", "Upgrade"), ("upgrade", "Upgrade", protocol)]
