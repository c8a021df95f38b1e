"""Clients that show a certificate: who is let in, and what filters and backends are told."""

from __future__ import annotations

import json
import ssl
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from tests.certificates import Authority
from tests.https import HOST, Tells, asked, connected, serving, text

from easews.server.tls.clientcert import client_certificate
from easews.testing import gateway


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@dataclass
class Shown:
    """A wire, as far as it tells of the client's certificate."""

    der: bytes

    @property
    def ssl(self) -> Shown:
        return self

    def getpeercert(self, binary_form: bool) -> bytes:
        return self.der


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
