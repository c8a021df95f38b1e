"""A client's certificate as filters see it."""

from __future__ import annotations

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
