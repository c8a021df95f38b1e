"""Certificates and private keys as PEM: read, compared and dated. Pure.

`cryptography` reads them. The standard library reads a certificate only from a file into a
context, and does not tell its names and dates; nor does it tell a wrong password from a key that
does not match. It is imported when a config has certificates: that takes 40 ms.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

Part = Literal["certificate", "key", "password"]

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----.+?-----END \1-----", re.DOTALL)
_A_PEM = "expected PEM, which has a line such as -----BEGIN CERTIFICATE-----"
_A_KEY = "expected PEM, which has a line such as -----BEGIN PRIVATE KEY-----"
_TO_ENCRYPTED = "write the password of the key in keyPassword"
_ENCRYPTED = re.compile(rb"BEGIN ENCRYPTED PRIVATE KEY|^Proc-Type: 4,ENCRYPTED", re.MULTILINE)


class PemFault(Exception):
    """What is wrong with a certificate or key, and what would be accepted.

    part  what the fault is in
    """

    def __init__(self, part: Part, wrong: str, accepted: str) -> None:
        super().__init__(f"{wrong}; {accepted}")
        self.part: Part = part
        self.wrong = wrong
        self.accepted = accepted


@dataclass(frozen=True, slots=True)
class KeyPair:
    """A certificate with those that lead to its authority, and its private key, as PEM.

    `names` are the host names and IPs that the certificate is for. The dates are in UTC.
    """

    certificate: bytes
    key: bytes = field(repr=False)
    names: tuple[str, ...]
    not_before: datetime
    not_after: datetime


def key_pair(certificate: bytes, key: bytes, password: str = "") -> KeyPair:
    """The pair in two texts, each PEM or the base64 of PEM. PemFault when they make none."""
    first, *others = chain = read_certificates(certificate)
    public = _private_key(key, password).public_key()
    if any(public == _public_key(other) for other in others):
        wrong = "the certificate that the key belongs to is not the first one"
        raise PemFault(
            "certificate", wrong, "write it in front of those that lead to its authority"
        )
    if public != _public_key(first):
        wrong = "this key does not belong to the certificate"
        raise PemFault("key", wrong, "write the key that the certificate was requested with")
    return KeyPair(
        b"".join(map(as_pem, chain)),
        _key_block(key),
        _names(first),
        first.not_valid_before_utc,
        first.not_valid_after_utc,
    )


def check_dates(pair: KeyPair, now: datetime) -> None:
    """PemFault when the certificate has expired, or is not valid yet."""
    if pair.not_after < now:
        wrong = f"this certificate expired on {pair.not_after:%Y-%m-%d %H:%M} UTC"
        raise PemFault("certificate", wrong, "renew it")
    if pair.not_before > now:
        wrong = f"this certificate is not valid before {pair.not_before:%Y-%m-%d %H:%M} UTC"
        raise PemFault("certificate", wrong, "check the clock of this machine, or use another one")


def read_certificates(content: bytes) -> list[x509.Certificate]:
    """All certificates in PEM, or in the base64 of PEM. PemFault when there is none."""
    from cryptography import x509

    blocks = _blocks(content)
    certificates = [block for label, block in blocks if label.endswith("CERTIFICATE")]
    if not certificates:
        raise PemFault("certificate", f"there is no certificate in it{_instead(blocks)}", _A_PEM)
    try:
        return [x509.load_pem_x509_certificate(block) for block in certificates]
    except ValueError:
        wrong = "there is a certificate in it that cannot be read"
        raise PemFault("certificate", wrong, "copy the file again") from None


def as_pem(certificate: x509.Certificate) -> bytes:
    """The certificate as PEM."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.PEM)


def _private_key(content: bytes, password: str) -> PrivateKeyTypes:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    block = _key_block(content)
    encrypted = bool(_ENCRYPTED.search(block))
    if encrypted and not password:
        raise PemFault("key", "this key is encrypted", _TO_ENCRYPTED)
    try:
        return load_pem_private_key(block, password.encode() if encrypted else None)
    except UnsupportedAlgorithm:
        wrong = "this kind of key is not supported"
        raise PemFault("key", wrong, "use an ECDSA key such as P-256, or RSA") from None
    except (ValueError, TypeError):
        if encrypted:
            raise PemFault("password", "it does not open the key", _TO_ENCRYPTED) from None
        raise PemFault("key", "this key cannot be read", "copy the file again") from None


def _public_key(certificate: x509.Certificate) -> object:
    """Its key; None for one of a kind that no private key can be of, here."""
    from cryptography.exceptions import UnsupportedAlgorithm

    try:
        return certificate.public_key()
    except (UnsupportedAlgorithm, ValueError):
        return None


def _key_block(content: bytes) -> bytes:
    blocks = _blocks(content)
    for label, block in blocks:
        if label.endswith("PRIVATE KEY"):
            return block + b"\n"
    raise PemFault("key", f"there is no private key in it{_instead(blocks)}", _A_KEY)


def _blocks(content: bytes) -> list[tuple[str, bytes]]:
    """The label and the text of each block of PEM."""
    return [(found[1].decode(), found[0]) for found in _BLOCK.finditer(_unwrapped(content))]


def _unwrapped(content: bytes) -> bytes:
    """PEM as it stands, or decoded from base64."""
    if b"-----BEGIN " in content:
        return content
    try:
        return base64.b64decode(b"".join(content.split()), validate=True)
    except ValueError:
        return content


def _instead(blocks: list[tuple[str, bytes]]) -> str:
    """What there is, without showing anything of it."""
    return f", but a {blocks[0][0].lower()}" if blocks else ""


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """Its names (RFC 9525); the common name only where it has no others."""
    from cryptography import x509

    try:
        san = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, x509.DuplicateExtension, ValueError):
        common = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
        return tuple(str(name.value).lower() for name in common)
    hosts = [name.lower() for name in san.get_values_for_type(x509.DNSName)]
    return (*hosts, *map(str, san.get_values_for_type(x509.IPAddress)))
