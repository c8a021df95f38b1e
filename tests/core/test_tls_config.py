"""The TLS fields of an HTTPServer: what is accepted, and what is told at which place."""

from __future__ import annotations

import base64
import json
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)
from tests.certificates import Authority

from easews import ConfigError, Context, Filter
from easews.config import Config, Source, from_sources
from easews.config.model import TlsSpec
from easews.filters import schema_of
from easews.net.certificates import load_authorities, load_pair
from easews.net.pem import PemFault, key_pair
from easews.plugins import Kind, Kinds

PASSWORD = "correct horse"


class Plain(Filter):
    """Answers nothing."""

    kind = "Plain"

    async def handle(self, ctx: Context) -> None:
        pass


KINDS = Kinds([Kind("Plain", Plain, schema_of(Plain), "the-test", "0")])


def loaded(folder: Path, **fields: Any) -> Config:
    server = {"kind": "HTTPServer", "name": "s", "port": 443, **fields}
    server["rules"] = [{"paths": [{"backend": "p"}]}]
    pipeline = {"kind": "Pipeline", "name": "p", "filters": [{"kind": "Plain", "name": "a"}]}
    text = "\n---\n".join(map(json.dumps, (server, pipeline)))
    return from_sources([Source(str(folder / "config.yaml"), text)], KINDS, {})


def faults(folder: Path, **fields: Any) -> list[str]:
    """Where each fault is, and what it says."""
    try:
        loaded(folder, **fields)
    except ConfigError as error:
        return [f"{at.path.removeprefix('s.')}: {at.wrong}; {at.accepted}" for at in error.problems]
    return []


def tls(folder: Path, **fields: Any) -> TlsSpec:
    (server,) = loaded(folder, **fields).servers
    assert server.tls is not None
    return server.tls


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


def encrypted(key: Path) -> None:
    private = load_pem_private_key(key.read_bytes(), None)
    secret = BestAvailableEncryption(PASSWORD.encode())
    key.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, secret))


def test_files_are_found_beside_the_config(authority: Authority, tmp_path: Path) -> None:
    authority.issue("a.example", "*.b.example", "192.0.2.1")
    spec = tls(tmp_path, https=True, certFile="server.pem", keyFile="server.key")
    assert load_pair(spec.pairs[0])[0].names == ("a.example", "*.b.example", "192.0.2.1")
    assert spec.files == [str(tmp_path / "server.pem"), str(tmp_path / "server.key")]


@pytest.mark.parametrize("encoded", [True, False], ids=["base64", "PEM"])
def test_certificates_may_be_inline(authority: Authority, tmp_path: Path, encoded: bool) -> None:
    files = [path.read_bytes() for path in authority.issue("a.example")]
    certificate, key = (base64.encodebytes(it).decode() if encoded else it.decode() for it in files)
    assert tls(tmp_path, https=True, certBase64=certificate, keyBase64=key).pairs
    spec = tls(tmp_path, https=True, certs={"one": certificate}, keys={"one": key})
    assert load_pair(spec.pairs[0])[0].names == ("a.example",)


def test_a_certificate_without_names_is_for_its_common_name(openssl: str, tmp_path: Path) -> None:
    files = ["-keyout", str(tmp_path / "old.key"), "-out", str(tmp_path / "old.pem")]
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=Old.example"]
    subprocess.run([*command, *files], check=True, capture_output=True)
    spec = tls(tmp_path, https=True, certFile="old.pem", keyFile="old.key")
    assert load_pair(spec.pairs[0])[0].names == ("old.example",)


def test_authorities_may_be_inline(authority: Authority, tmp_path: Path) -> None:
    text = authority.file.read_text()
    spec = tls(tmp_path, **authority.fields("a.example"), caCertBase64=text)
    assert spec.authorities is not None
    assert load_authorities(spec.authorities) == text


def test_a_key_that_cannot_be_used_here_is_told(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise UnsupportedAlgorithm("an elliptic curve of nobody's")

    fields = authority.fields("a.example")
    monkeypatch.setattr(serialization, "load_pem_private_key", refuse)
    (fault,) = faults(tmp_path, **fields)
    assert "this kind of key is not supported; use an ECDSA key such as P-256, or RSA" in fault


def of_an_unknown_kind(authority: Authority) -> bytes:
    """A certificate whose key is of a kind that nobody knows, with the authority's signature."""
    made = authority.ca.issue_cert("a.example")
    known = x509.load_pem_x509_certificate(made.cert_chain_pems[0].bytes())
    signer = load_pem_private_key(authority.ca.private_key_pem.bytes(), None)
    assert isinstance(signer, EllipticCurvePrivateKey)
    certificate = (
        x509.CertificateBuilder(
            issuer_name=known.issuer,
            subject_name=known.subject,
            serial_number=1,
            not_valid_before=known.not_valid_before_utc,
            not_valid_after=known.not_valid_after_utc,
        )
        .public_key(Ed25519PrivateKey.generate().public_key())
        .sign(signer, SHA256())
    )
    ed25519, nobodys = b"\x06\x03\x2b\x65\x70", b"\x06\x03\x2b\x65\x7f"
    der = certificate.public_bytes(Encoding.DER)
    assert der.count(ed25519) == 1
    other = x509.load_der_x509_certificate(der.replace(ed25519, nobodys))
    return other.public_bytes(Encoding.PEM)


def test_a_certificate_with_a_key_of_an_unknown_kind_fits_no_key(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = (path.read_bytes() for path in authority.issue("a.example"))
    unknown = of_an_unknown_kind(authority)
    assert key_pair(certificate + unknown, key).names == ("a.example",)
    with pytest.raises(PemFault, match="this key does not belong to the certificate"):
        key_pair(unknown, key)


def test_a_fault_in_a_list_of_files_hides_none_of_the_others(
    authority: Authority, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        authority.issue(f"{name}.example", file=name)
    certificates = {"certFile": ["one.pem", 7, "two.pem"]}
    keys = {"keyFile": ["one.key", "two.key", "one.key"]}
    first, second = faults(tmp_path, https=True, **certificates, **keys)
    assert first.startswith("certFile[1]: ")
    assert second.startswith("keyFile[2]: 'one.key': this key does not belong to the certificate")


def test_several_certificates_keep_their_order(authority: Authority, tmp_path: Path) -> None:
    for name in ("one", "two"):
        authority.issue(f"{name}.example", file=name)
    files = {"certFile": ["two.pem", "one.pem"], "keyFile": ["two.key", "one.key"]}
    names = [load_pair(pair)[0].names for pair in tls(tmp_path, https=True, **files).pairs]
    assert names == [("two.example",), ("one.example",)]


def test_a_key_may_stand_behind_its_certificate(authority: Authority, tmp_path: Path) -> None:
    certificate, key = authority.issue("a.example")
    (tmp_path / "both.pem").write_bytes(key.read_bytes() + certificate.read_bytes())
    assert not faults(tmp_path, https=True, certFile="both.pem", keyFile="both.pem")


def test_an_encrypted_key_is_opened_by_its_password(authority: Authority, tmp_path: Path) -> None:
    fields = authority.fields("a.example")
    encrypted(tmp_path / "server.key")
    assert not faults(tmp_path, **fields, keyPassword=PASSWORD)
    (without,) = faults(tmp_path, **fields)
    assert without.startswith("keyFile: ")
    assert "this key is encrypted; write the password of the key in keyPassword" in without
    (wrong,) = faults(tmp_path, **fields, keyPassword="hunter2")
    assert wrong.startswith("keyPassword: it does not open the key")
    assert "hunter2" not in wrong


def test_a_server_without_a_certificate_is_a_fault(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, https=True)
    assert fault.startswith(
        "https: there is no certificate; name its files in certFile and keyFile"
    )


@pytest.mark.parametrize("field", ["certFile", "keyFile"])
def test_a_file_that_is_not_there_is_named(
    authority: Authority, tmp_path: Path, field: str
) -> None:
    fields = {**authority.fields("a.example"), field: "elsewhere.pem"}
    (fault,) = faults(tmp_path, **fields)
    assert fault.startswith(f"{field}: 'elsewhere.pem': there is no such file; ")


def test_a_folder_in_place_of_a_file_is_told(authority: Authority, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, **{**authority.fields("a.example"), "keyFile": "."})
    assert fault.startswith("keyFile: '.': cannot be read: Is a directory")


def test_text_without_pem_is_told(authority: Authority, tmp_path: Path) -> None:
    fields = authority.fields("a.example")
    (tmp_path / "server.pem").write_text("hello")
    (fault,) = faults(tmp_path, **fields)
    assert "'" in fault
    assert "there is no certificate in it; expected PEM, which has a line such as" in fault


def test_a_key_in_place_of_the_certificate_is_told_and_not_shown(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = (path.read_text() for path in authority.issue("a.example"))
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, https=True, certBase64=key, keyBase64=certificate)
    (fault,) = caught.value.problems
    assert "there is no certificate in it, but a" in fault.wrong
    assert fault.path == "s.certBase64"
    secret = key.splitlines()[1]
    assert secret not in f"{fault} {fault.excerpt}"


def test_a_certificate_in_place_of_the_key_is_told(authority: Authority, tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, **{**authority.fields("a.example"), "keyFile": "server.pem"})
    assert "there is no private key in it, but a certificate; expected PEM" in fault


def test_parameters_may_stand_before_the_key(authority: Authority, tmp_path: Path) -> None:
    fields = authority.fields("a.example")
    key = tmp_path / "server.key"
    parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    key.write_text(parameters + key.read_text())
    assert not faults(tmp_path, **fields)


def test_a_key_that_does_not_match_is_told(authority: Authority, tmp_path: Path) -> None:
    fields = authority.fields("a.example")
    authority.issue("a.example", file="other")
    (fault,) = faults(tmp_path, **{**fields, "keyFile": "other.key"})
    assert fault.startswith("keyFile: 'other.key': this key does not belong to the certificate; ")


def test_a_chain_in_the_wrong_order_is_told(authority: Authority, tmp_path: Path) -> None:
    fields = authority.fields("a.example")
    certificate = tmp_path / "server.pem"
    certificate.write_bytes(authority.file.read_bytes() + certificate.read_bytes())
    (fault,) = faults(tmp_path, **fields)
    assert (
        "the certificate that the key belongs to is not the first one; write it in front" in fault
    )


def test_what_is_garbled_is_told(authority: Authority, tmp_path: Path) -> None:
    fields = authority.fields("a.example")
    key = tmp_path / "server.key"
    key.write_text(key.read_text().replace("M", "N"))
    (fault,) = faults(tmp_path, **fields)
    assert "this key cannot be read" in fault
    certificate = tmp_path / "server.pem"
    certificate.write_text(certificate.read_text().replace("M", "N"))
    (fault,) = faults(tmp_path, **fields)
    assert "there is a certificate in it that cannot be read" in fault


def test_a_certificate_of_the_past_or_the_future_is_told(
    authority: Authority, tmp_path: Path
) -> None:
    now = datetime.now(UTC)
    fields = authority.fields("a.example")
    authority.issue("a.example", not_before=now - timedelta(9), not_after=now - timedelta(1))
    (fault,) = faults(tmp_path, **fields)
    assert fault.startswith("certFile: ")
    assert "this certificate expired on" in fault
    authority.issue("a.example", not_before=now + timedelta(1), not_after=now + timedelta(9))
    (fault,) = faults(tmp_path, **fields)
    assert "this certificate is not valid before" in fault


def test_each_certificate_needs_its_key(authority: Authority, tmp_path: Path) -> None:
    fields = authority.fields("a.example")
    both = [fields["certFile"]] * 2
    (fault,) = faults(tmp_path, **{**fields, "certFile": both})
    assert fault.startswith("keyFile: certFile has 2 and keyFile 1; write the keys in the order")
    assert faults(tmp_path, https=True, certs={"a": "x"}, keys={"b": "x"}) == [
        "certs.a: keys has no 'a'; give it the same name in keys",
        "keys.b: certs has no 'b'; give it the same name in certs",
    ]
    assert faults(tmp_path, https=True, keyBase64="x") == [
        "keyBase64: 'certBase64' is missing; write certBase64"
    ]


def test_tls_fields_without_https_are_told(authority: Authority, tmp_path: Path) -> None:
    fields = {**authority.fields("a.example"), "https": False, "tls": {"minVersion": "TLSv1.3"}}
    told = faults(tmp_path, **fields)
    assert [fault.partition(":")[0] for fault in told] == ["certFile", "keyFile", "tls"]
    assert told[0] == "certFile: certFile without https: true; write https: true, or leave it out"
    assert faults(tmp_path, **{**fields, "https": "yes"})[0].startswith("https: ")
    assert not faults(tmp_path, https=False, certBase64="", keyBase64="", certs={}, keys={})


def test_openssl_has_the_last_word(authority: Authority, tmp_path: Path, openssl: str) -> None:
    command = [openssl, "req", "-x509", "-newkey", "rsa:512", "-nodes", "-subj", "/CN=a"]
    files = ["-keyout", str(tmp_path / "small.key"), "-out", str(tmp_path / "small.pem")]
    subprocess.run([*command, *files], check=True, capture_output=True)
    (fault,) = faults(tmp_path, https=True, certFile="small.pem", keyFile="small.key")
    assert "OpenSSL refuses it: ee key too small" in fault


def test_ciphers_that_openssl_does_not_know_are_told(authority: Authority, tmp_path: Path) -> None:
    fields = authority.fields("a.example")
    (fault,) = faults(tmp_path, **fields, tls={"ciphers": "ROT13"})
    assert fault.startswith("tls.ciphers: OpenSSL knows none of these ciphers; ")
    assert tls(tmp_path, **fields).ciphers == "ECDHE+AESGCM:ECDHE+CHACHA20"


def test_what_is_said_of_clients_needs_their_authority(
    authority: Authority, tmp_path: Path
) -> None:
    fields = authority.fields("a.example")
    assert tls(tmp_path, **fields, caCertFile=str(authority.file)).client_required
    (fault,) = faults(tmp_path, **fields, tls={"clientCertificate": "optional"})
    assert fault.startswith("tls.clientCertificate: clients are not asked for a certificate")
    (fault,) = faults(tmp_path, **fields, caCertFile="server.key")
    assert fault.startswith("caCertFile: 'server.key': there is no certificate in it, but a")
    both = {"caCertFile": "ca.pem", "caCertBase64": "x"}
    (fault,) = faults(tmp_path, **fields, **both)
    assert fault.startswith("caCertFile: caCertBase64 and caCertFile cannot stand together")


def test_a_field_that_decides_on_the_request_is_none_for_certificates(
    authority: Authority, tmp_path: Path
) -> None:
    fields = {**authority.fields("a.example"), "caCertFile": str(authority.file)}
    headers = {"clientCertificateHeaders": {"subject": "Content_Length"}}
    (fault,) = faults(tmp_path, **fields, tls=headers)
    assert fault.startswith("tls.clientCertificateHeaders.subject: 'Content_Length' decides what")


def test_neither_key_nor_password_is_in_what_is_printed(
    authority: Authority, tmp_path: Path
) -> None:
    certificate, key = authority.issue("a.example")
    inline = {"certBase64": certificate.read_text(), "keyBase64": key.read_text()}
    spec = tls(tmp_path, https=True, **inline, keyPassword=PASSWORD)
    shown = repr(spec) + repr(load_pair(spec.pairs[0]))
    assert PASSWORD not in shown
    assert "PRIVATE KEY" not in shown
