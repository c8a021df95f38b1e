"""Requests to servers over TLS, where that makes a difference."""

from __future__ import annotations

import logging
import ssl

import anyio
import pytest
from tests.httpproxy.conftest import Link, SecureLink, Stage, Staging
from tests.tlspeers import TlsEnd, authority

from easews.net.tlshandshake import handshake

POST = b"POST / HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def warm(stage: Stage) -> tuple[Link, SecureLink]:
    """A client and a connection to the server that have served a request."""
    client = await stage.ask(GET)
    link = await stage.server.accept_secure()
    await link.head()
    await link.send(OK)
    assert (await client.until(b"ok")).startswith(b"HTTP/1.1 200 ")
    return client, link


async def answering(stage: Stage) -> tuple[Link, SecureLink]:
    """A client that is still sending, and the server's connection, whose answer has begun."""
    client = await stage.ask(CHUNKED + b"1\r\na\r\n")
    link = await stage.server.accept_secure()
    await link.until(b"1\r\na\r\n")
    await link.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nA\r\n")
    await client.until(b"1\r\nA\r\n")
    return client, link


async def test_a_connection_is_used_again(staging: Staging) -> None:
    async with staging(tls=True) as stage:
        client, link = await warm(stage)
        for _ in range(2):
            await client.send(GET)
            head = await link.head()
            assert b"Host: localhost:" in head
            await link.send(OK)
            await client.until(b"ok")
        assert len(stage.server.links) == 1


async def test_a_connection_that_its_server_has_ended_is_not_used(staging: Staging) -> None:
    async with staging(tls=True) as stage:
        client, link = await warm(stage)
        link.close()
        await client.send(POST + b"Content-Length: 0\r\n\r\n")
        fresh = await stage.server.accept_secure()
        await fresh.head()
        await fresh.send(OK)
        await client.until(b"ok")


async def test_a_connection_on_which_more_came_than_an_answer_is_not_used(
    staging: Staging,
) -> None:
    """The second record is in TLS already: no poll tells of it."""
    async with staging(tls=True) as stage:
        client = await stage.ask(GET)
        link = await stage.server.accept_secure()
        await link.head()
        for data in (OK, b"HTTP/1.1 408 Request Timeout\r\n\r\n"):
            link.tls.ssl.write(data)
        link.tls.flush()
        await client.until(b"ok")
        await client.send(GET)
        fresh = await stage.server.accept_secure()
        await fresh.head()
        await fresh.send(OK)
        await client.until(b"ok")


async def test_an_upload_goes_on_beside_the_tickets_of_the_server(staging: Staging) -> None:
    """In TLS 1.3 they come behind the handshake, and are no answer."""
    async with staging(tls=True) as stage:
        client = await stage.ask(CHUNKED)
        link = await stage.server.accept_secure()
        await link.head()
        for _ in range(3):
            await client.send(b"5\r\nhello\r\n")
            await link.until(b"5\r\nhello\r\n")
        await client.send(b"0\r\n\r\n")
        await link.until(b"0\r\n\r\n")
        await link.send(OK)
        await client.until(b"ok")


async def test_an_early_refusal_reaches_a_client_that_is_still_sending(staging: Staging) -> None:
    async with staging(tls=True) as stage:
        client = await stage.ask(CHUNKED + b"5\r\nhello\r\n")
        link = await stage.server.accept_secure()
        await link.until(b"5\r\nhello\r\n")
        await link.send(b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nlarge")
        assert (await client.head()).startswith(b"HTTP/1.1 413 ")
        await client.send(b"5\r\nhello\r\n")
        assert await client.rest() == b"large"


async def test_an_answer_behind_an_interim_one_ends_an_upload(staging: Staging) -> None:
    """Both have come in one packet, as records of their own."""
    async with staging(tls=True) as stage:
        client = await stage.ask(CHUNKED + b"5\r\nhello\r\n")
        link = await stage.server.accept_secure()
        await link.until(b"5\r\nhello\r\n")
        for data in (b"HTTP/1.1 103 Early Hints\r\n\r\n", OK):
            link.tls.ssl.write(data)
        link.tls.flush()
        assert (await client.head()).startswith(b"HTTP/1.1 103 ")
        assert (await client.head()).startswith(b"HTTP/1.1 200 ")
        assert await client.rest() == b"ok"


async def test_an_answer_that_comes_while_its_request_is_sent_is_passed_on(
    staging: Staging,
) -> None:
    async with staging(tls=True) as stage:
        client, link = await answering(stage)
        await client.send(b"1\r\nb\r\n")
        await link.until(b"1\r\nb\r\n")
        await client.send(b"0\r\n\r\n")
        await link.until(b"0\r\n\r\n")
        await link.send(b"0\r\n\r\n")
        await client.until(b"0\r\n\r\n")


async def test_an_upload_that_breaks_off_beside_its_answer_ends_that(staging: Staging) -> None:
    async with staging(tls=True) as stage:
        client, link = await answering(stage)
        await client.send(b"no chunk\r\n")
        await client.ends()
        await link.rest()


async def test_bodies_larger_than_all_buffers_pass_both_ways(staging: Staging) -> None:
    size = 3 << 20
    body = bytes(range(256)) * (size // 256)
    async with staging(tls=True) as stage:
        client = await stage.ask(POST + b"Content-Length: %d\r\n\r\n" % size)
        link = await stage.server.accept_secure()
        await link.head()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.send, body)
            assert await link.exactly(size) == body
        await link.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        await client.head()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(link.send, body)
            assert await client.exactly(size) == body


async def test_a_server_that_agrees_on_no_tls_is_passed_over(
    staging: Staging, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING, "easews"):
        async with staging(tls=True, servers=2) as stage:
            client = await stage.ask(GET)
            other = await stage.servers[0].accept()
            await other.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            link = await stage.servers[1].accept_secure()
            await link.head()
            await link.send(OK)
            await client.until(b"ok")
    assert "; write ws:// or http:// in its url; asking https://localhost:" in caplog.text


@pytest.mark.parametrize("request_", [GET, POST + b"Content-Length: 0\r\n\r\n"])
async def test_a_server_that_misses_our_certificate_has_read_nothing_and_is_passed_over(
    staging: Staging, caplog: pytest.LogCaptureFixture, request_: bytes
) -> None:
    """In TLS 1.3 it says so when the request is on its way."""
    strict = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert("localhost").configure_cert(strict)
    authority().configure_trust(strict)
    strict.verify_mode = ssl.CERT_REQUIRED
    async with staging(tls=True, servers=2) as stage:
        client = await stage.ask(request_)
        other = await stage.servers[0].accept()
        with pytest.raises(ConnectionError):
            await handshake(TlsEnd(other.sock, strict), 30)
        link = await stage.servers[1].accept_secure()
        await link.head()
        await link.send(OK)
        await client.until(b"ok")
    assert "TLS: the peer requires a certificate; " in caplog.text


async def test_a_client_is_told_nothing_of_what_went_wrong(staging: Staging) -> None:
    async with staging(tls=True) as stage:
        client = await stage.ask(GET)
        other = await stage.server.accept()
        await other.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        head = await client.head()
        assert head.startswith(b"HTTP/1.1 502 ")
        length = int(head.partition(b"Content-Length: ")[2].partition(b"\r\n")[0])
        body = await client.exactly(length)
        assert b"no server could be reached" in body
        for secret in (b"TLS", b"localhost", str(stage.server.port).encode()):
            assert secret not in body
