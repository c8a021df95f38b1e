"""TLS to servers: who is trusted, who is told what, and what of a config is refused."""

from __future__ import annotations

import json
import re
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import anyio
import pytest
import trustme
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from tests.certificates import Authority
from tests.tlsservers import at, server_context, tls_server, via

from easews import CertificateError, ConnectError, ConnectTimeout, Headers, Request
from easews.config import load
from easews.net.tls import TlsWire
from easews.plugins import discover
from easews.schema import complete
from easews.testing import make_context
from easews.upstream import Pool, Server, Via, answer_for, ask, dial, pool_faults
from easews.upstream.health.checks import Check, HttpCheck
from easews.upstream.health.probes import probe
from easews.upstream.names.records import Target, servers_at
from easews.upstream.servers import standing_of

V1_2, V1_3 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3
POOL = {"$ref": "urn:easews:common#/$defs/pool"}
HEADERS = Headers([("Host", "localhost")])


@cache
def authority() -> trustme.CA:
    return trustme.CA()


@cache
def stranger() -> trustme.CA:
    """An authority that nobody trusts by itself."""
    return trustme.CA()


async def asked(server: Server) -> tuple[int, bytes | None]:
    """The status and the body of an answer."""
    wire = await dial(server, 30)
    try:
        answer = await ask(wire, "GET", "/", HEADERS, 30)
        return answer.status, answer.content()
    finally:
        wire.close()


async def failure(server: Server) -> str:
    """Why `server` cannot be asked."""
    with pytest.raises(ConnectError) as caught:
        await asked(server)
    assert answer_for(make_context("/"), caught.value).status == 502
    return str(caught.value)


@pytest.mark.parametrize("version", [V1_2, V1_3])
async def test_a_server_whose_authority_is_known_is_asked(version: ssl.TLSVersion) -> None:
    with tls_server(server_context(authority(), "localhost", version=version)) as port:
        assert await asked(at(port, via(authority()))) == (200, b"hi")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_the_host_of_the_url_is_what_the_certificate_is_for(host: str) -> None:
    with tls_server(server_context(authority(), host)) as port:
        assert await asked(at(port, via(authority()), host)) == (200, b"hi")


async def test_another_name_is_asked_for_by_server_name() -> None:
    context = server_context(authority(), "chat.example")
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    with tls_server(context) as port:
        how = via(authority(), serverName="chat.example")
        assert await asked(at(port, how, "127.0.0.1")) == (200, b"hi")
    assert names == ["chat.example"]


@pytest.mark.parametrize("name", ["other.example", "127.0.0.2"])
async def test_a_wrong_name_is_told_with_its_remedy(name: str) -> None:
    with tls_server(server_context(authority(), name)) as port:
        text = await failure(at(port, via(authority())))
    assert text.startswith(f"wss://localhost:{port}: TLS: the peer's certificate is refused: Host")
    assert text.endswith("; write the name that it is for in tls.serverName")


async def test_an_address_that_the_certificate_does_not_have_is_told() -> None:
    with tls_server(server_context(authority(), "localhost")) as port:
        text = await failure(at(port, via(authority()), "127.0.0.1"))
    assert "IP address mismatch" in text
    assert text.endswith("; write the name that it is for in tls.serverName")


async def test_an_expired_certificate_is_told() -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    context = server_context(authority(), "localhost", not_after=yesterday)
    with tls_server(context) as port:
        text = await failure(at(port, via(authority())))
    assert text.endswith("certificate is refused: certificate has expired; renew it on the server")


@pytest.mark.parametrize("known", [True, False])
async def test_an_unknown_authority_is_told(known: bool) -> None:
    """Whether others are named, or those of this machine count."""
    with tls_server(server_context(stranger(), "localhost")) as port:
        how = via(authority()) if known else Via()
        text = await failure(at(port, how))
    assert "certificate is refused: " in text
    assert text.endswith("; name its authority in tls.caFile")


async def test_a_server_that_speaks_no_tls_is_told() -> None:
    with tls_server(None) as port:
        text = await failure(at(port, via(authority())))
    assert text.endswith("the peer does not speak TLS; write ws:// or http:// in its url")


async def test_a_server_with_old_versions_only_is_told() -> None:
    with tls_server(server_context(authority(), "localhost", version=V1_2)) as port:
        text = await failure(at(port, via(authority(), minVersion="TLSv1.3")))
    assert text.endswith("; write another tls.minVersion, or update the server")


async def test_a_server_that_never_answers_has_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        text = f"wss://localhost:{port}: the TLS handshake was not complete within 0.1 s"
        with pytest.raises(ConnectTimeout, match=f"^{re.escape(text)}$"):
            await dial(at(port, via(authority(), timeout=0.1)), 30)


async def test_a_server_that_leaves_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        listening.settimeout(30)
        thread = Thread(target=lambda: listening.accept()[0].close())
        thread.start()
        text = await failure(at(port, via(authority())))
        thread.join()
    assert "TLS handshake" in text or "reset" in text


# Our own certificate


def client_fields(ca: trustme.CA) -> dict[str, Any]:
    made = ca.issue_cert("client.example")
    certificate = b"".join(blob.bytes() for blob in made.cert_chain_pems)
    return {
        "certBase64": certificate.decode(),
        "keyBase64": made.private_key_pem.bytes().decode(),
    }


@pytest.mark.parametrize("version", [V1_2, V1_3])
async def test_a_server_gets_our_certificate(version: ssl.TLSVersion) -> None:
    context = server_context(authority(), "localhost", clients=authority(), version=version)
    with tls_server(context) as port:
        how = via(authority(), **client_fields(authority()))
        assert await asked(at(port, how)) == (200, b"hi")


OURS = "write a certificate that the server accepts in tls.certFile and tls.keyFile"


@pytest.mark.parametrize(
    ("version", "text"),
    [
        (V1_2, f"the peer does not agree, or misses a certificate; if it requires one, {OURS}"),
        (V1_3, f"the peer requires a certificate; {OURS}"),
    ],
)
async def test_a_certificate_that_is_missing_is_told(version: ssl.TLSVersion, text: str) -> None:
    context = server_context(authority(), "localhost", clients=authority(), version=version)
    with tls_server(context) as port:
        assert (await failure(at(port, via(authority())))).endswith(f"TLS: {text}")


@pytest.mark.parametrize("version", [V1_2, V1_3])
async def test_a_certificate_of_ours_that_is_refused_is_told(version: ssl.TLSVersion) -> None:
    context = server_context(authority(), "localhost", clients=authority(), version=version)
    with tls_server(context) as port:
        how = via(authority(), **client_fields(stranger()))
        text = await failure(at(port, how))
    assert text.endswith(f"the peer does not know the authority of the certificate; {OURS}")


async def test_an_alert_is_told_though_the_request_cannot_be_sent() -> None:
    """The server has left by then, with a reset."""
    context = server_context(authority(), "localhost", clients=authority())
    with tls_server(context) as port:
        wire = await dial(at(port, via(authority())), 30)
        assert isinstance(wire, TlsWire)
        await anyio.wait_readable(wire)
        with pytest.raises(ConnectError, match="the peer requires a certificate; write a"):
            await ask(wire, "GET", "/", HEADERS, 30)
        wire.close()


async def test_a_check_of_a_server_is_told_the_same() -> None:
    context = server_context(authority(), "localhost", clients=authority())
    with tls_server(context) as port:
        server = at(port, via(authority()))
        with pytest.raises(ConnectError, match="the peer requires a certificate; write a"):
            await probe(server, Check(HttpCheck(), timeout=30))
        server = at(port, via(authority(), **client_fields(authority())))
        await probe(server, Check(HttpCheck(), timeout=30))


# Insecure


async def test_insecure_accepts_anything_and_is_warned_about(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with tls_server(server_context(stranger(), "other.example")) as port:
        url = f"wss://localhost:{port}"
        pool = Pool.from_spec(
            {
                "servers": [{"url": url, "keepHost": False}],
                "tls": {"minVersion": "TLSv1.2", "insecure": True},
            }
        )
        attempt = pool.next(Request("GET", "/"))
        assert attempt is not None
        (warning,) = caplog.messages
        assert warning == f"{url}: insecure: no certificate is checked"
        wire = await dial(attempt.server, 30)
        assert isinstance(wire, TlsWire)
        wire.close()


# What is known of a server


def test_servers_with_other_tls_are_other_servers() -> None:
    trusting, strict = via(insecure=True), via(authority())
    urls = ("wss://a:443/x", "https://a/x")
    one, same = (standing_of(Server.at(url, via=strict)) for url in urls)
    other = standing_of(Server.at(urls[0], via=trusting))
    plain = standing_of(Server.at("ws://a:443/x", via=strict))
    plain_too = standing_of(Server.at("http://a:443/x", via=trusting))
    assert one is same
    assert plain is plain_too
    assert len({id(one), id(other), id(plain)}) == 3


def test_what_tls_is_made_from_is_no_part_of_a_text() -> None:
    how = via(authority(), **client_fields(authority()), keyPassword="hunter2")
    shown = repr(at(1, how))
    assert "BEGIN" not in shown
    assert "hunter2" not in shown


# What is refused


def faults(*, url: str = "wss://a.example", **fields: Any) -> dict[str, str]:
    """The faults of `tls` by their places."""
    pool = complete(POOL, {"servers": [{"url": url}], "tls": fields})
    return {
        ".".join(map(str, fault.path[1:])): f"{fault.wrong}; {fault.accepted}"
        for fault in pool_faults(pool, ("pool",))
    }


def test_a_spec_in_order_has_no_fault(tmp_path: Path) -> None:
    issuer = Authority(tmp_path)
    certificate, key = issuer.issue("client.example")
    assert not faults(caFile=str(issuer.file), certFile=str(certificate), keyFile=str(key))
    assert not faults(serverName="chat.example", **client_fields(issuer.ca))
    assert not faults(serverName="127.0.0.1", insecure=True)


def test_tls_without_a_server_that_has_it_is_refused() -> None:
    found = faults(url="ws://a.example")
    assert found == {
        "tls": "no server of this pool has a url with wss:// or https://; "
        "write wss:// or https://, or leave tls out"
    }


def test_a_file_that_is_not_there_is_named() -> None:
    found = faults(caFile="/nowhere/ca.pem")
    assert found["tls.caFile"].startswith("/nowhere/ca.pem: there is no such file; ")


def test_a_key_of_another_certificate_is_refused() -> None:
    pair = {**client_fields(authority()), "keyBase64": client_fields(authority())["keyBase64"]}
    assert "does not belong to the certificate" in faults(**pair)["tls.keyBase64"]


@pytest.mark.parametrize(
    ("password", "place", "wrong"),
    [
        ("", "tls.keyBase64", "this key is encrypted"),
        ("wrong", "tls.keyPassword", "it does not open the key"),
    ],
)
def test_a_password_that_does_not_open_the_key_is_refused(
    password: str, place: str, wrong: str
) -> None:
    pair = client_fields(authority())
    key = load_pem_private_key(pair["keyBase64"].encode(), None)
    pair["keyBase64"] = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"correct horse")
    ).decode()
    assert not faults(**pair, keyPassword="correct horse")
    found = faults(**pair, **({"keyPassword": password} if password else {}))
    assert list(found) == [place]
    assert found[place].startswith(wrong)


@pytest.mark.parametrize(
    ("fields", "place"),
    [
        ({"certBase64": "x"}, "tls.certBase64"),
        ({"keyFile": "x"}, "tls.keyFile"),
        ({"caFile": "x", "caBase64": "y"}, "tls.caBase64"),
        ({"serverName": "two words"}, "tls.serverName"),
        ({"caBase64": "no PEM"}, "tls.caBase64"),
    ],
)
def test_fields_that_do_not_fit_are_refused_at_their_place(
    fields: Mapping[str, str], place: str
) -> None:
    assert list(faults(**fields)) == [place]


def test_insecure_beside_an_authority_is_refused() -> None:
    ca = authority().cert_pem.bytes().decode()
    wrong = "insecure checks no certificate, so caBase64 has no effect"
    assert wrong in faults(caBase64=ca, insecure=True)["tls.insecure"]


@pytest.mark.parametrize("field", ["caFile", "certFile", "keyFile"])
def test_a_file_that_has_gone_since_it_was_checked_is_named(tmp_path: Path, field: str) -> None:
    certificate, key = Authority(tmp_path).issue("client.example")
    fields: dict[str, Any] = {
        "certFile": str(certificate),
        "keyFile": str(key),
        field: "/nowhere/x.pem",
    }
    with pytest.raises(CertificateError, match=r"^TLS to servers: /nowhere/x\.pem: there is no"):
        via(**fields)


def test_names_of_files_begin_at_the_folder_of_the_config(tmp_path: Path) -> None:
    file = Authority(tmp_path).file
    proxy = {
        "kind": "Proxy",
        "name": "proxy",
        "pools": [
            {"servers": [{"url": "https://a.example"}], "tls": {"caFile": file.name}},
        ],
    }
    config = tmp_path / "config.yaml"
    config.write_text(json.dumps({"kind": "Pipeline", "name": "p", "filters": [proxy]}))
    (pipeline,) = load([str(config)], discover()).pipelines
    assert pipeline.filters[0].spec["pools"][0]["tls"]["caFile"] == str(file)


@pytest.mark.parametrize("service", [False, True])
async def test_a_server_that_dns_leads_to_proves_the_name_of_the_url(service: bool) -> None:
    with tls_server(server_context(authority(), "chat.example")) as port:
        host = f"_ws._tcp.chat.example:{port}" if service else f"chat.example:{port}"
        named = Server.at(f"wss://{host}", via=via(authority()))
        (server,) = servers_at(named, [Target("127.0.0.1", port if service else 0, 1)])
        assert server.host == "127.0.0.1"
        assert await asked(server) == (200, b"hi")
