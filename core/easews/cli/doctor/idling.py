"""Rules on sessions that are left alone for a while. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .findings import Finding
from .products import product_of
from .remedies import remedies
from .seen import Hop, IdleSeen

#: Whose idle timeout is that long, in seconds, by default.
_USUAL: Mapping[int, str] = {
    30: "the default of Google Cloud Load Balancing",
    50: "`timeout client` or `timeout server` of many HAProxy configs",
    55: "that of Heroku",
    60: "the default of nginx (proxy_read_timeout), of AWS ALB, and of Apache",
    100: "that of Cloudflare",
    120: "the default of IIS and of many servers",
    240: "that of Azure's load balancers",
    300: "the default of Envoy (stream_idle_timeout)",
    350: "that of AWS NLB and NAT gateways",
}


def idle_findings(hop: Hop) -> Iterator[Finding]:
    """What has become of a session without traffic."""
    idle = hop.idle
    if idle is None:
        return
    if idle.ended is not None:
        yield Finding(
            "idle-closed",
            "idle",
            "A session without traffic is ended",
            f"after {idle.ended:.1f} s, "
            + ("without a Close" if idle.code is None else f"with Close {idle.code}"),
            _idle_means(idle),
            remedies("idle-closed", _products(hop)),
        )
    elif not idle.pong:
        yield Finding(
            "idle-dead",
            "idle",
            "A session without traffic is dead",
            f"after {idle.asked:g} s a ping is not answered, and the connection is not closed",
            "something between has forgotten it without telling: a NAT, a firewall, a balancer",
            remedies("idle-closed", _products(hop)),
        )
    elif idle.pings:
        yield Finding(
            "server-pings",
            "idle",
            "The server sends pings",
            f"{idle.pings} in {idle.asked:g} s",
            "idle timeouts of proxies that are longer than its interval have no effect",
            problem=False,
        )


def _idle_means(idle: IdleSeen) -> str:
    if idle.code is not None:
        return "with a Close it is the application's or a gateway's own idle timeout"
    usual = next((who for at, who in _USUAL.items() if abs((idle.ended or 0) - at) < 1.5), "")
    by = "a proxy's read or idle timeout has cut it, and browsers show 1006"
    return f"{by}; that long is {usual}" if usual else by


def _products(hop: Hop) -> list[str]:
    """Who stands there, as far as the answers give it away."""
    return [product_of(hop.plain), product_of(hop.browser.heard if hop.browser else None)]
