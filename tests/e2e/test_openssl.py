"""easews over TLS, as `openssl s_client` and curl see it."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.certificates import Authority
from tests.e2e.gateway import LOOPBACK, PATIENCE, Gateway, Route, config, free_port, running
from tests.e2e.test_curl import ask

#: OpenSSL refuses to offer the old versions, unless it is told not to be strict.
LAX = ("-cipher", "DEFAULT:@SECLEVEL=0")
GET = b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n"
NAMES = "localhost", "*.b.example"
NOTHING = Route("/nothing", [{"kind": "XForwarded", "name": "forwarded"}])


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def secure(
    loop: str, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Gateway]:
    """A gateway with certificates for localhost and *.b.example."""
    folder = tmp_path_factory.mktemp("secure")
    pairs = [authority.issue(name, file=str(number)) for number, name in enumerate(NAMES)]
    files = {
        "certFile": [str(certificate) for certificate, _ in pairs],
        "keyFile": [str(key) for _, key in pairs],
    }
    with running(
        config(free_port(), NOTHING, https=True, **files), folder, "--backend", loop
    ) as gateway:
        yield gateway


class Client:
    """`openssl s_client` against a gateway, whose authority it trusts."""

    def __init__(self, program: str, authority: Authority, gateway: Gateway) -> None:
        self._command = [
            *(program, "s_client", "-connect", f"{LOOPBACK}:{gateway.port}"),
            *("-CAfile", str(authority.file), "-servername", "localhost"),
        ]

    def says(self, *options: str, sends: bytes = GET + b"Connection: close\r\n\r\n") -> str:
        """What it prints when it sends `sends` and waits for the end."""
        command = [*self._command, *options, "-ign_eof"]
        run = subprocess.run(command, input=sends, capture_output=True, timeout=PATIENCE)
        return (run.stdout + run.stderr).decode(errors="replace")

    def obeys(self, command: str, *options: str) -> str:
        """What it prints when it is given a command of one letter, until it ends by itself."""
        process = subprocess.Popen(
            [*self._command, *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            process.stdin.write(f"{command}\n".encode())
            process.stdin.flush()
            return process.stdout.read().decode(errors="replace")


@pytest.fixture
def client(openssl: str, authority: Authority, secure: Gateway) -> Client:
    return Client(openssl, authority, secure)


@pytest.mark.parametrize("version", ["1.2", "1.3"])
def test_tls_is_spoken(client: Client, version: str) -> None:
    said = client.says(f"-tls{version.replace('.', '_')}")
    assert f"New, TLSv{version}, Cipher is " in said
    assert "Verify return code: 0 (ok)" in said
    assert "HTTP/1.1 503" in said
    assert "Compression: NONE" in said or version == "1.3"


@pytest.mark.parametrize("version", ["1", "1_1"])
def test_older_versions_are_refused_with_an_alert(client: Client, version: str) -> None:
    said = client.says(f"-tls{version}", *LAX)
    if "unknown option" in said.lower():
        pytest.skip("this openssl has no such version itself")
    assert "alert protocol version" in said


@pytest.mark.parametrize(
    "cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384", "aNULL"]
)
def test_ciphers_without_forward_secrecy_or_authentication_are_refused(
    client: Client, cipher: str
) -> None:
    said = client.says("-tls1_2", "-cipher", f"{cipher}:@SECLEVEL=0")
    assert "alert handshake failure" in said
    assert "Cipher is (NONE)" in said


def test_the_server_name_decides_on_the_certificate(client: Client) -> None:
    for name, served in {"a.b.example": "*.b.example", "b.example": "localhost"}.items():
        said = client.says("-servername", name, "-verify_hostname", served.replace("*", "a"))
        assert "Verify return code: 0 (ok)" in said, name
    said = client.says("-servername", "localhost", "-verify_hostname", "a.b.example")
    assert "hostname mismatch" in said.lower()


def test_a_server_name_that_is_not_ascii_is_refused_without_a_traceback(
    client: Client, secure: Gateway
) -> None:
    assert "alert" in client.says("-servername", "ü.example")
    secure.log.wait_for("INFO a connection from 127.0.0.1", "callback failed")
    assert not secure.log.having("Traceback")


def test_http_1_1_is_agreed_on_by_alpn(client: Client) -> None:
    assert "ALPN protocol: http/1.1" in client.says("-alpn", "h2,http/1.1")
    said = client.says("-alpn", "h2")
    assert "No ALPN negotiated" in said
    assert "HTTP/1.1 503" in said


@pytest.mark.parametrize("version", ["1_2", "1_3"])
@pytest.mark.parametrize("name", ["localhost", "a.b.example"])
def test_a_session_is_resumed_by_its_ticket(
    client: Client, tmp_path: Path, version: str, name: str
) -> None:
    file = str(tmp_path / "session")
    options = f"-tls{version}", "-servername", name
    assert "New, TLSv" in client.says(*options, "-sess_out", file)
    assert "Reused, TLSv" in client.says(*options, "-sess_in", file)


def test_renegotiation_is_refused(client: Client) -> None:
    said = client.obeys("R", "-tls1_2")
    assert "RENEGOTIATING" in said
    assert "no renegotiation" in said


@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_both_sides_close_with_a_notification(client: Client, version: str) -> None:
    said = client.says(f"-tls{version}", "-msg")
    alerts = re.findall(r"(>>>|<<<) TLS [\d.]+, Alert \[length 0002\], warning close_notify", said)
    assert {*alerts} == {">>>", "<<<"}
    assert "unexpected eof" not in said


def test_curl_is_served_over_tls(curl: str, authority: Authority, secure: Gateway) -> None:
    head, body = ask(curl, secure.https("/nothing"), "--cacert", str(authority.file))
    assert head.status == 503
    assert "Traceback" not in body
    refused = subprocess.run([curl, "--silent", secure.https("/")], capture_output=True)
    assert refused.returncode == 60  # the authority is not known


def test_what_is_served_and_until_when_is_printed(authority: Authority, tmp_path: Path) -> None:
    soon = datetime.now(UTC) + timedelta(days=5, hours=1)
    certificate, key = authority.issue("localhost", "192.0.2.1", file="soon", not_after=soon)
    files = {"certFile": str(certificate), "keyFile": str(key)}
    with running(config(free_port(), NOTHING, https=True, **files), tmp_path) as gateway:
        gateway.out.wait_for("test-server listens on https://127.0.0.1:")
        line = gateway.out.wait_for("test-server has a certificate for localhost, 192.0.2.1 until ")
        assert line.endswith(f"{soon:%Y-%m-%d %H:%M} UTC")
        gateway.log.wait_for("WARNING", "localhost, 192.0.2.1", "in 5 days: renew it")


def test_a_renewed_certificate_is_served_without_a_restart(
    openssl: str, authority: Authority, tmp_path: Path
) -> None:
    fields = authority.fields("localhost", file="renewed")
    with running(config(free_port(), NOTHING, **fields), tmp_path) as gateway:
        authority.issue("localhost", "new.example", file="renewed")
        gateway.log.wait_for("test-server has a certificate for localhost, new.example until ")
        said = Client(openssl, authority, gateway).says("-verify_hostname", "new.example")
        assert "Verify return code: 0 (ok)" in said


def test_a_client_shows_its_certificate(openssl: str, authority: Authority, tmp_path: Path) -> None:
    fields = {**authority.fields("localhost", file="mutual"), "caCertFile": str(authority.file)}
    certificate, key = authority.issue("alice.example", file="alice")
    shown = "-cert", str(certificate), "-key", str(key)
    with running(config(free_port(), NOTHING, **fields), tmp_path) as gateway:
        client = Client(openssl, authority, gateway)
        assert "HTTP/1.1 503" in client.says(*shown)
        assert "alert certificate required" in client.says("-tls1_3")
        assert "alert handshake failure" in client.says("-tls1_2")
        gateway.log.wait_for("INFO", "127.0.0.1", "the peer has sent no certificate")
