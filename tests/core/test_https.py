"""HTTPServer over TLS: certificates, clients' certificates, handshakes that fail, new files."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio import to_thread
from anyio.abc import SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream
from tests.certificates import Authority

from easews import CertificateError, Context, Filter, Response
from easews.operate import renewal
from easews.operate.renewal import look_at, renew, told, warn_of_old
from easews.server import ServerTls
from easews.server.clientcert import client_certificate
from easews.testing import Running, gateway, load_config

PATIENCE = 30
HOST = "a.example"


class Tells(Filter):
    """Answers with what it knows of the client."""

    kind = "Tells"

    async def handle(self, ctx: Context) -> None:
        request = ctx.request
        certificate = request.certificate
        known = {
            "scheme": request.scheme,
            "subject": certificate.subject if certificate else None,
            "sans": certificate.sans if certificate else None,
            "headers": dict(request.headers),
        }
        ctx.response = Response(200, content=json.dumps(known))


def text(**server: Any) -> str:
    fields = {"kind": "HTTPServer", "name": "s", "port": 443, **server}
    fields["rules"] = [{"paths": [{"backend": "p"}]}]
    pipeline = {"kind": "Pipeline", "name": "p", "filters": [{"kind": "Tells", "name": "tells"}]}
    return "\n---\n".join(map(json.dumps, (fields, pipeline)))


@asynccontextmanager
async def serving(**server: Any) -> AsyncIterator[Running]:
    with anyio.fail_after(PATIENCE):
        async with gateway(text(**server), Tells) as running:
            yield running


@asynccontextmanager
async def connected(
    running: Running, context: ssl.SSLContext, name: str | None = HOST
) -> AsyncIterator[TLSStream]:
    async with (
        await anyio.connect_tcp(*running.address) as raw,
        await TLSStream.wrap(
            raw, server_side=False, hostname=name, ssl_context=context, standard_compatible=False
        ) as stream,
    ):
        yield stream


async def asked(stream: TLSStream | SocketStream, *headers: str) -> dict[str, Any]:
    """What the filter tells of a request with these header lines."""
    head = "".join(f"{line}\r\n" for line in ("GET / HTTP/1.1", "Host: h", *headers))
    await stream.send(head.encode() + b"\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
        answer += await stream.receive()
    known: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return known


def names_of(stream: TLSStream) -> list[str]:
    certificate: Any = stream.extra(TLSAttribute.peer_certificate)
    return [name for _, name in certificate["subjectAltName"]]


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


async def test_clients_have_to_show_a_certificate(authority: Authority) -> None:
    fields = {**authority.fields(HOST), "caCertFile": str(authority.file)}
    alice = authority.ca.issue_cert(
        "alice.example", "alice@example.org", common_name="Alice", organization_name="Example"
    )
    async with serving(**fields) as running:
        async with connected(running, authority.client(alice)) as stream:
            known = await asked(stream)
            assert "CN=Alice" in known["subject"]
            assert known["sans"] == ["DNS:alice.example", "email:alice@example.org"]
        with pytest.raises(ssl.SSLError, match=r"(?i)certificate required"):
            async with connected(running, authority.client()) as stream:
                await stream.receive()
        stranger = trustme.CA().issue_cert("alice.example")
        with pytest.raises(ssl.SSLError, match=r"(?i)unknown ca"):
            async with connected(running, authority.client(stranger)) as stream:
                await stream.receive()


async def test_a_certificate_may_be_optional_and_is_checked_all_the_same(
    authority: Authority,
) -> None:
    fields = {**authority.fields(HOST), "caCertFile": str(authority.file)}
    async with serving(**fields, tls={"clientCertificate": "optional"}) as running:
        async with connected(running, authority.client()) as stream:
            assert (await asked(stream))["subject"] is None
        stranger = trustme.CA().issue_cert("alice.example")
        with pytest.raises(ssl.SSLError):
            async with connected(running, authority.client(stranger)) as stream:
                await stream.receive()


@dataclass
class Shown:
    """A wire, as far as it tells of the client's certificate."""

    der: bytes

    @property
    def ssl(self) -> Shown:
        return self

    def getpeercert(self, binary_form: bool) -> bytes:
        return self.der


async def test_a_resumed_session_ends_with_its_certificate(authority: Authority) -> None:
    fields = {**authority.fields(HOST), "caCertFile": str(authority.file)}
    now = datetime.now(UTC)
    past = {"not_before": now - timedelta(9), "not_after": now - timedelta(1)}
    alice, _ = authority.issue("alice.example", file="alice", **past)
    async with serving(**fields) as running:
        tls = running.gateway.tls["s"]
        old: Any = Shown(ssl.PEM_cert_to_DER_cert(alice.read_text().partition("\n\n")[0]))
        with pytest.raises(ConnectionError, match="the client's certificate has expired"):
            tls.client(old)
        garbled: Any = Shown(b"\x30\x00")
        with pytest.raises(ConnectionError, match="the client's certificate cannot be read"):
            tls.client(garbled)


def test_a_client_may_have_no_other_names(openssl: str, tmp_path: Path) -> None:
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/O=Example/CN=a"]
    files = ["-keyout", str(tmp_path / "key"), "-outform", "DER", "-out", str(tmp_path / "der")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    certificate = client_certificate((tmp_path / "der").read_bytes())
    assert (certificate.subject, certificate.sans) == ("CN=a,O=Example", ())
    assert len(certificate.fingerprint) == 64


HEADERS = {"subject": "X-Client-Subject", "sans": "X-Client-Names", "serial": "X-Client-Serial"}


async def test_header_fields_tell_of_the_certificate_and_cannot_be_forged(
    authority: Authority,
) -> None:
    fields = {**authority.fields(HOST), "caCertFile": str(authority.file)}
    tls = {"clientCertificate": "optional", "clientCertificateHeaders": HEADERS}
    alice = authority.ca.issue_cert("alice.example", "zoe@example.org", common_name="Zoë")
    forged = ("X-Client-Subject: CN=root", "x_client_names: root", "X.Client.Serial: 1")
    trusted = {"trustedProxies": ["127.0.0.1"]}
    async with serving(**fields, **trusted, tls=tls) as running:
        async with connected(running, authority.client()) as stream:
            headers = (await asked(stream, *forged))["headers"]
            assert list(headers) == ["Host"]
        async with connected(running, authority.client(alice)) as stream:
            headers = (await asked(stream, *forged, "Connection: X-Client-Subject"))["headers"]
            assert [name for name in headers if "lient" in name] == [*HEADERS.values()]
            assert "CN=Zo\\C3\\AB" in headers["X-Client-Subject"]
            assert headers["X-Client-Names"] == "DNS:alice.example, email:zoe@example.org"
            assert int(headers["X-Client-Serial"], 16) > 0


async def test_a_server_without_certificates_takes_no_word_of_them_either(
    authority: Authority,
) -> None:
    secured = {**authority.fields(HOST), "caCertFile": str(authority.file)}
    tls = {"clientCertificateHeaders": HEADERS}
    plain = json.dumps(
        {
            "kind": "HTTPServer",
            "name": "plain",
            "port": 80,
            "rules": [{"paths": [{"backend": "p"}]}],
        }
    )
    config = f"{text(**secured, tls=tls)}\n---\n{plain}"
    async with (
        gateway(config, Tells) as running,
        await anyio.connect_tcp(*running.addresses["plain"]) as stream,
    ):
        known = await asked(stream, "X-Client-Subject: CN=root", "X-Other: 1")
        assert list(known["headers"]) == ["Host", "X-Other"]
        assert known["scheme"] == "http"


def reused(running: Running, client: ssl.SSLContext, name: str, session: Any = None) -> Any:
    """Connect, and the session for the next time; whether `session` was resumed."""
    raw = socket.create_connection(running.address, PATIENCE)
    with client.wrap_socket(raw, server_hostname=name, session=session) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        stream.recv(65536)  # behind the tickets of TLS 1.3
        return stream.session, stream.session_reused


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_session_is_resumed_under_any_name_and_after_a_renewal(
    authority: Authority, version: ssl.TLSVersion
) -> None:
    one, two = authority.issue(HOST, file="1"), authority.issue("b.example", file="2")
    files = {"certFile": [str(one[0]), str(two[0])], "keyFile": [str(one[1]), str(two[1])]}
    client = authority.client()
    client.minimum_version = client.maximum_version = version
    in_thread = to_thread.run_sync
    async with serving(https=True, **files) as running:
        for name in (HOST, "b.example"):
            session, was_reused = await in_thread(reused, running, client, name)
            assert not was_reused
            session, was_reused = await in_thread(reused, running, client, name, session)
            assert was_reused
            authority.issue(HOST, file="1")
            await looked_at_twice(running)
            _, was_reused = await in_thread(reused, running, client, name, session)
            assert was_reused


async def looked_at_twice(running: Running) -> None:
    for _ in range(2):
        await look_at(running.gateway.tls["s"])


async def test_a_renewed_certificate_is_served_and_open_connections_stay(
    authority: Authority,
) -> None:
    async with (
        serving(**authority.fields(HOST)) as running,
        connected(running, authority.client()) as before,
    ):
        authority.issue(HOST, "renewed.example")
        await looked_at_twice(running)
        async with connected(running, authority.client()) as after:
            assert names_of(before) == [HOST]
            assert names_of(after) == [HOST, "renewed.example"]
        assert (await asked(before))["scheme"] == "https"


async def test_a_change_is_not_taken_over_while_it_goes_on(authority: Authority) -> None:
    async with serving(**authority.fields(HOST)) as running:
        authority.issue("renewed.example")
        await look_at(running.gateway.tls["s"])
        assert running.gateway.tls["s"].pairs[0].names == (HOST,)


async def test_a_pair_that_does_not_fit_is_told_once_and_the_old_one_stays(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(**authority.fields(HOST)) as running:
        certificate, key = authority.issue("other.example", file="other")
        key.replace(authority.folder / "server.key")
        for _ in range(3):
            await look_at(running.gateway.tls["s"])
        async with connected(running, authority.client()) as stream:
            assert names_of(stream) == [HOST]
        (error,) = [record for record in caplog.records if record.levelname == "ERROR"]
        assert "the certificates in use stay: s: " in error.message
        assert "server.key: this key does not belong to the certificate" in error.message
        certificate.replace(authority.folder / "server.pem")
        await looked_at_twice(running)
        assert running.gateway.tls["s"].pairs[0].names == ("other.example",)


async def test_clients_of_an_authority_that_is_gone_cannot_resume(authority: Authority) -> None:
    fields = {**authority.fields(HOST), "caCertFile": str(authority.file)}
    client = authority.client(authority.ca.issue_cert("alice.example"))
    async with serving(**fields) as running:
        in_thread = to_thread.run_sync
        session, _ = await in_thread(reused, running, client, HOST)
        (authority.folder / "ca.pem").write_bytes(trustme.CA().cert_pem.bytes())
        await looked_at_twice(running)
        with pytest.raises((ssl.SSLError, ConnectionError)):
            await in_thread(reused, running, client, HOST, session)


async def test_another_config_brings_other_certificates_on_the_same_sockets(
    authority: Authority,
) -> None:
    async with serving(**authority.fields(HOST)) as running:
        address, unchanged = running.address, running.gateway.tls["s"]
        async with connected(running, authority.client()) as before:
            await running.replace(text(**authority.fields(HOST), keepAlive=True), Tells)
            assert running.gateway.tls["s"] is unchanged
            await running.replace(text(**authority.fields("b.example", file="b")), Tells)
            assert running.address == address
            async with connected(running, authority.client(), "b.example") as after:
                assert names_of(after) == ["b.example"]
            assert (await asked(before))["scheme"] == "https"
        await running.replace(text(), Tells)
        async with await anyio.connect_tcp(*running.address) as plain:
            assert (await asked(plain))["scheme"] == "http"


async def test_a_certificate_that_is_gone_meanwhile_leaves_the_old_config_in_place(
    authority: Authority,
) -> None:
    async with serving(**authority.fields(HOST)) as running:
        config = load_config(text(**authority.fields("b.example", file="b")), Tells)
        (authority.folder / "b.key").unlink()
        with pytest.raises(CertificateError, match=r"s: .*b\.key: there is no such file"):
            await running.replace(config)
        async with connected(running, authority.client()) as stream:
            assert names_of(stream) == [HOST]


async def test_what_is_about_to_expire_is_warned_of(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    async with serving(**authority.fields(HOST)) as running:
        tls = running.gateway.tls["s"]
        (pair,) = tls.pairs
        assert told("s", pair) == (
            f"s has a certificate for {HOST} until {pair.not_after:%Y-%m-%d %H:%M} UTC"
        )
        warn_of_old(tls, pair.not_after - timedelta(days=15))
        assert not caplog.records
        warn_of_old(tls, pair.not_after - timedelta(days=13, hours=1))
        assert "in 13 days: renew it" in caplog.text
        warn_of_old(tls, pair.not_after + timedelta(hours=1))
        assert "which is over: renew it" in caplog.text
        assert pair.not_after > datetime.now(UTC)


async def test_old_certificates_are_warned_of_again_and_again(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    warned = anyio.Event()
    monkeypatch.setattr(renewal, "WARN_EVERY", 0.0)
    monkeypatch.setattr(renewal, "warn_of_old", lambda _: warned.set())
    async with serving(**authority.fields(HOST)) as running, anyio.create_task_group() as tasks:
        tasks.start_soon(renew, running.gateway.tls.values, 0.001)
        await warned.wait()
        tasks.cancel_scope.cancel()


async def test_whatever_happens_while_files_are_loaded_the_gateway_goes_on(
    authority: Authority, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serving(**authority.fields(HOST)) as running:
        authority.issue(HOST, "renewed.example")
        monkeypatch.setattr(ServerTls, "load", lambda _: 1 / 0)
        await looked_at_twice(running)
        assert "those of s cannot be loaded" in caplog.text
        async with connected(running, authority.client()) as stream:
            assert names_of(stream) == [HOST]


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
