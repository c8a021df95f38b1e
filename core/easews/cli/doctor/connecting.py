"""Rules on names, addresses and TLS: what keeps a client from getting as far as HTTP. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from .findings import Finding
from .remedies import Remedy
from .seen import Hop, TlsSeen

#: Days before its end within which a certificate should have been renewed.
RENEWED = 14


def connection_findings(hop: Hop) -> Iterator[Finding]:
    """What is wrong with the name and its addresses."""
    failed = [address for address in hop.addresses if address.error]
    if hop.dns_error:
        yield Finding(
            "dns-failed",
            "connect",
            "The host has no address",
            hop.dns_error,
            "no client that asks the same name servers finds the host",
            (Remedy("check the spelling, and the A and AAAA records of the name"),),
        )
    elif failed and not hop.reachable:
        yield Finding(
            "unreachable",
            "connect",
            "Nothing accepts connections there",
            "; ".join(f"{address.ip}: {address.error}" for address in failed),
            _means(failed[0].error),
            (
                Remedy(
                    "check that the server runs and listens on this address and port, and that no"
                    " firewall or security group stands between"
                ),
            ),
        )
    elif failed:
        yield Finding(
            "address-unreachable",
            "connect",
            "Some of the host's addresses accept no connections",
            "; ".join(f"{address.ip}: {address.error}" for address in failed),
            "clients that try this address first wait, and some fail; that looks random",
            (Remedy("have the server listen on this address (IPv6, too), or remove its record"),),
        )


def _means(error: str) -> str:
    if "refused" in error.lower():
        return "the machine is there, and no process listens on this port"
    return "the packets get lost on the way, or the machine is down"


class _TlsFault(NamedTuple):
    title: str
    means: str
    remedy: str


_BROWSERS = "browsers refuse the connection, and show no reason for a WebSocket"
_TLS_FAULTS: Mapping[str, _TlsFault] = {
    "name": _TlsFault(
        "The certificate is for another name",
        _BROWSERS,
        "use a certificate that has this name among its subject alternative names; several on one"
        " address are told apart by SNI",
    ),
    "expired": _TlsFault(
        "The certificate has expired", _BROWSERS, "renew it, and reload the server"
    ),
    "early": _TlsFault(
        "The certificate is not valid yet", _BROWSERS, "check the clocks of both machines"
    ),
    "untrusted": _TlsFault(
        "No known authority has signed the certificate",
        f"{_BROWSERS}: the server does not send the intermediate certificates, or its authority is"
        " a private one",
        "serve the full chain (fullchain.pem); for a private authority give its certificate to"
        " clients, and here with --ca FILE",
    ),
    "not-tls": _TlsFault(
        "The port does not speak TLS",
        "wss:// leads to a port that expects plain HTTP",
        "use ws:// here, or serve TLS on this port",
    ),
    "failed": _TlsFault(
        "There is no agreement on TLS",
        "the server refuses the versions and ciphers that browsers have, asks for a certificate, or"
        " does not speak TLS at all",
        "allow TLS 1.2 and 1.3 on the server",
    ),
}


def tls_findings(hop: Hop) -> Iterator[Finding]:
    """What is wrong with TLS and the certificate."""
    tls = hop.tls
    if tls is None:
        return
    if tls.fault:
        fault = _TLS_FAULTS[tls.fault]
        yield Finding(
            f"tls-{tls.fault}",
            "tls",
            fault.title,
            _tls_seen(tls),
            fault.means,
            (Remedy(fault.remedy),),
        )
    elif tls.days_left is not None and tls.days_left < RENEWED:
        yield Finding(
            "tls-expires-soon",
            "tls",
            "The certificate expires soon",
            f"{tls.days_left:.0f} days are left",
            "automatic renewal, which usually happens a month before, has not worked or not been"
            " loaded",
            (Remedy("renew it, and reload the server"),),
        )


def _tls_seen(tls: TlsSeen) -> str:
    parts = [tls.detail]
    if tls.names:
        parts.append(f"it is for {', '.join(tls.names)}")
    if tls.fault in ("expired", "early") and tls.not_after:
        parts.append(f"its last day is {tls.not_after:%Y-%m-%d}")
    return "; ".join(filter(None, parts))
