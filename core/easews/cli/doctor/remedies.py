"""Which setting of which product to change, by the problem. Pure.

A problem without an entry for the product has one for all, under the empty name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple


class Remedy(NamedTuple):
    """`text` is a sentence, `lines` are what to write into the product's config."""

    text: str
    lines: tuple[str, ...] = ()


_NGINX_UPGRADE = Remedy(
    "nginx: in the location of this path, pass the upgrade on; nginx itself does not",
    (
        "proxy_http_version 1.1;",
        "proxy_set_header Upgrade $http_upgrade;",
        'proxy_set_header Connection "upgrade";',
        "proxy_set_header Host $host;",
    ),
)
_APACHE_UPGRADE = Remedy(
    "Apache: load mod_proxy_wstunnel, or from 2.4.47 on let mod_proxy_http upgrade",
    ("ProxyPass /ws http://backend:9000/ws upgrade=websocket",),
)
_ENVOY_UPGRADE = Remedy(
    "Envoy: allow the upgrade in the HttpConnectionManager, or in the route",
    ("upgrade_configs:", "- upgrade_type: websocket"),
)
_HAPROXY_UPGRADE = Remedy(
    "HAProxy passes upgrades on by itself: remove http-request del-header and set-header on"
    " Upgrade and Connection, and `proto h2` of the server line"
)
_TRAEFIK_UPGRADE = Remedy(
    "Traefik passes upgrades on by itself: look for a middleware (headers, buffering, compress)"
    " that is on this router, and remove it"
)
_CADDY_UPGRADE = Remedy(
    "Caddy: reverse_proxy upgrades by itself; remove header_up for Upgrade and Connection, and"
    " `versions h2c` of its transport"
)

_REMEDIES: Mapping[str, Mapping[str, Remedy]] = {
    "upgrade-lost": {
        "": Remedy(
            "find the proxy in front that drops Upgrade and Connection, which are hop-by-hop"
            " fields,"
            " and have it pass them on over HTTP/1.1; `easews doctor PUBLIC-URL --via INNER-URL`"
            " tells at which hop"
        ),
        "nginx": _NGINX_UPGRADE,
        "Apache": _APACHE_UPGRADE,
        "Envoy": _ENVOY_UPGRADE,
        "HAProxy": _HAPROXY_UPGRADE,
        "Traefik": _TRAEFIK_UPGRADE,
        "Caddy": _CADDY_UPGRADE,
        "Cloudflare": Remedy("Cloudflare: in the dashboard, under Network, turn WebSockets on"),
        "IIS": Remedy("IIS: install the WebSocket Protocol feature, and enable it for the site"),
        "Fastly or Varnish": Remedy(
            "Varnish: in vcl_recv, return (pipe) for requests with Upgrade, and in vcl_pipe pass"
            " Upgrade and Connection on; Fastly: return (upgrade) in vcl_recv"
        ),
        "Amazon CloudFront": Remedy(
            "CloudFront: use an origin request policy that forwards all Sec-WebSocket-* fields"
        ),
        "easews": Remedy(
            "easews: lead the path to a pipeline with a WebSocketProxy; Proxy does not pass"
            " upgrades"
            " on. `easews explain CONFIG URL` shows what the path has"
        ),
    },
    "upgrade-refused": {
        "": Remedy("the proxy has to allow the upgrade to websocket for this path"),
        "Envoy": _ENVOY_UPGRADE,
    },
    "no-websocket-here": {
        "": Remedy(
            "check the path: it leads to pages. If it is right, a proxy in front drops Upgrade, or"
            " the application does not serve WebSockets there"
        ),
        "nginx": _NGINX_UPGRADE,
        "Apache": _APACHE_UPGRADE,
        "Envoy": _ENVOY_UPGRADE,
    },
    "origin-refused": {
        "": Remedy(
            "add the page's origin to what the application allows (ALLOWED_HOSTS and"
            " AllowedHostsOriginValidator in Django, CheckOrigin in Gorilla, cors.origin in"
            " Socket.IO,"
            " origins= in websockets); if it compares Origin with Host, have each proxy in front"
            " pass the client's Host on"
        ),
        "easews": Remedy(
            "easews: add the page's host to originPatterns of the WebSocketProxy's pool, or have"
            " the"
            " proxy in front pass the client's Host on",
            ('originPatterns: ["app.example"]',),
        ),
    },
    "host-changed": {
        "": Remedy("have the proxy in front pass the client's Host on, or accept its own name"),
        "nginx": Remedy("nginx:", ("proxy_set_header Host $host;",)),
        "Apache": Remedy("Apache:", ("ProxyPreserveHost On",)),
        "easews": Remedy("easews: set keepHost: true on the server of the pool"),
        "Caddy": Remedy("Caddy: remove header_up Host from reverse_proxy"),
        "Traefik": Remedy("Traefik: set passHostHeader: true on the loadBalancer"),
    },
    "unavailable": {
        "": Remedy(
            "the proxy has no server that it takes for healthy, or all are full: look at its log,"
            " and whether the server listens at the address that it is configured with"
        ),
        "HAProxy": Remedy(
            "HAProxy: the servers of this backend are down or full (maxconn): look at the check of"
            " the server line, `show stat`, and `timeout queue`"
        ),
        "Envoy": Remedy(
            "Envoy: no healthy host in the cluster: look at /clusters of its admin port"
        ),
        "AWS ALB": Remedy(
            "ALB: no healthy target in the target group, or none registered: its health check has"
            " to"
            " get a 200 from a path that answers plain HTTP, which /ws does not"
        ),
        "easews": Remedy(
            "easews: all servers of the pool are down, full or ejected: the body and the log say"
            " why"
        ),
    },
    "bad-gateway": {
        "": Remedy(
            "the proxy got no usable answer from its server: check that it listens at the address"
            " that the proxy has, with or without TLS as the proxy expects"
        ),
        "nginx": Remedy(
            "nginx: its error log has the reason: `connect() failed` is a wrong address in"
            " proxy_pass, `prematurely closed` a server that speaks TLS or wants HTTP/1.1",
            ("proxy_pass http://127.0.0.1:9000;", "proxy_http_version 1.1;"),
        ),
        "HAProxy": Remedy(
            "HAProxy: the termination state in its log tells (SC: refused; SH, PH: no valid"
            " answer):"
            " check address and `ssl` of the server line"
        ),
        "Cloudflare": Remedy("Cloudflare: the origin does not answer; ask it with --via"),
        "AWS ALB": Remedy(
            "ALB: the target closed the connection: check its port and protocol in the target group"
        ),
        "easews": Remedy("easews: check `url` of the pool's servers; the log names what failed"),
    },
    "gateway-timeout": {
        "": Remedy(
            "the proxy's server accepts connections and does not answer in time: ask it"
            " directly, with --via"
        ),
        "nginx": Remedy("nginx: the server did not answer the handshake within proxy_read_timeout"),
        "HAProxy": Remedy("HAProxy: the server did not answer the handshake within timeout server"),
        "AWS ALB": Remedy("ALB: the target did not answer: look at its security group and load"),
    },
    "idle-closed": {
        "": Remedy(
            "have the server or the client send a ping more often than that (20 s is a usual"
            " interval), or raise the idle timeout of each proxy on the way"
        ),
        "nginx": Remedy(
            "nginx: raise the read timeout (60s by default), or ping more often than that",
            ("proxy_read_timeout 1h;", "proxy_send_timeout 1h;"),
        ),
        "HAProxy": Remedy(
            "HAProxy: set the timeout of tunnels; without it timeout client and server hold",
            ("timeout tunnel 1h",),
        ),
        "Envoy": Remedy(
            "Envoy: raise stream_idle_timeout (5 minutes by default), and `timeout: 0s` on the"
            " route"
        ),
        "AWS ALB": Remedy("ALB: raise idle_timeout.timeout_seconds (60 by default, at most 4000)"),
        "Cloudflare": Remedy("Cloudflare closes after 100 s without traffic: send pings"),
        "Heroku": Remedy("Heroku closes after 55 s without traffic: send pings"),
        "Google Cloud Load Balancing": Remedy(
            "Google: raise the backend service's timeout (30 s by default), which also ends"
            " sessions"
            " that are not idle"
        ),
        "Apache": Remedy("Apache: raise it", ("ProxyTimeout 3600",)),
        "easews": Remedy(
            "easews: raise timeouts.idle of the WebSocketProxy, which is off by default; its"
            " keepAlive sends pings"
        ),
    },
}


def remedies(problem: str, products: Sequence[str]) -> tuple[Remedy, ...]:
    """What to change: for those of the products that are known here, else for any."""
    known = _REMEDIES.get(problem, {})
    chosen = dict.fromkeys(product for product in products if product and product in known)
    return tuple(known[product] for product in chosen) or tuple(filter(None, [known.get("")]))
