"""Requests with a body: their limits, answers that come early, 100, and what follows a body."""

from __future__ import annotations

import anyio
import pytest
from tests.httpproxy.conftest import Link, Staging

from easews.upstream.exchange import roundtrip

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_an_early_refusal_reaches_a_client_that_is_still_sending(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(CHUNKED + b"5\r\nhello\r\n")
        link = await stage.server.accept()
        await link.until(b"5\r\nhello\r\n")
        await link.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge")
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 413 ")
        assert b"Connection: close\r\n" in head
        await client.send(b"5\r\nhello\r\n")  # it is read, and no reset takes the answer away
        assert await client.rest() == b"large"
        await link.ends()


async def test_a_server_may_answer_while_it_reads(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(CHUNKED + b"1\r\na\r\n")
        link = await stage.server.accept()
        await link.until(b"1\r\na\r\n")
        await link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n")
        await client.until(b"1\r\nA\r\n")
        await client.send(b"1\r\nb\r\n")
        await link.until(b"1\r\nb\r\n")
        await link.send(b"1\r\nB\r\n")
        await client.until(b"1\r\nB\r\n")
        await client.send(b"0\r\n\r\n")
        await link.until(b"0\r\n\r\n")
        await link.send(b"0\r\n\r\n")
        await client.until(b"0\r\n\r\n")


async def test_an_answer_that_is_complete_before_its_request_ends_it(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(CHUNKED + b"1\r\na\r\n")
        link = await stage.server.accept()
        await link.until(b"1\r\na\r\n")
        await link.send(OK)
        assert b"Connection: close\r\n" in await client.head()
        assert await client.rest() == b"ok"
        await link.ends()


async def test_an_answer_right_behind_the_last_byte_leaves_both_connections_in_order(
    staging: Staging,
) -> None:
    async with staging() as stage:
        client = await stage.ask(POST + b"Content-Length: 10\r\n\r\nhello")
        link = await stage.server.accept()
        for _ in range(3):
            await link.until(b"hello")
            await client.send(b"world")
            await link.until(b"world")
            await link.send(OK)
            await client.until(b"\r\nok")
            await client.send(POST + b"Content-Length: 10\r\n\r\nhello")


@pytest.mark.parametrize(
    "framing",
    [b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
)
async def test_a_body_that_is_here_goes_along_with_its_head(
    staging: Staging, framing: bytes
) -> None:
    async with staging() as stage:
        await stage.ask(POST + framing)
        link = await stage.server.accept()
        head, _, body = (await link.receive()).partition(b"\r\n\r\n")
        assert head.startswith(b"POST / ")
        assert body == framing.partition(b"\r\n\r\n")[2]


async def test_a_body_that_breaks_off_in_its_first_piece_is_the_clients_fault(
    staging: Staging,
) -> None:
    async with staging() as stage:
        client = await stage.ask(CHUNKED + b"5\nhello\r\n")
        link = await stage.server.accept()
        assert (await client.head()).startswith(b"HTTP/1.1 400 ")
        assert await link.rest() == b""


async def test_a_client_that_breaks_off_beside_its_answer_ends_both(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(CHUNKED + b"1\r\na\r\n")
        link = await stage.server.accept()
        await link.until(b"1\r\na\r\n")
        await link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n")
        await client.until(b"1\r\nA\r\n")
        await client.send(b"nonsense\r\n")
        await link.ends()
        assert await client.rest() == b""


async def test_a_server_that_closes_during_an_upload_may_have_said_why(staging: Staging) -> None:
    async with staging(path=", clientMaxBodySize: -1", pool="clientMaxBodySize: -1") as stage:
        client = await stage.ask(CHUNKED)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
        link.close()
        assert (await client.head()).startswith(b"HTTP/1.1 403 ")
        assert await client.exactly(2) == b"no"


@pytest.mark.parametrize(
    ("pool", "path", "over"),
    [
        ("clientMaxBodySize: 5", "-1", 6),
        ("clientMaxBodySize: 5", "100", 6),
        ("", "5", 6),
        ("", "-1", 4 * 1024 * 1024 + 1),
    ],
)
async def test_an_announced_body_over_the_limit_is_refused_before_a_server_is_asked(
    staging: Staging, pool: str, path: str, over: int
) -> None:
    async with staging(pool=pool, path=f", clientMaxBodySize: {path}") as stage:
        client = await stage.ask(POST + b"Content-Length: %d\r\n\r\n" % over)
        assert (await client.head()).startswith(b"HTTP/1.1 413 ")


async def test_a_body_that_outgrows_the_limit_is_refused_on_its_way(staging: Staging) -> None:
    async with staging(pool="clientMaxBodySize: 5", path=", clientMaxBodySize: -1") as stage:
        client = await stage.ask(CHUNKED + b"5\r\nhello\r\n")
        link = await stage.server.accept()
        await link.until(b"5\r\nhello\r\n")
        await client.send(b"1\r\n!\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 413 ")
        await link.ends()


async def test_a_malformed_body_is_the_clients_fault(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(CHUNKED)
        link = await stage.server.accept()
        await link.head()
        await client.send(b"5\nhello\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 400 ")
        await link.ends()


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(roundtrip, "CONTINUE_TIMEOUT", 0.05)


EXPECTS = POST + b"Content-Length: 5\r\nExpect: 100-continue\r\n\r\n"


async def test_the_servers_100_lets_the_client_send(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(EXPECTS)
        link = await stage.server.accept()
        assert b"Expect: 100-continue\r\n" in await link.head()
        await link.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"hello")
        assert await link.exactly(5) == b"hello"
        await link.send(OK)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


async def test_a_refusal_in_place_of_100_saves_the_upload(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(EXPECTS)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 401 ")
        assert b"Connection: close" in head  # whether the body follows nobody knows
        await link.ends()


@pytest.mark.usefixtures("impatient")
async def test_a_server_that_knows_no_100_gets_the_body_nevertheless(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(EXPECTS)
        link = await stage.server.accept()
        await link.head()
        assert await client.head() == b"HTTP/1.1 100 Continue\r\n\r\n"
        await client.send(b"hello")
        assert await link.exactly(5) == b"hello"
        await link.send(OK)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_interim_answers_are_passed_on_to_who_knows_them(
    staging: Staging, version: bytes
) -> None:
    async with staging() as stage:
        client = await stage.ask(b"GET / HTTP/" + version + b"\r\nHost: x\r\n\r\n")
        link = await stage.server.accept()
        await link.head()
        hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
        await link.send(b"HTTP/1.1 100 Continue\r\n\r\n" + hints)
        if version == b"1.1":
            assert await client.head() == hints
        await link.send(OK)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


async def test_an_interim_answer_interrupts_no_upload(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(POST + b"Content-Length: 10\r\n\r\nhello")
        link = await stage.server.accept()
        await link.until(b"hello")
        await link.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 102 ")
        await client.send(b"world")
        assert await link.exactly(5) == b"world"
        await link.send(OK)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


async def test_trailers_are_passed_on_both_ways(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(
            POST + b"Transfer-Encoding: chunked\r\nTE: trailers\r\nConnection: TE\r\n"
            b"Trailer: X-Sum\r\nX-User: me\r\n\r\n"
            b"2\r\nhi\r\n0\r\nX-Sum: 1\r\nx_user: you\r\nX-Forwarded-For: me\r\nHost: y\r\n\r\n"
        )
        link = await stage.server.accept()
        head = await link.head()
        assert b"Trailer: X-Sum\r\n" in head
        assert b"TE: trailers\r\nConnection: TE\r\n" in head
        assert await link.head() == b"2\r\nhi\r\n0\r\nX-Sum: 1\r\n\r\n"
        await link.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n"
            b"2\r\nhi\r\n0\r\nX-Sum: 2\r\nSet-Cookie: a\r\nX-Status: 0\r\n\r\n"
        )
        assert b"Trailer: X-Sum\r\n" in await client.head()
        assert await client.head() == b"2\r\nhi\r\n0\r\nX-Sum: 2\r\nX-Status: 0\r\n\r\n"


async def test_the_flows_deadline_rests_while_a_server_is_asked(
    staging: Staging, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("easews.server.exchange.FLOW_DEADLINE", 0.1)
    async with staging() as stage:
        client = await stage.ask(POST + b"Content-Length: 5\r\n\r\n")
        link = await stage.server.accept()
        await link.head()
        await anyio.sleep(0.2)  # longer than a flow may take
        await client.send(b"hello")
        await link.exactly(5)
        await anyio.sleep(0.2)
        await link.send(OK)
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")


async def test_a_server_that_takes_nothing_of_a_body_becomes_504(staging: Staging) -> None:
    pool = "timeouts: {idle: 100ms}\n    clientMaxBodySize: -1"
    async with staging(path=", clientMaxBodySize: -1", pool=pool) as stage:
        client = await stage.ask(POST + b"Content-Length: 100000000\r\n\r\n")
        await stage.server.accept()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_flood, client)
            assert (await client.head()).startswith(b"HTTP/1.1 504 ")
            tasks.cancel_scope.cancel()


async def _flood(client: Link) -> None:
    while True:
        await client.send(bytes(65536))
