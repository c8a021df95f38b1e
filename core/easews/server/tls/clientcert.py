"""A client's certificate, read. Pure.

OpenSSL has checked it by now. `cryptography` reads it again, because it gives names in the form of
RFC 4514, and all kinds of alternative names.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from ...http import ClientCertificate


def client_certificate(der: bytes) -> ClientCertificate:
    """The certificate in DER. ValueError when it cannot be read."""
    certificate = x509.load_der_x509_certificate(der)
    return ClientCertificate(
        certificate.subject.rfc4514_string(),
        certificate.issuer.rfc4514_string(),
        tuple(_sans(certificate)),
        certificate.fingerprint(SHA256()).hex(),
        f"{certificate.serial_number:X}",
        certificate.not_valid_before_utc,
        certificate.not_valid_after_utc,
    )


def _sans(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return [f"{_KINDS[type(name)]}:{name.value}" for name in found.value if type(name) in _KINDS]


_KINDS: Mapping[type, str] = {
    x509.DNSName: "DNS",
    x509.IPAddress: "IP",
    x509.RFC822Name: "email",
    x509.UniformResourceIdentifier: "URI",
}
