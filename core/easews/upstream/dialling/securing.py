"""TLS to the servers of a pool: its contexts, and what to do where there is no agreement."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ...errors import CertificateError
from ...http.urls import server_url
from ...net.certificates import KeyPairSpec, PemSpec, load_authorities, load_pair
from ...net.contexts import add_pair, client_context
from ...net.pem import PemFault
from ...net.tls import TlsWire
from ...net.tlserrors import TlsError
from ...net.waiting import READ_SIZE
from ...net.wire import Wire

log: logging.Logger = logging.getLogger("easews.upstream")

Fields = Mapping[str, Any]

#: Schemes of servers that speak TLS.
SECURE = ("wss", "https")


@dataclass(frozen=True, slots=True)
class ClientTlsSpec:
    """What a pool's `tls` says.

    authorities  who signs the servers' certificates; None: those that this machine knows
    pair         the certificate for servers that ask for one
    password     opens its key
    server_name  the name that a server has to prove; empty: the host of its URL
    minimum      the oldest version of TLS
    insecure     whether a server has to prove nothing
    """

    authorities: PemSpec | None = None
    pair: KeyPairSpec | None = None
    password: str = field(default="", repr=False)
    server_name: str = ""
    minimum: str = "TLSv1.2"
    insecure: bool = False

    @classmethod
    def of(cls, fields: Fields) -> ClientTlsSpec:
        """The meaning of `tls` in a config."""
        certificate, key = _pem(fields, "cert"), _pem(fields, "key")
        return cls(
            _pem(fields, "ca"),
            KeyPairSpec(certificate, key) if certificate and key else None,
            fields.get("keyPassword", ""),
            fields.get("serverName", "").removesuffix("."),
            fields["minVersion"],
            fields["insecure"],
        )


@dataclass(frozen=True, slots=True)
class ClientTls:
    """A spec with its context, which all connections of a pool share."""

    spec: ClientTlsSpec
    context: ssl.SSLContext = field(compare=False, repr=False)

    def over(self, sock: Any, host: str) -> TlsWire:
        """TLS on `sock` to a server at `host`, before the handshake."""
        name = self.spec.server_name or host.removesuffix(".")
        return TlsWire(sock, self.context, server_side=False, server_hostname=name)


def is_secure(url: str) -> bool:
    """Whether the server at `url` speaks TLS."""
    return server_url(url).scheme in SECURE


def tls_for(pool: Fields) -> ClientTls | None:
    """TLS to the servers of a pool, None when none of them has it. CertificateError when a
    certificate or key cannot be used.
    """
    urls = [server["url"] for server in pool["servers"] if is_secure(server["url"])]
    if not urls:
        return None
    if "tls" not in pool:
        return system_tls()
    tls = client_tls(ClientTlsSpec.of(pool["tls"]))
    if tls.spec.insecure:
        log.warning("%s: insecure: no certificate is checked", ", ".join(urls))
    return tls


@cache
def system_tls() -> ClientTls:
    """TLS to servers whose certificates are signed by an authority that this machine knows."""
    return client_tls(ClientTlsSpec())


def client_tls(spec: ClientTlsSpec) -> ClientTls:
    """`spec` with its context. CertificateError when a certificate or key cannot be used."""
    authorities = ""
    if spec.authorities is not None:
        try:
            authorities = load_authorities(spec.authorities)
        except PemFault as fault:
            raise _unusable(spec.authorities, fault) from None
    context = client_context(spec.minimum, authorities, insecure=spec.insecure)
    if spec.pair is not None:
        try:
            pair, _ = load_pair(spec.pair, spec.password)
        except PemFault as fault:
            is_key = fault.part != "certificate"
            raise _unusable(spec.pair.key if is_key else spec.pair.certificate, fault) from None
        add_pair(context, pair.certificate, pair.key, spec.password)
    return ClientTls(spec, context)


def _unusable(pem: PemSpec, fault: PemFault) -> CertificateError:
    what = pem.file or f"the inline {fault.part}"
    return CertificateError(f"TLS to servers: {what}: {fault}")


def _pem(fields: Fields, what: str) -> PemSpec | None:
    if text := fields.get(f"{what}Base64"):
        return PemSpec(text)
    file = fields.get(f"{what}File")
    return PemSpec(file=file) if file else None


# Why there is no agreement

_CA = "name its authority in tls.caFile"
_NAME = "write the name that it is for in tls.serverName"
_OURS = "write a certificate that the server accepts in tls.certFile and tls.keyFile"
#: By OpenSSL's number for a certificate (X509_V_ERR_…), and by its word for all else.
_REMEDIES: Mapping[int | str, str] = {
    9: "check the clocks of both machines",
    10: "renew it on the server",
    18: "name it in tls.caFile",
    19: _CA,
    20: _CA,
    21: _CA,
    62: _NAME,
    64: _NAME,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OURS,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": f"if it requires one, {_OURS}",
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _OURS,
    "TLSV1_ALERT_PROTOCOL_VERSION": "write another tls.minVersion, or update the server",
    "TLSV1_ALERT_UNKNOWN_CA": _OURS,
    "TLSV1_UNRECOGNIZED_NAME": _NAME,
    "UNSUPPORTED_PROTOCOL": "write another tls.minVersion, or update the server",
    "WRONG_VERSION_NUMBER": "write ws:// or http:// in its url",
}


def why_lost(error: OSError) -> str:
    """Why a connection was lost, or never came about, with a remedy where there is one."""
    text = error.strerror or str(error)
    if not isinstance(error, TlsError):
        return text
    remedy = _REMEDIES.get(error.verify or error.reason)
    return f"{text}; {remedy}" if remedy else text


def alert_behind(wire: Wire, error: OSError) -> OSError:
    """`error`, or the alert that the server has sent before it, which says more.

    In TLS 1.3 a client's certificate is judged when the client has done its part of the
    handshake. By then it may be sending, which fails as soon as the server has left.
    """
    if isinstance(wire, TlsWire) and not isinstance(error, TlsError):
        try:
            while wire.recv(READ_SIZE):
                pass
        except TlsError as alert:
            return alert
        except OSError:
            pass
    return error
