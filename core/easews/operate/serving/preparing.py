"""What a config needs besides its filters before it can be served. It may be large, so that this
runs in a thread.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from ...config.model import Config, TlsSpec
from ...server import Router, ServerTls
from .reload import Plan, plan


class Prepared(NamedTuple):
    """`routers` and `tls` are by the name of the server; only servers with TLS have the latter."""

    plan: Plan
    routers: Mapping[str, Router]
    tls: Mapping[str, ServerTls]


def prepare(before: Config, after: Config, tls: Mapping[str, ServerTls]) -> Prepared:
    """What it takes to serve `after` in the place of `before`, which has this `tls`.

    CertificateError when a certificate cannot be used.
    """
    routers = {spec.name: Router(spec) for spec in after.servers}
    return Prepared(plan(before, after), routers, _tls_of(after, tls))


def _tls_of(config: Config, before: Mapping[str, ServerTls]) -> dict[str, ServerTls]:
    """TLS for the servers that have it. What has not changed stays, with its tickets."""
    return {
        spec.name: _server_tls(spec.name, spec.tls, before.get(spec.name))
        for spec in config.servers
        if spec.tls
    }


def _server_tls(name: str, spec: TlsSpec, before: ServerTls | None) -> ServerTls:
    if before is None:
        return ServerTls(name, spec)
    if before.spec == spec:
        return before
    changed = ServerTls(name, spec)
    changed.handshakes.counts = before.handshakes.counts
    return changed
