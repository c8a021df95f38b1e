"""A client's certificate as filters see it, and as it is told in text."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class ClientCertificate:
    """The certificate that a client has shown, and that an authority of the server vouches for.

    subject      whose it is, such as ``CN=alice,O=Example`` (RFC 4514)
    issuer       who has signed it, in the same form
    sans         its alternative names, such as ``DNS:a.example`` or ``URI:spiffe://a.example/b``
    fingerprint  SHA-256 of the certificate, in lower-case hexadecimal
    serial       its serial number, in upper-case hexadecimal
    not_before   from when on it is valid, in UTC
    not_after    until when it is valid, in UTC
    """

    subject: str
    issuer: str
    sans: tuple[str, ...]
    fingerprint: str
    serial: str
    not_before: datetime
    not_after: datetime


# A name's text is the client's choice. What no header may have, and the comma, which divides names.
_ODD = re.compile(r"[^\x20-\x7e]|[,%]")
_NOT_ASCII = re.compile(r"[^\x20-\x7e]")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


def _backslashed(found: re.Match[str]) -> str:
    """RFC 4514 §2.4: the bytes of a character in hexadecimal."""
    return "".join(f"\\{byte:02X}" for byte in found[0].encode())


def _percented(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode())


#: What header fields and templates may tell of a certificate, each as ASCII that a header may have.
TOLD: Mapping[str, Callable[[ClientCertificate], str]] = {
    "subject": lambda it: _NOT_ASCII.sub(_backslashed, it.subject),
    "issuer": lambda it: _NOT_ASCII.sub(_backslashed, it.issuer),
    "sans": lambda it: ", ".join(_ODD.sub(_percented, san) for san in it.sans),
    "fingerprint": lambda it: it.fingerprint,
    "serial": lambda it: it.serial,
    "notBefore": lambda it: it.not_before.strftime(_TIME),
    "notAfter": lambda it: it.not_after.strftime(_TIME),
}
