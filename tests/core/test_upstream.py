"""Backends: whose turn it is, connecting, and one exchange on a real socket."""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import anyio
import pytest
from hypothesis import given
from hypothesis import strategies as st

from easews import BadAnswer, ConnectError, ConnectTimeout, Headers, Request, UpstreamTimeout
from easews.upstream import Answer, Pool, Server, Via, ask, dial

WEIGHTS = st.lists(st.integers(0, 9), min_size=1, max_size=6).filter(any)


def servers(*weights: int) -> list[Server]:
    return [Server.at(f"ws://s{n}:80/", weight=weight) for n, weight in enumerate(weights)]


def test_a_url_says_where_a_server_is() -> None:
    server = Server.at("ws://[::1]/base")
    assert (server.host, server.port, server.path) == ("::1", 80, "/base")
    assert Server.at("wss://backend.example").port == 443
    with pytest.raises(ValueError, match="its port is not a number"):
        Server.at("ws://backend.example:0")


REQUEST = Request("GET", "/")


def turn(pool: Pool) -> str:
    attempt = pool.next(REQUEST)
    assert attempt is not None
    return attempt.server.host


def in_order(pool: Pool) -> list[str]:
    """The servers that one request is tried at, if each of them refuses."""
    tried: list[Server] = []
    while (attempt := pool.next(REQUEST, tried)) is not None:
        tried.append(attempt.server)
    return [server.host for server in tried]


def test_round_robin_is_smooth() -> None:
    pool = Pool(servers(5, 1, 1))
    assert [turn(pool) for _ in range(7)] == ["s0", "s1", "s0", "s0", "s0", "s2", "s0"]


@given(WEIGHTS)
def test_every_server_gets_its_share(weights: list[int]) -> None:
    pool = Pool(servers(*weights))
    turns = Counter(turn(pool) for _ in range(sum(weights) * 3))
    assert turns == {f"s{n}": weight * 3 for n, weight in enumerate(weights) if weight}


@given(WEIGHTS)
def test_every_server_that_gets_traffic_stands_in_for_the_others(weights: list[int]) -> None:
    pool = Pool(servers(*weights))
    assert sorted(in_order(pool)) == [f"s{n}" for n, weight in enumerate(weights) if weight]


@given(WEIGHTS)
def test_a_request_that_is_tried_again_takes_nobody_elses_turn(weights: list[int]) -> None:
    pool, other = Pool(servers(*weights)), Pool(servers(*weights))
    for _ in range(3):
        assert in_order(pool)[:1] == [turn(other)]


def test_a_pool_may_be_empty() -> None:
    assert Pool([]).next(REQUEST) is None


def test_what_is_known_of_a_server_is_shared_by_all_pools_that_name_it() -> None:
    one, other = Pool([Server.at("ws://S:80/a")]), Pool([Server.at("ws://s/a", weight=5)])
    elsewhere = Pool([Server.at("ws://s/b")])
    attempt = one.next(REQUEST)
    assert attempt is not None
    attempt.failed(ConnectError("no route"))
    failures = [
        standing.ejection.failures
        for pool in (other, elsewhere)
        for standing in pool.standings.values()
    ]
    assert failures == [1, 0]


def test_a_server_that_no_pool_names_any_more_is_forgotten() -> None:
    pool = Pool([Server.at("ws://gone:1")])
    attempt = pool.next(REQUEST)
    assert attempt is not None
    attempt.failed(ConnectError("no route"))
    del pool, attempt
    (standing,) = Pool([Server.at("ws://gone:1")]).standings.values()
    assert (standing.ejection.failures, standing.ejection.last_error) == (0, "")


def test_failures_in_a_row_are_counted() -> None:
    pool = Pool(servers(1))
    attempt = pool.next(REQUEST)
    assert attempt is not None
    standing = pool.standings[attempt.server.url]
    attempt.failed(ConnectError("Connection refused"))
    attempt.failed(ConnectError("no route"))
    assert (standing.ejection.failures, standing.ejection.last_error) == (2, "no route")
    attempt.succeeded()
    assert standing.ejection.failures == 0


async def test_dialling_a_server_connects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for host in ("127.0.0.1", "localhost"):
            wire = await dial(Server.at(f"ws://{host}:{listening.getsockname()[1]}"))
            with cast(socket.socket, wire) as sock:
                assert not sock.getblocking()
                assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
                listening.accept()[0].close()


async def test_a_connection_is_probed_as_the_pool_says() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = f"ws://127.0.0.1:{listening.getsockname()[1]}"
        probes = {"idle": 7.5, "interval": 3.0, "count": 4}
        pool = {"servers": [{"url": url}], "tcpKeepAlive": probes}
        for via, options in ((Via(), (0,)), (Via.from_spec(pool), (1, 8, 3, 4))):
            with cast(socket.socket, await dial(Server.at(url, via=via), 30)) as sock:
                assert options == tuple(
                    sock.getsockopt(level, getattr(socket, name))
                    for level, name in KEEP_ALIVE[: len(options)]
                )


KEEP_ALIVE = [
    (socket.SOL_SOCKET, "SO_KEEPALIVE"),
    (socket.IPPROTO_TCP, "TCP_KEEPIDLE"),
    (socket.IPPROTO_TCP, "TCP_KEEPINTVL"),
    (socket.IPPROTO_TCP, "TCP_KEEPCNT"),
]


async def test_a_server_that_refuses_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with pytest.raises(ConnectError, match=f"ws://127.0.0.1:{port}: Connection refused"):
        await dial(Server.at(f"ws://127.0.0.1:{port}"))


async def test_a_server_that_takes_no_connection_in_time_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        host, port = full.getsockname()
        first = socket.create_connection((host, port))  # there is room for one, who is not let in
        with first, pytest.raises(ConnectTimeout, match=f"{port}: no connection within"):
            await dial(Server.at(f"ws://{host}:{port}"), timeout=0.1)


async def test_a_look_up_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    given_up = threading.Event()

    def look_up(*_: object, **__: object) -> list[object]:
        given_up.wait()
        return []

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    with pytest.raises(ConnectTimeout, match="slow: no connection within"):
        await dial(Server.at("ws://slow"), timeout=0.1)
    given_up.set()


async def test_a_server_that_does_not_answer_in_time_is_given_up() -> None:
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        far.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        with pytest.raises(UpstreamTimeout, match=r"no answer within 0\.1 s"):
            await ask(near, "GET", "/", Headers([("Host", "backend")]), timeout=0.1)


async def test_a_connection_that_the_kernel_gives_up_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def gives_up(*_: object) -> bytes:
        raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))

    monkeypatch.setattr("easews.upstream.exchange.answers.receive", gives_up)
    monkeypatch.setattr("easews.upstream.dialling.racing.connect", gives_up)
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far, pytest.raises(ConnectError, match=r"^Connection timed out$"):
        await ask(near, "GET", "/", Headers([("Host", "backend")]), timeout=10)
    with pytest.raises(ConnectTimeout, match="Connection timed out"):
        await dial(Server.at("ws://127.0.0.1:1"), timeout=10)


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"HTTP/1.1 101 Go\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 101),
        (b"HTTP/1.1 101 Go\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 101),
        (b"HTTP/1.1 304 Same\r\nTransfer-Encoding: a\r\nTransfer-Encoding: b\r\n\r\n", 304),
        (b"HTTP/1.1 103 Hints\r\nContent-Length: x\r\n\r\nHTTP/1.1 204 No\r\n\r\n", 204),
    ],
)
async def test_framing_fields_of_an_answer_without_a_body_are_ignored(
    head: bytes, status: int
) -> None:
    async with asking(head) as answer:
        assert (answer.status, await _body_of(answer)) == (status, b"")


async def test_being_out_of_descriptors_is_a_reason_as_any_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def no_more(sock: socket.socket) -> None:
        sock.close()
        raise OSError(errno.EMFILE, "")

    monkeypatch.setattr("easews.upstream.dialling.racing.configure", no_more)
    with pytest.raises(ConnectError, match="Too many open files"):
        await dial(Server.at("ws://127.0.0.1:1"))


async def test_a_server_that_falls_silent_within_its_answer_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("easews.upstream.exchange.answers.BODY_TIMEOUT", 0.1)
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        far.send(b"HTTP/1.1 403 No\r\nContent-Length: 9\r\n\r\nhello")
        answer = await ask(near, "GET", "/", Headers([("Host", "backend")]))
        with pytest.raises(BadAnswer):
            await _body_of(answer)


async def test_a_name_that_does_not_resolve_is_named() -> None:
    with pytest.raises(ConnectError, match="its name cannot be resolved"):
        await dial(Server.at("ws://no-such-host.invalid"))


@asynccontextmanager
async def asking(*pieces: bytes) -> AsyncIterator[Answer]:
    """Ask a server that answers with these pieces and then closes."""
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_answer, far, pieces)
            try:
                yield await ask(near, "GET", "/ws?x=1", Headers([("Host", "backend")]))
            finally:
                tasks.cancel_scope.cancel()


async def _answer(far: socket.socket, pieces: tuple[bytes, ...]) -> None:
    await anyio.wait_readable(far)
    assert far.recv(1000) == b"GET /ws?x=1 HTTP/1.1\r\nHost: backend\r\n\r\n"
    for piece in pieces:
        await anyio.wait_all_tasks_blocked()
        far.send(piece)
    far.shutdown(socket.SHUT_RDWR)


async def _body_of(answer: Answer) -> bytes:
    return b"".join([piece async for piece in answer.body()])


async def test_an_answer_has_its_head_and_its_body() -> None:
    async with asking(b"HTTP/1.1 401 No\r\nContent-", b"Length: 5\r\n\r\nhe", b"llo!") as answer:
        assert (answer.status, answer.headers.get("content-length")) == (401, "5")
        assert await _body_of(answer) == b"hello"


async def test_a_body_may_come_in_chunks_or_end_with_the_connection() -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    async with asking(
        head + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhe", b"llo\r\n0\r\n\r\n"
    ) as one:
        assert await _body_of(one) == b"hello"
    async with asking(head + b"\r\nhe", b"llo") as other:
        assert await _body_of(other) == b"hello"


async def test_what_comes_behind_a_101_is_kept() -> None:
    async with asking(b"HTTP/1.1 101 Go\r\n\r\n\x81\x02hi") as answer:
        assert (answer.status, answer.received) == (101, b"\x81\x02hi")


async def test_interim_answers_are_skipped() -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
    async with asking(
        b"HTTP/1.1 100 Continue\r\n\r\n" + interim, b"HTTP/1.1 204 No\r\n\r\n"
    ) as answer:
        assert answer.status == 204


@pytest.mark.parametrize(
    ("pieces", "error", "text"),
    [
        ([], ConnectError, "without an answer"),
        ([b"HTTP/1.1 200 OK\r\nA: b\r\n"], BadAnswer, "in the middle of its answer"),
        ([b"SSH-2.0-OpenSSH\r\n\r\n"], BadAnswer, "status line"),
        ([b"HTTP/1.1 200 OK\r\nA: " + bytes([65]) * 70_000], BadAnswer, "over 65536 bytes"),
        ([b"HTTP/1.1 200 OK\r\nA: " + b"a" * 70_000 + b"\r\n\r\n"], BadAnswer, "over 65536"),
        ([b"HTTP/1.0 101 Go\r\nA: b\r\n\r\n"], BadAnswer, "in HTTP/1.0"),
        ([b"HTTP/1.1 200 OK\r\nContent-Length: 1, 1\r\n\r\n"], BadAnswer, "one decimal number"),
        ([b"HTTP/1.1 103 Hints\r\nA: b\r\n\r\n" * 200], BadAnswer, "100 interim answers"),
    ],
)
async def test_what_is_no_answer_is_told(
    pieces: list[bytes], error: type[Exception], text: str
) -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(error, match=text), allow_unwrapped=True):
        async with asking(*pieces):
            pass


async def test_a_body_that_is_cut_short_is_told() -> None:
    with pytest.RaisesGroup(pytest.RaisesExc(BadAnswer, match="ended before the body")):
        async with asking(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello") as answer:
            await _body_of(answer)
