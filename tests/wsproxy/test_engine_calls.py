"""What the engine and other filters ask of a live session: a ping, an expiry, its state."""

from __future__ import annotations

import time
from typing import Any

import anyio
from websockets.frames import Opcode

from easews.testing import FakeWire
from easews_wsproxy.relay.frames import Walker
from easews_wsproxy.relay.interest import is_direct
from easews_wsproxy.relay.leg import Leg
from easews_wsproxy.relay.watchdog import Limits

QUICK = Limits(close=0.3)


async def test_a_session_that_is_pinged_tells_how_long_the_pongs_took(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(ping_timeout=0.1))  # pings of our own are off
        assert [side.rtt for side in relayed.session.traffic()] == [None, None]
        relayed.session.ping()
        for peer in (relayed.client, relayed.backend):
            ping = await peer.receive_frame()
            assert ping.opcode is Opcode.PING
            await peer.send(peer.frame(Opcode.PONG, bytes(ping.data)))
        await _pass_a_message(relayed)
        client, backend = relayed.session.traffic()
        assert client.rtt is not None
        assert backend.rtt is not None


async def test_a_ping_that_was_asked_for_ends_no_session_by_its_silence(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(Limits(ping_timeout=0.05))
        relayed.session.ping()
        await relayed.client.receive_frame()
        relayed.session.ping()  # the first one was never answered
        await relayed.client.receive_frame()
        await _pass_a_message(relayed)
        assert not relayed.endings


async def _pass_a_message(relayed: Any) -> None:
    await relayed.client.send_text("hello")
    frame = await relayed.backend.receive_frame()
    while frame.opcode is Opcode.PING:
        frame = await relayed.backend.receive_frame()
    assert bytes(frame.data) == b"hello"


async def test_a_session_expires_at_the_earliest_time_it_was_given(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(QUICK)
        relayed.session.expire(time.time() + 3600, 4000, "too late")
        relayed.session.expire(time.time(), 4401, "the token has expired")
        for peer in (relayed.client, relayed.backend):
            assert await peer.receive_close() == (4401, "the token has expired")
            peer.close()
        ending = await relayed.ended()
        assert (ending.by, ending.code, ending.cause) == ("proxy", 4401, "the token has expired")


async def test_a_session_may_be_closed_as_soon_as_it_opens(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(on_open=lambda session: session.close(4403, "not you"))
        for peer in (relayed.client, relayed.backend):
            assert await peer.receive_close() == (4403, "not you")
            peer.close()
        assert (await relayed.ended()).cause == "not you"


async def test_a_session_may_be_told_when_to_expire_as_soon_as_it_opens(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open(on_open=lambda session: session.expire(0, 4401, "expired"))
        assert await relayed.client.receive_close() == (4401, "expired")


async def test_a_session_that_is_over_takes_every_call(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        relayed.session.cut()
        await relayed.ended()
        relayed.session.close(1001, "stopping")
        relayed.session.expire(0, 4401, "expired")
        relayed.session.ping()
        relayed.session.cut()
        assert relayed.session.held == 0
        assert relayed.session.traffic()
        assert not stage.relay._wheel
    assert len(relayed.endings) == 1


async def test_the_bytes_that_are_held_for_a_slow_reader_are_told(relaying: Any) -> None:
    async with relaying() as stage:
        relayed = stage.open()
        assert relayed.session.held == 0
        blob = bytes(300_000)
        with anyio.fail_after(10):
            while not relayed.session.held:
                with anyio.move_on_after(0.05):
                    await relayed.client.send(relayed.client.frame(Opcode.BINARY, blob))


def test_a_leg_that_is_no_raw_socket_is_left_to_python() -> None:
    client, backend = FakeWire(), FakeWire()
    legs = [
        Leg("client", client, Walker(masked=True)),
        Leg("backend", backend, Walker(masked=False)),
    ]
    legs[0].other, legs[1].other = legs[1], legs[0]
    assert not any(is_direct(leg) for leg in legs)
    client.close()
    backend.close()
