"""A request through the filter: what the server gets, and what the client gets back."""

from __future__ import annotations

import anyio
import pytest
from tests.httpproxy.conftest import Staging

GET = b"GET /a%20b?c=%2F HTTP/1.1\r\nHost: site.example\r\n\r\n"


async def test_a_request_goes_on_and_its_answer_comes_back(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        assert await link.head() == (
            b"GET /a%20b?c=%2F HTTP/1.1\r\n"
            b"Host: site.example\r\n"
            b"X-Forwarded-For: 127.0.0.1\r\n"
            b"X-Forwarded-Host: site.example\r\n"
            b"X-Forwarded-Proto: http\r\n\r\n"
        )
        await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: now\r\nX: y\r\n\r\nhello")
        head = await client.head()
        assert head == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: now\r\nX: y\r\n\r\n"
        assert await client.exactly(5) == b"hello"


async def test_both_connections_serve_the_next_request(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        for number in range(3):
            await link.head()
            await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % number)
            await client.head()
            assert await client.exactly(1) == b"%d" % number
            await client.send(GET)


async def test_servers_keep_their_turns_under_a_new_config(staging: Staging) -> None:
    async with staging(servers=3) as stage:
        for number, server in enumerate(stage.servers):
            await stage.ask(GET)
            await (await server.accept()).head()
            fields = f"name: proxy\n  idleConnTimeout: {number + 1}s\n"
            await stage.running.replace(stage.config.replace("name: proxy\n", fields))


@pytest.mark.parametrize("framing", [b"Content-Length: 11", b"Transfer-Encoding: chunked"])
async def test_an_answer_is_passed_on_as_it_comes(staging: Staging, framing: bytes) -> None:
    chunked = b"chunked" in framing
    async with staging() as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.1 200 OK\r\n" + framing + b"\r\n\r\n")
        assert framing in await client.head()
        for piece in (b"data: 1", b"\n\n\n\n"):
            sent = b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece
            await link.send(sent)
            assert await client.exactly(len(sent)) == sent
        if chunked:
            await link.send(b"0\r\n\r\n")
            assert await client.exactly(5) == b"0\r\n\r\n"
        await client.send(GET)
        await link.head()  # the connection is used again


async def test_chunks_are_made_anew_and_their_extensions_are_dropped(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        await link.send(b"000003;a=b\r\none\r\n3\r\ntwo\r\n0;c\r\n\r\n")
        await client.head()
        assert await client.until(b"0\r\n\r\n") == b"6\r\nonetwo\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "rest", [b"3\none\r\n", b" 3\r\none\r\n", b"3\r\nmore\r\n", b"-1\r\n\r\n", b"0\r\n bad\r\n\r\n"]
)
async def test_malformed_chunks_end_the_answer(staging: Staging, rest: bytes) -> None:
    async with staging() as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n")
        await client.until(b"2\r\nhi\r\n")
        await link.send(rest)
        assert not (await client.rest()).endswith(b"0\r\n\r\n")
        await link.ends()


async def test_an_answer_that_ends_with_its_connection_gets_chunks(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.0 200 OK\r\n\r\nhe")
        assert b"Transfer-Encoding: chunked" in await client.head()
        await link.send(b"llo")
        link.close()
        body = await client.until(b"0\r\n\r\n")
        assert b"".join(body.split(b"\r\n")[1:-3:2]) == b"hello"


@pytest.mark.parametrize(
    ("method", "head"),
    [
        (b"HEAD", b"200 OK\r\nContent-Length: 5000"),
        (b"HEAD", b"200 OK\r\nTransfer-Encoding: chunked"),
        (b"GET", b"204 No Content"),
        (b"GET", b"304 Not Modified\r\nContent-Length: 5000"),
        (b"GET", b"200 OK\r\nContent-Length: 0"),
    ],
)
async def test_an_answer_without_a_body_leaves_its_connection_in_order(
    staging: Staging, method: bytes, head: bytes
) -> None:
    async with staging() as stage:
        client = await stage.ask(method + b" / HTTP/1.1\r\nHost: x\r\n\r\n")
        link = await stage.server.accept()
        for _ in range(2):
            await link.head()
            await link.send(b"HTTP/1.1 " + head + b"\r\n\r\n")
            answer = await client.head()
            assert answer.startswith(b"HTTP/1.1 " + head.partition(b"\r\n")[0])
            length = head.partition(b"Content-Length: ")[2]
            assert (b"Content-Length: " + length + b"\r\n" in answer) is (length != b"")
            await client.send(method + b" / HTTP/1.1\r\nHost: x\r\n\r\n")


@pytest.mark.parametrize(
    ("framing", "body"),
    [
        (b"Content-Length: 5", b"hello"),
        (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
    ],
)
async def test_a_body_goes_on_in_the_framing_that_it_came_in(
    staging: Staging, framing: bytes, body: bytes
) -> None:
    async with staging() as stage:
        client = await stage.ask(b"POST / HTTP/1.1\r\nHost: x\r\n" + framing + b"\r\n\r\n")
        link = await stage.server.accept()
        assert framing in await link.head()
        await client.send(body)
        assert await link.exactly(len(body)) == body
        await link.send(b"HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n")
        assert (await client.head()).startswith(b"HTTP/1.1 201")
        await client.send(GET)
        await link.head()


async def test_fields_for_one_hop_stay_on_it(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: 5\r\n"
            b"X-Hop: 1\r\nTE: gzip\r\nProxy-Authorization: me\r\nCookie: a\r\nCookie: b\r\n\r\n"
        )
        link = await stage.server.accept()
        head = await link.head()
        for gone in (b"Connection", b"TE", b"Keep-Alive", b"X-Hop", b"Proxy-Auth"):
            assert gone not in head
        assert b"Cookie: a\r\nCookie: b\r\n" in head
        await link.send(
            b"HTTP/1.1 200 OK\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
            b"Set-Cookie: a\r\nSet-Cookie: b\r\nContent-Length: 0\r\n\r\n"
        )
        head = await client.head()
        assert b"Hop" not in head
        assert b"Keep-Alive" not in head
        assert b"Set-Cookie: a\r\nSet-Cookie: b\r\n" in head


@pytest.mark.parametrize(("entry", "host"), [("", b"localhost:%d"), (", keepHost: true", b"x")])
async def test_a_server_gets_its_own_host_unless_it_wants_the_clients(
    staging: Staging, entry: str, host: bytes
) -> None:
    async with staging(entry=entry, name="localhost") as stage:
        await stage.ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await (await stage.server.accept()).head()
        expected = host % stage.server.port if b"%" in host else host
        assert head.startswith(b"GET /base/ HTTP/1.1\r\nHost: " + expected + b"\r\n")


async def test_a_server_that_refuses_is_passed_over(staging: Staging) -> None:
    async with staging(servers=2) as stage:
        stage.servers[0].close()
        client = await stage.ask(GET)
        link = await stage.servers[1].accept()
        await link.head()
        await link.send(b"HTTP/1.1 204 No Content\r\n\r\n")
        assert b"204" in await client.head()


async def test_a_client_that_no_server_can_serve_gets_502(staging: Staging) -> None:
    async with staging() as stage:
        stage.server.close()
        client = await stage.ask(GET)
        assert (await client.head()).startswith(b"HTTP/1.1 502 Bad Gateway\r\n")
        assert b"no server could be reached" in await client.until(b"\n")


@pytest.mark.parametrize(
    "answer",
    [
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n folded: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: " + b"y" * 70_000 + b"\r\n\r\n",
    ],
)
async def test_what_is_no_valid_answer_becomes_502(staging: Staging, answer: bytes) -> None:
    async with staging() as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        await link.head()
        await link.send(answer)
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")
        await link.ends()
        assert len(stage.kept) == 0


@pytest.mark.parametrize("timeouts", ["timeouts: {response: 100ms}", "timeout: 100ms"])
async def test_a_server_that_does_not_answer_in_time_becomes_504(
    staging: Staging, timeouts: str
) -> None:
    async with staging(pool=timeouts) as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        assert (await client.head()).startswith(b"HTTP/1.1 504 ")
        await link.head()
        await link.ends()


async def test_a_server_that_hangs_is_ejected(staging: Staging) -> None:
    pool = "timeout: 50ms\n    ejection: {failures: 2, for: 1h, maxFor: 1h, on: [timeout]}"
    async with staging(servers=2, pool=pool) as stage:
        for _ in range(6):
            client = await stage.ask(GET)
            assert (await client.head()).startswith(b"HTTP/1.1 504 ")
        # Of two servers that hang, the one that was ejected first stays out.
        assert [server.connections() for server in stage.servers] == [2, 4]


async def test_an_answer_that_breaks_off_ends_the_clients_connection(staging: Staging) -> None:
    async with staging() as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        link.close()
        await client.head()
        assert await client.rest() == b"hello"


async def test_a_client_that_leaves_takes_its_servers_connection_along(staging: Staging) -> None:
    async with staging() as stage:
        for head in (b"", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"):
            client = await stage.ask(GET)
            link = await stage.server.accept()
            await link.head()
            if head:
                await link.send(head)
                await client.head()
            client.close()
            await link.ends()


async def test_an_upgrade_is_not_passed_on_and_its_connections_serve_nothing_else(
    staging: Staging,
) -> None:
    async with staging() as stage:
        client = await stage.ask(
            b"GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
        link = await stage.server.accept()
        head = await link.head()
        assert b"Upgrade:" not in head
        assert b"Connection: close\r\n" in head
        await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        assert b"Connection: close" in await client.head()
        await link.ends()
        await client.ends()


@pytest.mark.parametrize("scope", ["fields", "pool"])
async def test_an_answer_over_the_limit_is_refused_or_cut_short(
    staging: Staging, scope: str
) -> None:
    async with staging(**{scope: "serverMaxBodySize: 5"}) as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello!")
        assert (await client.head()).startswith(b"HTTP/1.1 502 ")
        await link.ends()
        client = await stage.ask(GET)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        await client.until(b"5\r\nhello\r\n")
        await link.send(b"1\r\n!\r\n0\r\n\r\n")
        assert await client.rest() == b""


async def test_a_status_of_failure_codes_is_a_result(staging: Staging) -> None:
    async with staging(
        pool="failureCodes: [503]",
        flow="flow: [{filter: proxy, jumpIf: {failureCode: b}}, {filter: proxy, alias: b}]",
    ) as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        for status in (b"503 Busy", b"200 OK"):
            await link.head()
            await link.send(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        assert b"200 OK" in await client.head()


@pytest.mark.parametrize("idle", ["0", "1ms"])
async def test_an_idle_connection_is_closed(staging: Staging, idle: str) -> None:
    async with staging(fields=f"idleConnTimeout: {idle}") as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept()
        await link.head()
        await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await client.head()
        with anyio.fail_after(30):
            await link.ends()
