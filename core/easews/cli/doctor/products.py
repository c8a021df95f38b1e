"""Which product has answered: by its fields first, then by its own error pages. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import NamedTuple

from .seen import Answer, Heard


class Sign(NamedTuple):
    """The product has answered if `shows` finds its pattern in `where`: a field, or ``body``."""

    product: str
    where: str
    shows: Callable[[str], object]


def _sign(product: str, where: str, pattern: str) -> Sign:
    return Sign(product, where, re.compile(pattern, re.IGNORECASE).search)


#: The first match wins, so products that are usually nearest to the client come first.
SIGNS = (
    _sign("Cloudflare", "server", r"^cloudflare"),
    _sign("Cloudflare", "cf-ray", r"."),
    _sign("AWS ALB", "server", r"^awselb/"),
    _sign("Amazon CloudFront", "via", r"cloudfront"),
    _sign("Amazon CloudFront", "server", r"^CloudFront"),
    _sign("Fastly or Varnish", "via", r"varnish"),
    _sign("Google Cloud Load Balancing", "via", r"^1\.1 google$"),
    _sign("Heroku", "via", r"vegur|heroku-router"),
    _sign("Envoy", "server", r"^(?:envoy|istio-envoy)"),
    _sign("Envoy", "x-envoy-upstream-service-time", r"."),
    _sign("nginx", "server", r"^(?:nginx|openresty|tengine)"),
    _sign("Apache", "server", r"^Apache(?:/|$)"),
    _sign("Caddy", "server", r"^Caddy"),
    _sign("Caddy", "via", r"caddy"),
    _sign("IIS", "server", r"^Microsoft-(?:IIS|HTTPAPI)"),
    _sign("websockets (Python)", "server", r"\bwebsockets/"),
    _sign("uvicorn", "server", r"^uvicorn"),
    _sign("aiohttp", "server", r"\baiohttp/"),
    _sign("Tornado", "server", r"^TornadoServer"),
    _sign("Kestrel", "server", r"^Kestrel"),
    _sign("Express", "x-powered-by", r"^Express"),
    _sign("easews", "body", r'"requestId": "|\(request [^ )]+\)\s*\Z'),
    _sign("nginx", "body", r"<center>(?:nginx|openresty|tengine)"),
    _sign("Envoy", "body", r"\A(?:no healthy upstream|upstream (?:connect error|request timeout))"),
    _sign("HAProxy", "body", r"No server is available to handle this request\."),
    _sign("HAProxy", "body", r"<h1>502 Bad Gateway</h1>\s*The server returned an invalid"),
    _sign("HAProxy", "body", r"<h1>504 Gateway Time-out</h1>\s*The server didn't respond in time"),
    _sign("HAProxy", "body", r"<h1>40[03] [^<]+</h1>\s*(?:Your browser sent|Request forbidden by)"),
    _sign("HAProxy", "body", r"<h1>408 Request Time-out</h1>\s*Your browser didn't send"),
    _sign("Traefik or a Go server", "body", r"\A404 page not found\n?\Z"),
    _sign("Traefik", "body", r"\A(?:Bad Gateway|Gateway Timeout|Service Unavailable)\Z"),
    _sign("Apache", "body", r"<address>Apache"),
    _sign("Engine.IO", "body", r'\A\{"code":\d,"message":"'),
    _sign("Express", "body", r"<pre>Cannot GET /"),
)


def product_of(heard: Heard | None) -> str:
    """The product that has answered; empty when it cannot be recognised."""
    if not isinstance(heard, Answer):
        return ""
    for sign in SIGNS:
        text = heard.text if sign.where == "body" else _lines(heard, sign.where)
        if text and sign.shows(text):
            return sign.product
    return ""


def _lines(answer: Answer, name: str) -> str:
    return "\n".join(answer.headers.get_all(name))


def named(heard: Heard | None) -> str:
    """The product that has answered, with its version where the answer has it."""
    product = product_of(heard)
    if not product or not isinstance(heard, Answer):
        return product
    word = re.escape(product.partition(" ")[0])
    version = re.search(rf"{word}/(\d[\w.]*)", heard.headers.get("server"), re.IGNORECASE)
    return f"{product} {version[1]}" if version else product
