"""Certificates, keys and authorities as a config names them, loaded: inline or from files.

`load_pair` is asked when a config is checked, when it is served, and when a file has changed.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from ..errors import why_unreadable
from .contexts import Context, ContextFault, Settings, certified_context
from .pem import KeyPair, Part, PemFault, as_pem, check_dates, key_pair, read_certificates

#: More than any chain of certificates has.
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class PemSpec:
    """A text in PEM, or the base64 of one: as the config has it, or the path of its file."""

    text: str = field(default="", repr=False)
    file: str = ""


@dataclass(frozen=True, slots=True)
class KeyPairSpec:
    """A certificate and its private key."""

    certificate: PemSpec
    key: PemSpec


def load_pair(
    spec: KeyPairSpec, password: str = "", settings: Settings | None = None
) -> tuple[KeyPair, Context]:
    """The certificate and key that `spec` names, and a context that has them.

    PemFault when they cannot be used today. OpenSSL has the last word: it refuses keys that are
    too small, for example.
    """
    certificate = _content(spec.certificate, "certificate")
    pair = key_pair(certificate, _content(spec.key, "key"), password)
    check_dates(pair, datetime.now(UTC))
    try:
        context = certified_context(pair.certificate, pair.key, password, settings)
    except ContextFault as error:
        raise PemFault("certificate", str(error), "use another certificate and key") from None
    return pair, context


def load_authorities(spec: PemSpec) -> str:
    """The certificates of the authorities that `spec` names, as PEM. PemFault without any."""
    certificates = read_certificates(_content(spec, "certificate"))
    return b"".join(map(as_pem, certificates)).decode()


def _content(spec: PemSpec, part: Part) -> bytes:
    if not spec.file:
        return spec.text.encode()
    try:
        with open(spec.file, "rb") as file:
            return file.read(_LARGEST)
    except FileNotFoundError:
        accepted = "a path that is relative begins at the folder of the config file"
        raise PemFault(part, "there is no such file", accepted) from None
    except OSError as error:
        raise PemFault(part, *why_unreadable(error)) from None
