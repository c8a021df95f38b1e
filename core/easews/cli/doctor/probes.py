"""The battery at one hop: every probe on a connection of its own, each within a time limit."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

import anyio
from anyio.abc import ByteStream
from wsproto.utilities import generate_nonce

from .asking import Client, Target, Variant, handshake_request, plain_request, variants_for
from .handshakes import handshake_seen
from .seen import AddressSeen, Handshake, Heard, Hop, IdleSeen, Lost, SessionSeen
from .talk import Session, ask, try_idle, try_session
from .wires import Gone, connect, look_at_tls, look_up, open_context, secured, try_address

#: How many handshakes are under way at once: no more than a browser's page may have.
_AT_ONCE = 4
#: Seconds that a server has to answer the Close of a session that was opened only to see it open.
_FAREWELL = 1.0


@dataclass(frozen=True, slots=True)
class Battery:
    """What is tried at each hop.

    client    what the requests have in common
    strict    what certificates have to satisfy
    timeout   seconds for each step
    send      a text to send in a session, and what its answer has to contain
    idle      seconds for which a session is left alone; 0 for not at all
    progress  is told what is being done
    """

    client: Client
    strict: ssl.SSLContext
    timeout: float = 5.0
    send: str | None = None
    expect: str | None = None
    idle: float = 0.0
    progress: Callable[[str], None] = field(default=lambda text: None)


async def look_at(number: int, target: Target, battery: Battery) -> Hop:
    """All that can be seen at `target`."""
    hop = Hop(number, target.shown, target.secure)
    battery.progress(f"hop {number}: {target.shown}")
    try:
        with anyio.fail_after(battery.timeout):
            ips = await look_up(target)
    except (OSError, UnicodeError) as error:
        why = str(error) or f"no answer of the name servers within {battery.timeout:g} s"
        return replace(hop, dns_error=f"{target.host}: {getattr(error, 'strerror', '') or why}")
    hop = replace(hop, addresses=await _addresses(target, ips, battery))
    if not hop.reachable:
        return hop
    ip = next(address.ip for address in hop.addresses if not address.error)
    if target.secure:
        tls = await look_at_tls(target, ip, battery.strict, battery.timeout)
        hop = replace(hop, tls=tls)
        if not tls.version:
            return hop
    return await _Hop(target, ip, battery).look(hop)


async def _addresses(target: Target, ips: list[str], battery: Battery) -> tuple[AddressSeen, ...]:
    seen: dict[str, AddressSeen] = {}

    async def one(ip: str) -> None:
        seen[ip] = await try_address(target, ip, battery.timeout)

    async with anyio.create_task_group() as tasks:
        for ip in ips:
            tasks.start_soon(one, ip)
    return tuple(seen[ip] for ip in ips)


class _Hop:
    """One hop, whose address is known to accept connections."""

    def __init__(self, target: Target, ip: str, battery: Battery) -> None:
        self._target = target
        self._ip = ip
        self._battery = battery
        self._context = open_context() if target.secure else None

    async def look(self, hop: Hop) -> Hop:
        battery = self._battery
        first, *others = variants_for(self._target, battery.client)
        plain = await self._plain()
        seen: dict[str, Handshake] = {}
        browser, tried = await self._browser(first)
        if not (isinstance(browser.heard, Lost) and isinstance(plain, Lost)):
            await self._others(others, seen)
        ordered = {one.name: seen[one.name] for one in others if one.name in seen}
        idle = await self._idle(first) if battery.idle and browser.works else None
        return replace(
            hop, plain=plain, handshakes={first.name: browser, **ordered}, session=tried, idle=idle
        )

    async def _plain(self) -> Heard:
        request = plain_request(self._target, self._battery.client)
        try:
            async with self._connection() as stream:
                heard, _ = await ask(stream, request, self._battery.timeout)
        except Gone as gone:
            return Lost("unreachable", str(gone))
        return heard

    async def _browser(self, variant: Variant) -> tuple[Handshake, SessionSeen | None]:
        battery = self._battery
        async with self._handshake(variant) as (handshake, session):
            if session is None:
                return handshake, None
            battery.progress("a ping, a message, a Close")
            return handshake, await try_session(
                session, battery.timeout, battery.send, battery.expect
            )

    async def _others(self, variants: list[Variant], seen: dict[str, Handshake]) -> None:
        self._battery.progress("other handshakes")
        limit = anyio.CapacityLimiter(_AT_ONCE)

        async def one(variant: Variant) -> None:
            async with limit, self._handshake(variant) as (handshake, session):
                seen[variant.name] = handshake
                if session is not None:
                    await session.end(_FAREWELL)

        async with anyio.create_task_group() as tasks:
            for variant in variants:
                tasks.start_soon(one, variant)

    async def _idle(self, variant: Variant) -> IdleSeen | None:
        battery = self._battery
        battery.progress(f"an idle session, for {battery.idle:g} s")
        async with self._handshake(variant) as (_, session):
            if session is None:
                return None
            return await try_idle(session, battery.idle, battery.timeout)

    @asynccontextmanager
    async def _handshake(self, variant: Variant) -> AsyncIterator[tuple[Handshake, Session | None]]:
        """One handshake; with a session if it has opened one."""
        client, key = self._battery.client, generate_nonce().decode()
        request = handshake_request(variant, self._target, client, key)
        try:
            async with self._connection() as stream:
                heard, rest = await ask(stream, request, self._battery.timeout)
                offered = variant.name not in ("no-deflate", "bare")
                seen = handshake_seen(variant.name, heard, key, client.protocols, offered)
                yield seen, Session(stream, seen, rest) if seen.works else None
        except Gone as gone:
            yield Handshake(variant.name, Lost("unreachable", str(gone))), None

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[ByteStream]:
        """A connection to this hop. Gone when there is none any more."""
        stream = await self._connect()
        try:
            yield stream
        finally:
            await anyio.aclose_forcefully(stream)

    async def _connect(self) -> ByteStream:
        timeout = self._battery.timeout
        try:
            stream = await connect(self._target, self._ip, timeout)
            if self._context is None:
                return stream
            with anyio.fail_after(timeout):
                return await secured(stream, self._target, self._context)
        except OSError as error:  # a time that is over, and TLS, are among them
            raise Gone("closed", str(error) or f"no connection within {timeout:g} s") from None
