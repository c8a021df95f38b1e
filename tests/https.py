"""A server over TLS in this process, and a client of it."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import SocketStream
from anyio.streams.tls import TLSAttribute, TLSStream

from easews import Context, Filter, Response
from easews.testing import Running, gateway

PATIENCE = 30
HOST = "a.example"


class Tells(Filter):
    """Answers with what it knows of the client."""

    kind = "Tells"

    async def handle(self, ctx: Context) -> None:
        request = ctx.request
        certificate = request.certificate
        known = {
            "scheme": request.scheme,
            "subject": certificate.subject if certificate else None,
            "sans": certificate.sans if certificate else None,
            "headers": dict(request.headers),
        }
        ctx.response = Response(200, content=json.dumps(known))


def text(**server: Any) -> str:
    fields = {"kind": "HTTPServer", "name": "s", "port": 443, **server}
    fields["rules"] = [{"paths": [{"backend": "p"}]}]
    pipeline = {"kind": "Pipeline", "name": "p", "filters": [{"kind": "Tells", "name": "tells"}]}
    return "\n---\n".join(map(json.dumps, (fields, pipeline)))


@asynccontextmanager
async def serving(**server: Any) -> AsyncIterator[Running]:
    with anyio.fail_after(PATIENCE):
        async with gateway(text(**server), Tells) as running:
            yield running


@asynccontextmanager
async def connected(
    running: Running, context: ssl.SSLContext, name: str | None = HOST
) -> AsyncIterator[TLSStream]:
    async with (
        await anyio.connect_tcp(*running.address) as raw,
        await TLSStream.wrap(
            raw, server_side=False, hostname=name, ssl_context=context, standard_compatible=False
        ) as stream,
    ):
        yield stream


async def asked(stream: TLSStream | SocketStream, *headers: str) -> dict[str, Any]:
    """What the filter tells of a request with these header lines."""
    head = "".join(f"{line}\r\n" for line in ("GET / HTTP/1.1", "Host: h", *headers))
    await stream.send(head.encode() + b"\r\n")
    answer = b""
    while b"\r\n\r\n" not in answer or not answer.endswith(b"}"):
        answer += await stream.receive()
    known: dict[str, Any] = json.loads(answer.partition(b"\r\n\r\n")[2])
    return known


def names_of(stream: TLSStream) -> list[str]:
    certificate: Any = stream.extra(TLSAttribute.peer_certificate)
    return [name for _, name in certificate["subjectAltName"]]
