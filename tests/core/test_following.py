"""The servers of a pool follow their names, asked from a real nameserver on loopback."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.streams.memory import MemoryObjectReceiveStream
from dns import rcode
from tests.nameserver import Nameserver, nameserver

from easews import Opening
from easews.addresses import Address
from easews.testing import OpenSession
from easews.upstream import Pool, Server
from easews.upstream.names.following import Following
from easews.upstream.names.records import Target, known_of
from easews.upstream.names.resolving import Resolve

Changes = MemoryObjectReceiveStream[list[str]]


@pytest.fixture
def dns() -> Iterator[Nameserver]:
    with nameserver() as served:
        served.ttl = served.negative_ttl = 0
        yield served


def following_of(dns: Nameserver, *urls: str, mode: str = "each") -> Following:
    nameservers = (Address("127.0.0.1", dns.port),)
    return Following(map(Server.at, urls), Resolve(mode, nameservers, min_ttl=0.05, timeout=20))


@asynccontextmanager
async def running(following: Following) -> AsyncIterator[Changes]:
    """The servers, each time that they change."""
    send, receive = anyio.create_memory_object_stream[list[str]](100)

    def changed(servers: Sequence[Server]) -> None:
        send.send_nowait([server.url for server in servers])

    with send, receive, anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(following.run, changed)
            yield receive
            tasks.cancel_scope.cancel()


async def test_servers_come_and_go_with_their_addresses(dns: Nameserver) -> None:
    dns.records["a.test", "A"] = ["192.0.2.1"]
    async with running(following_of(dns, "ws://a.test:8000")) as changes:
        assert await changes.receive() == ["ws://192.0.2.1:8000"]
        dns.records["a.test", "A"] = ["192.0.2.1", "192.0.2.2"]
        assert await changes.receive() == ["ws://192.0.2.1:8000", "ws://192.0.2.2:8000"]
        dns.records["a.test", "A"] = ["192.0.2.2"]
        assert await changes.receive() == ["ws://192.0.2.2:8000"]
        dns.records.clear()
        assert await changes.receive() == []


async def test_an_ip_stays_beside_names(dns: Nameserver) -> None:
    dns.records["a.test", "A"] = ["192.0.2.1"]
    following = following_of(dns, "ws://192.0.2.9", "ws://a.test")
    assert [server.url for server in following.servers] == ["ws://192.0.2.9"]
    async with running(following) as changes:
        assert await changes.receive() == ["ws://192.0.2.9", "ws://192.0.2.1:80"]


def test_a_server_that_two_names_lead_to_is_one() -> None:
    resolve = Resolve("each")
    servers = [Server.at(f"ws://{name}.test", keep_host=True) for name in ("a", "b")]
    following = Following(servers, resolve)
    for server in servers:
        known_of(server.host, resolve).targets = (Target("192.0.2.1"),)
    assert [server.url for server in following.servers] == ["ws://192.0.2.1:80"]


async def test_one_name_that_has_no_answer_does_not_hold_up_another(dns: Nameserver) -> None:
    dns.silent.add("a.test")
    dns.records["b.test", "A"] = ["192.0.2.1"]
    async with running(following_of(dns, "ws://a.test", "ws://b.test")) as changes:
        assert await changes.receive() == ["ws://192.0.2.1:80"]


async def test_a_service_gives_the_port_of_each_server(dns: Nameserver) -> None:
    dns.records["_ws._tcp.test", "SRV"] = ["0 1 8001 a.test.", "0 1 8002 a.test."]
    dns.records["a.test", "A"] = ["192.0.2.1"]
    async with running(following_of(dns, "ws://_ws._tcp.test/x", mode="srv")) as changes:
        assert await changes.receive() == ["ws://192.0.2.1:8001/x", "ws://192.0.2.1:8002/x"]


async def test_a_failure_is_logged_once_and_its_end_once(
    dns: Nameserver, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "easews.upstream")
    dns.failures["a.test"] = 6  # three look-ups
    dns.records["a.test", "A"] = ["192.0.2.1"]
    async with running(following_of(dns, "ws://a.test")) as changes:
        await changes.receive()
    levels = [record.levelname for record in caplog.records]
    texts = [record.getMessage() for record in caplog.records]
    assert levels == ["WARNING", "INFO", "INFO"]
    assert "a.test cannot be looked up" in texts[0]
    assert "SERVFAIL" in texts[0]
    assert texts[1:] == ["a.test can be looked up again", "a.test: new 192.0.2.1"]


async def test_what_is_gone_is_logged(dns: Nameserver, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "easews.upstream")
    dns.records["a.test", "A"] = ["192.0.2.1"]
    async with running(following_of(dns, "ws://a.test")) as changes:
        await changes.receive()
        dns.records["a.test", "A"] = ["192.0.2.2"]
        await changes.receive()
        dns.records.clear()
        await changes.receive()
    assert [record.getMessage() for record in caplog.records] == [
        "a.test: new 192.0.2.1",
        "a.test: new 192.0.2.2; gone 192.0.2.1",
        "a.test leads to no address: it has no server",
    ]


async def test_a_new_generation_begins_with_what_the_old_one_knows(dns: Nameserver) -> None:
    dns.records["a.test", "A"] = ["192.0.2.1"]
    old = following_of(dns, "ws://a.test")
    async with running(old) as changes:
        await changes.receive()
        new = following_of(dns, "ws://a.test:81", "ws://b.test")
        assert [server.url for server in new.servers] == ["ws://192.0.2.1:81"]


async def test_one_waits_for_a_first_server_no_longer_than_for_all_names(dns: Nameserver) -> None:
    dns.rcodes["a.test"] = rcode.SERVFAIL
    following = following_of(dns, "ws://a.test", "ws://b.test")
    async with running(following):
        await following.wait_asked()
        assert {host for host, _, _ in dns.asked} == {"a.test", "b.test"}


async def test_one_waits_for_a_first_server_no_longer_than_a_look_up_may_take() -> None:
    following = Following([Server.at("ws://a.test")], Resolve("each", timeout=0.01))
    with anyio.fail_after(10):
        await following.wait_asked()  # nobody looks it up


SPEC: Any = {"servers": [{"url": "ws://a.test:8000/base", "weight": 1, "keepHost": False}]}
SETTINGS = {"minTtl": 0.05, "maxTtl": 1, "timeout": 5}


async def test_sessions_that_come_before_their_name_was_looked_up_count(dns: Nameserver) -> None:
    dns.records["a.test", "A"] = ["192.0.2.1", "192.0.2.2"]
    resolve = {"mode": "each", "nameservers": [dns.address], **SETTINGS}
    rebalance = {"perMinute": 60, "above": 20}
    pool = Pool.from_spec({**SPEC, "resolve": resolve, "rebalance": rebalance})
    url = "ws://192.0.2.1:8000/base"
    sessions = [OpenSession(Opening(str(number), backend=url)) for number in range(2)]
    assert pool.adopt(sessions[0]) is None
    attempts = [pool.expect(session) for session in sessions]
    async with pool:
        with anyio.fail_after(10):
            await pool.wait_for_servers()
        assert [standing.active for standing in pool.standings.values()] == [2, 0]
        assert pool.members[0].sessions == {*sessions}
        for attempt in attempts:
            assert attempt is not None
            attempt.over()
        assert pool.standings[url].active == 0
        late = pool.adopt(sessions[0])
        assert late is not None
        assert pool.standings[url].active == 1
        late.over()


@pytest.mark.parametrize(
    ("url", "mode", "is_expected"),
    [
        ("ws://192.0.2.1:8000/base", "each", True),
        ("ws://192.0.2.1:9999/base", "srv", True),
        ("ws://192.0.2.1:9999/base", "each", False),
        ("ws://192.0.2.1:8000/else", "each", False),
        ("wss://192.0.2.1:8000/base", "each", False),
        ("ws://a.test:8000/base", "each", False),
        ("unix:/run/app.sock", "each", False),
        ("no URL", "each", False),
        ("ws://192.0.2.1:8000/base", "dial", False),
    ],
)
def test_a_server_is_expected_where_a_name_may_lead_to_it(
    url: str, mode: str, is_expected: bool
) -> None:
    resolve = "dial" if mode == "dial" else {"mode": mode, "nameservers": [], **SETTINGS}
    pool = Pool.from_spec({**SPEC, "resolve": resolve})
    session = OpenSession(Opening("1", backend=url))
    assert (pool.expect(session) is not None) == is_expected


async def test_a_pool_has_the_servers_that_its_names_lead_to(dns: Nameserver) -> None:
    dns.records["a.test", "A"] = ["192.0.2.1", "192.0.2.2"]
    resolve = {"mode": "each", "nameservers": [dns.address], **SETTINGS}
    servers = [{"url": "ws://a.test:8000", "weight": 2, "keepHost": False}]
    pool = Pool.from_spec({"servers": servers, "resolve": resolve})
    assert pool.is_empty
    async with pool:
        with anyio.fail_after(10):
            await pool.wait_for_servers()
        assert list(pool.standings) == ["ws://192.0.2.1:8000", "ws://192.0.2.2:8000"]
