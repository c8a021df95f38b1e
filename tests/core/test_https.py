"""HTTPServer over TLS: certificates by name, handshakes that fail, what a request then is."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

import anyio
import pytest
from anyio.streams.tls import TLSAttribute
from tests.certificates import Authority
from tests.https import HOST, Tells, asked, connected, names_of, serving, text

from easews.testing import gateway


def unchecked(context: ssl.SSLContext) -> ssl.SSLContext:
    """A client that takes any name."""
    context.check_hostname = False
    return context


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def test_a_request_over_tls_has_the_scheme_https(authority: Authority) -> None:
    async with (
        serving(**authority.fields(HOST)) as running,
        connected(running, authority.client()) as stream,
    ):
        known = await asked(stream)
        assert (known["scheme"], known["subject"]) == ("https", None)
        assert await asked(stream) == known  # on the same connection


async def test_the_client_gets_the_certificate_of_the_name_that_it_asks_for(
    authority: Authority,
) -> None:
    one, two = authority.issue("one.example", file="1"), authority.issue("*.two.example", file="2")
    files = {"certFile": [str(one[0]), str(two[0])], "keyFile": [str(one[1]), str(two[1])]}
    async with serving(https=True, **files) as running:
        for name, served in {
            "one.example": "one.example",
            "a.two.example": "*.two.example",
            "three.example": "one.example",
            None: "one.example",
        }.items():
            client = unchecked(authority.client())
            async with connected(running, client, name) as stream:
                assert names_of(stream) == [served]


async def test_only_http_1_1_is_agreed_on(authority: Authority) -> None:
    async with serving(**authority.fields(HOST)) as running:
        for offered, agreed in {("h2", "http/1.1"): "http/1.1", ("h2",): None}.items():
            client = authority.client()
            client.set_alpn_protocols(list(offered))
            async with connected(running, client) as stream:
                assert stream.extra(TLSAttribute.alpn_protocol) == agreed
                assert (await asked(stream))["scheme"] == "https"


async def test_the_minimum_version_is_kept(authority: Authority) -> None:
    tls = {"tls": {"minVersion": "TLSv1.3"}}
    async with serving(**authority.fields(HOST), **tls) as running:
        client = authority.client()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        with pytest.raises(ssl.SSLError):
            async with connected(running, client):
                pass
        async with connected(running, authority.client()) as stream:
            assert stream.extra(TLSAttribute.tls_version) == "TLSv1.3"


async def test_plain_http_is_told_to_use_tls(authority: Authority) -> None:
    async with (
        serving(**authority.fields(HOST)) as running,
        await anyio.connect_tcp(*running.address) as stream,
    ):
        await stream.send(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        answer = await stream.receive()
    assert answer.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert b"this port speaks TLS: write https:// or wss://" in answer


async def test_a_failed_handshake_is_one_line_in_the_log(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "easews")
    async with serving(**authority.fields(HOST)) as running:
        with pytest.raises(ssl.SSLError):
            async with connected(running, ssl.create_default_context()):  # trusts others
                pass
        async with await anyio.connect_tcp(*running.address) as stream:
            await stream.send(b"hello, hello\r\n")
            async for _ in stream:
                pass  # its alert
        async with connected(running, authority.client()) as tls_stream:
            await asked(tls_stream)
    failed = [record for record in caplog.records if record.name == "easews.server"]
    assert [record.levelname for record in failed] == ["INFO", "INFO"]
    assert all("from 127.0.0.1:" in record.message for record in failed)
    assert "does not speak TLS" in failed[1].message


async def test_a_look_whether_the_port_is_open_is_no_line_in_the_log(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "easews")
    async with serving(**authority.fields(HOST)) as running:
        async with await anyio.connect_tcp(*running.address):
            pass
        async with connected(running, authority.client()) as stream:
            await asked(stream)
    assert "was closed" not in caplog.text


async def test_a_stalled_handshake_ends_in_time(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "easews")
    tls = {"tls": {"handshakeTimeout": "50ms"}}
    async with (
        serving(**authority.fields(HOST), **tls) as running,
        await anyio.connect_tcp(*running.address) as stalled,
    ):
        await stalled.send(b"\x16\x03\x01")  # a record begins
        with pytest.raises(anyio.EndOfStream):
            await stalled.receive()
    assert "the TLS handshake was not complete within 0.05 s" in caplog.text


async def test_with_too_many_handshakes_the_oldest_is_given_up(authority: Authority) -> None:
    tls = {"tls": {"maxHandshakes": 2}}
    async with serving(**authority.fields(HOST), **tls) as running:
        stalled = [await anyio.connect_tcp(*running.address) for _ in range(2)]
        async with connected(running, authority.client()) as stream:
            assert (await asked(stream))["scheme"] == "https"
        with pytest.raises(anyio.EndOfStream):
            await stalled[0].receive()
        with anyio.move_on_after(0.05):
            await stalled[1].receive()
            pytest.fail("the younger one was given up, too")
        for waiting in stalled:
            await waiting.aclose()


async def test_backends_are_told_that_the_client_came_over_tls(authority: Authority) -> None:
    config = text(**authority.fields(HOST)).replace(
        '"filters": [', '"filters": [{"kind": "XForwarded", "name": "forwarded"}, '
    )
    async with (
        gateway(config, Tells) as running,
        connected(running, authority.client()) as stream,
    ):
        headers = (await asked(stream, "X-Forwarded-Proto: http"))["headers"]
        assert headers["X-Forwarded-Proto"] == "https"
