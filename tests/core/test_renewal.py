"""Certificates that change while they are served: in their files, or by another config."""

from __future__ import annotations

import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from anyio import to_thread
from tests.certificates import Authority
from tests.https import HOST, PATIENCE, Tells, asked, connected, names_of, serving, text

from easews import CertificateError
from easews.operate.serving import renewal
from easews.operate.serving.renewal import look_at, renew, told, warn_of_old
from easews.server import ServerTls
from easews.testing import Running, load_config


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def reused(running: Running, client: ssl.SSLContext, name: str, session: Any = None) -> Any:
    """Connect, and the session for the next time; whether `session` was resumed."""
    raw = socket.create_connection(running.address, PATIENCE)
    with client.wrap_socket(raw, server_hostname=name, session=session) as stream:
        stream.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        stream.recv(65536)  # behind the tickets of TLS 1.3
        return stream.session, stream.session_reused


async def looked_at_twice(running: Running) -> None:
    for _ in range(2):
        await look_at(running.gateway.tls["s"])


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
            with pytest.raises(anyio.EndOfStream):  # its TLS is no longer what is asked for
                await asked(before)
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
