"""Servers whose names move: the gateway follows DNS, and open sessions stay where they are."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from select import select
from typing import Any

import pytest
from tests.e2e import raw
from tests.e2e.gateway import (
    LOOPBACK,
    PATIENCE,
    Gateway,
    Route,
    config,
    free_port,
    proxied,
    running,
)
from tests.e2e.raw import Peer, RawBackend
from tests.nameserver import Nameserver, nameserver

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has all of 127.0.0.0/8 on its loopback interface"
)

OTHER = "127.0.0.2"


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    with nameserver() as served:
        served.ttl = served.negative_ttl = 0
        yield served


@pytest.fixture
def backends() -> Iterator[tuple[RawBackend, RawBackend]]:
    """One on each of two addresses, on the same port."""
    port = free_port()
    first, second = RawBackend(port, LOOPBACK), RawBackend(port, OTHER)
    yield first, second
    first.close()
    second.close()


def resolved(dns: Nameserver, url: str, mode: str = "each", **pool: Any) -> Route:
    resolve = {"mode": mode, "nameservers": [dns.address], "minTtl": "50ms"}
    return proxied("/ws", url, resolve=resolve, **pool)


def open_session(gateway: Gateway, backend: RawBackend) -> tuple[Peer, Peer]:
    client = Peer(socket.create_connection((LOOPBACK, gateway.port)))
    client.send(raw.handshake("/ws"))
    peer, _ = backend.accept_session()
    assert client.head().status == 101
    return client, peer


def test_a_name_moves_from_one_backend_to_two_and_sessions_stay(
    loop: str, tmp_path: Path, dns: Nameserver, backends: tuple[RawBackend, RawBackend]
) -> None:
    first, second = backends
    dns.records["chat.test", "A"] = [LOOPBACK]
    text = config(free_port(), resolved(dns, f"ws://chat.test:{first.port}"))
    with running(text, tmp_path, "--backend", loop) as gateway:
        old = open_session(gateway, first)
        dns.records["chat.test", "A"] = [LOOPBACK, OTHER]
        gateway.log.wait_for("chat.test: new 127.0.0.2")
        new = open_session(gateway, second)
        dns.records["chat.test", "A"] = [OTHER]
        gateway.log.wait_for("chat.test: gone 127.0.0.1")
        newest = open_session(gateway, second)
        for client, peer in (old, new, newest):
            client.send(raw.frame(1, b"hello"))
            assert peer.frame().payload == b"hello"
            client.close()
            peer.close()


def test_sessions_stay_while_the_name_has_no_address(
    loop: str, tmp_path: Path, dns: Nameserver, backends: tuple[RawBackend, RawBackend]
) -> None:
    first, _ = backends
    dns.records["chat.test", "A"] = [LOOPBACK]
    text = config(free_port(), resolved(dns, f"ws://chat.test:{first.port}"))
    with running(text, tmp_path, "--backend", loop) as gateway:
        client, peer = open_session(gateway, first)
        dns.records.clear()
        gateway.log.wait_for("chat.test leads to no address")
        with Peer(socket.create_connection((LOOPBACK, gateway.port))) as refused:
            refused.send(raw.handshake("/ws"))
            assert refused.head().status == 503
        peer.send(raw.frame(1, b"hello", masked=False))
        assert client.frame().payload == b"hello"
        client.close()
        peer.close()


def test_a_name_that_is_not_known_yet_does_not_hold_up_the_start(
    loop: str, tmp_path: Path, dns: Nameserver, backends: tuple[RawBackend, RawBackend]
) -> None:
    first, _ = backends
    dns.silent.add("chat.test")
    text = config(free_port(), resolved(dns, f"ws://chat.test:{first.port}"))
    with running(text, tmp_path, "--backend", loop) as gateway:
        dns.records["chat.test", "A"] = [LOOPBACK]
        dns.silent.clear()
        client, peer = open_session(gateway, first)  # it waits for the first answer
        client.close()
        peer.close()


def test_a_service_leads_to_its_targets(
    loop: str, tmp_path: Path, dns: Nameserver, backends: tuple[RawBackend, RawBackend]
) -> None:
    first, second = backends
    dns.records["_ws._tcp.chat.test", "SRV"] = [f"0 1 {first.port} a.chat.test."]
    dns.records["a.chat.test", "A"] = [LOOPBACK, OTHER]
    text = config(free_port(), resolved(dns, "ws://_ws._tcp.chat.test", "srv"))
    with running(text, tmp_path, "--backend", loop) as gateway:
        client = Peer(socket.create_connection((LOOPBACK, gateway.port)))
        client.send(raw.handshake("/ws"))
        peer, request = first.accept_session()
        assert client.head().status == 101
        assert request["host"] == "chat.test"
        other_client, other_peer = open_session(gateway, second)
        for side in (client, peer, other_client, other_peer):
            side.close()


def test_sessions_move_to_a_new_server_where_the_pool_is_rebalanced(
    loop: str, tmp_path: Path, dns: Nameserver, backends: tuple[RawBackend, RawBackend]
) -> None:
    first, second = backends
    dns.records["chat.test", "A"] = [LOOPBACK]
    route = resolved(dns, f"ws://chat.test:{first.port}", rebalance={"perMinute": 6000})
    with running(config(free_port(), route), tmp_path, "--backend", loop) as gateway:
        sessions = [open_session(gateway, first) for _ in range(2)]
        dns.records["chat.test", "A"] = [LOOPBACK, OTHER]
        by_socket = {session[0].sock: session for session in sessions}
        ready, _, _ = select([*by_socket], [], [], PATIENCE)
        assert len(ready) == 1
        for side in by_socket[ready[0]]:
            assert side.frame().close == (1012, "there are new servers")
        sessions.append(open_session(gateway, second))
        for client, peer in sessions:
            client.close()
            peer.close()
